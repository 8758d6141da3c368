"""Rate limiting bindings: `RATE_LIMIT_READ` and the others of limits.LIMITERS."""

import functools
from typing import Any

from aiworker.platform.javascript import binding_result, js_object

_from_limiter = functools.partial(
    binding_result, "The rate limit could not be checked", kind="unavailable", retry_after=1
)


class RateLimitBinding:
    """aiworker.bindings.RateLimiter over a rate limiting binding."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def allow(self, key: str) -> bool:
        return (await _from_limiter(self._binding.limit(js_object({"key": key})))).success
