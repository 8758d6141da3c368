"""Options of one call through a gateway: the binding's `options.gateway`, or `cf-aig-*` headers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from workers_ai_simulator.gateway.errors import invalid
from workers_ai_simulator.gateway.models import Scalar

Backoff = Literal["constant", "linear", "exponential"]
BACKOFFS = ("constant", "linear", "exponential")
Surface = Literal["binding", "endpoint", "run"]
"""Where a call comes from: the binding, a gateway's own address, or Cloudflare's REST API."""
SURFACES = ("binding", "endpoint", "run")
MAX_RETRY_DELAY_MS = 5000
MAX_ATTEMPTS = 5
MAX_METADATA_ENTRIES = 5
MIN_TTL, MAX_TTL = 60, 31 * 24 * 3600
"""Seconds that an answer may stay cached: 60 seconds to one month, by Cloudflare's documentation of caching."""

GATEWAY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Cloudflare documents the length; the alphabet is that of ids seen in public code."""


@dataclass(frozen=True)
class CustomCost:
    """Cost of a call as its caller states it, in dollars."""

    per_token_in: float = 0
    per_token_out: float = 0
    total: float | None = None


@dataclass(frozen=True)
class GatewayOptions:
    """Options of one call; None where the gateway's own settings apply."""

    id: str
    cache_key: str | None = None
    cache_ttl: int | None = None
    """Seconds that the answer stays cached."""
    skip_cache: bool = False
    metadata: dict[str, Scalar] | None = None
    collect_log: bool | None = None
    collect_payload: bool = True
    """Whether the log stores the bodies."""
    event_id: str | None = None
    request_timeout_ms: int | None = None
    max_attempts: int | None = None
    retry_delay_ms: int | None = None
    backoff: Backoff | None = None
    custom_cost: CustomCost | None = None
    provider: str = "workers-ai"
    path: str | None = None
    """Endpoint called at the provider; None for the model's id."""
    step: int = 0
    """Place in the list of steps of a universal request, from 0."""
    user_agent: str | None = None
    surface: Surface = "binding"
    times_out_always: bool = False
    """Whether the timeout holds for the last of several attempts, too: as in a route's element."""

    @classmethod
    def from_json(cls, value: Any) -> "GatewayOptions":
        """Read the binding's `options.gateway`, or the result of `from_headers`.

        Raises GatewayError 7001 for values that the documentation rules out. Metadata is never refused.
        """
        match value:
            case {"id": str(gateway_id), **rest} if GATEWAY_ID.fullmatch(gateway_id):
                options: dict[str, Any] = rest
            case _:
                raise invalid("gateway.id: expected 1 to 64 letters, digits, - or _")
        retries: Any = options.get("retries") or {}
        if not isinstance(retries, dict):
            raise invalid("retries: expected an object")
        retry = cast("dict[str, Any]", retries)
        backoff = retry.get("backoff")
        if backoff is not None and backoff not in BACKOFFS:
            raise invalid(f"retries.backoff: Invalid enum value. Expected {' | '.join(BACKOFFS)}")
        surface = options.get("surface", "binding")
        return cls(
            id=gateway_id,
            cache_key=_text(options, "cacheKey"),
            # 0 means no TTL: the `AiGateway` class does not send it either
            cache_ttl=_integer(options, "cacheTtl", MIN_TTL, MAX_TTL) if options.get("cacheTtl") else None,
            skip_cache=_flag(options, "skipCache") or False,
            metadata=metadata(options.get("metadata")),
            collect_log=_flag(options, "collectLog"),
            collect_payload=_flag(options, "collectLogPayload") is not False,
            event_id=_text(options, "eventId"),
            request_timeout_ms=_integer(options, "requestTimeoutMs", 1),
            max_attempts=_integer(retry, "maxAttempts", 1, MAX_ATTEMPTS),
            retry_delay_ms=_integer(retry, "retryDelayMs", 0, MAX_RETRY_DELAY_MS),
            backoff=backoff,
            custom_cost=_custom_cost(options.get("customCost")),
            provider=_text(options, "provider") or "workers-ai",
            path=_text(options, "path"),
            step=_integer(options, "step", 0) or 0,
            user_agent=_text(options, "userAgent"),
            surface=surface if surface in SURFACES else "binding",
        )


def from_headers(gateway_id: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Options in the headers, whose names are in lower case, in the binding's form."""
    retries = {name: read(headers[header]) for header, (name, read) in RETRY_HEADERS.items() if header in headers}
    options = {name: read(headers[header]) for header, (name, read) in HEADERS.items() if header in headers}
    return {"id": gateway_id, **options, **({"retries": retries} if retries else {})}


def metadata(value: object) -> dict[str, Scalar] | None:
    """Metadata that a log stores: the first five entries, or None if any entry is null, a list or an object.

    Recorded of the real gateway, which refuses no metadata.
    """
    if not isinstance(value, dict):
        return None
    entries = cast("dict[str, Any]", value)
    if not entries or not all(isinstance(each, str | int | float) for each in entries.values()):
        return None
    return dict(list(entries.items())[:MAX_METADATA_ENTRIES])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _truth(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text.strip().lower(), text)


HEADERS = {
    "cf-cache-ttl": ("cacheTtl", _json),
    "cf-skip-cache": ("skipCache", _truth),
    "cf-aig-cache-key": ("cacheKey", str),
    "cf-aig-cache-ttl": ("cacheTtl", _json),
    "cf-aig-skip-cache": ("skipCache", _truth),
    "cf-aig-metadata": ("metadata", _json),
    "cf-aig-collect-log": ("collectLog", _truth),
    "cf-aig-collect-log-payload": ("collectLogPayload", _truth),
    "cf-aig-event-id": ("eventId", str),
    "cf-aig-request-timeout": ("requestTimeoutMs", _json),
    "cf-aig-custom-cost": ("customCost", _json),
    "user-agent": ("userAgent", str),
}
"""Header → option, and the function that reads its value. The first two are older names, which still work."""

RETRY_HEADERS = {
    "cf-aig-max-attempts": ("maxAttempts", _json),
    "cf-aig-retry-delay": ("retryDelayMs", _json),
    "cf-aig-backoff": ("backoff", str),
}


def _text(options: dict[str, Any], name: str) -> str | None:
    value = options.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{name}: Expected string")
    return value


def _flag(options: dict[str, Any], name: str) -> bool | None:
    value = options.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{name}: Expected boolean")
    return value


def _integer(options: dict[str, Any], name: str, minimum: int, maximum: int | None = None) -> int | None:
    value = options.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise invalid(f"{name}: Expected integer")
    if value < minimum or (maximum is not None and value > maximum):
        raise invalid(f"{name}: must be {minimum} {f'to {maximum}' if maximum is not None else 'or more'}")
    return int(value)


def _custom_cost(value: object) -> CustomCost | None:
    if value is None:
        return None
    entries = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    names = {"per_token_in": "per_token_in", "per_token_out": "per_token_out", "total_cost": "total"}
    costs = {names[name]: each for name, each in entries.items() if name in names and isinstance(each, int | float)}
    if not costs:
        raise invalid("cf-aig-custom-cost: expected per_token_in and per_token_out, or total_cost")
    return CustomCost(**costs)
