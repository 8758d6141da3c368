"""Gateways and their logs in SQLite."""

import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from workers_ai_simulator.gateway.errors import already_exists, not_found
from workers_ai_simulator.gateway.models import Gateway, Log, LogSearch
from workers_ai_simulator.gateway.settings import DEFAULTS

# ---- gateways --------------------------------------------------------------------------------------------------------

GATEWAY_SCHEMA = """
CREATE TABLE IF NOT EXISTS gateways (
    id TEXT PRIMARY KEY, settings TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL);
"""


class GatewayStore:
    """Gateways by their ids. Times are milliseconds since 1970."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._db.executescript(GATEWAY_SCHEMA)

    def find(self, gateway_id: str) -> Gateway | None:
        row = self._db.execute("SELECT * FROM gateways WHERE id = ?", (gateway_id,)).fetchone()
        return _gateway(row) if row else None

    def get(self, gateway_id: str) -> Gateway:
        """The gateway of that id. Raises GatewayError 7002 if there is none."""
        gateway = self.find(gateway_id)
        if not gateway:
            raise not_found("Gateway")
        return gateway

    def get_or_create(self, gateway_id: str, now: int) -> Gateway:
        """The gateway of that id, created with the default settings if there is none.

        Cloudflare creates only the gateway `default` so, and answers 2001 for any other id.
        """
        return self.find(gateway_id) or self._write(gateway_id, DEFAULTS, now, now)

    def create(self, gateway_id: str, settings: dict[str, Any], now: int) -> Gateway:
        """Create a gateway. Raises GatewayError 7006 if there is one of that id."""
        if self.find(gateway_id):
            raise already_exists()
        return self._write(gateway_id, DEFAULTS | settings, now, now)

    def update(self, gateway_id: str, settings: dict[str, Any], now: int) -> Gateway:
        """Change some settings of a gateway. Raises GatewayError 7002 if there is no such gateway."""
        gateway = self.get(gateway_id)
        return self._write(gateway_id, gateway.settings | settings, gateway.created, now)

    def delete(self, gateway_id: str) -> Gateway:
        """Delete a gateway, but not its logs. Raises GatewayError 7002 if there is no such gateway."""
        gateway = self.get(gateway_id)
        self._db.execute("DELETE FROM gateways WHERE id = ?", (gateway_id,))
        return gateway

    def search(self, text: str = "") -> list[Gateway]:
        """Gateways whose id contains the text, oldest first."""
        rows = self._db.execute("SELECT * FROM gateways WHERE instr(id, ?) ORDER BY created, id", (text,))
        return [_gateway(row) for row in rows]

    def _write(self, gateway_id: str, settings: dict[str, Any], created: int, modified: int) -> Gateway:
        row = (gateway_id, json.dumps(settings), created, modified)
        self._db.execute("INSERT OR REPLACE INTO gateways VALUES (?, ?, ?, ?)", row)
        return Gateway(gateway_id, settings, created, modified)


def _gateway(row: tuple[str, str, int, int]) -> Gateway:
    gateway_id, settings, created, modified = row
    return Gateway(gateway_id, DEFAULTS | json.loads(settings), created, modified)


# ---- logs ------------------------------------------------------------------------------------------------------------

MAX_LOGS = 10_000
"""Logs of all gateways together; the oldest go first. Cloudflare keeps 10 million a gateway, or 100,000 an account."""
MAX_BODY_BYTES = 64 * 1024
"""Bytes of a body that its log stores; Cloudflare stores 10 MB a log."""

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

LOG_COLUMNS = """
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, gateway TEXT NOT NULL,
    created_at INTEGER NOT NULL, event_id TEXT, user_agent TEXT, provider TEXT NOT NULL, model TEXT NOT NULL,
    model_type TEXT, path TEXT NOT NULL, step INTEGER NOT NULL, duration INTEGER NOT NULL,
    status_code INTEGER NOT NULL, success INTEGER NOT NULL, cached INTEGER NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, cost REAL NOT NULL, custom_cost INTEGER NOT NULL,
    metadata TEXT, request_type TEXT, request_content_type TEXT, response_content_type TEXT,
    score REAL, feedback INTEGER, request_size INTEGER NOT NULL, response_size INTEGER NOT NULL,
    request TEXT, response TEXT
