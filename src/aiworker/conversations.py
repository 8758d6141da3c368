"""Conversations, each stored by a Durable Object of its own with SQLite.

A turn is the messages that the client sent and the model's answer. It is stored when the answer is complete: nothing is
stored of an answer that broke off, or that the client did not wait for.
"""

import json
from typing import Any

from aiworker.models.token_counts import estimate_message
from aiworker.object_storage import Deadlines, Storage, has_table

SCHEMA = "CREATE TABLE IF NOT EXISTS turns (id INTEGER PRIMARY KEY AUTOINCREMENT, messages TEXT NOT NULL)"
DELETE_OLDEST = """
DELETE FROM turns WHERE id <> ?1 AND id IN (
  SELECT id FROM (SELECT id, sum(length(messages)) OVER (ORDER BY id DESC) AS size FROM turns) WHERE size > ?2)
"""
"""Deletes the oldest turns beyond ?2 characters in all, but never ?1, the newest."""
MAX_TURNS = 500
MAX_CHARACTERS = 4_000_000
"""Characters of JSON in all stored turns: more than any model's context, and little enough for an isolate."""


CONVERSATION = "conversation"
"""Name of the deadline at which a conversation is erased."""


class ConversationStore:
    """The turns of one conversation."""

    def __init__(self, storage: Storage, deadlines: Deadlines, seconds: float) -> None:
        """seconds: time without a new turn after which the conversation is erased."""
        self._storage = storage
        self._deadlines = deadlines
        self._seconds = seconds

    def history(self, *, without_last: bool = False) -> str:
        """Return the messages of all turns, or of all but the last, oldest first, as a JSON array."""
        if not has_table(self._storage, "turns"):
            return "[]"
        rows = self._storage.execute("SELECT messages FROM turns ORDER BY id")
        rows = rows[:-1] if without_last else rows
        return json.dumps([message for [messages] in rows for message in json.loads(messages)])

    async def append(self, messages: str) -> None:
        """Store a turn, a JSON array of messages."""
        self._storage.execute(SCHEMA)  # erasing takes the table too
        [[turn]] = self._storage.execute("INSERT INTO turns (messages) VALUES (?) RETURNING id", messages)
        self._storage.execute("DELETE FROM turns WHERE id <= ?", turn - MAX_TURNS)
        self._storage.execute(DELETE_OLDEST, turn, MAX_CHARACTERS)
        await self._deadlines.set(CONVERSATION, self._seconds)

    def delete_last(self) -> None:
        """Delete the last turn, if there is one: another takes its place."""
        if has_table(self._storage, "turns"):
            self._storage.execute("DELETE FROM turns WHERE id = (SELECT max(id) FROM turns)")

    async def erase(self) -> None:
        """Delete all turns, and whatever else the object stores."""
        await self._storage.erase()


class OwnConversation:
    """aiworker.bindings.Conversation within the object that stores it."""

    def __init__(self, store: ConversationStore, *, replaces_last: bool) -> None:
        """replaces_last: the next turn takes the place of the last one."""
        self._store = store
        self._replaces_last = replaces_last

    async def history(self) -> list[dict[str, Any]]:
        return json.loads(self._store.history(without_last=self._replaces_last))

    async def append(self, messages: list[dict[str, Any]]) -> None:
        if self._replaces_last:
            self._store.delete_last()
        await self._store.append(json.dumps(messages))

    async def erase(self) -> None:
        await self._store.erase()


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
