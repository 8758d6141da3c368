"""The mixed load of `scripts/soak`: requests of all kinds, and the responses allowed while faults are set."""

import asyncio
import io
import json
import random
import struct
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

DEADLINE = 120.0
"""Seconds after which a request counts as hung: the Worker waits MODEL_SECONDS for a model, a few times."""
MODEL_SECONDS = 15
"""The Worker's variable MODEL_SECONDS under load, shorter than the longest delay among the faults."""
IDS = 40
"""Number of documents and of conversations, which are used again and again."""

FAULTS: tuple[Mapping[str, Any], ...] = (
    {"binding": "AI", "status": 500, "code": 3043, "probability": 0.05},
    {"binding": "AI", "status": 429, "code": 3040, "probability": 0.04},
    {"binding": "AI", "cut_after_frames": 3, "probability": 0.04},
    {"binding": "AI", "end_after_frames": 2, "probability": 0.03},
    {"binding": "AI", "broken_frame": 2, "probability": 0.02},
    {"binding": "AI", "empty_body": True, "probability": 0.02},
    {"binding": "AI", "delay": 20, "probability": 0.01},
    {"binding": "VECTORIZE", "status": 500, "code": 50000, "probability": 0.2},
    {"binding": "AI_GATEWAY", "status": 500, "code": 7003, "probability": 0.2},
)
"""Faults, which hit about twenty of a hundred calls of a binding while they are set."""

EXPLAINED: Mapping[int, tuple[str, ...]] = {
    502: ("upstream_error", "server_error"),
    503: ("unavailable", "server_error"),
    504: ("server_error",),
}
"""Status → `error.type` of errors that these faults cause: a model or a binding that fails, one that the breaker does
not call for a while (with Retry-After), one that takes too long. Under /v1 they are all `server_error`."""

Json = dict[str, Any]


@dataclass
class Counts:
    """Results so far."""

    by_route: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    """Route → status, `left` or `broken off` (a stream that ended with an error frame) → number of times."""
    requests: int = 0
    hung: list[str] = field(default_factory=list[str])
    unexplained: list[str] = field(default_factory=list[str])
    cut: list[str] = field(default_factory=list[str])
    """Streams that ended without a last frame."""
    explained: int = 0
    misunderstood: list[str] = field(default_factory=list[str])
    """Valid requests that were refused, and invalid ones that were not."""
    slowest: float = 0
    """Seconds."""

    def add(self, route: str, what: str) -> None:
        self.by_route.setdefault(route, Counter())[what] += 1


