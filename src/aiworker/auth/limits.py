"""Limits of a caller: requests in ten seconds, which the platform counts, and the size of one request."""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Literal

from aiworker.bindings import RateLimiter
from aiworker.context import Context, Resources
from aiworker.errors import ApiError
from aiworker.http.messages import Request

Rate = Literal["read", "model", "heavy"]
"""Cost class of a route: it reads, calls a model, or does something that costs still more."""

RATES: Mapping[Rate, str] = {"read": "RATE_LIMIT_READ", "model": "RATE_LIMIT_MODEL", "heavy": "RATE_LIMIT_HEAVY"}
"""Cost class → the rate limit of wrangler.jsonc that counts its requests."""

TOKEN_RATES: Mapping[Rate, str] = {rate: f"{name}_TOKENS" for rate, name in RATES.items()}
"""Cost class → the rate limit that counts the requests of all browser tokens of one key together.

Each token counts by its subject besides; with this limit, a key cannot multiply its own by making many tokens."""

FAILURES = "RATE_LIMIT_FAILURES"
"""The rate limit that counts the requests of one network with a missing or invalid key."""

LIMITERS = (*RATES.values(), *TOKEN_RATES.values(), FAILURES)
"""Names of all rate limits of wrangler.jsonc. All but the first three may be missing: they limit nothing then."""

PERIOD = 10
"""Seconds: `period` of the rate limits in wrangler.jsonc, which a Worker cannot read."""
FAILURE_PERIOD = 60
"""Seconds: `period` of FAILURES."""


async def check_rate(context: Context, rate: Rate) -> None:
    """Count the request; raises ApiError `rate_limited` if the caller has sent too many of its cost class."""
    is_allowed = await _allow(context, RATES[rate], bucket(context))
    if is_allowed and context.caller.has_token:
        is_allowed = await _allow(context, TOKEN_RATES[rate], f"tokens {context.caller.name}")
    if not is_allowed:
        raise ApiError(
            "rate_limited",
            f"Too many requests for now: try again in {PERIOD} seconds.",
            retry_after=PERIOD,
        )


async def slow_failures(error: ApiError, request: Request, limiter: RateLimiter | None) -> ApiError:
    """Return the error, or `rate_limited` if its network has sent too many requests with a missing or invalid key.

    Requests with a valid key are not counted, and never refused by this. limiter: the rate limit of FAILURES; None if
    wrangler.jsonc does not have it.
    """
    if error.type != "unauthorized" or limiter is None or await limiter.allow(f"failures {_network(request)}"):
        return error
    return ApiError(
        "rate_limited",
        "Too many requests without a valid key come from this network. Requests with one are answered as before; try "
        f"again in {FAILURE_PERIOD} seconds.",
        retry_after=FAILURE_PERIOD,
    )


async def _allow(context: Context, name: str, bucket: str) -> bool:
    limiter = context.rate_limiters.get(name) if context.settings.rate_limits else None
    return limiter is None or await limiter.allow(bucket)


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


def bucket(context: Context) -> str:
    """Return the name under which the request is counted.

    It is the API key; for browser tokens the token's subject, or else the client's network; for anonymous callers the
    network.
    """
    caller = context.caller
    if caller.key and not caller.has_token:
        return f"key {caller.name}"
    network = _network(context.request)
    return f"token {caller.name} {caller.subject or network}" if caller.key else f"address {network}"


def _network(request: Request) -> str:
    """Return the client's IPv4 address, or the /64 of its IPv6 address, all of whose addresses one subscriber has."""
    try:
        ip = ip_address(request.header("cf-connecting-ip") or "")
    except ValueError:
        return "unknown"
    return str(IPv6Address(int(ip) >> 64 << 64)) if ip.version == 6 else str(ip)
