"""The part `memory` of `scripts/soak`: memory and time of the isolate, with the worst request of each kind.

workerd has no limit of its own on this machine, and V8 lets garbage grow as it likes. So V8 is started with a limit
(V8_FLAGS): a request that needs more ends workerd.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from tools.soak import inspector
from tools.soak.attacks import Attack, Outcome
from tools.soak.inspector import Heap, Inspector, Share, cpu_seconds

MAX_WEBASSEMBLY = 64_000_000
"""Bytes of WebAssembly's memory, which never shrinks."""
MAX_TOGETHER = 110_000_000
"""Bytes of WebAssembly's memory and V8's used heap together."""
MAX_ISOLATE = 128_000_000
"""Bytes of an isolate with its buffers: Cloudflare ends one that has more."""
MAX_COUNTED = 100_000_000
"""Bytes above which the memory in use is measured without garbage: WebAssembly's memory may have grown meanwhile."""
V8_MEBIBYTES = 61
"""Limit of V8's heap: what MAX_TOGETHER leaves beside the 45 MB that WebAssembly has at rest."""
V8_FLAGS = {"MINIFLARE_WORKERD_V8_FLAGS": f"--max-heap-size={V8_MEBIBYTES}"}
MAX_WAIT = 100.0
"""Maximum milliseconds of processor time that other clients may wait."""
DEADLINE = 3_600.0
"""Seconds for one request and the ingestion of its document."""
RESTART_SECONDS = 60.0
"""Time after which a workerd that has ended has to be back."""
PROBE_SECONDS = 0.01
"""Time between two requests of the client that waits."""
ORIGIN = "https://app.example"
HEADINGS = ("Request", "Bytes", "Answered", "WebAssembly, MB", "V8's heap, MB", "Buffers, MB", "Others waited, ms")


@dataclass(frozen=True)
class Row:
    """The isolate with one request."""

    name: str
    size: int
    answer: str
    memory_before: int
    """Bytes of WebAssembly's memory."""
    memory_after: int
    used_heap: int
    """Largest number of bytes of V8's heap in use."""
    buffers: int
    """Largest number of bytes of ArrayBuffers above those at rest."""
    waited: float
    """Longest time that another client waited, in milliseconds of processor time of all isolates of workerd."""
    in_use: Heap | None = None
    """Largest heap and buffers above those at rest without garbage; None if there was no need to measure it."""
    own: Share | None = None
    """Work of the Worker's isolate in the wait in which it did most; None if nobody waited too long."""

    @property
    def own_wait(self) -> float:
        """Longest time for which the Worker's isolate kept another client waiting, in milliseconds."""
        return min(self.waited, self.own.milliseconds) if self.own else self.waited

    def broken_bounds(self) -> list[str]:
        """Return a sentence for each bound that does not hold."""
        heap = self.in_use or Heap(self.used_heap, self.buffers)
        together = self.memory_after + heap.used
        everything = together + heap.buffers
        checks = [
            (self.memory_after > MAX_WEBASSEMBLY, f"WebAssembly has {self.memory_after / 1e6:.1f} MB"),
            (together > MAX_TOGETHER, f"WebAssembly and V8's heap have {together / 1e6:.1f} MB together"),
            (everything > MAX_ISOLATE, f"WebAssembly, V8's heap and buffers have {everything / 1e6:.1f} MB together"),
            (self.own_wait > MAX_WAIT, f"others waited for {self.own_wait:.0f} ms ({self._functions()})"),
            (self.answer.startswith("5"), f"it was answered {self.answer}"),
        ]
        return [f"{self.name}: {message}" for is_broken, message in checks if is_broken]

    def _functions(self) -> str:
        return ", ".join(self.own.functions) if self.own else ""

    def cells(self) -> tuple[str, ...]:
        memory = f"{self.memory_before / 1e6:.1f} → {self.memory_after / 1e6:.1f}"
        own = f" (of which the Worker {self.own_wait:.0f})" if self.own else ""
        live = f" (in use {self.in_use.used / 1e6:.1f} and {self.in_use.buffers / 1e6:.1f})" if self.in_use else ""
        sizes = (f"{self.used_heap / 1e6:.1f}", f"{self.buffers / 1e6:.1f}{live}", f"{self.waited:.0f}{own}")
        return self.name, f"{self.size:,}", self.answer, memory, *sizes


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


async def measure(
    url: str,
    headers: Mapping[str, str],
    workers: Callable[[], Sequence[int]],
    attacks: Mapping[str, Attack],
    say: Callable[[str], None],
) -> list[Row]:
    """Send one request after the other; return a row for each.

    workers: returns the ids of workerd's processes. say: shows each row as it is measured.
    Raises LookupError if no workerd has an inspector.
    """
    rows: list[Row] = []
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=DEADLINE, trust_env=False) as client:
        rest = await _buffers_at_rest(client, workers)
        for name, attack in attacks.items():
            rows.append(await _row(client, workers, name, attack, rest))
            say(f"  {' | '.join(rows[-1].cells())}   {', '.join(rows[-1].own.functions if rows[-1].own else ())}\n")
    return rows


