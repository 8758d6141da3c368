"""What was said under one id, kept by a Durable Object with SQLite: one object a conversation.

A turn is what the client sent and what the model answered: it is kept once the answer is whole. Of an answer that broke
off, or that the client did not wait for, nothing stays.
"""

import json
from typing import Any, Protocol

from aiworker.models.token_counts import estimate

SCHEMA = "CREATE TABLE IF NOT EXISTS turns (id INTEGER PRIMARY KEY AUTOINCREMENT, messages TEXT NOT NULL)"
TOO_MUCH = """
DELETE FROM turns WHERE id <> ?1 AND id IN (
  SELECT id FROM (SELECT id, sum(length(messages)) OVER (ORDER BY id DESC) AS size FROM turns) WHERE size > ?2)
"""
"""The oldest turns, beyond so many characters in all; but never the newest."""
MAX_TURNS = 500
MAX_CHARACTERS = 4_000_000
"""Of JSON in all turns that are kept: no model's context holds so much, and an isolate has to. Older ones go."""


class Storage(Protocol):
    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        """The rows."""
        ...

    async def wake_in(self, seconds: float) -> None:
        """Call the object's `alarm` after so many seconds, in place of any alarm set before."""
        ...

    async def erase(self) -> None: ...


class ConversationStore:
    def __init__(self, storage: Storage, seconds: float) -> None:
        """seconds: after so many without a new turn the conversation is erased."""
        self._storage = storage
        self._seconds = seconds

    def history(self) -> str:
        """The messages of all turns, oldest first, as a JSON array."""
        # reading makes nothing: else every id that someone tries would leave an object behind
        if not self._storage.execute("SELECT name FROM sqlite_master WHERE name = 'turns'"):
            return "[]"
        rows = self._storage.execute("SELECT messages FROM turns ORDER BY id")
        return json.dumps([message for [messages] in rows for message in json.loads(messages)])

    async def append(self, messages: str) -> None:
        """Keep one more turn, a JSON array of messages."""
        self._storage.execute(SCHEMA)  # erasing takes the table too
        [[turn]] = self._storage.execute("INSERT INTO turns (messages) VALUES (?) RETURNING id", messages)
        self._storage.execute("DELETE FROM turns WHERE id <= ?", turn - MAX_TURNS)
        self._storage.execute(TOO_MUCH, turn, MAX_CHARACTERS)
        await self._storage.wake_in(self._seconds)

    async def erase(self) -> None:
        await self._storage.erase()


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
