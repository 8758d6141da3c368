"""Gateways and their settings."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers_ai_simulator.gateway.errors import CONFLICT, GatewayError, invalid, not_found
from workers_ai_simulator.gateway.options import BACKOFFS, GATEWAY_ID, MOST_ATTEMPTS

SCHEMA = """
CREATE TABLE IF NOT EXISTS gateways (
    id TEXT PRIMARY KEY, settings TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL);
"""

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
"""Of the gateway that Cloudflare makes by itself, except that it wants a token there."""

NEEDED = (
    "cache_invalidate_on_update",
    "cache_ttl",
    "collect_logs",
    "rate_limiting_interval",
    "rate_limiting_limit",
)
"""What the REST API wants when a gateway is made or changed, by the official SDK's types."""

FLAGS = ("authentication", "cache_invalidate_on_update", "collect_logs")

RANGES: dict[str, tuple[int, int | None]] = {
    "cache_ttl": (0, None),
    "log_management": (10_000, 10_000_000),
    "rate_limiting_interval": (0, None),
    "rate_limiting_limit": (0, None),
    "retry_delay": (0, 60_000),
    "retry_max_attempts": (1, MOST_ATTEMPTS),
}
"""Least and most, by Cloudflare's API reference; seconds, but `retry_delay` in milliseconds. Each may be null."""

CHOICES = {
    "log_management_strategy": ("STOP_INSERTING", "DELETE_OLDEST"),
    "rate_limiting_technique": ("fixed", "sliding"),
    "retry_backoff": BACKOFFS,
}

WITHOUT_EFFECT = (
    "byok_only", "dlp", "guardrails", "log_classification", "logpush", "logpush_public_key", "otel", "spend_limits",
    "store_id", "stripe", "workers_ai_billing_mode", "zdr",
)  # fmt: skip
"""Settings that are kept and shown, and do nothing here. So do the two of `log_management`."""


@dataclass(frozen=True)
class Gateway:
    id: str
    settings: dict[str, Any]
    created: int
    """Milliseconds since 1970."""
    modified: int


class GatewayStore:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._db.executescript(SCHEMA)

    def find(self, gateway_id: str) -> Gateway | None:
        row = self._db.execute("SELECT * FROM gateways WHERE id = ?", (gateway_id,)).fetchone()
        return _gateway(row) if row else None

    def get(self, gateway_id: str) -> Gateway:
        """Raises GatewayError 7002 if there is none."""
        found = self.find(gateway_id)
        if not found:
            raise not_found("Gateway")
        return found

    def opened(self, gateway_id: str, at: int) -> Gateway:
        """The gateway, made with the default settings if there is none.

        Cloudflare does so for the id `default` only, and answers 2001 for any other.
        """
        return self.find(gateway_id) or self._write(gateway_id, DEFAULTS, at, at)

    def create(self, sent: Mapping[str, Any], at: int) -> Gateway:
        """Raises GatewayError 7001 for settings out of range, 7006 if there is a gateway of that id."""
        gateway_id = sent.get("id")
        if not isinstance(gateway_id, str) or not GATEWAY_ID.fullmatch(gateway_id):
            raise invalid("id: expected 1 to 64 letters, digits, - or _")
        settings = DEFAULTS | checked(sent)
        if self.find(gateway_id):
            raise GatewayError(409, CONFLICT, "A gateway with this id exists already")
        return self._write(gateway_id, settings, at, at)

    def update(self, gateway_id: str, sent: Mapping[str, Any], at: int) -> Gateway:
        """Raises GatewayError 7002 if there is none, 7001 for settings out of range."""
        gateway = self.get(gateway_id)
        return self._write(gateway_id, gateway.settings | checked(sent), gateway.created, at)

    def delete(self, gateway_id: str) -> Gateway:
        """Raises GatewayError 7002 if there is none."""
        gateway = self.get(gateway_id)
        self._db.execute("DELETE FROM gateways WHERE id = ?", (gateway_id,))
        return gateway

    def search(self, text: str = "") -> list[Gateway]:
        """Those whose id holds the text, in the order in which they were made."""
        rows = self._db.execute("SELECT * FROM gateways WHERE instr(id, ?) ORDER BY created, id", (text,))
        return [_gateway(row) for row in rows]

    def _write(self, gateway_id: str, settings: dict[str, Any], created: int, modified: int) -> Gateway:
        row = (gateway_id, json.dumps(settings), created, modified)
        self._db.execute("INSERT OR REPLACE INTO gateways VALUES (?, ?, ?, ?)", row)
        return Gateway(gateway_id, settings, created, modified)


def checked(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among what was sent.

    Raises GatewayError 7001 if one is missing that is needed, or one is not of its kind.
    """
    for name in NEEDED:
        if name not in sent:
            raise invalid(f"{name}: Required")
    known = {name: value for name, value in sent.items() if name in DEFAULTS or name in WITHOUT_EFFECT}
    for name, value in known.items():
        _check(name, value)
    # recorded: null is stored as 0
    return known | {"cache_ttl": known["cache_ttl"] or 0}


def _check(name: str, value: object) -> None:
    if name in FLAGS and not isinstance(value, bool):
        raise invalid(f"{name}: Expected boolean")
    if value is None:
        return
    if name in CHOICES and value not in CHOICES[name]:
        raise invalid(f"{name}: Invalid enum value. Expected {' | '.join(CHOICES[name])}")
    if name in RANGES:
        least, most = RANGES[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(f"{name}: Expected integer")
        if value < least or (most is not None and value > most):
            raise invalid(f"{name}: Number must be {least} {f'to {most}' if most is not None else 'or more'}")


def _gateway(row: tuple[str, str, int, int]) -> Gateway:
    gateway_id, settings, created, modified = row
    return Gateway(gateway_id, DEFAULTS | json.loads(settings), created, modified)