async def _buffers_at_rest(client: httpx.AsyncClient, workers: Callable[[], Sequence[int]]) -> int:
    """Return the bytes of ArrayBuffers before the first request.

    Raises LookupError if no session with the inspector lasts.
    """
    for _ in range(inspector.ATTEMPTS):
        try:
            async with inspector.inspect(workers()) as session, waiting_client(client, session.process):
                return (await session.heap(collected=True)).buffers
        except* ConnectionClosed:  # wrangler's own session has ended this one
            pass
    raise LookupError("No session with the inspector lasts.")


async def _row(
    client: httpx.AsyncClient, workers: Callable[[], Sequence[int]], name: str, attack: Attack, rest: int
) -> Row:
    before = await _memory(client)
    heap, waited, in_use, own = Heap(), Waited(), None, None
    try:
        async with inspector.inspect(workers()) as session:
            outcome, heap, waited = await _watched(client, session, attack)
        heap.buffers = max(0, heap.buffers - rest)
        if before + heap.used + heap.buffers > MAX_COUNTED:
            in_use = await _collected(client, workers, attack)
            in_use.buffers = max(0, in_use.buffers - rest)
        if waited.longest > MAX_WAIT:
            own = await _profiled(client, workers, attack)
    except* (httpx.HTTPError, ConnectionClosed, FileNotFoundError) as error:
        outcome = Outcome(0, f"502 the isolate ended: {error.exceptions[0]!r}"[:60])
    after = await _memory(client)
    return Row(name, outcome.size, outcome.answer, before, after, heap.used, heap.buffers, waited.longest, in_use, own)


async def _watched(client: httpx.AsyncClient, session: Inspector, attack: Attack) -> tuple[Outcome, Heap, "Waited"]:
    """Send a request; return its outcome, the largest heap, and how long another client waited meanwhile."""
    async with session.sampled_heap() as heap, waiting_client(client, session.process) as waited:
        outcome = await attack(client)
    return outcome, heap, waited


async def _collected(client: httpx.AsyncClient, workers: Callable[[], Sequence[int]], attack: Attack) -> Heap:
    """Send a request once more; return the largest heap without garbage, which is collected before each sample."""
    async with (
        inspector.inspect(workers()) as session,
        waiting_client(client, session.process),
        session.sampled_heap(collected=True) as heap,
    ):
        await attack(client)
    return heap


async def _profiled(client: httpx.AsyncClient, workers: Callable[[], Sequence[int]], attack: Attack) -> Share:
    """Send a request once more, profiled; return what the Worker's isolate did in the wait in which it did most."""
    async with (
        inspector.inspect(workers()) as session,
        session.profiled() as profile,
        waiting_client(client, session.process) as waited,
    ):
        await attack(client)
    return max((profile.share(*span) for span in waited.spans), key=lambda share: share.milliseconds, default=Share())


@dataclass
class Waited:
    longest: float = 0
    """Longest time in milliseconds of processor time."""
    spans: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """Start and end of each wait, in seconds of the monotonic clock."""


@contextlib.asynccontextmanager
async def waiting_client(client: httpx.AsyncClient, process: int) -> AsyncGenerator[Waited]:
    """Send small requests in the block, one after the other, and note how long they waited.

    The time is the processor's that workerd's thread has used between a request, which the Worker answers at once, and
    its answer. It has what all isolates of workerd have done, those that simulate D1 and R2 included: an upper bound.
    """
    waited = Waited()
    headers = {"origin": ORIGIN, "access-control-request-method": "POST"}

    async def wait() -> None:
        while True:
            began, start = cpu_seconds(process), time.monotonic()
            await client.options("/chat", headers=headers)
            waited.longest = max(waited.longest, 1e3 * (cpu_seconds(process) - began))
            waited.spans.append((start, time.monotonic()))
            await asyncio.sleep(PROBE_SECONDS)

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait())
        try:
            yield waited
            await asyncio.sleep(PROBE_SECONDS)
        finally:
            waiting.cancel()


async def _memory(client: httpx.AsyncClient) -> int:
    """Return the size of WebAssembly's memory in bytes. Waits for a workerd that is being started again."""
    async with asyncio.timeout(RESTART_SECONDS):
        while True:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                return int((await client.get("/health")).json()["isolate"]["memory_bytes"])
            await asyncio.sleep(1)


def to_json(rows: Sequence[Row]) -> dict[str, Any]:
    return {"rows": [asdict(row) for row in rows]}
