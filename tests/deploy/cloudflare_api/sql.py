"""SQL as D1 runs it: all statements of a request in one transaction, with `meta` for each."""

import sqlite3
import time
from pathlib import Path
from typing import Any

from tests.deploy.cloudflare_api import miniflare
from tests.deploy.cloudflare_api.envelope import ApiError, Document

Statement = tuple[str, list[Any]]
"""SQL and the values of its parameters."""


def split(text: str, parameters: list[Any]) -> list[Statement]:
    """The statements of a text, each of which takes as many parameters as it has question marks.

    Raises ApiError 7500 for a text without any.
    """
    statements: list[str] = []
    start = 0
    for end in (index + 1 for index, character in enumerate(text) if character == ";"):
        # knows of strings, comments and the bodies of triggers
        if sqlite3.complete_statement(text[start:end]):
            statements.append(text[start:end].strip())
            start = end
    statements.append(text[start:].strip())
    meant = [statement for statement in statements if not _is_blank(statement)]
    if not meant:
        raise ApiError(400, 7500, "No SQL statements detected.")
    if len(meant) > 1 and parameters:
        raise ApiError(400, 7500, "The request has parameters for several statements.")  # a guess
    return [(statement, parameters) for statement in meant]


def _is_blank(statement: str) -> bool:
    lines = (line.strip() for line in statement.splitlines())
    return all(not line or line.startswith("--") or line == ";" for line in lines)


def run(file: Path, statements: list[Statement], *, is_raw: bool = False) -> list[Document]:
    """The statements' results, or none of their effects. Raises ApiError 7500 in SQLite's words."""
    with miniflare.opened(file) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [_run_one(connection, *statement, is_raw=is_raw) for statement in statements]
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            kind = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
            raise ApiError(400, 7500, f"{error}: {kind}") from error
        except Exception:
            connection.execute("ROLLBACK")
            raise
    size = file.stat().st_size
    return [result | {"meta": result["meta"] | {"size_after": size}} for result in results]


def _run_one(connection: sqlite3.Connection, text: str, parameters: list[Any], *, is_raw: bool) -> Document:
    start, before = time.perf_counter(), connection.total_changes
    cursor = connection.execute(text, parameters)
    rows = cursor.fetchall()
    columns = [column[0] for column in cursor.description or []]
    changes = connection.total_changes - before
    meta = {
        "served_by": "stand-in",
        "duration": (time.perf_counter() - start) * 1000,
        "changes": changes,
        "last_row_id": cursor.lastrowid or 0,
        "changed_db": changes > 0 or not columns,
        "rows_read": len(rows),
        "rows_written": changes,
    }
    named = [dict(zip(columns, row, strict=True)) for row in rows]
    return {"success": True, "results": {"columns": columns, "rows": rows} if is_raw else named, "meta": meta}
