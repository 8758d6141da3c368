"""How much a caller may ask for in a time, counted by the platform."""

from collections.abc import Mapping

from aiworker.context import Context
from aiworker.errors import ApiError

RATES: Mapping[str, str] = {"read": "RATE_LIMIT_READ", "model": "RATE_LIMIT_MODEL", "heavy": "RATE_LIMIT_HEAVY"}
"""What a route costs → the rate limit of wrangler.jsonc that counts its requests."""

PERIOD = 10
"""Seconds: `period` of the rate limits in wrangler.jsonc, which a Worker cannot read."""


async def admit(context: Context, rate: str) -> None:
    """Raises ApiError `rate_limited` if the caller has sent too many requests of that cost."""
    limiter = context.rate_limiters.get(rate)
    if limiter is None or not context.settings.limits_rates:
        return
    if not await limiter.admits(_counted_by(context)):
        raise ApiError(
            "rate_limited",
            f"Too many requests for now: try again in {PERIOD} seconds.",
            retry_after=PERIOD,
        )


def _counted_by(context: Context) -> str:
    """Each key for itself; of tokens, which many share, each user; of those without, each address."""
    caller = context.caller
    if caller.key and not caller.has_token:
        return f"key {caller.name}"
    address = context.request.header("cf-connecting-ip") or "unknown"
    return f"{caller.name} {caller.subject or address}"
