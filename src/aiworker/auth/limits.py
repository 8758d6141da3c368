"""How much a caller may ask for in a time, counted by the platform."""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Literal

from aiworker.context import Context, Resources
from aiworker.errors import ApiError

Rate = Literal["read", "model", "heavy"]
"""Cost class of a route: it reads, calls a model, or does what costs most."""

RATES: Mapping[Rate, str] = {"read": "RATE_LIMIT_READ", "model": "RATE_LIMIT_MODEL", "heavy": "RATE_LIMIT_HEAVY"}
"""Cost class → the rate limit of wrangler.jsonc that counts its requests."""

PERIOD = 10
"""Seconds: `period` of the rate limits in wrangler.jsonc, which a Worker cannot read."""


async def check_rate(context: Context, rate: Rate) -> None:
    """Raises ApiError `rate_limited` if the caller has sent too many requests of that cost."""
    limiter = context.rate_limiters.get(rate)
    if limiter is None or not context.settings.rate_limits:
        return
    if not await limiter.allow(_counted_by(context)):
        raise ApiError(
            "rate_limited",
            f"Too many requests for now: try again in {PERIOD} seconds.",
            retry_after=PERIOD,
        )


def check_prompt(context: Resources, texts: Iterable[str], param: str) -> None:
    """Raises ApiError `payload_too_large` if a model for text would be given more to read than the owner wants."""
    most = context.settings.max_prompt_characters
    size = sum(map(len, texts))
    if size > most:
        raise ApiError(
            "payload_too_large", f"{param} has {size:,} characters, and a request may have {most:,}.", param=param
        )


def check_count(context: Resources, texts: Collection[str], param: str) -> None:
    """Raises ApiError `invalid_request` for more texts than the owner wants in one request."""
    most = context.settings.max_texts
    if len(texts) > most:
        raise ApiError("invalid_request", f"{param} must have at most {most:,} items, not {len(texts):,}.", param=param)


def _counted_by(context: Context) -> str:
    """Each key for itself; of tokens, which many share, each user; of those without, each address."""
    caller = context.caller
    if caller.key and not caller.has_token:
        return f"key {caller.name}"
    network = _network(context.request.header("cf-connecting-ip") or "")
    return f"token {caller.name} {caller.subject or network}" if caller.key else f"address {network}"


def _network(address: str) -> str:
    """Whoever has one IPv6 address has 2^64 of them: these count as one."""
    try:
        found = ip_address(address)
    except ValueError:
        return "unknown"
    return str(IPv6Address(int(found) >> 64 << 64)) if found.version == 6 else str(found)
