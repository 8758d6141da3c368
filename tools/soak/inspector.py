"""The inspector of a Worker's isolate: V8's heap, and profiles of the isolate's work.

workerd opens one inspector for all of its isolates at a port of its own choice, which is found among the ports that its
processes listen at.
"""

import asyncio
import contextlib
import json
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ISOLATE = "core:user:aiworker"
"""Id under which the inspector lists the isolate of the Worker, its Durable Objects and its Workflow."""
INTERVAL = 500
"""Microseconds between two samples of the profiler."""
MAX_INTERVAL = 2_000
"""Microseconds from one sample to the next that count. The profiler takes none while another isolate of workerd runs in
the same thread, such as that of the simulated D1."""
HEAP_SECONDS = 0.1
"""Time between two samples of the heap."""
WAITING = ("(idle)", "(program)", "(root)")
"""Functions of samples in which the isolate executes neither JavaScript nor WebAssembly."""
NAMES = 5
"""Number of functions that are named."""
ATTEMPTS = 5
"""Attempts to open a session."""
LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""

WITHOUT_RESULT = ("Profiler.enable", "Profiler.setSamplingInterval", "Profiler.start")
"""Methods that workerd may answer with the message itself."""

Json = dict[str, Any]


class InspectorError(Exception):
    """A method that the inspector refuses."""


@dataclass
class Heap:
    """Bytes of an isolate, without WebAssembly's memory."""

    used: int = 0
    """V8's heap in use, garbage that is not yet collected included."""
    buffers: int = 0
    """ArrayBuffers, garbage that is not yet collected included."""

    def add(self, other: "Heap") -> None:
        """Raise each number to the other's, if that is larger."""
        self.used, self.buffers = max(self.used, other.used), max(self.buffers, other.buffers)


class Inspector:
    """A session with the isolate."""

    def __init__(self, connection: ClientConnection, process: int) -> None:
        self.process = process
        """Id of workerd's process that has the isolate."""
        self._connection = connection
        self._last_id = 0
        self._lock = asyncio.Lock()

    async def heap(self, *, collected: bool = False) -> Heap:
        """Return the heap as it is. collected: collect its garbage before, as soon as the isolate runs anything."""
        if collected:
            await self._call("HeapProfiler.collectGarbage")
        usage = await self._call("Runtime.getHeapUsage")
        return Heap(int(usage["usedSize"]), int(usage["backingStorageSize"]))

    @contextlib.asynccontextmanager
    async def sampled_heap(self, *, collected: bool = False) -> AsyncGenerator[Heap]:
        """Sample the heap in the block, every HEAP_SECONDS. The result has the largest numbers.

        collected: collect garbage before each sample. The isolate has to run something meanwhile.
        """
        largest = await self.heap(collected=collected)

        async def sample() -> None:
            while True:
                await asyncio.sleep(HEAP_SECONDS)
                largest.add(await self.heap(collected=collected))

        async with asyncio.TaskGroup() as group:
            sampling = group.create_task(sample())
            try:
                yield largest
            finally:
                sampling.cancel()

    @contextlib.asynccontextmanager
    async def profiled(self) -> AsyncGenerator["Profile"]:
        """Profile the isolate in the block; afterwards the result has its samples."""
        await self._call("Profiler.enable")
        await self._call("Profiler.setSamplingInterval", interval=INTERVAL)
        await self._call("Profiler.start")
        profile = Profile()
        yield profile
        profile.add((await self._call("Profiler.stop"))["profile"])

    async def _call(self, method: str, **parameters: Any) -> Json:
        async with self._lock:
            self._last_id += 1
            await self._connection.send(json.dumps({"id": self._last_id, "method": method, "params": parameters}))
            while True:
                message = json.loads(await self._connection.recv())
                if message.get("id") != self._last_id:
                    continue
                if "error" in message:
                    raise InspectorError(f"{method}: {message['error']}")
                if "result" in message or method in WITHOUT_RESULT:
                    return message.get("result", {})


@dataclass(frozen=True)
class Share:
    """Work of the isolate in a span of time."""

    milliseconds: float = 0
    """Time in which it executed JavaScript or WebAssembly, without the time of other isolates."""
    functions: Sequence[str] = ()
    """Functions that most of its samples are in, the most frequent first."""


class Profile:
    """The samples of an isolate at work."""

    def __init__(self) -> None:
        self._times: list[float] = []
        """Times of the samples in seconds of the system's monotonic clock, as Python's `time.monotonic`."""
        self._samples: list[tuple[int, str]] = []
        """Microseconds and function of each."""

    def add(self, profile: Json) -> None:
        """Add the samples of a profile of V8, but for those in which the isolate waits."""
        names = {node["id"]: node["callFrame"]["functionName"] or "(anonymous)" for node in profile["nodes"]}
        now, was_waiting = profile["startTime"], True
        for name, delta in zip(map(names.__getitem__, profile["samples"]), profile["timeDeltas"], strict=True):
            now += delta
            if name not in WAITING:
                self._times.append(now / 1e6)
                self._samples.append((min(delta, INTERVAL if was_waiting else MAX_INTERVAL), name))
            was_waiting = name in WAITING

    def share(self, start: float, end: float) -> Share:
        """Return what the isolate did between two times of the monotonic clock."""
        samples = self._samples[bisect_left(self._times, start) : bisect_right(self._times, end)]
        counts = Counter(name for _, name in samples)
        return Share(sum(time for time, _ in samples) / 1e3, [name for name, _ in counts.most_common(NAMES)])


@contextlib.asynccontextmanager
async def inspect(processes: Iterable[int]) -> AsyncGenerator[Inspector]:
    """Open a session with the Worker's isolate. processes: ids of workerd. Raises LookupError if none has it."""
    process, port = await _find(processes)
    # workerd's inspector closes connections that offer compression
    address = f"ws://127.0.0.1:{port}/{ISOLATE}"
    for attempt in range(ATTEMPTS):
        async with connect(address, max_size=None, proxy=None, compression=None) as connection:
            session = Inspector(connection, process)
            try:
                await session.heap()
            except ConnectionClosed:
                # wrangler's own session was there, and both have ended; it does not always come back
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            yield session
            return


async def _find(processes: Iterable[int]) -> tuple[int, int]:
    """Return the process of workerd that has the Worker's isolate, and the port of its inspector."""
    for process in processes:
        for port in listening_ports(process):
            if await _has_isolate(port):
                return process, port
    raise LookupError(f"No process of workerd has an inspector for {ISOLATE}.")


async def _has_isolate(port: int) -> bool:
    with contextlib.suppress(httpx.HTTPError, ValueError, TypeError, KeyError):
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            listed: Any = (await client.get(f"http://127.0.0.1:{port}/json")).json()
            return ISOLATE in [each["id"] for each in listed]
    return False


def listening_ports(process: int) -> list[int]:
    """Return the TCP ports at which a process listens. Linux only."""
    sockets: set[str] = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            if match := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                sockets.add(match[1])
    lines = Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return [int(row[1].split(":")[1], 16) for row in rows if row[3] == LISTENING and row[9] in sockets]


def cpu_seconds(process: int) -> float:
    """Return the processor time of a process's first thread, on which workerd runs all isolates."""
    return int(Path(f"/proc/{process}/task/{process}/schedstat").read_text().split()[0]) / 1e9
