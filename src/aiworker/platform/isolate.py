"""Counters of the isolate, for /health."""

import gc
import math
import time
from dataclasses import dataclass

import pyodide_js

COUNT_SECONDS = 10
"""Seconds for which a count of objects is shown again: counting takes some milliseconds, in which nothing is served."""


@dataclass
class Isolate:
    """Counters of one isolate."""

    requests: int = 0
    """Requests since the isolate has started."""
    open_streams: int = 0
    """Streamed bodies that have not ended."""
    _objects: int = 0
    _counted_at: float = -math.inf

    def counters(self) -> dict[str, int]:
        """Return the counters.

        `objects` is the number of objects tracked by the garbage collector, sampled at most every ten seconds and
        without a collection; a steady rise means a leak. `memory_bytes` is the size of Pyodide's memory, which never
        shrinks.
        """
        if time.monotonic() - self._counted_at > COUNT_SECONDS:
            self._counted_at, self._objects = time.monotonic(), len(gc.get_objects())
        return {
            "requests": self.requests,
            "open_streams": self.open_streams,
            "objects": self._objects,  # Pyodide has no pymalloc, and so no count of its blocks
            # Emscripten has no other name for it
            "memory_bytes": pyodide_js._module.HEAPU8.byteLength,  # pyright: ignore[reportPrivateUsage]
        }


isolate = Isolate()
