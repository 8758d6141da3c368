"""Requests and answers of the journal's calls as they were on the wire, of the newest calls only."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers_ai_simulator.traffic.credentials import HEADERS
from workers_ai_simulator.traffic.journal import MAX_ENTRIES, Entry

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Bytes of a body that are kept. Enough for a simulated picture or half a minute of speech."""
MAX_STORED_BYTES = 32 * 1024 * 1024
"""Bytes of all bodies together; the oldest exchanges are dropped first."""
MAX_FRAMES = 10_000
"""Frames of a stream whose times are kept; what follows counts as one frame."""
FRAME_END = b"\n\n"
FRAME_BYTES = 100
"""Memory that the time of a frame takes, about."""

KEPT_HEADERS = ("host", "content-type", "accept", "user-agent")
KEPT_PREFIXES = ("cf-aig-", "cf-consn-", "cf-vector-search-", "x-simulator-")
"""Beginnings of the names of headers that change an answer."""
OWN_PATHS = ("/simulator", "/page/")
"""Beginnings of the paths of the simulator's own API and page, which are not recorded."""
KEY = "workers_ai_simulator.exchange"
"""Key of the scope that has the exchange of a request."""


@dataclass
class Body:
    """Beginning of a body."""

    content: bytearray = field(default_factory=bytearray)
    size: int = 0
    """Bytes of the whole body."""

    @property
    def is_whole(self) -> bool:
        return len(self.content) == self.size

    def add(self, chunk: bytes) -> int:
        """Add a piece. Returns the number of bytes that are kept of it."""
        kept = chunk[: MAX_BODY_BYTES - len(self.content)]
        self.content += kept
        self.size += len(chunk)
        return len(kept)


@dataclass
class Exchange:
    """A request over HTTP with its answer. One request may be several calls, as of a gateway that tries again."""

    method: str
    path: str
    """Path as it was sent, with its escapes and its query."""
    headers: dict[str, str]
    """Headers that change an answer, none of which is a credential."""
    credentials: Sequence[str]
    """Names of the headers with credentials that the request had."""
    replay_of: str = ""
    """Id of the call that this one repeats."""
    request: Body = field(default_factory=Body)
    status: int | None = None
    """Status of the answer; None before it begins."""
    answer_headers: dict[str, str] = field(default_factory=dict[str, str])
    answer: Body = field(default_factory=Body)
    frames: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """For each frame of a stream the seconds since the request came, and where it ends in the answer's body."""
    has_ended: bool = False
    """Whether the answer is complete."""
    calls: list[str] = field(default_factory=list[str])
    """Ids of its calls in the journal."""
    is_dropped: bool = False
    stored_bytes: int = 0
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.in_journal = asyncio.Event()
        """Set once the journal has a call of it."""
        self.over = asyncio.Event()
        """Set once nothing more is recorded, whether the answer is complete or not."""

    @property
    def is_stream(self) -> bool:
        return self.answer_headers.get("content-type", "").startswith("text/event-stream")

    @property
    def kept_bytes(self) -> int:
        return len(self.request.content) + len(self.answer.content) + FRAME_BYTES * len(self.frames)

    def receive(self, message: Message) -> None:
        """Record a message of the request."""
        if message["type"] == "http.request":
            self.request.add(message.get("body", b""))

    def send(self, message: Message) -> None:
        """Record a message of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answer_headers = _shown(Headers(raw=message["headers"]))
        elif message["type"] == "http.response.body":
            start = len(self.answer.content)
            if self.answer.add(message.get("body", b"")) and self.is_stream:
                self._add_frames(start)
            self.has_ended = not message.get("more_body", False)

    def _add_frames(self, start: int) -> None:
        """Record the frames of the answer from `start` on: without a pace, several are sent at once."""
        seconds, size = time.monotonic() - self.started, len(self.answer.content)
        while start < size:
            end = self.answer.content.find(FRAME_END, start)
            start = size if end < 0 else end + len(FRAME_END)
            if len(self.frames) == MAX_FRAMES:
                self.frames.pop()
            self.frames.append((seconds, start))

    def drop(self) -> None:
        """Free the memory, and record nothing more."""
        self.is_dropped = True
        self.request, self.answer, self.frames = Body(), Body(), []


class Exchanges:
    """Exchanges of the newest calls, `MAX_STORED_BYTES` of them."""

    def __init__(self) -> None:
        self._stored: deque[Exchange] = deque()
        self._by_call: dict[str, Exchange] = {}
        self.bytes = 0
        """Bytes of all bodies that are kept."""

    def find(self, call_id: str) -> Exchange | None:
        """The exchange of a call; None if it was dropped or never existed."""
        return self._by_call.get(call_id)

    def link(self, scope: Scope, entry: Entry) -> None:
        """Keep the exchange of a request, of which the entry is a call."""
        exchange: Exchange | None = scope.get(KEY)
        if exchange is None or exchange.is_dropped:
            return
        if not exchange.calls:
            self._stored.append(exchange)
        exchange.calls.append(entry.id)
        self._by_call[entry.id] = exchange
        exchange.in_journal.set()
        self.count(exchange)

    def count(self, exchange: Exchange) -> None:
        """Update the size of an exchange, and drop the oldest exchanges until all fit."""
        if not exchange.calls or exchange.is_dropped:
            return
        self.bytes += exchange.kept_bytes - exchange.stored_bytes
        exchange.stored_bytes = exchange.kept_bytes
        while self.bytes > MAX_STORED_BYTES or len(self._by_call) > MAX_ENTRIES:
            oldest = self._stored.popleft()
            self.bytes -= oldest.stored_bytes
            for call_id in oldest.calls:
                del self._by_call[call_id]
            oldest.drop()


class Recording:
    """Middleware that gives each request an exchange, and records the request and the answer in it."""

    def __init__(self, app: ASGIApp, exchanges: Exchanges) -> None:
        self._app = app
        self._exchanges = exchanges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/" or scope["path"].startswith(OWN_PATHS):
            await self._app(scope, receive, send)
            return
        exchange: Exchange = scope.setdefault(KEY, new_exchange(scope))

        async def recorded_receive() -> Message:
            message = await receive()
            if not exchange.is_dropped:
                exchange.receive(message)
                self._exchanges.count(exchange)
            return message

        async def recorded_send(message: Message) -> None:
            if not exchange.is_dropped:
                exchange.send(message)
                self._exchanges.count(exchange)
            await send(message)

        try:
            await self._app(scope, recorded_receive, recorded_send)
        finally:
            exchange.over.set()


def new_exchange(scope: Scope) -> Exchange:
    """A new exchange, for a request that has just arrived."""
    headers = Headers(scope=scope)
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return Exchange(
        scope["method"],
        f"{path}?{query}" if query else path,
        {name: value for name, value in headers.items() if _is_kept(name)},
        [name for name in headers if name in HEADERS],
    )


def _is_kept(name: str) -> bool:
    return name not in HEADERS and (name in KEPT_HEADERS or name.startswith(KEPT_PREFIXES))


def _shown(headers: Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in HEADERS}


def scope_of(exchange: Exchange, like: Scope) -> dict[str, Any]:
    """Scope of a request that repeats an exchange, with any credentials where it had some; `like`: another scope."""
    path, _, query = exchange.path.partition("?")
    headers = {**exchange.headers, **dict.fromkeys(exchange.credentials, "Bearer replayed")}
    return {
        **{name: like[name] for name in ("type", "asgi", "http_version", "scheme", "client", "server", "root_path")},
        "method": exchange.method,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
    }