class Load:
    """Clients that send one request after the other, each a random one of WORK."""

    def __init__(self, client: httpx.AsyncClient, seed: int) -> None:
        self.client = client
        self.random = random.Random(seed)
        self.counts = Counts()
        self.has_faults = False
        """Whether a 5xx may come from a fault."""
        self.logs: list[str] = []
        """Ids of logged answers, to be rated."""
        self._open = asyncio.Event()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def client_loop(self) -> None:
        """Send requests one after the other until cancelled."""
        names, weights = list(WORK), [work.weight for work in WORK.values()]
        while True:
            await self._open.wait()
            [name] = self.random.choices(names, weights)
            self._under_way += 1
            self._idle.clear()
            try:
                await self._one(name)
            finally:
                self._under_way -= 1
                if not self._under_way:
                    self._idle.set()

    def resume(self) -> None:
        self._open.set()

    async def pause(self) -> None:
        """Wait until the requests under way have been answered, and send no others meanwhile."""
        self._open.clear()
        await self._idle.wait()

    async def _one(self, name: str) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(DEADLINE):
                seen = await WORK[name].send(self)
        except TimeoutError:
            self.counts.hung.append(name)
            seen = "hung"
        except httpx.HTTPError as error:
            self.counts.cut.append(f"{name}: {type(error).__name__} {error}")
            seen = "connection broken"
        self.counts.requests += 1
        self.counts.slowest = max(self.counts.slowest, time.monotonic() - began)
        self.counts.add(name, seen)
        fits = seen[0] not in "24" or (seen[0] == "4") == (name == WRONG)
        if not fits and seen not in (*WORK[name].refusals, *LATE_OR_BUSY):
            self.counts.misunderstood.append(f"{name}: {seen}")

    # ---- requests --------------------------------------------------------------------------------------------------

    async def ask(self, method: str, path: str, **sent: Any) -> str:
        """Send a request and read the response. Returns its status, or how it ended."""
        response = await self.client.request(method, path, **sent)
        if log_id := response.headers.get("x-gateway-log-id"):
            self.logs = [*self.logs[-50:], log_id]
        return self.judged(response, f"{method} {path}")

    async def ask_stream(self, path: str, body: Json, *, leaves: bool = False) -> str:
        async with self.client.stream("POST", path, json=body) as response:
            if response.status_code != 200:
                await response.aread()
                return self.judged(response, path)
            text = ""
            async for piece in response.aiter_text():
                text += piece
                if leaves:
                    return "left"
        return self._ended(text, path)

    def _ended(self, text: str, path: str) -> str:
        last = text.rstrip().rpartition("\n\n")[2]
        if last.endswith("data: [DONE]") or "event: response.completed" in last or "event: response.incomplete" in last:
            return "200"
        if _is_error(last):
            if not self.has_faults:
                self.counts.unexplained.append(f"{path}: {last[:300]}")
            return "broken off"
        self.counts.cut.append(f"{path} ended with {last[-200:]!r}")
        return "cut"

    def judged(self, response: httpx.Response, what: str) -> str:
        """Return the status. Notes a server error that no fault explains."""
        if response.status_code >= 500:
            if self.has_faults and is_explained(response):
                self.counts.explained += 1
            else:
                self.counts.unexplained.append(f"{what}: {response.status_code} {response.text[:300]}")
        return str(response.status_code)

    def name(self, kind: str) -> str:
        return f"{kind}-{self.random.randrange(IDS)}"


def _is_error(block: str) -> bool:
    """Whether a stream's last frame is an error."""
    data = next((line[5:] for line in block.split("\n") if line.startswith("data:")), "")
    try:
        value: Any = json.loads(data)
    except ValueError:
        return False
    body = cast("Json", value) if isinstance(value, dict) else {}
    return bool(body.get("error")) or body.get("type") == "error"


