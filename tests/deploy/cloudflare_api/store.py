"""Documents on disk: everything the account has besides files, in one SQLite database."""

import json
import sqlite3
from pathlib import Path

from tests.deploy.cloudflare_api.envelope import Document

SEPARATOR = "\x1f"
"""Between the parts of a key; no name of a resource has it."""


class Store:
    """JSON documents by kind and key. Each change is on disk when the call returns."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, isolation_level=None)  # each statement commits by itself
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS documents (number INTEGER PRIMARY KEY, kind TEXT, key TEXT, json TEXT,"
            " UNIQUE (kind, key))"
        )

    def get(self, kind: str, *key: str) -> Document | None:
        query = "SELECT json FROM documents WHERE kind = ? AND key = ?"
        row = self._database.execute(query, (kind, SEPARATOR.join(key))).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, document: Document, kind: str, *key: str) -> Document:
        """Keep the document under its key, in place of an older one, and return it."""
        self._database.execute(
            "INSERT INTO documents (kind, key, json) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, key) DO UPDATE SET json = excluded.json",
            (kind, SEPARATOR.join(key), json.dumps(document)),
        )
        return document

    def delete(self, kind: str, *key: str) -> None:
        """Delete a document, and those whose keys begin with its key."""
        joined = SEPARATOR.join(key)
        query = "DELETE FROM documents WHERE kind = ? AND (key = ? OR substr(key, 1, ?) = ?)"
        prefix = joined + SEPARATOR
        self._database.execute(query, (kind, joined, len(prefix), prefix))

    def list(self, kind: str, *prefix: str) -> list[Document]:
        """Documents whose keys begin with these parts, oldest first."""
        start = SEPARATOR.join((*prefix, ""))
        query = "SELECT json FROM documents WHERE kind = ? AND substr(key, 1, ?) = ? ORDER BY number"
        return [json.loads(row[0]) for row in self._database.execute(query, (kind, len(start), start))]

    def close(self) -> None:
        self._database.close()
