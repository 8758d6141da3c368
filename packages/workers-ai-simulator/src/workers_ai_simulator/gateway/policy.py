"""Cache, rate limit and retries of a gateway."""

import asyncio
import hashlib
import json
from collections import OrderedDict, defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.gateway.errors import rate_limited, timed_out
from workers_ai_simulator.gateway.options import Backoff, GatewayOptions
from workers_ai_simulator.inference.models import Answer, ModelCall, Result

MAX_CACHED_ANSWERS = 1000
DEFAULT_TTL_WITH_KEY = 300
"""Seconds that an answer with a cache key but without any TTL stays cached (Cloudflare's documentation)."""

Attempt = Callable[[], Awaitable[Result]]
"""Calls the model once; raises UpstreamError."""
Sleep = Callable[[float], Awaitable[None]]

BACKOFF: dict[Backoff, Callable[[int, int], int]] = {
    "constant": lambda delay, _: delay,
    "linear": lambda delay, failures: delay * failures,
    "exponential": lambda delay, failures: delay * 2 ** (failures - 1),
}
"""Backoff → milliseconds until the next attempt, from the delay and the number of failures."""


# ---- cache -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CachedAnswer:
    """Answer in the cache."""

    answer: Answer | tuple[str, ...]
    """The whole answer; the frames of a stream."""
    expires: float
    """Seconds since 1970."""


class Cache:
    """The last 1,000 answers of all gateways, in memory: Cloudflare's cache is volatile too."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str], CachedAnswer] = OrderedDict()

    def find(self, gateway_id: str, key: str, now: float) -> CachedAnswer | None:
        cached = self._answers.get((gateway_id, key))
        if cached and cached.expires <= now:
            del self._answers[gateway_id, key]
            return None
        return cached

    def put(self, gateway_id: str, key: str, answer: CachedAnswer) -> None:
        self._answers[gateway_id, key] = answer
        self._answers.move_to_end((gateway_id, key))
        if len(self._answers) > MAX_CACHED_ANSWERS:
            self._answers.popitem(last=False)

    def clear(self, gateway_id: str) -> None:
        """Delete all answers of a gateway."""
        for key in [key for key in self._answers if key[0] == gateway_id]:
            del self._answers[key]


def cache_key(options: GatewayOptions, call: ModelCall) -> str:
    """The caller's own key, or a digest of everything that the answer depends on."""
    if options.cache_key:
        return f"key:{options.cache_key}"
    parts = [options.provider, options.path, call.model, call.dialect, call.inputs]
    text = json.dumps(parts, sort_keys=True, default=lambda value: hashlib.sha256(value).hexdigest())
    return hashlib.sha256(text.encode()).hexdigest()


def cache_seconds(options: GatewayOptions, settings: dict[str, Any]) -> int:
    """Seconds that an answer stays cached; 0 if it is not cached."""
    if options.skip_cache:
        return 0
    return options.cache_ttl or settings["cache_ttl"] or (DEFAULT_TTL_WITH_KEY if options.cache_key else 0)


# ---- rate limit ------------------------------------------------------------------------------------------------------


class RateLimits:
    """Counts the calls of each gateway in an interval. Answers from the cache and refused calls do not count."""

    def __init__(self) -> None:
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)

    def check(self, gateway_id: str, settings: dict[str, Any], now: float) -> None:
        """Count a call made at `now`, in seconds since 1970.

        Raises GatewayError 2003 if there have been too many calls since the last multiple of the interval on the clock
        (technique `fixed`), or in the interval that ends now (`sliding`).
        """
        interval, limit = settings["rate_limiting_interval"] or 0, settings["rate_limiting_limit"] or 0
        if not (interval and limit):
            return
        start = now - interval if settings["rate_limiting_technique"] == "sliding" else now - now % interval
        calls = self._calls[gateway_id]
        while calls and calls[0] < now - interval:
            calls.popleft()
        if sum(at >= start for at in calls) >= limit:
            raise rate_limited()
        calls.append(now)


# ---- attempts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RetryPolicy:
    """Number of attempts of a call, the delays between them, and the timeout of each."""

    attempts: int
    delay_ms: int
    backoff: Backoff
    timeout_ms: int | None
    times_out_always: bool = False

    @classmethod
    def of(cls, options: GatewayOptions, settings: dict[str, Any]) -> "RetryPolicy":
        """The call's own options, and the gateway's settings where there are none."""
        return cls(
            options.max_attempts or settings["retry_max_attempts"] or 1,
            settings["retry_delay"] or 0 if options.retry_delay_ms is None else options.retry_delay_ms,
            options.backoff or settings["retry_backoff"] or "constant",
            options.request_timeout_ms,
            options.times_out_always,
        )

    async def run(self, attempt: Attempt, sleep: Sleep) -> Result:
        """Result of the first attempt that succeeds.

        The timeout counts until the answer begins; the last of several attempts has none, as Cloudflare's
        documentation says, unless `times_out_always`. Every failure is retried, since that documentation makes no
        difference between them, except calls that are not simulated. Raises the last attempt's UpstreamError.
        """
        for failures in range(1, self.attempts):
            try:
                return await _with_timeout(attempt, self.timeout_ms)
            except NotSimulated:
                raise
            except UpstreamError:
                await sleep(BACKOFF[self.backoff](self.delay_ms, failures) / 1000)
        has_timeout = self.attempts == 1 or self.times_out_always
        return await _with_timeout(attempt, self.timeout_ms if has_timeout else None)


async def _with_timeout(attempt: Attempt, milliseconds: int | None) -> Result:
    try:
        async with asyncio.timeout(None if milliseconds is None else milliseconds / 1000):
            return await attempt()
    except TimeoutError:
        raise timed_out(milliseconds or 0) from None
