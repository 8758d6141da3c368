"""The index of conversations in D1: their Durable Objects are found by name only, and cannot be listed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiworker.bindings import Database, ItemizedConversation, Turn
from aiworker.clock import now
from aiworker.conversation_owner import ConversationOwner
from aiworker.models.answer_reader import objects

MAX_TITLE = 80
"""Characters of a title."""


class IndexedConversation:
    """A conversation that is listed as soon as it has a turn, or metadata."""

    def __init__(
        self, conversation: ItemizedConversation, database: Database, owner: ConversationOwner, identity: str
    ) -> None:
        self._conversation = conversation
        self._database = database
        self._owner = owner
        self._id = identity

    async def history(self) -> list[dict[str, Any]]:
        return await self._conversation.history()

    async def append(self, messages: list[dict[str, Any]]) -> None:
        # the row comes first: after a crash, a row without a conversation is harmless; a conversation without a row
        # could never be deleted
        await record(self._database, self._owner, self._id, title_of(messages))
        await self._conversation.append(messages)

    async def turns(self) -> list[Turn]:
        return await self._conversation.turns()

    async def delete_item(self, turn: int, number: int) -> bool:
        # the title may come from this item; the next question gives another
        await self._database.run(("UPDATE conversations SET title = '' WHERE name = ?", self._owner.prefix + self._id))
        return await self._conversation.delete_item(turn, number)

    async def metadata(self) -> dict[str, str]:
        return await self._conversation.metadata()

    async def set_metadata(self, pairs: Mapping[str, str]) -> None:
        await record(self._database, self._owner, self._id)
        await self._conversation.set_metadata(pairs)

    async def erase(self) -> None:
        await self._conversation.erase()
        await delete(self._database, [self._owner.prefix + self._id])


async def record(database: Database, owner: ConversationOwner, identity: str, title: str = "") -> None:
    """List a conversation, or note the time of its turn. Its first title stays."""
    await database.run(
        (
            "INSERT INTO conversations (name, owner, tenant, subject, id, created_at, updated_at, title) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7) ON CONFLICT (name) DO UPDATE SET updated_at = ?6, "
            "title = iif(title = '', ?7, title)",
            owner.prefix + identity, owner.prefix, owner.tenant or "", owner.subject, identity, now(), title,
        )
    )  # fmt: skip


def title_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the beginning of the first question of a turn on one line; empty if no user's message has a text."""
    contents = (message.get("content") for message in messages if message.get("role") == "user")
    texts = (text for content in contents for text in _texts(content))
    # only the beginning is split: the text may have megabytes
    lines = (" ".join(text[: 4 * MAX_TITLE].split()) for text in texts)
    line = next(filter(None, lines), "")
    return line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1].rstrip() + "…"


def _texts(content: object) -> list[str]:
    """Return the texts of a message's content, which is a text or a list of parts."""
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in objects(content) if isinstance(part.get("text"), str)]


async def page(database: Database, owner: ConversationOwner, after: str, limit: int) -> list[dict[str, Any]]:
    """Return rows of an owner's conversations in the order of their ids, beginning after the id `after`.

    Those of the Responses API, whose ids have a colon, are left out.
    """
    return await database.rows(
        "SELECT * FROM conversations WHERE owner = ? AND name > ? AND id NOT LIKE '%:%' ORDER BY name LIMIT ?",
        owner.prefix, owner.prefix + after, limit,
    )  # fmt: skip


async def page_of_tenant(database: Database, tenant: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Return rows of conversations of all users of a tenant, beginning after the name `after`, as `page` does."""
    return await database.rows(
        "SELECT * FROM conversations WHERE tenant = ? AND name > ? AND id NOT LIKE '%:%' ORDER BY name LIMIT ?",
        tenant, after, limit,
    )  # fmt: skip


async def names(database: Database, tenants: Sequence[str], subject: str | None, limit: int) -> list[str]:
    """Return names of conversations of these tenants, of the subject only if there is one."""
    rows = await database.rows(
        "SELECT name FROM json_each(?1) JOIN conversations ON tenant = value WHERE ?2 IS NULL OR subject = ?2 LIMIT ?3",
        json.dumps(list(tenants)), subject, limit,
    )  # fmt: skip
    return [row["name"] for row in rows]


async def delete(database: Database, conversation_names: Sequence[str]) -> None:
    """Delete the rows of these conversations."""
    query = "DELETE FROM conversations WHERE name IN (SELECT value FROM json_each(?))"
    await database.run((query, json.dumps(list(conversation_names))))


async def delete_expired(database: Database, before: str) -> None:
    """Delete the rows of conversations without a turn since that time: their objects have erased themselves."""
    await database.run(("DELETE FROM conversations WHERE updated_at < ?", before))


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as the API shows it."""
    return {
        "conversation": row["id"],
        "tenant": row["tenant"] or None,
        "subject": row["subject"] or None,
        "title": row["title"] or None,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }
