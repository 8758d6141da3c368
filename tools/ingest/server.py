"""The Worker, as scripts/ingest calls it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import httpx

from tools.ingest.sources import Source

ATTEMPTS = 5
"""Attempts of a request while the Worker cannot be reached or answers 5xx."""
MAX_WAIT_SECONDS = 3_600.0
"""Maximum seconds to wait for the end of a rate limit; a spent budget lasts until the next day."""


class Refused(Exception):  # noqa: N818 - a sentence for the user, not an error of ours
    """The Worker refuses a request, or cannot be reached. The message says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Server:
    """The documents of one tenant of a Worker."""

    def __init__(self, url: str, key: str, tenant: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """key: an API key; empty for none. tenant: empty for the key's own."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=120)
        self._tenant = {"tenant": tenant} if tenant else {}
        self._sleep = sleep

    def fingerprints(self) -> dict[str, str]:
        """Return document id → fingerprint, of all documents that have not failed."""
        fingerprints: dict[str, str] = {}
        cursor: str | None = ""
        while cursor is not None:
            page = self._call("GET", "/rag/documents", params={**self._tenant, "cursor": cursor, "limit": 100})
            fingerprints |= {each["id"]: each["fingerprint"] for each in page["documents"] if each["state"] != "failed"}
            cursor = page["cursor"]
        return fingerprints

    def send(self, sources: Sequence[Source], metadata: str) -> str:
        """Send files as one batch; return the id of its job. metadata: JSON."""
        with ExitStack() as stack:
            files = [("file", (each.path, stack.enter_context(each.file.open("rb")))) for each in sources]
            fields = {**self._tenant, "metadata": metadata}
            return self._call("POST", "/rag/documents/batch", data=fields, files=files)["id"]

    def job(self, job: str) -> dict[str, Any]:
        return self._call("GET", f"/rag/jobs/{job}")

    def failed(self, job: str) -> Iterator[tuple[str, str]]:
        """Yield path and reason of the documents of a batch that have failed."""
        cursor: int | None = 0
        while cursor is not None:
            query = {"state": "failed", "cursor": cursor, "limit": 100}
            page = self._call("GET", f"/rag/jobs/{job}/documents", params=query)
            yield from ((each["path"], each["reason"]) for each in page["documents"])
            cursor = page["cursor"]

    def add_page(self, content: bytes, name: str, url: str, metadata: str) -> dict[str, Any]:
        """Send a page of the web as a document; return its state."""
        fields = {**self._tenant, "metadata": metadata, "url": url}
        return self._call("POST", "/rag/documents", data=fields, files={"file": (name, content)})

    def document(self, document_id: str) -> dict[str, Any]:
        return self._call("GET", f"/rag/documents/{document_id}", params=self._tenant)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        failures = 0
        while True:
            try:
                response = self._client.request(method, path, **options)
            except httpx.TransportError as error:
                refused, wait = Refused(0, f"{self._client.base_url} cannot be reached: {error}."), 2.0**failures
            else:
                if response.is_success:
                    return response.json()
                refused, wait = Refused(response.status_code, _message(response)), _seconds(response, failures)
            # a limit of requests passes by itself; anything else may last
            failures += refused.status != 429
            if wait is None or failures == ATTEMPTS:
                raise refused
            self._sleep(wait)


def _seconds(response: httpx.Response, failures: int) -> float | None:
    """Return the seconds to wait before the request is sent again; None if that does not help."""
    if response.status_code == 429:
        seconds = float(response.headers.get("retry-after", MAX_WAIT_SECONDS))
        return seconds if seconds <= MAX_WAIT_SECONDS else None
    return 2.0**failures if response.status_code >= 500 else None


def _message(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        return str(error["message"])
    except (ValueError, KeyError, TypeError):
        return f"The server answers with status {response.status_code}."
