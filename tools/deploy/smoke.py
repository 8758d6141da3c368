"""The smoke test: call the deployed Worker over HTTP, once for each of its bindings.

It costs some model calls: one short chat, three embeddings, one reranking, one answer from a document and one image.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import httpx

from tools.deploy.credentials import CHECK, Caller
from tools.deploy.report import Report

SECONDS_TO_APPEAR = 180
"""Longest wait for a new version: a new address under workers.dev needs a certificate first."""
SECONDS_TO_INDEX = 180
"""Longest wait for a document: a Workflow starts, and Vectorize shows new vectors after some seconds."""
PAUSES = (0.25, 0.5, 1.0, 2.0)
"""Seconds between two attempts; the last value repeats."""
TIMEOUT = httpx.Timeout(60, connect=15)
BRIEF_SECONDS = 10.0
"""Timeout of requests whose failure does not matter."""
TEXT = "# Lighthouse of Sálvora\n\nThe lighthouse of Sálvora was built in 1921. Its lamp is 38 metres above the sea.\n"
QUESTION = "When was the lighthouse of Sálvora built?"

KEY_LIMITS = ("forbidden", "budget_exceeded")
"""Types of errors that concern the caller's key, not the version."""
ATTEMPTS = 3
"""Number of attempts at an answer that cites its source: models do not always cite."""

Status = Literal["passed", "failed", "skipped"]


class CheckError(Exception):
    """A check has failed. The message says what the answer lacks."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check."""

    name: str
    status: Status
    seconds: float
    detail: str

    @property
    def row(self) -> tuple[str, str, str, str]:
        return self.name, self.status, f"{self.seconds:.2f} s", self.detail

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "status": self.status, "seconds": round(self.seconds, 3), "detail": self.detail}