def is_explained(response: httpx.Response) -> bool:
    """Whether the faults explain a 5xx."""
    try:
        error = cast("Json", response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return False
    is_known = error.get("type") in EXPLAINED.get(response.status_code, ())
    return is_known and (response.status_code != 503 or "retry-after" in response.headers)


# ---- files -------------------------------------------------------------------------------------------------------


def _wave(seconds: float) -> bytes:
    samples = bytes(int(16_000 * seconds) * 2)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    data = struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def _png(size: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(b"\0" + bytes(3 * size) for _ in range(size))
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


WAVE, PNG = _wave(2), _png(64)
QUESTION = {"messages": [{"role": "user", "content": "What do penguins eat, and where do they live?"}]}
PAGE = "# Penguins\n\nPenguins live in the south. They eat fish and krill.\n\n" * 5
BAD: tuple[tuple[str, str, Json], ...] = (
    ("POST", "/chat", {"json": {}}),
    ("POST", "/chat", {"content": b"{", "headers": {"content-type": "application/json"}}),
    ("POST", "/chat", {"content": b"[" * 5000, "headers": {"content-type": "application/json"}}),
    ("POST", "/chat", {"content": b"hello", "headers": {"content-type": "text/plain"}}),
    ("POST", "/chat", {"json": {**QUESTION, "temperature": 9}}),
    ("POST", "/embed", {"json": {"text": ["x"] * 2_500}}),
    ("POST", "/chat", {"json": {**QUESTION, "model": "@cf/no/such"}}),
    ("POST", "/transcribe", {"content": b"no sound", "headers": {"content-type": "audio/wav"}}),
    ("POST", "/image", {"data": {"prompt": "x"}, "files": {"image": ("a.png", b"no image", "image/png")}}),
    ("POST", "/rag/documents", {"files": {"file": ("a.exe", b"MZ", "application/octet-stream")}}),
    ("GET", "/no/such/route", {}),
    ("PUT", "/chat", {}),
    ("GET", "/models", {"headers": {"authorization": "Bearer no-key"}}),
    ("POST", "/v1/chat/completions", {"json": {"model": "gpt-4o"}}),
    ("POST", "/v1/embeddings", {"json": {"model": "text-embedding-3-small", "input": []}}),
    ("GET", "/images/none.png", {}),
    ("GET", "/rag/documents/none", {}),
    ("POST", "/tokens", {"json": {"scopes": ["admin"]}}),
)


# ---- the work ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    weight: int
    send: Callable[[Load], Awaitable[str]]
    refusals: tuple[str, ...] = ()
    """Statuses from 400 that are allowed, such as 404 for a document that may have been deleted."""


WRONG = "bad requests"
LATE_OR_BUSY = ("408", "429")
"""Statuses of a model that refuses every request."""


def _json(method: str, path: str, body: Json) -> Callable[[Load], Awaitable[str]]:
    return lambda load: load.ask(method, path, json=body)


def _get(path: str) -> Callable[[Load], Awaitable[str]]:
    return lambda load: load.ask("GET", path)


def _stream(path: str, body: Json, *, leaves: bool = False) -> Callable[[Load], Awaitable[str]]:
    return lambda load: load.ask_stream(path, body, leaves=leaves)


async def _talk(load: Load) -> str:
    return await load.ask_stream("/chat", {**QUESTION, "conversation": load.name("talk")})


async def _listen_again(load: Load) -> str:
    return await load.ask(load.random.choice(["GET", "DELETE"]), f"/conversations/{load.name('talk')}")


async def _add_document(load: Load) -> str:
    body = {"id": load.name("doc"), "text": f"{PAGE}Number {load.random.randrange(5)}.", "title": "Penguins"}
    return await load.ask("POST", "/rag/documents", json=body)


async def _upload_document(load: Load) -> str:
    files = {"file": ("page.md", io.BytesIO(PAGE.encode()), "text/markdown")}
    return await load.ask("POST", "/rag/documents", data={"id": load.name("doc")}, files=files)


async def _look_at_document(load: Load) -> str:
    return await load.ask(load.random.choice(["GET", "GET", "DELETE"]), f"/rag/documents/{load.name('doc')}")


async def _store_image(load: Load) -> str:
    made = await load.client.post("/image", json={"prompt": "a red fox", "store": True})
    if made.status_code == 201:
        return await load.ask("GET", httpx.URL(made.json()["url"]).path)
    return load.judged(made, "POST /image")


async def _rate(load: Load) -> str:
    if not load.logs:
        return "nothing to rate"
    log_id = load.random.choice(load.logs)
    if load.random.random() < 0.5:
        return await load.ask("GET", f"/logs/{log_id}")
    return await load.ask("POST", "/feedback", json={"log_id": log_id, "score": 50})


async def _bad(load: Load) -> str:
    method, path, sent = load.random.choice(BAD)
    return await load.ask(method, path, **sent)


async def _leave_before_answer(load: Load) -> str:
    """Disconnect a moment after the request, usually before the model's first token."""
    request = asyncio.create_task(load.ask("POST", "/chat", json={**QUESTION, "stream": False}))
    done, _ = await asyncio.wait({request}, timeout=load.random.random() * 0.2)
    if done:
        return await request
    request.cancel()
    await asyncio.wait({request})
    return "left"


async def _transcribe_form(load: Load) -> str:
    files = {"file": ("speech.wav", WAVE, "audio/wav")}
    return await load.ask("POST", "/v1/audio/transcriptions", data={"model": "whisper-1"}, files=files)


async def _change_image(load: Load) -> str:
    return await load.ask("POST", "/image", data={"prompt": "snow"}, files={"image": ("a.png", PNG, "image/png")})


GPT = {"model": "gpt-4o-mini"}
WITH_TOOLS = {"model": "@cf/openai/gpt-oss-20b"}
TOOLS = {"tools": [{"type": "function", "function": {"name": "weather", "description": "Weather of a place",
         "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}}}]}  # fmt: skip
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

WORK: Mapping[str, Work] = {
    "GET /health": Work(2, _get("/health")),
    "GET /models": Work(2, _get("/models")),
    "GET /openapi.json": Work(1, _get("/openapi.json")),
    "POST /chat, stream": Work(10, _stream("/chat", QUESTION)),
    "POST /chat, JSON": Work(6, _json("POST", "/chat", {**QUESTION, "stream": False})),
    "POST /chat, tools": Work(3, _json("POST", "/chat", {**QUESTION, **TOOLS, "stream": False, **WITH_TOOLS})),
    "POST /chat, own tools": Work(3, _stream("/chat", {**QUESTION, "worker_tools": True, **WITH_TOOLS})),
    "POST /chat, conversation": Work(4, _talk),
    "/conversations/{id}": Work(2, _listen_again),
    "POST /chat, client leaves": Work(5, _stream("/chat", QUESTION, leaves=True)),
    "POST /chat, client leaves early": Work(3, _leave_before_answer),
    "POST /embed": Work(5, _json("POST", "/embed", {"text": ["A stream of frames", "A river of ice"]})),
    "POST /rerank": Work(2, _json("POST", "/rerank", {"query": "Where?", "contexts": ["In the south.", "Honey."]})),
    "POST /rag/search": Work(4, _json("POST", "/rag/search", {"query": "Where do penguins live?"})),
    "POST /rag": Work(4, _stream("/rag", {"query": "Where do penguins live?"})),
    "POST /rag/documents": Work(2, _add_document),
    "POST /rag/documents, form": Work(1, _upload_document),
    "GET /rag/documents": Work(1, _get("/rag/documents?limit=20")),
    "/rag/documents/{id}": Work(2, _look_at_document, ("404",)),
    "POST /image": Work(2, _json("POST", "/image", {"prompt": "a red fox"})),
    "POST /image, form": Work(1, _change_image),
    "POST /image, stored": Work(1, _store_image),
    "POST /speak": Work(2, _json("POST", "/speak", {"text": "Hello there"})),
    "POST /transcribe": Work(
        2, lambda load: load.ask("POST", "/transcribe", content=WAVE, headers={"content-type": "audio/wav"})
    ),
    "POST /translate": Work(2, _json("POST", "/translate", {"text": "Good morning", "target_lang": "fr"})),
    "POST /classify": Work(2, _json("POST", "/classify", {"text": "What a lovely day"})),
    "POST /summarize": Work(2, _json("POST", "/summarize", {"text": "Penguins cannot fly. They swim well."})),
    "POST /extract": Work(2, _json("POST", "/extract", {"text": "Ada was born in 1815.", "schema": SCHEMA})),
    "POST /tokens": Work(1, _json("POST", "/tokens", {"scopes": ["chat"]})),
    "logs and feedback": Work(1, _rate, ("400", "404")),
    "GET /v1/models": Work(1, _get("/v1/models")),
    "POST /v1/chat/completions, stream": Work(6, _stream("/v1/chat/completions", {**GPT, **QUESTION, "stream": True})),
    "POST /v1/chat/completions": Work(4, _json("POST", "/v1/chat/completions", {**GPT, **QUESTION})),
    "POST /v1/completions": Work(
        1, _json("POST", "/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Once"})
    ),
    "POST /v1/responses": Work(3, _stream("/v1/responses", {**GPT, "input": "Hello", "stream": True})),
    "POST /v1/embeddings": Work(
        2, _json("POST", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "A stream"})
    ),
    "POST /v1/audio/speech": Work(
        1, _json("POST", "/v1/audio/speech", {"model": "tts-1", "input": "Hello", "voice": "alloy"})
    ),
    "POST /v1/audio/transcriptions": Work(1, _transcribe_form),
    WRONG: Work(8, _bad),
}
"""Requests → how often each is sent, relative to the others."""


def table(counts: Counts) -> list[Json]:
    return [{"route": route, **dict(sorted(seen.items()))} for route, seen in sorted(counts.by_route.items())]


def to_json(counts: Counts) -> Json:
    return json.loads(json.dumps({
        "requests": counts.requests, "hung": counts.hung, "unexplained": counts.unexplained, "cut": counts.cut,
        "misunderstood": counts.misunderstood,
        "explained_5xx": counts.explained, "slowest_seconds": round(counts.slowest, 1), "routes": table(counts),
    }))  # fmt: skip
