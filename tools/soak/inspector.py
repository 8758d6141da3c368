"""The inspector of a Worker's isolate: V8's heap, and how long the isolate was busy at a stretch.

workerd opens one inspector for all of its isolates at a port of its own choice, which is found among the ports that its
processes listen at.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ISOLATE = "core:user:aiworker"
"""Id under which the inspector lists the isolate of the Worker, its Durable Objects and its Workflow."""
INTERVAL = 500
"""Microseconds between two samples of the profiler."""
SLICE_SECONDS = 10.0
"""Seconds of one profile. It ends between two tasks of the isolate, so that no stretch is cut."""
WAITING = ("(idle)", "(program)", "(root)")
"""Functions of samples in which the isolate executes neither JavaScript nor WebAssembly."""
ATTEMPTS = 5
"""Attempts to open a session."""
LISTENING = "0A"
"""State of a socket in /proc/net/tcp."""

WITHOUT_RESULT = ("Profiler.enable", "Profiler.setSamplingInterval", "Profiler.start")
"""Methods that workerd may answer with the message itself."""

Json = dict[str, Any]


class InspectorError(Exception):
    """A method that the inspector refuses."""


class Inspector:
    """A session with the isolate."""

    def __init__(self, connection: ClientConnection, process: int) -> None:
        self._connection = connection
        self._process = process
        self._last_id = 0
        self._lock = asyncio.Lock()

    async def used_heap(self) -> int:
        """Return the bytes that V8's heap has in use, garbage that is not yet collected included."""
        return int((await self._call("Runtime.getHeapUsage"))["usedSize"])

    @contextlib.asynccontextmanager
    async def watch(self) -> AsyncGenerator["Watched"]:
        """Profile the isolate in the block. The result is complete when the block has ended."""
        await self._call("Profiler.enable")
        await self._call("Profiler.setSamplingInterval", interval=INTERVAL)
        watched = Watched()
        stop = asyncio.Event()
        work = asyncio.create_task(self._watch(watched, stop))
        try:
            yield watched
        finally:
            stop.set()
            await work

    async def _watch(self, watched: "Watched", stop: asyncio.Event) -> None:
        while not stop.is_set():
            began = _cpu_seconds(self._process)
            await self._call("Profiler.start")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SLICE_SECONDS):
                    await stop.wait()
            profile = (await self._call("Profiler.stop"))["profile"]
            watched.add(profile, _cpu_seconds(self._process) - began, await self.used_heap())

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


class Watched:
    """Time and memory that the isolate has taken."""

    def __init__(self) -> None:
        self.stretch = 0.0
        """The longest stretch without a pause, in milliseconds of processor time."""
        self.functions: list[str] = []
        """Names of the functions that most samples of that stretch were in, the most frequent first."""
        self.used_heap = 0
        """The largest heap, in bytes; it is looked at every SLICE_SECONDS."""

    def add(self, profile: Json, cpu_seconds: float, used_heap: int) -> None:
        """Take a profile into account. cpu_seconds: processor time that the isolate's thread has had meanwhile."""
        self.used_heap = max(self.used_heap, used_heap)
        stretch, functions = longest_stretch(profile, cpu_seconds)
        if stretch > self.stretch:
            self.stretch, self.functions = stretch, functions


def longest_stretch(profile: Json, cpu_seconds: float) -> tuple[float, list[str]]:
    """Return the longest run of busy samples in milliseconds of processor time, and the functions most often in it.

    The profiler's times are those of a clock. On a machine that is shared they are longer than the processor's, and are
    shortened in proportion. A task that begins right after another counts as one stretch with it.
    """
    names = {node["id"]: node["callFrame"]["functionName"] or "(anonymous)" for node in profile["nodes"]}
    runs = list(_runs(zip(map(names.__getitem__, profile["samples"]), profile["timeDeltas"], strict=True)))
    if not runs:
        return 0, []
    busy = sum(time for time, _ in runs)
    share = min(1.0, cpu_seconds * 1e6 / busy)
    time, counts = max(runs, key=lambda run: run[0])
    return time * share / 1e3, sorted(counts, key=lambda name: -counts[name])[:5]


def _runs(samples: Iterable[tuple[str, int]]) -> Iterator[tuple[int, Mapping[str, int]]]:
    """Yield the microseconds of each run of busy samples, and how many samples each function has.

    samples: function and microseconds since the sample before.
    """
    time, counts = 0, dict[str, int]()
    for name, delta in samples:
        if name in WAITING:
            if time:
                yield time, counts
            time, counts = 0, {}
        else:
            time += delta if time else min(delta, INTERVAL)  # before the first sample the isolate was waiting
            counts[name] = counts.get(name, 0) + 1
    if time:
        yield time, counts


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
                await session.used_heap()
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


def _cpu_seconds(process: int) -> float:
    """Return the processor time of a process's first thread, on which workerd runs all isolates."""
    return int(Path(f"/proc/{process}/task/{process}/schedstat").read_text().split()[0]) / 1e9