class SmokeTest:
    """Checks of one deployment. Each returns a detail for people, or raises CheckError or an error of HTTP."""

    def __init__(self, address: str, version: str, caller: Caller, width: int, *, is_public: bool = False) -> None:
        """version: id of the version that is to answer. width: numbers in a vector of EMBED_MODEL.

        is_public: whether AUTH_MODE is "public".
        """
        self._client = httpx.Client(base_url=address, timeout=TIMEOUT, headers={"user-agent": "aiworker-deploy"})
        self._version = version
        self._caller = caller
        self._width = width
        self._is_public = is_public
        self._document = f"deploy-check-{uuid.uuid4().hex[:12]}"
        self._path = f"/rag/documents/{self._document}"
        self._has_document = False
        self._tenant: dict[str, str] = {}
        """Field of bodies and queries that names the tenant; empty for callers that may name none but their own."""

    def run(self, report: Report) -> list[Outcome]:
        """Do all checks in their order. Those that need the version are left out if it does not answer."""
        health = self._do("health", self._health, report)
        if health.status == "failed":
            return [health]
        outcomes = [health, self._do("closed to strangers", self._closed, report)]
        if not self._caller.headers:
            return outcomes
        known = self._do("caller", self._known, report)
        outcomes.append(known)
        if known.status == "passed":
            try:
                outcomes += [self._do(name, check, report) for name, check in self._abilities().items()]
            finally:
                self._clean_up()
        return outcomes

    def _clean_up(self) -> None:
        """Delete the document if it is still there: the test was interrupted, or deleting it failed."""
        if self._has_document:
            with contextlib.suppress(httpx.HTTPError):
                headers = self._caller.headers
                self._client.delete(self._path, params=self._tenant, headers=headers, timeout=BRIEF_SECONDS)

    def _abilities(self) -> dict[str, Callable[[], str]]:
        return {
            "chat, streamed": self._chat,
            "embed": self._embed,
            "document in": self._add,
            "document found": self._find,
            "document cited": self._cite,
            "document deleted": self._delete,
            "image": self._image,
        }

    def _do(self, name: str, check: Callable[[], str], report: Report) -> Outcome:
        began = time.monotonic()
        status: Status = "passed"
        with report.step(f"smoke test: {name}") as step:
            try:
                detail = check()
            except _Skipped as skipped:
                status, detail = "skipped", str(skipped)
            except Exception as error:
                status, detail = "failed", str(error) or type(error).__name__
            step.outcome = status
        return Outcome(name, status, time.monotonic() - began, detail)

    # ---- without a key -----------------------------------------------------------------------------------------------

    def _health(self) -> str:
        for waited in _attempts(SECONDS_TO_APPEAR):
            try:
                response = self._client.get("/health")
                state = f"status {response.status_code}"
                if response.status_code == 200:
                    health: dict[str, Any] = response.json()
                    deployed = health["platform"].get("deployment")
                    state = f"version {deployed or 'unknown'}"
                    if deployed == self._version:
                        return self._healthy(health)
            except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
                # another server may have had the address before this version, and may answer anything
                state = str(error) or type(error).__name__
            if waited > SECONDS_TO_APPEAR:
                raise CheckError(f"after {SECONDS_TO_APPEAR} s this version does not answer, but: {state}")
        raise AssertionError("unreachable")

    @staticmethod
    def _healthy(health: dict[str, Any]) -> str:
        if health["status"] != "ok":
            missing = ", ".join(name for name, there in health["bindings"].items() if not there)
            raise CheckError(f"status {health['status']}; bindings that are missing: {missing}")
        return f"version {health['version']}, access {health['access']}"

    def _closed(self) -> str:
        if self._is_public:
            raise _Skipped('AUTH_MODE is "public": it answers everybody, at your cost')
        response = self._client.post("/chat", json={"prompt": "Hello", "max_tokens": 1})
        if response.status_code != 401:
            raise CheckError(_unexpected(response, 401))
        return "401 without a key"

    # ---- with one ----------------------------------------------------------------------------------------------------

    def _known(self) -> str:
        response = self._client.get("/models", headers=self._caller.headers)
        if response.status_code == 401 and not self._caller.is_certain:
            raise _Skipped(
                "the deployment does not know this machine's TOKEN_SECRET and keys: only /health and the 401 were "
                "checked. Set AIWORKER_KEY to an API key for the whole test."
            )
        self._expect(response, 200)
        wanted = {"tenant": CHECK}
        listed = self._client.get("/rag/documents", params=wanted, headers=self._caller.headers)
        self._tenant = wanted if listed.status_code == 200 else {}
        return f"{self._caller.title}; {len(response.json()['models'])} models"

    def _chat(self) -> str:
        began = time.monotonic()
        first: float | None = None
        lines: list[str] = []
        body = {"prompt": "Say hello in one short sentence.", "max_tokens": 40}
        with self._client.stream("POST", "/chat", json=body, headers=self._caller.headers) as response:
            if response.status_code != 200:
                response.read()
                self._expect(response, 200)
            for line in response.iter_lines():
                first = first or time.monotonic() - began
                lines.append(line)
        content_type = response.headers["content-type"].partition(";")[0]
        if content_type != "text/event-stream":
            raise CheckError(f"the answer is {content_type}, not text/event-stream")
        if "event: error" in lines or "data: [DONE]" not in lines:
            raise CheckError(f"the stream broke off: {' '.join(lines)[-200:]}")
        frames = sum(line.startswith("data: {") for line in lines)
        if frames == 0:
            raise CheckError("the stream is empty")
        return f"{frames} frames, first byte after {first or 0:.2f} s"

    def _embed(self) -> str:
        answer = self._json("POST", "/embed", {"text": ["a red fox", "a blue whale"]})
        shape = [len(vector) for vector in answer["data"]]
        if shape != [self._width] * 2:
            raise CheckError(f"vectors of {shape} numbers, not two of {self._width}")
        return f"2 vectors of {self._width}"

    def _add(self) -> str:
        body = {"id": self._document, "text": TEXT, "title": "scripts/deploy", **self._tenant}
        self._has_document = True
        self._json("POST", "/rag/documents", body, 202)
        state = ""
        for waited in _attempts(SECONDS_TO_INDEX):
            answer = self._client.get(self._path, params=self._tenant, headers=self._caller.headers).json()
            state = answer["state"]
            if state == "indexed":
                return f"indexed after {waited:.1f} s"
            if state == "failed":
                raise CheckError(f"the document failed: {answer.get('reason')}")
            if waited > SECONDS_TO_INDEX:
                break
        raise CheckError(f"after {SECONDS_TO_INDEX} s the document is {state}")

    def _find(self) -> str:
        passages = self._json("POST", "/rag/search", {"query": QUESTION, **self._tenant})["passages"]
        documents = [each["document"] for each in passages]
        if self._document not in documents:
            raise CheckError(f"the document is not among the {len(documents)} passages found")
        return f"passage {documents.index(self._document) + 1} of {len(documents)}"

    def _cite(self) -> str:
        body = {"query": QUESTION, "stream": False, "max_tokens": 200, "temperature": 0.2, **self._tenant}
        text = ""
        for _ in range(ATTEMPTS):
            answer = self._json("POST", "/rag", body)
            text = " ".join(answer["answer"].split())
            sources = {each["number"]: each["document"] for each in answer["sources"]}
            if self._document not in sources.values():
                raise CheckError("the document is not among the sources of the answer")
            if self._document in {sources.get(number) for number in answer["citations"]}:
                return text[:80]
        raise CheckError(f"{ATTEMPTS} answers do not cite it, the last one: {text[:200]}")

    def _delete(self) -> str:
        for method, status in (("DELETE", 204), ("GET", 404)):
            response = self._client.request(method, self._path, params=self._tenant, headers=self._caller.headers)
            self._expect(response, status)
        self._has_document = False
        passages = self._json("POST", "/rag/search", {"query": QUESTION, **self._tenant})["passages"]
        if any(each["document"] == self._document for each in passages):
            raise CheckError("the document is found after it was deleted")
        return "gone"

    def _image(self) -> str:
        response = self._client.post("/image", json={"prompt": "a lighthouse"}, headers=self._caller.headers)
        self._expect(response, 200)
        kind = response.headers["content-type"]
        if not kind.startswith("image/") or len(response.content) < 100:
            raise CheckError(f"the answer is {len(response.content)} bytes of {kind}")
        return f"{len(response.content):,} bytes of {kind}"

    def _json(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        response = self._client.request(method, path, json=body, headers=self._caller.headers)
        self._expect(response, status)
        return response.json()

    def _expect(self, response: httpx.Response, status: int) -> None:
        """Check the status. Raises CheckError for another one, or _Skipped if the caller's key lacks a scope."""
        if response.status_code == status:
            return
        words = _unexpected(response, status)
        if self._caller.may_lack_scopes and _error(response).get("type") in KEY_LIMITS:
            raise _Skipped(f"{self._caller.title} does not go so far: {words}")
        raise CheckError(words)


def is_known(address: str, caller: Caller) -> bool:
    """Whether the server at the address knows the caller."""
    with contextlib.suppress(httpx.HTTPError):
        response = httpx.get(f"{address}/rag/documents", headers=caller.headers, timeout=BRIEF_SECONDS)
        return bool(caller.headers) and response.status_code == 200
    return False


class _Skipped(Exception):  # noqa: N818 - no error: the reason why a check was left out
    pass


def _attempts(limit: float) -> Iterator[float]:
    """Yield the seconds since the first attempt before each attempt; the last one comes after `limit` seconds."""
    began = time.monotonic()
    number = 0
    while (waited := time.monotonic() - began) <= limit:
        yield waited
        time.sleep(PAUSES[min(number, len(PAUSES) - 1)])
        number += 1
    yield waited


def _unexpected(response: httpx.Response, status: int) -> str:
    request = response.request
    words = _error(response).get("message") or response.text[:200]
    return f"{request.method} {request.url.path} answered {response.status_code}, not {status}: {words}"


def _error(response: httpx.Response) -> dict[str, Any]:
    """Return the error in an answer of aiworker; empty for any other answer."""
    try:
        error = json.loads(response.text)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return cast("dict[str, Any]", error) if isinstance(error, dict) else {}
