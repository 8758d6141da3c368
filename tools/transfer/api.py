"""Requests to a Worker, tried again when it is busy."""

import time
from collections.abc import Iterator
from typing import Any

import httpx

ATTEMPTS = 6
"""Attempts of a request that gets 429, 502 or 503, or no answer."""
BUSY = (429, 502, 503)
PAGE = 100
"""Entries of a list in one request: the maximum that the Worker returns."""


class TransferError(Exception):
    """A failure for the user to read."""


class Api:
    """A Worker, called with an admin key."""

    def __init__(self, url: str, key: str | None) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=120)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request. Raises TransferError if it is refused."""
        reason = ""
        for attempt in range(ATTEMPTS):
            for file in options.get("files", {}).values():
                file[1].seek(0)
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                reason = f"{self._http.base_url} does not answer: {error}"
            else:
                if response.is_success or response.status_code == 404:
                    return response
                reason = _reason(response)
                if response.status_code not in BUSY:
                    break
                time.sleep(min(60.0, float(response.headers.get("retry-after", 0))))
            if attempt + 1 < ATTEMPTS:
                time.sleep(0.5 * 2**attempt)
        raise TransferError(f"{method} {path}: {reason}")

    def get(self, path: str, **query: str | int | None) -> Any:
        """Return the JSON of a GET. Raises TransferError if there is none."""
        response = self.send("GET", path, params=without_none(query))
        if response.status_code == 404:
            raise TransferError(f"GET {path}: {_reason(response)}")
        return response.json()

    def pages(self, path: str, name: str, **query: str | None) -> Iterator[Any]:
        """Yield the entries of a list, page after page. name: the list's field of the response."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.get(path, cursor=cursor, limit=PAGE, **query)
            yield from page[name]
            cursor = page["cursor"]

    def tenants(self, chosen: list[str]) -> list[str]:
        """Return the chosen tenants, or else all."""
        return chosen or list(self.pages("/tenants", "tenants"))


def without_none(query: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that have a value."""
    return {name: value for name, value in query.items() if value is not None}


def _reason(response: httpx.Response) -> str:
    try:
        return response.json()["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}"
