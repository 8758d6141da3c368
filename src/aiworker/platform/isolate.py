"""Counters of the isolate, for /health."""

import gc
import math
import time
from dataclasses import dataclass

import pyodide_js

COUNT_SECONDS = 10
"""Seconds for which a count of objects is reused: counting takes some milliseconds, in which nothing is served."""

COLLECT_EVERY = 1_000
"""Requests between two garbage collections. Python's own collections miss objects that JavaScript releases only later:
four a request, from failed calls and from steps of workflows, stayed in memory until it grew."""


@dataclass
class Isolate:
    """Counters of one isolate."""

    requests: int = 0
    """Requests since the isolate has started."""
    open_streams: int = 0
    """Streamed bodies that have not ended."""
    _collected_at: int = 0
    """Requests before the last collection."""
    _objects: int = 0
    _counted_at: float = -math.inf

    def count_request(self) -> None:
        """Count a request. The first one exempts imported objects from garbage collection: with them, a collection
        takes 100 ms."""
        if not self.requests:
            gc.freeze()
        self.requests += 1

    def begins_collection(self) -> bool:
        """Tell whether garbage has to be collected after this response: once in COLLECT_EVERY requests."""
        if self.requests - self._collected_at < COLLECT_EVERY:
            return False
        self._collected_at = self.requests
        return True

    def counters(self) -> dict[str, int]:
        """Return the counters.

        `objects` is the number of objects tracked by the garbage collector, sampled at most every ten seconds and
        without a collection; a steady rise means a leak. `memory_bytes` is the size of Pyodide's memory, which never
        shrinks.
        """
        if time.monotonic() - self._counted_at > COUNT_SECONDS:
            self._counted_at, self._objects = time.monotonic(), gc.get_freeze_count() + len(gc.get_objects())
        return {
            "requests": self.requests,
            "open_streams": self.open_streams,
            "objects": self._objects,  # Pyodide has no pymalloc, and so no count of its blocks
            # Emscripten has no other name for it
            "memory_bytes": pyodide_js._module.HEAPU8.byteLength,  # pyright: ignore[reportPrivateUsage]
        }


async def collect_garbage() -> None:
    """Collect the garbage of the last requests."""
    gc.collect()


isolate = Isolate()
