"""The last answer of a chat in the SQLite of its Durable Object, kept in batches while it is written."""

from typing import NamedTuple

from aiworker.object_storage import Storage, has_table

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS answers (id TEXT PRIMARY KEY, is_complete INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS answer_frames (id INTEGER PRIMARY KEY AUTOINCREMENT, frames TEXT NOT NULL)",
)
MAX_ROW = 500_000
"""Characters of one row; a value may have 2 MB. Source: developers.cloudflare.com/durable-objects/platform/limits."""


class StoredAnswer(NamedTuple):
    message_id: str
    frames: str
    """Server-sent events, as clients get them."""
    is_complete: bool
    """False for an answer that is being written, or whose writing was interrupted."""


class AnswerStore:
    """One answer at a time: a new one takes the place of the last."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def start(self, message_id: str) -> None:
        for statement in SCHEMA:
            self._storage.execute(statement)
        self.delete()
        self._storage.execute("INSERT INTO answers VALUES (?, 0)", message_id)

    def add(self, frames: str) -> None:
        """Store more frames of the answer that has begun."""
        for start in range(0, len(frames), MAX_ROW):
            self._storage.execute("INSERT INTO answer_frames (frames) VALUES (?)", frames[start : start + MAX_ROW])

    def complete(self) -> None:
        self._storage.execute("UPDATE answers SET is_complete = 1")

    def read(self) -> StoredAnswer | None:
        """Return the last answer; None if there is none."""
        if not has_table(self._storage, "answers"):
            return None
        rows = self._storage.execute("SELECT id, is_complete FROM answers")
        if not rows:
            return None
        [[message_id, is_complete]] = rows
        frames = self._storage.execute("SELECT frames FROM answer_frames ORDER BY id")
        return StoredAnswer(message_id, "".join(row[0] for row in frames), bool(is_complete))

    def delete(self) -> None:
        """Delete the answer. The tables must exist."""
        self._storage.execute("DELETE FROM answers")
        self._storage.execute("DELETE FROM answer_frames")
