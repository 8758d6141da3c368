"""The smoke test of scripts/deploy, against servers with prepared answers."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from aiworker.auth import browser_tokens
from aiworker.auth.access import Key
from tools.deploy import credentials, smoke
from tools.deploy.credentials import NOBODY, Caller, Secrets
from tools.deploy.report import Report
from tools.deploy.smoke import Outcome, SmokeTest
from tools.deploy.target import Target
from tools.keys import keys

HEALTH = {
    "status": "ok",
    "version": "0.1.0",
    "access": "keys",
    "bindings": {},
    "platform": {"python": "3.14", "deployment": "new"},
}
Answers = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "SECONDS_TO_APPEAR", 0.2)
    monkeypatch.setattr(smoke, "PAUSES", (0.01,))


def outcomes(answers: Answers, caller: Caller = NOBODY, *, is_public: bool = False) -> dict[str, Outcome]:
    test = SmokeTest("https://worker.example", "new", caller, 768, is_public=is_public)
    client = httpx.Client(base_url="https://worker.example", transport=httpx.MockTransport(answers))
    test._client = client  # pyright: ignore[reportPrivateUsage]
    return {each.name: each for each in test.run(Report(as_json=True))}


@pytest.mark.parametrize("health", [[], None, "ok", {"platform": "linux"}, {"platform": {"deployment": "old"}}])
def test_the_previous_owner_of_the_address_may_answer_anything(health: object) -> None:
    """The test waits for a new version that does not answer yet."""
    answers = [httpx.Response(200, json=health), httpx.Response(200, json=HEALTH)]
    assert outcomes(lambda _: answers[0])["health"].status == "failed"
    later = iter(answers)
    failures = outcomes(lambda request: next(later) if request.url.path == "/health" else httpx.Response(401))
    assert failures["health"].status == "passed"


@pytest.mark.parametrize(
    ("status", "is_public", "expected"),
    [
        (401, False, "passed"),
        (200, False, "failed"),  # keys are asked for, and strangers are served
        (200, True, "skipped"),
        (403, True, "skipped"),  # PUBLIC_SCOPES has no chat
    ],
)
def test_anonymous_callers_are_refused_unless_the_worker_is_public(status: int, is_public: bool, expected: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=HEALTH) if request.url.path == "/health" else httpx.Response(status)

    assert outcomes(answer, is_public=is_public)["closed to strangers"].status == expected


def test_a_test_that_is_interrupted_leaves_no_document() -> None:
    seen: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path))
        if request.url.path == "/rag/search":
            raise KeyboardInterrupt
        if request.url.path == "/health":
            return httpx.Response(200, json=HEALTH)
        if request.method == "POST" and request.url.path == "/rag/documents":
            return httpx.Response(202)
        return httpx.Response(200, json={"models": [], "state": "indexed"})

    with pytest.raises(KeyboardInterrupt):
        outcomes(answer, Caller(lambda: "key", "a key"))
    method, path = seen[-1]
    assert method == "DELETE"
    assert path.startswith("/rag/documents/deploy-check-")


def test_a_token_does_not_end_before_a_slow_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A new address may take three minutes to appear, a document as many, and a token has five."""
    monkeypatch.delenv(credentials.CALLER, raising=False)
    target = Target(tmp_path, "", {"name": "aiworker"})
    key = Key(credentials.CHECK, "0" * 64, credentials.CHECK_SCOPES, credentials.CHECK)
    credentials.keep(target, Secrets({"API_KEYS": keys.to_variable([key]), "TOKEN_SECRET": "s" * 43}))
    caller = credentials.caller(target, "https://Worker.Example:443", Secrets({}))
    later = time.time() + 400
    monkeypatch.setattr(time, "time", lambda: later)
    token = caller.headers["authorization"].removeprefix("Bearer ")
    assert browser_tokens.verify(token, "s" * 43, "https://worker.example", later).tenant == credentials.CHECK


def test_whom_the_version_before_has_known_is_known_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    caller = Caller(lambda: "token", "a token")
    status = 200

    def get(url: str, **_: object) -> httpx.Response:
        return httpx.Response(status, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    assert smoke.is_known("https://worker.example", caller)
    status = 401
    assert not smoke.is_known("https://worker.example", caller)

    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=HEALTH) if request.url.path == "/health" else httpx.Response(401)

    assert outcomes(refuse, caller)["caller"].status == "skipped"
    assert outcomes(refuse, Caller(caller.credential, caller.title, is_certain=True))["caller"].status == "failed"


@pytest.mark.parametrize(("may_lack_scopes", "expected"), [(True, "skipped"), (False, "failed")])
@pytest.mark.parametrize("kind", ["forbidden", "budget_exceeded"])
def test_a_key_that_does_not_go_so_far_takes_no_version_back(kind: str, may_lack_scopes: bool, expected: str) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/health":
            return httpx.Response(200, json=HEALTH)
        if "authorization" not in request.headers:
            return httpx.Response(401)
        if request.url.path == "/models":
            return httpx.Response(200, json={"models": []})
        return httpx.Response(403, json={"error": {"type": kind, "message": "This route needs the scope embed."}})

    seen = outcomes(answers, Caller(lambda: "key", "$AIWORKER_KEY", may_lack_scopes=may_lack_scopes))
    assert seen["embed"].status == seen["chat, streamed"].status == expected
    assert "This route needs the scope embed." in seen["embed"].detail
