"""The rows of the table: kinds of work, as requests that every server gets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tools.bench.client import LAST_KEY, Expected, Job, Target
from tools.bench.documents import QUERY
from tools.bench.servers import AIWORKER, FASTAPI, GUARDED, HEADERS, HONO, JAVASCRIPT, MODELS, SDK, Server

NATIVE = "@cf/meta/llama-3.1-8b-instruct-fast"
OPENAI = "@cf/openai/gpt-oss-20b"
BOTH = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
"""A model whose frames are in both dialects at once."""
IMAGE_MODEL = "@cf/lykon/dreamshaper-8-lcm"

ALL = (JAVASCRIPT, GUARDED, HONO, SDK, FASTAPI, AIWORKER)
JAVASCRIPT_ONLY = (JAVASCRIPT, GUARDED, AIWORKER)
QUICK = (JAVASCRIPT, GUARDED, SDK, AIWORKER)
"""Servers of --quick."""
MAX_WARM_UP = 30
"""Maximum number of rounds before the measured ones of a row, in which V8 compiles what they need."""

TEXTS = [
    f"Text {number} of a hundred: in winter the valves of the greenhouses stay closed until the sun has warmed them."
    for number in range(100)
]
EVERY = 20
"""Milliseconds between two frames of a stream at a model's pace: 50 frames a second."""


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    statuses: Sequence[int] = (200,)
    marker: str = ""
    least: int = 1
    model: str = ""
    """Request to the model server itself, as the binding sends it."""

    def over_the_wire(self, port: int) -> str:
        body = "" if self.body is None else json.dumps(self.body)
        headers = {"host": f"127.0.0.1:{port}", **HEADERS}
        if self.model:
            headers["cf-consn-model-id"] = self.model
        if body:
            headers |= {"content-type": "application/json", "content-length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n{body}"

    def expected(self) -> Expected:
        return Expected(self.statuses, self.marker, self.least)


@dataclass(frozen=True)
class Goal:
    """The largest multiple of a peer's processor time that aiworker may take."""

    most: float
    peer: str


@dataclass(frozen=True)
class Row:
    """One kind of work."""

    name: str
    title: str
    calls: Sequence[Call]
    servers: Sequence[str]
    goals: Sequence[Goal] = ()
    rounds: int = 200
    quick_rounds: int = 0
    """Rounds with --quick; 0 leaves the row out."""
    measures: Sequence[str] = ("total",)
    """Times that the table shows: `total`, `first` (byte of the body), `delay` (of frames)."""
    clients: int = 1
    direct: Sequence[Call] = ()
    """The same requests for the model server itself, if it is among the servers."""
    seldom: Mapping[str, int] = field(default_factory=dict[str, int])
    """Slow servers → they take part in every n-th round only."""

    def quick(self) -> "Row":
        """Return the row without the peers that take the most time and change the least."""
        return replace(self, servers=[name for name in self.servers if name in QUICK], seldom={})

    def beside(self, name: str) -> "Row":
        """Return the row with one more server."""
        return replace(self, servers=[*self.servers, name])

    def job(self, servers: Mapping[str, Server], rounds: int) -> Job:
        """Return the job of measuring the servers that run."""
        targets = [
            Target(name, server.port, self._requests(server), self.seldom.get(name, 1), server.process)
            for name in self.servers
            if (server := servers.get(name))
        ]
        expected = [call.expected() for call in self.calls]
        warm_up = max(1, min(MAX_WARM_UP, rounds // 5))
        return Job(targets, expected, rounds, warm_up, self.clients)

    def _requests(self, server: Server) -> list[str]:
        calls = self.direct if server.name == MODELS else self.calls
        return [call.over_the_wire(server.port) for call in calls]


def chat(prompt: str, *, stream: bool, frames: int = 1) -> Call:
    body = {"prompt": prompt, "stream": stream}
    marker, least = ("data: ", frames) if stream else ("greenhouse valve", 1)
    return Call("POST", "/chat", body, marker=marker, least=least)


def completions(model: str, prompt: str, frames: int) -> Call:
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "stream": True}
    return Call("POST", "/v1/chat/completions", body, marker='"content":', least=frames)


def models_stream(prompt: str) -> Call:
    """Return the body that the binding sends to the model server for a stream."""
    return Call("POST", "/run?version=3", {"inputs": {"prompt": prompt, "stream": True}}, model=NATIVE)


def embed(texts: Sequence[str]) -> Call:
    return Call("POST", "/embed", {"text": list(texts)}, marker='"data":')


def image() -> list[Call]:
    body = {"prompt": "a greenhouse in winter", "model": IMAGE_MODEL, "store": True}
    return [Call("POST", "/image", body, (201,), '"key":'), Call("GET", f"/images/{LAST_KEY}", marker="PNG")]


def in_time(frames: int) -> Call:
    """Return the body of a request for frames at a model's pace, each of which says when it was written."""
    body = {"prompt": f"frames={frames} every={EVERY}"}
    return Call("POST", "/chat", body, marker='"t', least=frames)


SEARCH = Call("POST", "/rag/search", {"query": QUERY}, marker="greenhouse")


def rows() -> list[Row]:
    return [
        Row("not-found", "404", [Call("GET", "/nothing", statuses=(404,))], ALL, rounds=300, quick_rounds=60),
        Row(
            "invalid", "invalid request", [Call("POST", "/chat", {"prompt": 5}, statuses=(400, 422))], ALL,
            rounds=300, quick_rounds=60,
        ),
        Row(
            "chat", "`/chat`, JSON", [chat("Why?", stream=False)], ALL,
            [Goal(1.45, SDK), Goal(1.75, GUARDED)], 300, 100,
        ),
        Row(
            "stream", "`/chat`, 2,000 frames in one piece", [chat("frames=2000", stream=True, frames=2000)], ALL,
            [Goal(1.8, GUARDED)], 200, 60, ("total", "first"), seldom={FASTAPI: 10},
        ),
        Row(
            "flushed", "`/chat`, 2,000 frames one by one", [chat("frames=2000 flushed", stream=True, frames=2000)],
            (JAVASCRIPT, GUARDED, SDK, AIWORKER), rounds=60, measures=("total", "first"),
        ),
        Row(
            "in-time", f"`/chat`, 50 frames every {EVERY} ms, 20 clients", [in_time(50)],
            (MODELS, JAVASCRIPT, SDK, FASTAPI, AIWORKER), rounds=10, measures=("delay",), clients=20,
            direct=[models_stream(f"frames=50 every={EVERY}")],
        ),
        Row("embed-1", "`/embed`, 1 text", [embed(TEXTS[:1])], ALL, quick_rounds=60),
        Row(
            "embed-100", "`/embed`, 100 texts", [embed(TEXTS)], ALL,
            [Goal(0.8, GUARDED), Goal(0.16, SDK)], 100, 30, seldom={SDK: 2, FASTAPI: 10},
        ),
        Row("search", "`/rag/search`", [SEARCH], JAVASCRIPT_ONLY, [Goal(1.3, GUARDED)], 150, 40),
        Row(
            "image", "`/image` of 1 MB, stored and fetched", image(), JAVASCRIPT_ONLY,
            [Goal(1.2, GUARDED)], 100, 30,
        ),
        Row(
            "translated", "`/v1`, 500 native frames one by one, translated",
            [completions(NATIVE, "frames=500 flushed", 500)], (JAVASCRIPT, SDK, AIWORKER),
            [Goal(1.6, JAVASCRIPT), Goal(0.3, SDK)], 100, 20, seldom={SDK: 2},
        ),
        Row(
            "translated-whole", "`/v1`, 3,000 native frames in one piece, translated",
            [completions(NATIVE, "frames=3000", 3000)], (JAVASCRIPT, SDK, AIWORKER), rounds=40,
        ),
        Row(
            "openai", "`/v1`, 500 frames of OpenAI's dialect one by one",
            [completions(OPENAI, "frames=500 flushed", 500)], JAVASCRIPT_ONLY, rounds=100, quick_rounds=20,
        ),
        Row(
            "both", "`/v1`, 500 frames in both dialects at once, one by one",
            [completions(BOTH, "frames=500 flushed", 500)], (JAVASCRIPT, AIWORKER), rounds=60,
        ),
    ]  # fmt: skip
