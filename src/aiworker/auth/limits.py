"""Limits of a caller: requests in ten seconds, which the platform counts, and the size of one request."""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Literal

from aiworker.context import Context, Resources
from aiworker.errors import ApiError

Rate = Literal["read", "model", "heavy"]
"""Cost class of a route: it reads, calls a model, or does something that costs still more."""

RATES: Mapping[Rate, str] = {"read": "RATE_LIMIT_READ", "model": "RATE_LIMIT_MODEL", "heavy": "RATE_LIMIT_HEAVY"}
"""Cost class → the rate limit of wrangler.jsonc that counts its requests."""

PERIOD = 10
"""Seconds: `period` of the rate limits in wrangler.jsonc, which a Worker cannot read."""


async def check_rate(context: Context, rate: Rate) -> None:
    """Count the request; raises ApiError `rate_limited` if the caller has sent too many of its cost class."""
    limiter = context.rate_limiters.get(rate)
    if limiter is None or not context.settings.rate_limits:
        return
    if not await limiter.allow(_bucket(context)):
        raise ApiError(
            "rate_limited",
            f"Too many requests for now: try again in {PERIOD} seconds.",
            retry_after=PERIOD,
        )


def check_prompt(context: Resources, texts: Iterable[str], param: str) -> None:
    """Raise ApiError `payload_too_large` if the texts have more than MAX_PROMPT_CHARACTERS characters together."""
    maximum = context.settings.max_prompt_characters
    size = sum(map(len, texts))
    if size > maximum:
        raise ApiError(
            "payload_too_large", f"{param} has {size:,} characters, and a request may have {maximum:,}.", param=param
        )


def check_count(context: Resources, texts: Collection[str], param: str) -> None:
    """Raise ApiError `invalid_request` for more than MAX_TEXTS texts."""
    maximum = context.settings.max_texts
    if len(texts) > maximum:
        message = f"{param} must have at most {maximum:,} items, not {len(texts):,}."
        raise ApiError("invalid_request", message, param=param)


def _bucket(context: Context) -> str:
    """Return the name under which the request is counted.

    It is the API key; for browser tokens the token's subject, or else the client's network; for anonymous callers the
    network.
    """
    caller = context.caller
    if caller.key and not caller.has_token:
        return f"key {caller.name}"
    network = _network(context.request.header("cf-connecting-ip") or "")
    return f"token {caller.name} {caller.subject or network}" if caller.key else f"address {network}"


def _network(address: str) -> str:
    """Return the IPv4 address, or the /64 of an IPv6 address, all of whose addresses one subscriber has."""
    try:
        ip = ip_address(address)
    except ValueError:
        return "unknown"
    return str(IPv6Address(int(ip) >> 64 << 64)) if ip.version == 6 else str(ip)
