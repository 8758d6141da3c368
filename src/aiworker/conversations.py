"""Conversations, each stored by a Durable Object of its own with SQLite.

A turn is the messages that the client sent and the model's answer. It is stored when the answer is complete: nothing is
stored of an answer that broke off, or that the client did not wait for.
"""

import json
from collections.abc import Mapping
from typing import Any

from aiworker.bindings import Turn
from aiworker.models.answer_reader import objects
from aiworker.models.token_counts import estimate_message
from aiworker.object_storage import Deadlines, Storage, has_table

SCHEMA = "CREATE TABLE IF NOT EXISTS turns (id INTEGER PRIMARY KEY AUTOINCREMENT, messages TEXT NOT NULL)"
DELETE_OLDEST = """
DELETE FROM turns WHERE id <> ?1 AND id IN (
  SELECT id FROM (SELECT id, sum(length(messages)) OVER (ORDER BY id DESC) AS size FROM turns) WHERE size > ?2)
"""
"""Deletes the oldest turns beyond ?2 characters in all, but never ?1, the newest."""
METADATA = "CREATE TABLE IF NOT EXISTS metadata (id INTEGER PRIMARY KEY CHECK (id = 0), pairs TEXT NOT NULL)"
MAX_TURNS = 500
MAX_CHARACTERS = 4_000_000
"""Characters of JSON in all stored turns: more than any model's context, and little enough for an isolate."""


NUMBERS = "items"
"""Field of a message from whose turn items were deleted: the numbers of the items that the message still has."""
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
        messages = [message for [messages] in rows for message in json.loads(messages)]
        return json.dumps([{name: each[name] for name in each if name != NUMBERS} for each in messages])

    def turns(self) -> str:
        """Return the turns, oldest first, as a JSON array of `[id, messages]`; `item_numbers` reads the messages."""
        if not has_table(self._storage, "turns"):
            return "[]"
        rows = self._storage.execute("SELECT id, messages FROM turns ORDER BY id")
        return json.dumps([[turn, json.loads(messages)] for turn, messages in rows])

    async def append(self, messages: str) -> None:
        """Store a turn, a JSON array of messages."""
        self._storage.execute(SCHEMA)  # the table is missing before the first turn and after `erase`
        [[turn]] = self._storage.execute("INSERT INTO turns (messages) VALUES (?) RETURNING id", messages)
        self._storage.execute("DELETE FROM turns WHERE id <= ?", turn - MAX_TURNS)
        self._storage.execute(DELETE_OLDEST, turn, MAX_CHARACTERS)
        await self._deadlines.set(CONVERSATION, self._seconds)

    def delete_item(self, turn: int, number: int) -> bool:
        """Delete an item of a turn; return False if there is none. The numbers of the others stay as they are."""
        if not has_table(self._storage, "turns"):
            return False
        for [stored] in self._storage.execute("SELECT messages FROM turns WHERE id = ?", turn):
            messages = json.loads(stored)
            rest = without_item(messages, number)
            if rest:
                self._storage.execute("UPDATE turns SET messages = ? WHERE id = ?", json.dumps(rest), turn)
            else:
                self._storage.execute("DELETE FROM turns WHERE id = ?", turn)
            return rest != messages
        return False

    def metadata(self) -> str:
        """Return the pairs of names and texts that a client has stored with the conversation, as a JSON object."""
        rows = self._storage.execute("SELECT pairs FROM metadata") if has_table(self._storage, "metadata") else []
        return rows[0][0] if rows else "{}"

    async def set_metadata(self, pairs: str) -> None:
        """Store pairs in place of all others. The conversation is kept as after a turn."""
        self._storage.execute(METADATA)
        self._storage.execute("INSERT OR REPLACE INTO metadata VALUES (0, ?)", pairs)
        await self._deadlines.set(CONVERSATION, self._seconds)

    def delete_last(self) -> None:
        """Delete the last turn, if there is one: another takes its place."""
        if has_table(self._storage, "turns"):
            self._storage.execute("DELETE FROM turns WHERE id = (SELECT max(id) FROM turns)")

    async def erase(self) -> None:
        """Delete all turns, and whatever else the object stores."""
        await self._storage.erase()


class OwnConversation:
    """aiworker.bindings.ItemizedConversation within the object that stores it."""

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

    async def turns(self) -> list[Turn]:
        return [Turn(*each) for each in json.loads(self._store.turns())]

    async def delete_item(self, turn: int, number: int) -> bool:
        return self._store.delete_item(turn, number)

    async def metadata(self) -> dict[str, str]:
        return json.loads(self._store.metadata())

    async def set_metadata(self, pairs: Mapping[str, str]) -> None:
        await self._store.set_metadata(json.dumps(pairs))

    async def erase(self) -> None:
        await self._store.erase()


# ---- items -------------------------------------------------------------------------------------------------------


def item_numbers(messages: list[dict[str, Any]]) -> list[list[int]]:
    """Return, for each message of a turn, the numbers of its items: its text, and each call of a tool, from 0."""
    numbers: list[list[int]] = []
    following = 0
    for message in messages:
        stored: list[int] | None = message.get(NUMBERS)
        numbers.append(list(range(following, following + _count_items(message))) if stored is None else stored)
        following = max([following, *(number + 1 for number in numbers[-1])])
    return numbers


def without_item(messages: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """Return a turn without one of its items, with the numbers of the others; unchanged if it has no such item."""
    numbers = item_numbers(messages)
    if not any(number in each for each in numbers):
        return messages
    rest: list[dict[str, Any]] = []
    for message, own in zip(messages, numbers, strict=True):
        left = _without(message, own.index(number)) if number in own else message
        if left:
            rest.append({**left, NUMBERS: [each for each in own if each != number]})
    return rest


def _without(message: dict[str, Any], position: int) -> dict[str, Any] | None:
    """Return a message without the item at a position; None if nothing is left of it."""
    if _count_items(message) == 1:
        return None
    if position == 0 and message.get("content"):
        return {**message, "content": ""}
    calls = objects(message.get("tool_calls"))
    del calls[position - bool(message.get("content"))]
    others = {name: value for name, value in message.items() if name != "tool_calls"}
    return {**others, "tool_calls": calls} if calls else others


def _count_items(message: dict[str, Any]) -> int:
    if message.get("role") == "tool":
        return 1
    return bool(message.get("content")) + len(objects(message.get("tool_calls")))


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
