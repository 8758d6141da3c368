"""Uploads that AI Search holds, in D1: every SQL statement of this engine.

A row is one version of a document. Searches return what belongs to the live version, whatever AI Search finds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiworker.bindings import Database
from aiworker.rag import filters
from aiworker.rag.store import Version

FIELDS = (
    "id", "tenant", "document_id", "state", "reason", "title", "url", "metadata", "media_type", "size", "fingerprint",
    "chunks", "created_at", "updated_at", "file_name", "charset",
)  # fmt: skip
"""Columns that are fields of Version."""
COLUMNS = ", ".join((*FIELDS, "key", "item", "live"))
HIDDEN = "('deleted', 'replaced')"
"""States of rows whose items are still to be removed from AI Search."""
MAX_ROWS = 20
"""Unfinished rows, and rows to remove, that one call returns."""


@dataclass(frozen=True)
class Item:
    """A version of a document, and the item of AI Search with its file."""

    version: Version
    key: str
    """The item's key: unique, with an extension by which AI Search knows the kind."""
    item_id: str
    """Empty until the file has been uploaded."""
    is_live: bool = False

    def with_state(self, state: str, reason: str | None = None) -> "Item":
        return replace(self, version=replace(self.version, state=state, reason=reason))


async def add(database: Database, item: Item) -> Item:
    """Add a version, unless the newest of its document has the same content and has not failed; return the newest."""
    version = item.version
    values = {name: getattr(version, name) for name in FIELDS}
    values["metadata"] = json.dumps(version.metadata, ensure_ascii=False)
    row = (*values.values(), item.key, item.item_id, 0)
    newest = (
        f"SELECT 1 FROM (SELECT fingerprint, state FROM ai_search_items WHERE tenant = ? AND document_id = ? "  # noqa: S608
        f"AND state NOT IN {HIDDEN} ORDER BY created_at DESC, rowid DESC LIMIT 1) "
        "WHERE fingerprint = ? AND state <> 'failed'"
    )
    await database.run(
        (
            f"INSERT INTO ai_search_items ({COLUMNS}) SELECT {', '.join('?' * len(row))} "
            f"WHERE NOT EXISTS ({newest})",
            *row, version.tenant, version.document_id, version.fingerprint,
        )
    )  # fmt: skip
    return (await versions_of(database, version.tenant, version.document_id))[0]


async def unchanged(database: Database, version: Version) -> Item | None:
    """Return the newest version of the document if it has the same content and has not failed."""
    versions = await versions_of(database, version.tenant, version.document_id)
    newest = versions[0] if versions else None
    is_same = newest and newest.version.fingerprint == version.fingerprint and newest.version.state != "failed"
    return newest if is_same else None


async def remove(database: Database, version_id: str) -> None:
    await database.run(("DELETE FROM ai_search_items WHERE id = ?", version_id))


async def versions_of(database: Database, tenant: str, document_id: str) -> list[Item]:
    """Return the versions of a document, the newest first."""
    return await _rows(
        database,
        f"WHERE tenant = ? AND document_id = ? AND state NOT IN {HIDDEN} ORDER BY created_at DESC, rowid DESC",
        tenant, document_id,
    )  # fmt: skip


async def page(database: Database, tenant: str, after: str, limit: int, folder: str = "") -> list[Item]:
    """Return the newest version of each document with an id above `after`, by id.

    folder: only documents of it and of the folders below it; empty for all.
    """
    where, values = filters.condition(filters.below(folder), first=4)
    newest = (
        f"SELECT id FROM ai_search_items o WHERE o.tenant = v.tenant AND o.document_id = v.document_id "  # noqa: S608
        f"AND o.state NOT IN {HIDDEN} ORDER BY o.created_at DESC, o.rowid DESC LIMIT 1"
    )
    return await _rows(
        database,
        f"WHERE tenant = ? AND document_id > ? AND id = ({newest}) {where} ORDER BY document_id LIMIT ?3",
        tenant, after, limit, *values,
    )  # fmt: skip


async def unfinished(database: Database, tenant: str) -> list[Item]:
    """Return the tenant's rows whose state AI Search may have changed, or whose items are to be removed."""
    condition = "state NOT IN ('indexed', 'failed')"  # as the index has it
    return await _rows(database, f"WHERE tenant = ? AND {condition} ORDER BY updated_at LIMIT {MAX_ROWS}", tenant)


