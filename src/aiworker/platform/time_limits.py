"""Time limits of calls of bindings: one timer of JavaScript for all calls of a request."""

import asyncio
import functools
import itertools
import math
import time
from contextvars import ContextVar
from typing import Any

import js
from pyodide.ffi import create_proxy

# JavaScript values that are kept at import must have a path from globalThis, or the memory snapshot cannot hold them
set_timeout, clear_timeout = js.setTimeout, js.clearTimeout

Result = asyncio.Future[Any]


class TimeLimits:
    """Time limits of the calls of one request, or of one run of a workflow.

    A timer for each call, cleared behind it, would cost as much as a short query. This one is not cleared: the platform
    ends it with the request. A Durable Object outlives its requests, so it calls `end`. asyncio's timers would leave a
    proxy behind until they fire.
    """

    def __init__(self) -> None:
        self._number = next(_numbers)
        self._due: dict[Result, float] = {}
        """Result that is awaited → its deadline on the monotonic clock."""
        self._timer_at = 0.0
        """Time at which the timer fires; in the past if there is none."""
        self._timer: Any = None

    def add(self, result: Result, seconds: float) -> None:
        """Make the result raise TimeoutError if it has not arrived after so many seconds."""
        now = time.monotonic()
        self._due[result] = now + seconds
        _waiting[self._number] = self
        if not now < self._timer_at <= now + seconds:
            self._set_timer(now, seconds)

    def remove(self, result: Result) -> None:
        del self._due[result]
        if not self._due:
            del _waiting[self._number]

    def expire(self) -> None:
        """Make the results that are too late raise TimeoutError, and set the timer for the next one."""
        now = time.monotonic()
        for result in [each for each, due in self._due.items() if due <= now and not each.done()]:
            result.set_exception(TimeoutError())
        if times := [due for due in self._due.values() if due > now]:
            self._set_timer(now, min(times) - now)

    def end(self) -> None:
        """Clear the timer, which would keep a Durable Object from hibernating until it fires."""
        if self._timer is not None:
            clear_timeout(self._timer)
        self._timer_at = 0.0

    def _set_timer(self, now: float, seconds: float) -> None:
        self.end()  # end the previous timer, which fires later or has fired
        self._timer_at = now + seconds
        self._timer = set_timeout(_expire_proxy(), math.ceil(seconds * 1000), self._number)


def time_limits() -> TimeLimits:
    """Return the time limits shared by the current task and the tasks that it starts: a timer belongs to one
    request."""
    if (made := _time_limits.get()) is None:
        _time_limits.set(made := TimeLimits())
    return made


_time_limits: ContextVar[TimeLimits | None] = ContextVar("time_limits", default=None)
_numbers = itertools.count()
_waiting: dict[int, TimeLimits] = {}
"""Number → time limits of a request that awaits results."""


def _expire(number: int) -> None:
    if made := _waiting.get(number):
        made.expire()


@functools.cache
def _expire_proxy() -> Any:
    """Return `_expire` as a JavaScript function: one for all requests, because each costs more than its call."""
    return create_proxy(_expire)
