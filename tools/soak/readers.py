"""Slow readers for `scripts/soak`: many clients that read a few bytes at a time, and one fast client."""

import asyncio
import json
import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SLOW = 200
FAST_REQUESTS = 30
"""Number of requests of the fast client: as many alone as beside the slow readers."""
RECEIVE_BUFFER = 2048
"""Receive buffer of a slow reader in bytes, which the kernel raises to about 4 KiB. The rest waits at the server."""
DROP, EVERY = 64, 0.2
"""Bytes that a slow reader takes at a time, and the seconds between two reads."""
MAX_RATIO = 4.0
"""Largest allowed ratio of the fast client's times beside the slow readers and alone. The processor is shared."""
STREAM = {"messages": [{"role": "user", "content": "What is a Worker?"}]}
LARGE = {"text": [f"Text number {number}" for number in range(100)]}
"""Request whose response has about 1.5 MB, more than the buffers on the way hold."""


@dataclass
class Readers:
    slow: int
    held_open: int
    """Number of slow readers that were still reading when the fast client had finished."""
    alone_seconds: float
    """Median time of the fast client's streams, from the request to the end, without slow readers."""
    beside_seconds: float
    """The same median while the slow readers read."""
    rss_before: int | None
    """Memory of workerd in bytes; None if it runs on another machine."""
    rss_beside: int | None
    rss_after: int | None
    failed: list[str]

    @property
    def ratio(self) -> float:
        return self.beside_seconds / self.alone_seconds

    def faults(self) -> list[str]:
        problems = [] if self.ratio <= MAX_RATIO else [f"the fast client took {self.ratio:.1f} times as long"]
        # if none was still reading, they were not slow
        return [*problems, *self.failed, *([] if self.held_open else ["no slow reader was still reading"])]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": round(self.ratio, 2)}


async def measure(url: str, key: str, workers: Sequence[int]) -> Readers:
    """Measure the fast client alone, then beside the slow readers.

    workers: process ids of workerd; empty if it runs on another machine.
    """
    before = resident_bytes(workers)
    alone, failed = await _fast(url, key)
    slow = [
        asyncio.create_task(_slow(url, key, "/embed" if number % 2 else "/chat", LARGE if number % 2 else STREAM))
        for number in range(SLOW)
    ]
    try:
        await asyncio.sleep(3)  # all have asked, and read their first drops
        beside, failed_beside = await _fast(url, key)
        held, beside_bytes = sum(not task.done() for task in slow), resident_bytes(workers)
    finally:
        for task in slow:
            task.cancel()
        ended = await asyncio.gather(*slow, return_exceptions=True)
    broken = [f"a slow reader: {each!r}" for each in ended if isinstance(each, Exception)]
    await asyncio.sleep(2)
    return Readers(
        SLOW, held, statistics.median(alone), statistics.median(beside), before, beside_bytes,
        resident_bytes(workers), [*failed, *failed_beside, *broken],
    )  # fmt: skip


async def _fast(url: str, key: str) -> tuple[list[float], list[str]]:
    """Return the seconds of each request, and the errors."""
    seconds: list[float] = []
    failed: list[str] = []
    for _ in range(FAST_REQUESTS):
        began = time.monotonic()
        reader, writer = await _asked(url, key, "/chat", STREAM)
        try:
            async with asyncio.timeout(60):
                answer = await reader.read()
        finally:
            writer.close()
        seconds.append(time.monotonic() - began)
        if b"[DONE]" not in answer:
            failed.append(f"the fast client: {answer[:200]!r}")
    return seconds, failed


async def _slow(url: str, key: str, path: str, body: Any) -> None:
    """Read one response. Raises RuntimeError for a status other than 200."""
    reader, writer = await _asked(url, key, path, body, receive_buffer=RECEIVE_BUFFER)
    try:
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"{path}: {status!r}")
        while await reader.read(DROP):  # noqa: ASYNC110 - slow is what it is
            await asyncio.sleep(EVERY)
    finally:
        writer.close()


async def _asked(
    url: str, key: str, path: str, body: Any, receive_buffer: int | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    place = urlsplit(url)
    family, kind, protocol, _, address = (
        await asyncio.get_running_loop().getaddrinfo(place.hostname, place.port or 80, type=socket.SOCK_STREAM)
    )[0]
    plain = socket.socket(family, kind, protocol)
    if receive_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)  # before it is connected
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, address)
    reader, writer = await asyncio.open_connection(sock=plain, limit=receive_buffer or 2**16)
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {place.netloc}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    writer.write(head.encode() + content)
    await writer.drain()
    return reader, writer


def resident_bytes(processes: Sequence[int]) -> int | None:
    """Return the memory of those processes that still run, in bytes; None if there are none."""
    sizes = [_resident(process) for process in processes]
    return sum(sizes) or None


def _resident(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    line = next((each for each in status.splitlines() if each.startswith("VmRSS:")), "VmRSS: 0 kB")
    return int(line.split()[1]) * 1024
