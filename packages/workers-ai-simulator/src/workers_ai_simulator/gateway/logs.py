"""The log of every call through a gateway, in SQLite."""

import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from workers_ai_simulator.gateway.options import Scalar

MOST_LOGS = 10_000
"""Of all gateways together; the oldest go first. Cloudflare keeps 10 million a gateway, or 100,000 an account."""
MOST_KEPT = 64 * 1024
"""Bytes of a body; Cloudflare keeps 10 MB a log."""
HEAD = 4096
"""Characters of a body that are shown with its log; how many Cloudflare shows was not found."""

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

COLUMNS = """
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
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS logs ({COLUMNS});
CREATE INDEX IF NOT EXISTS logs_by_time ON logs (gateway, created_at, number);
"""


@dataclass
class Log:
    id: str
    gateway: str
    created_at: int
    """Milliseconds since 1970, when the call arrived."""
    provider: str
    model: str
    path: str
    event_id: str | None = None
    user_agent: str | None = None
    model_type: str | None = None
    """The model's task."""
    step: int = 0
    duration: int = 0
    """Milliseconds until the answer's end."""
    status_code: int = 200
    success: bool = False
    """Whether the model's answer came to its end."""
    cached: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0
    """Dollars."""
    custom_cost: bool = False
    metadata: dict[str, Scalar | None] | None = None
    request_type: str | None = None
    request_content_type: str | None = None
    response_content_type: str | None = None
    request_size: int = 0
    """Bytes."""
    response_size: int = 0
    request: str | None = None
    """The body's beginning, or None if it is not kept."""
    response: str | None = None
    score: float | None = None
    feedback: int | None = None
    number: int = field(default=0, compare=False)
    """Counts the logs, so that a page can ask for what is new."""

    def summary(self) -> dict[str, Any]:
        """As a list of logs has it: all but the bodies."""
        return {name: getattr(self, name) for name in SHOWN} | {"created_at": moment(self.created_at)}

    def to_json(self) -> dict[str, Any]:
        """As `getLog` and the REST API have it: `AiGatewayLog` leaves out what is not known."""
        request, response = self.request or "", self.response or ""
        known = {name: value for name, value in self.summary().items() if value is not None or name in NULLABLE}
        return known | {
            "request_size": self.request_size,
            "request_head": request[:HEAD],
            "request_head_complete": len(request.encode()) >= self.request_size and len(request) <= HEAD,
            "response_size": self.response_size,
            "response_head": response[:HEAD],
            "response_head_complete": len(response.encode()) >= self.response_size and len(response) <= HEAD,
        }


BODIES = ("request", "response", "request_size", "response_size")
SHOWN = [each.name for each in fields(Log) if each.name not in (*BODIES, "number", "gateway")]
STORED = [each.name for each in fields(Log) if each.name != "number"]
FLAGS = ("success", "cached", "custom_cost")
NULLABLE = ("score", "feedback", "event_id", "user_agent", "metadata")
"""Which `AiGatewayLog` does not list at all; and `metadata`, which is null in recordings."""


@dataclass(frozen=True)
class Search:
    """Which logs of a gateway: an SQL condition with its values, their order, and the part of them."""

    where: str = "TRUE"
    values: Sequence[Any] = ()
    order: str = "created_at DESC, number DESC"
    limit: int = 20
    offset: int = 0


class LogStore:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._db.executescript(SCHEMA)

    def add(self, log: Log) -> None:
        row = [_column(getattr(log, name)) for name in STORED]
        places = ", ".join("?" for _ in STORED)
        added = self._db.execute(f"INSERT INTO logs ({', '.join(STORED)}) VALUES ({places})", row)  # noqa: S608 - names from above
        self._db.execute("DELETE FROM logs WHERE number <= ?", ((added.lastrowid or 0) - MOST_LOGS,))

    def find(self, gateway_id: str, log_id: str) -> Log | None:
        found = self._select("gateway = ? AND id = ?", (gateway_id, log_id))
        return found[0] if found else None

    def patch(self, log: Log, changes: dict[str, Any]) -> None:
        """Set the columns of one log."""
        for name, value in changes.items():
            self._db.execute(f"UPDATE logs SET {name} = ? WHERE id = ?", (_column(value), log.id))  # noqa: S608

    def search(self, gateway_id: str, search: Search) -> tuple[list[Log], int]:
        """The part of the matching logs that is asked for, and how many match."""
        where, values = f"gateway = ? AND ({search.where})", (gateway_id, *search.values)
        count = self._db.execute(f"SELECT count(*) FROM logs WHERE {where}", values).fetchone()[0]  # noqa: S608
        part = f"{where} ORDER BY {search.order} LIMIT ? OFFSET ?"
        return self._select(part, (*values, search.limit, search.offset)), count

    def delete(self, gateway_id: str, search: Search) -> None:
        inner = f"SELECT number FROM logs WHERE gateway = ? AND ({search.where}) ORDER BY {search.order} LIMIT ?"  # noqa: S608
        values = (gateway_id, *search.values, search.limit)
        self._db.execute(f"DELETE FROM logs WHERE number IN ({inner})", values)  # noqa: S608

    def forget(self, gateway_id: str) -> None:
        """All logs of that gateway."""
        self._db.execute("DELETE FROM logs WHERE gateway = ?", (gateway_id,))

    def recent(self, limit: int, after: int) -> list[Log]:
        """Of all gateways: the next ones after that number, or with 0 the last ones; in the order of their writing."""
        if after:
            return self._select("number > ? ORDER BY number LIMIT ?", (after, limit))
        return self._select("TRUE ORDER BY number DESC LIMIT ?", (limit,))[::-1]

    def _select(self, where: str, values: Sequence[Any]) -> list[Log]:
        names = ["number", *STORED]
        rows = self._db.execute(f"SELECT {', '.join(names)} FROM logs WHERE {where}", values)  # noqa: S608
        return [_log(dict(zip(names, row, strict=True))) for row in rows]


def new_id(milliseconds: int) -> str:
    """A ULID, as recorded logs have it: 48 bits of time, 80 of chance."""
    number = milliseconds << 80 | int.from_bytes(os.urandom(10))
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def moment(milliseconds: int) -> str:
    """ISO 8601, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def kept(body: bytes) -> str:
    """The part of a body that its log keeps."""
    return body[:MOST_KEPT].decode(errors="ignore")


def _column(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def _log(row: dict[str, Any]) -> Log:
    row |= {name: bool(row[name]) for name in FLAGS}
    row["metadata"] = json.loads(row["metadata"]) if row["metadata"] else None
    return Log(**row)
