"""What a gateway does with a call besides handing it on: answers from its cache, limits the rate, tries again."""

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
from workers_ai_simulator.inference.answers import Answer
from workers_ai_simulator.inference.calls import ModelCall, Result

MOST_CACHED = 1000
KEYED_TTL = 300
"""Seconds for which an answer is kept that has a key of its own but no TTL anywhere (Cloudflare's documentation)."""

Attempt = Callable[[], Awaitable[Result]]
Sleep = Callable[[float], Awaitable[None]]

BACKOFF: dict[Backoff, Callable[[int, int], int]] = {
    "constant": lambda delay, _: delay,
    "linear": lambda delay, failures: delay * failures,
    "exponential": lambda delay, failures: delay * 2 ** (failures - 1),
}
"""Milliseconds until the next attempt, after so many failures."""


# ---- cache -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    answer: Answer | tuple[str, ...]
    """All of it; of a stream, its frames."""
    expires: float


class Cache:
    """The last 1,000 answers, in memory: Cloudflare's is volatile too."""

    def __init__(self) -> None:
        self._stored: OrderedDict[tuple[str, str], Stored] = OrderedDict()

    def find(self, gateway_id: str, key: str, now: float) -> Stored | None:
        stored = self._stored.get((gateway_id, key))
        if stored and stored.expires <= now:
            del self._stored[gateway_id, key]
            return None
        return stored

    def keep(self, gateway_id: str, key: str, stored: Stored) -> None:
        self._stored[gateway_id, key] = stored
        self._stored.move_to_end((gateway_id, key))
        if len(self._stored) > MOST_CACHED:
            self._stored.popitem(last=False)

    def forget(self, gateway_id: str) -> None:
        """All answers of that gateway."""
        for place in [place for place in self._stored if place[0] == gateway_id]:
            del self._stored[place]


def cache_key(options: GatewayOptions, call: ModelCall) -> str:
    """The caller's own key, or a digest of all that the answer depends on."""
    if options.cache_key:
        return f"key:{options.cache_key}"
    asked = [options.provider, options.path, call.model, call.dialect, call.inputs]
    text = json.dumps(asked, sort_keys=True, default=lambda value: hashlib.sha256(value).hexdigest())
    return hashlib.sha256(text.encode()).hexdigest()


def lifetime(options: GatewayOptions, settings: dict[str, Any]) -> int:
    """Seconds for which an answer is kept; 0 for not at all."""
    if options.skip_cache:
        return 0
    return options.cache_ttl or settings["cache_ttl"] or (KEYED_TTL if options.cache_key else 0)


# ---- rate limit ------------------------------------------------------------------------------------------------------


class RateLimits:
    """So many calls of a gateway in an interval. Answers from its cache do not count, nor do refusals."""

    def __init__(self) -> None:
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)

    def check(self, gateway_id: str, settings: dict[str, Any], now: float) -> None:
        """Count a call.

        Raises GatewayError 2003 if there have been too many: since the last multiple of the interval on the clock
        (`fixed`), or in the interval that ends now (`sliding`).
        """
        interval, most = settings["rate_limiting_interval"] or 0, settings["rate_limiting_limit"] or 0
        if not (interval and most):
            return
        start = now - interval if settings["rate_limiting_technique"] == "sliding" else now - now % interval
        calls = self._calls[gateway_id]
        while calls and calls[0] < now - interval:
            calls.popleft()
        if sum(at >= start for at in calls) >= most:
            raise rate_limited()
        calls.append(now)


# ---- attempts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Patience:
    """How often a call is tried and how long each attempt may take."""

    attempts: int
    delay_ms: int
    backoff: Backoff
    timeout_ms: int | None

    @classmethod
    def of(cls, options: GatewayOptions, settings: dict[str, Any]) -> "Patience":
        return cls(
            options.max_attempts or settings["retry_max_attempts"] or 1,
            settings["retry_delay"] or 0 if options.retry_delay_ms is None else options.retry_delay_ms,
            options.backoff or settings["retry_backoff"] or "constant",
            options.request_timeout_ms,
        )

    async def try_until_answered(self, attempt: Attempt, sleep: Sleep) -> Result:
        """The first attempt's result that is one.

        The timeout counts until the answer begins. The last of several attempts may take as long as it likes, as
        Cloudflare's documentation says. Raises the last attempt's UpstreamError. Every failure is tried again, since
        that documentation makes no difference between them, but for what this simulator does not do at all.
        """
        for failures in range(1, self.attempts):
            try:
                return await _in_time(attempt, self.timeout_ms)
            except NotSimulated:
                raise
            except UpstreamError:
                await sleep(BACKOFF[self.backoff](self.delay_ms, failures) / 1000)
        return await _in_time(attempt, self.timeout_ms if self.attempts == 1 else None)


async def _in_time(attempt: Attempt, milliseconds: int | None) -> Result:
    try:
        async with asyncio.timeout(None if milliseconds is None else milliseconds / 1000):
            return await attempt()
    except TimeoutError:
        raise timed_out(milliseconds or 0) from None
