"""Settings of a gateway: their names, defaults and ranges, and the check of those that a client sends."""

from collections.abc import Callable, Mapping
from typing import Any

from workers_ai_simulator.gateway import guardrails, spend_limits
from workers_ai_simulator.gateway.errors import invalid
from workers_ai_simulator.gateway.options import BACKOFFS, GATEWAY_ID, MAX_ATTEMPTS

DEFAULTS: dict[str, Any] = {
    "authentication": False,
    "cache_invalidate_on_update": False,
    "cache_ttl": 0,
    "collect_logs": True,
    "log_management": None,
    "log_management_strategy": None,
    "rate_limiting_interval": 0,
    "rate_limiting_limit": 0,
    "rate_limiting_technique": "fixed",
    "retry_backoff": None,
    "retry_delay": None,
    "retry_max_attempts": None,
}
"""Settings of the gateway that Cloudflare creates by itself, except that Cloudflare's has authentication."""

REQUIRED = (
    "cache_invalidate_on_update",
    "cache_ttl",
    "collect_logs",
    "rate_limiting_interval",
    "rate_limiting_limit",
)
"""Settings that the REST API requires when a gateway is created or changed, by the types of Cloudflare's SDK."""

FLAGS = ("authentication", "cache_invalidate_on_update", "collect_logs")

RANGES: dict[str, tuple[int, int | None]] = {
    "cache_ttl": (0, None),
    "log_management": (10_000, 10_000_000),
    "rate_limiting_interval": (0, None),
    "rate_limiting_limit": (0, None),
    "retry_delay": (0, 60_000),
    "retry_max_attempts": (1, MAX_ATTEMPTS),
}
"""Minimum and maximum, by Cloudflare's API reference: seconds, `retry_delay` in milliseconds. Each may be null."""

CHOICES = {
    "log_management_strategy": ("STOP_INSERTING", "DELETE_OLDEST"),
    "rate_limiting_technique": ("fixed", "sliding"),
    "retry_backoff": BACKOFFS,
}

WITHOUT_EFFECT = (
    "byok_only", "dlp", "log_classification", "logpush", "logpush_public_key", "otel", "store_id", "stripe",
    "workers_ai_billing_mode", "zdr",
)  # fmt: skip
"""Settings that are stored and shown but do nothing here, like the two of `log_management`."""

OBJECTS: dict[str, Callable[[Any], dict[str, Any] | None]] = {
    "guardrails": guardrails.checked,
    "spend_limits": spend_limits.checked,
}
"""Setting that is an object or null → its check, which returns it with its defaults."""


def checked_id(body: Mapping[str, Any]) -> str:
    """The `id` of a new gateway. Raises GatewayError 7001 for an id that is missing or malformed."""
    gateway_id = body.get("id")
    if not isinstance(gateway_id, str) or not GATEWAY_ID.fullmatch(gateway_id):
        raise invalid("id: expected 1 to 64 letters, digits, - or _")
    return gateway_id


def checked(body: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in the body of a request.

    Raises GatewayError 7001 if a required setting is missing, or one has a wrong type or is out of range.
    """
    for name in REQUIRED:
        if name not in body:
            raise invalid(f"{name}: Required")
    known = (*DEFAULTS, *WITHOUT_EFFECT, *OBJECTS)
    settings = {name: value for name, value in body.items() if name in known}
    for name, value in settings.items():
        _check(name, value)
    settings |= {name: check(settings[name]) for name, check in OBJECTS.items() if name in settings}
    # recorded: null is stored as 0
    return settings | {"cache_ttl": settings["cache_ttl"] or 0}


def _check(name: str, value: object) -> None:
    if name in FLAGS and not isinstance(value, bool):
        raise invalid(f"{name}: Expected boolean")
    if value is None:
        return
    if name in CHOICES and value not in CHOICES[name]:
        raise invalid(f"{name}: Invalid enum value. Expected {' | '.join(CHOICES[name])}")
    if name in RANGES:
        minimum, maximum = RANGES[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(f"{name}: Expected integer")
        if value < minimum or (maximum is not None and value > maximum):
            bounds = f"{minimum} {f'to {maximum}' if maximum is not None else 'or more'}"
            raise invalid(f"{name}: Number must be {bounds}")