"""
"""The bodies come last: a search does not read them."""
LOG_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS logs ({LOG_COLUMNS});
CREATE INDEX IF NOT EXISTS logs_by_time ON logs (gateway, created_at, number);
"""
STORED_FIELDS = [each.name for each in fields(Log) if each.name != "number"]
TOTALS = ("calls", "cached", "failed", "cost", "tokens_in", "tokens_out")
FLAGS = ("success", "cached", "custom_cost")


class LogStore:
    """Logs of all gateways, the last `MAX_LOGS` of them."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._db.executescript(LOG_SCHEMA)

    def add(self, log: Log) -> None:
        row = [_column(getattr(log, name)) for name in STORED_FIELDS]
        names, places = ", ".join(STORED_FIELDS), ", ".join("?" for _ in STORED_FIELDS)
        added = self._db.execute(f"INSERT INTO logs ({names}) VALUES ({places})", row)  # noqa: S608 - names from above
        self._db.execute("DELETE FROM logs WHERE number <= ?", ((added.lastrowid or 0) - MAX_LOGS,))

    def find(self, gateway_id: str, log_id: str) -> Log | None:
        logs = self._select("gateway = ? AND id = ?", (gateway_id, log_id))
        return logs[0] if logs else None

    def patch(self, log: Log, changes: dict[str, Any]) -> None:
        """Set columns of one log."""
        for name, value in changes.items():
            self._db.execute(f"UPDATE logs SET {name} = ? WHERE id = ?", (_column(value), log.id))  # noqa: S608

    def search(self, gateway_id: str, search: LogSearch) -> tuple[list[Log], int]:
        """One page of a gateway's logs that match, and the number of all that match."""
        where, values = f"gateway = ? AND ({search.where})", (gateway_id, *search.values)
        count = self._db.execute(f"SELECT count(*) FROM logs WHERE {where}", values).fetchone()[0]  # noqa: S608
        page = f"{where} ORDER BY {search.order} LIMIT ? OFFSET ?"
        return self._select(page, (*values, search.limit, search.offset)), count

    def delete(self, gateway_id: str, search: LogSearch) -> None:
        """Delete a gateway's first `search.limit` logs that match, in the search's order."""
        inner = f"SELECT number FROM logs WHERE gateway = ? AND ({search.where}) ORDER BY {search.order} LIMIT ?"  # noqa: S608
        values = (gateway_id, *search.values, search.limit)
        self._db.execute(f"DELETE FROM logs WHERE number IN ({inner})", values)  # noqa: S608

    def delete_all(self, gateway_id: str) -> None:
        """Delete all logs of a gateway."""
        self._db.execute("DELETE FROM logs WHERE gateway = ?", (gateway_id,))

    def recent(self, limit: int, after: int) -> list[Log]:
        """Logs of all gateways, oldest first: the next ones after the number `after`, or the last ones if it is 0."""
        if after:
            return self._select("number > ? ORDER BY number LIMIT ?", (after, limit))
        return self._select("TRUE ORDER BY number DESC LIMIT ?", (limit,))[::-1]

    def totals(self) -> dict[str, dict[str, Any]]:
        """Gateway → sums of its logs: `calls`, `cached`, `failed`, `cost` in dollars, `tokens_in`, `tokens_out`."""
        sums = "count(*), sum(cached), sum(NOT success), sum(cost), sum(tokens_in), sum(tokens_out)"
        rows = self._db.execute(f"SELECT gateway, {sums} FROM logs GROUP BY gateway")  # noqa: S608 - names from above
        return {gateway: dict(zip(TOTALS, values, strict=True)) for gateway, *values in rows}

    def _select(self, where: str, values: Sequence[Any]) -> list[Log]:
        names = ["number", *STORED_FIELDS]
        rows = self._db.execute(f"SELECT {', '.join(names)} FROM logs WHERE {where}", values)  # noqa: S608
        return [_log(dict(zip(names, row, strict=True))) for row in rows]


def new_log_id(milliseconds: int) -> str:
    """A ULID, as recorded logs have it: 48 bits of time since 1970, 80 random bits."""
    number = milliseconds << 80 | int.from_bytes(os.urandom(10))
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def body_excerpt(body: bytes) -> str:
    """The beginning of a body, as much of it as its log stores."""
    return body[:MAX_BODY_BYTES].decode(errors="ignore")


def _column(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def _log(row: dict[str, Any]) -> Log:
    row |= {name: bool(row[name]) for name in FLAGS}
    row["metadata"] = json.loads(row["metadata"]) if row["metadata"] else None
    return Log(**row)
