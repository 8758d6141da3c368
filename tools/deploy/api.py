"""Cloudflare's REST API: its requests, its pages and its errors.

Cloudflare's Python SDK could be used, but importing the parts that a deployment needs takes 2.5 s of processor time.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import httpx

BASE_URL = "https://api.cloudflare.com/client/v4"
SECONDS = 30.0
"""Timeout of one request."""
PAUSES = (0.5, 1.0)
"""Seconds before each further attempt at a request that was not answered, or is refused only for now."""
MAX_PAUSE = 60.0
"""Maximum pause in seconds, whatever the header Retry-After asks for."""
REQUEST_TIMEOUT, TOO_MANY, SERVER_ERROR, NOT_FOUND = 408, 429, 500, 404
"""HTTP statuses. The same request may succeed later after the first two, and from the third on."""

Document = dict[str, Any]


class Refusal(NamedTuple):
    """One entry of `errors` in an answer."""

    code: int | None
    message: str


class ApiError(Exception):
    """Cloudflare has answered with an error. `refusals` is empty if a proxy or Cloudflare's edge has answered."""

    def __init__(self, status: int, refusals: tuple[Refusal, ...]) -> None:
        self.status = status
        self.refusals = refusals
        super().__init__("; ".join(f"{each.message} (code {each.code})" for each in refusals))

    @property
    def is_temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in (REQUEST_TIMEOUT, TOO_MANY) or self.status >= SERVER_ERROR


class NotFoundError(ApiError):
    """There is nothing of this name or id."""


@dataclass(frozen=True)
class Credentials:
    """A token, or the older pair of a key and an e-mail address."""

    token: str = ""
    key: str = ""
    email: str = ""

    @property
    def headers(self) -> dict[str, str]:
        if self.token:
            return {"authorization": f"Bearer {self.token}"}
        return {"x-auth-key": self.key, "x-auth-email": self.email}


class CloudflareApi:
    """Client of the API, for the paths under `root`.

    A path is given as its fixed beginning, then further parts, which may be any text: ("r2/buckets", name, "objects").
    Methods return `result` of the answer. They raise ApiError; httpx.TransportError without an answer; and ValueError,
    TypeError or KeyError for an answer that is not Cloudflare's.
    """

    def __init__(self, client: httpx.Client, root: str = "") -> None:
        self._client = client
        self._root = root

    @classmethod
    def log_in(cls, credentials: Credentials, base_url: str | None = None) -> "CloudflareApi":
        """base_url: the address of the API, if it is not Cloudflare's."""
        url = base_url or BASE_URL
        return cls(httpx.Client(base_url=url, headers=credentials.headers, timeout=SECONDS, follow_redirects=True))

    def of_account(self, account: str) -> "CloudflareApi":
        """Return the client for the paths of an account."""
        return CloudflareApi(self._client, f"/accounts/{quote(account, safe='')}")

    def get(self, path: str, *parts: str) -> Any:
        return self._send("GET", path, *parts)["result"]

    def post(self, path: str, *parts: str, body: object) -> Any:
        return self._send("POST", path, *parts, body=body)["result"]

    def put(self, path: str, *parts: str, body: object) -> Any:
        return self._send("PUT", path, *parts, body=body)["result"]

    def delete(self, path: str, *parts: str, **query: str) -> None:
        self._send("DELETE", path, *parts, query=query)

    def pages(self, path: str, *parts: str, **query: str) -> Iterator[Document]:
        """Yield the items of a list whose pages have numbers."""
        for number in itertools.count(1):
            answer = self._send("GET", path, *parts, query={**query, "page": str(number)})
            yield from answer["result"]
            info: Document = answer.get("result_info") or {}
            if not answer["result"] or number * info.get("per_page", 0) >= info.get("total_count", 0):
                return

    def cursor_pages(self, path: str, *parts: str) -> Iterator[Document]:
        """Yield the items of a list whose pages lead to the next."""
        query: dict[str, str] = {}
        while True:
            answer = self._send("GET", path, *parts, query=query)
            yield from answer["result"]
            info: Document = answer.get("result_info") or {}
            if not info.get("cursor"):
                return
            query = {"cursor": info["cursor"]}

    def _send(
        self, method: str, path: str, *parts: str, query: dict[str, str] | None = None, body: object = None
    ) -> Document:
        url = "/".join([self._root, path, *(quote(part, safe="") for part in parts)])
        request = self._client.build_request(method, url, params=query, json=body)
        for pause in PAUSES:
            try:
                response = self._client.send(request)
            except httpx.TransportError:
                time.sleep(pause)
                continue
            error = _error(response)
            if error is None or not error.is_temporary:
                return _document(response, error)
            time.sleep(_wanted_pause(response) or pause)
        response = self._client.send(request)
        return _document(response, _error(response))


def _document(response: httpx.Response, error: ApiError | None) -> Document:
    if error:
        raise error
    if response.request.method == "DELETE":  # its answer is not needed
        return {}
    document = response.json()
    if not isinstance(document, dict):
        raise TypeError("the answer is no object")
    return cast("Document", document)


def _error(response: httpx.Response) -> ApiError | None:
    if response.is_success:
        return None
    kind = NotFoundError if response.status_code == NOT_FOUND else ApiError
    return kind(response.status_code, _refusals(response))


def _refusals(response: httpx.Response) -> tuple[Refusal, ...]:
    try:
        return tuple(Refusal(each.get("code"), str(each["message"])) for each in response.json()["errors"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()


def _wanted_pause(response: httpx.Response) -> float | None:
    """The header Retry-After in seconds, if it is one."""
    text = response.headers.get("retry-after", "")
    return min(float(text), MAX_PAUSE) if text.isdecimal() else None
