"""Conversations, each stored by a Durable Object of its own with SQLite.

A turn is the messages that the client sent and the model's answer. It is stored when the answer is complete: nothing is
stored of an answer that broke off, or that the client did not wait for.
"""

import json
from typing import Any, Protocol

from aiworker.models.token_counts import estimate_message

SCHEMA = "CREATE TABLE IF NOT EXISTS turns (id INTEGER PRIMARY KEY AUTOINCREMENT, messages TEXT NOT NULL)"
DELETE_OLDEST = """
DELETE FROM turns WHERE id <> ?1 AND id IN (
  SELECT id FROM (SELECT id, sum(length(messages)) OVER (ORDER BY id DESC) AS size FROM turns) WHERE size > ?2)
"""
"""Deletes the oldest turns beyond ?2 characters in all, but never ?1, the newest."""
MAX_TURNS = 500
MAX_CHARACTERS = 4_000_000
"""Characters of JSON in all stored turns: more than any model's context, and little enough for an isolate."""


class Storage(Protocol):
    """The storage of a Durable Object: a SQLite database and an alarm."""

    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        """Run a statement and return its rows."""
        ...

    async def wake_in(self, seconds: float) -> None:
        """Set the object's alarm, in place of any that is set."""
        ...

    async def erase(self) -> None:
        """Delete everything, the alarm included."""
        ...


class ConversationStore:
    """The turns of one conversation."""

    def __init__(self, storage: Storage, seconds: float) -> None:
        """seconds: time without a new turn after which the conversation is erased."""
        self._storage = storage
        self._seconds = seconds

    def history(self) -> str:
        """Return the messages of all turns, oldest first, as a JSON array."""
        # reading creates no table: otherwise every id that somebody tries would leave an object with storage
        if not self._storage.execute("SELECT name FROM sqlite_master WHERE name = 'turns'"):
            return "[]"
        rows = self._storage.execute("SELECT messages FROM turns ORDER BY id")
        return json.dumps([message for [messages] in rows for message in json.loads(messages)])

    async def append(self, messages: str) -> None:
        """Store a turn, a JSON array of messages."""
        self._storage.execute(SCHEMA)  # erasing takes the table too
        [[turn]] = self._storage.execute("INSERT INTO turns (messages) VALUES (?) RETURNING id", messages)
        self._storage.execute("DELETE FROM turns WHERE id <= ?", turn - MAX_TURNS)
        self._storage.execute(DELETE_OLDEST, turn, MAX_CHARACTERS)
        await self._storage.wake_in(self._seconds)

    async def erase(self) -> None:
        """Delete all turns."""
        await self._storage.erase()


def select_recent(history: list[dict[str, Any]], tokens: int) -> list[dict[str, Any]]:
    """Return the latest messages with at most `tokens` tokens together, by an estimate that is rather too high.

    They begin with a user's message: models refuse or misread an answer without its question, or a tool's result
    without its call.
    """
    total, start = 0, len(history)
    for index in range(len(history) - 1, -1, -1):
        total += estimate_message(history[index])
        if total > tokens:
            break
        if history[index]["role"] == "user":
            start = index
    return history[start:]
