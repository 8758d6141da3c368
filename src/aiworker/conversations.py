"""What was said under one id, kept by a Durable Object with SQLite: one object a conversation.

A turn is what the client sent and what the model answered: it is kept once the answer is whole. Of an answer that broke
off, or that the client did not wait for, nothing stays.
"""

import json
from typing import Any, Protocol

from aiworker.ai.tokens import estimate

SCHEMA = "CREATE TABLE IF NOT EXISTS turns (id INTEGER PRIMARY KEY AUTOINCREMENT, messages TEXT NOT NULL)"
MOST_TURNS = 500
"""Older ones are forgotten: no model's context holds so many."""


class Storage(Protocol):
    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        """The rows."""
        ...

    async def wake_in(self, seconds: float) -> None:
        """Call the object's `alarm` after so many seconds, in place of any alarm set before."""
        ...

    async def erase(self) -> None: ...


class KeptConversation:
    def __init__(self, storage: Storage, seconds: float) -> None:
        """seconds: after so many without a new turn the conversation is erased."""
        self._storage = storage
        self._seconds = seconds

    def history(self) -> str:
        """The messages of all turns, oldest first, as a JSON array."""
        rows = self._rows("SELECT messages FROM turns ORDER BY id")
        return json.dumps([message for [messages] in rows for message in json.loads(messages)])

    async def append(self, messages: str) -> None:
        """Keep one more turn, a JSON array of messages."""
        [[turn]] = self._rows("INSERT INTO turns (messages) VALUES (?) RETURNING id", messages)
        self._rows("DELETE FROM turns WHERE id <= ?", turn - MOST_TURNS)
        await self._storage.wake_in(self._seconds)

    async def erase(self) -> None:
        await self._storage.erase()

    def _rows(self, query: str, *values: str | float) -> list[list[Any]]:
        self._storage.execute(SCHEMA)  # erasing takes the table too
        return self._storage.execute(query, *values)


def recent(history: list[dict[str, Any]], tokens: int) -> list[dict[str, Any]]:
    """The latest messages that fit into so many tokens, by an estimate that is rather too high.

    They begin with what a user said: an answer without its question, or a tool's result without its call, would be
    refused or misread.
    """
    kept, start = 0, len(history)
    for place in range(len(history) - 1, -1, -1):
        kept += estimate(history[place])
        if kept > tokens:
            break
        if history[place]["role"] == "user":
            start = place
    return history[start:]