async def has_live(database: Database, tenant: str) -> bool:
    query = "SELECT 1 AS found FROM ai_search_items WHERE tenant = ? AND live = 1 LIMIT 1"
    return bool(await database.rows(query, tenant))


async def live(
    database: Database, tenant: str, keys: Sequence[str], condition: tuple[str, list[Any]]
) -> dict[str, Version]:
    """Return key → version, for those of the keys that belong to live versions and meet the condition.

    condition: SQL on `v.metadata`, with its values, whose parameters start at number 3.
    """
    where, values = condition
    rows = await database.rows(
        "SELECT v.* FROM json_each(?2) wanted CROSS JOIN ai_search_items v ON v.key = wanted.value "  # noqa: S608
        f"WHERE v.tenant = ?1 AND v.live = 1 {where}",
        tenant, json.dumps(list(keys)), *values,
    )  # fmt: skip
    return {row["key"]: _item(row).version for row in rows}


async def set_item(database: Database, version_id: str, item_id: str) -> None:
    await database.run(("UPDATE ai_search_items SET item = ? WHERE id = ?", item_id, version_id))


async def set_state(
    database: Database, version_id: str, state: str, now: str, *, reason: str | None = None, chunks: int = 0
) -> None:
    """Set the state of a row that is not hidden."""
    await database.run(
        (
            f"UPDATE ai_search_items SET state = ?, reason = ?, chunks = ?, updated_at = ? "  # noqa: S608
            f"WHERE id = ? AND state NOT IN {HIDDEN}",
            state, reason, chunks, now, version_id,
        )
    )  # fmt: skip


async def publish(database: Database, item: Item, chunks: int, now: str) -> None:
    """Make a version the one that searches find, and hide earlier ones; if a newer one is live already, hide this
    one."""
    version = item.version
    key, created = (version.tenant, version.document_id), version.created_at
    await database.run(
        (
            f"UPDATE ai_search_items SET state = 'replaced', updated_at = ? WHERE id = ? AND state NOT IN {HIDDEN} "  # noqa: S608
            "AND EXISTS (SELECT 1 FROM ai_search_items n WHERE n.tenant = ? AND n.document_id = ? AND n.live = 1 "
            "AND n.created_at > ?)",
            now, version.id, *key, created,
        ),
        (
            "UPDATE ai_search_items SET state = 'replaced', live = 0, updated_at = ? WHERE tenant = ? "  # noqa: S608
            "AND document_id = ? AND created_at <= ? AND id <> ? AND state <> 'deleted' "
            f"AND EXISTS (SELECT 1 FROM ai_search_items n WHERE n.id = ? AND n.state NOT IN {HIDDEN})",
            now, *key, created, version.id, version.id,
        ),
        (
            "UPDATE ai_search_items SET state = 'indexed', live = 1, reason = NULL, chunks = ?, updated_at = ? "  # noqa: S608
            f"WHERE id = ? AND state NOT IN {HIDDEN}",
            chunks, now, version.id,
        ),
    )  # fmt: skip


async def hide(database: Database, tenant: str, document_id: str, now: str) -> list[Item]:
    """Hide all versions of a document from readers; return them."""
    await database.run(
        (
            "UPDATE ai_search_items SET state = 'deleted', live = 0, updated_at = ? "
            "WHERE tenant = ? AND document_id = ?",
            now, tenant, document_id,
        )
    )  # fmt: skip
    return await _rows(database, "WHERE tenant = ? AND document_id = ?", tenant, document_id)


async def _rows(database: Database, condition: str, *values: str | float) -> list[Item]:
    rows = await database.rows(f"SELECT {COLUMNS} FROM ai_search_items v {condition}", *values)  # noqa: S608
    return [_item(row) for row in rows]


def _item(row: Mapping[str, Any]) -> Item:
    fields = {name: row[name] for name in FIELDS}
    version = Version.from_row({**fields, "normalization": 0, "subject": "", "payer": ""})
    return Item(version, row["key"], row["item"], bool(row["live"]))
