"""Documents, versions and passages in D1: every SQL statement."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiworker.bindings import Database

UNFINISHED = ("queued", "converting", "embedding")
BATCH_CHARACTERS = 500_000
"""Characters of JSON in one statement's parameter, for which D1's limit is 2 MB."""
MAX_ROWS = 100
"""Rows of maintenance that one call returns; the next call returns the next."""


@dataclass(frozen=True)
class Version:
    """One upload of a document."""

    id: str
    tenant: str
    document_id: str
    state: str
    """queued, converting, embedding, indexed or failed; replaced once a newer version is live, until it is removed."""
    reason: str | None
    """Why it failed."""
    title: str
    url: str | None
    metadata: dict[str, Any]
    media_type: str
    size: int
    fingerprint: str
    """Hash of content, title, url and metadata: a version with the same one needs no ingestion."""
    chunks: int
    created_at: str
    updated_at: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Version":
        fields = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**fields, "metadata": json.loads(row["metadata"])})

    @property
    def folder(self) -> str:
        """Prefix of its files' keys in the bucket."""
        return f"documents/{self.tenant}/{self.document_id}/{self.id}/"

    def vector_id(self, number: int) -> str:
        return f"{self.id}-{number}"

    def vector_ids(self, start: int = 0) -> list[str]:
        return [self.vector_id(number) for number in range(start, self.chunks)]


def scope(tenant: str) -> str:
    """Return a tenant's value of the column `scope`: one word for full-text search, whatever the tenant's name."""
    return "t" + hashlib.sha256(tenant.encode()).hexdigest()[:32]


# ---- versions ----------------------------------------------------------------------------------------------------

_VERSION = "SELECT * FROM versions WHERE id = ?"


async def add(database: Database, version: Version) -> None:
    row = {**version.__dict__, "metadata": json.dumps(version.metadata, ensure_ascii=False)}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    await database.run(
        (
            "INSERT INTO documents (tenant, id, created_at) VALUES (?, ?, ?) "
            "ON CONFLICT (tenant, id) DO UPDATE SET deleted = 0",
            version.tenant,
            version.document_id,
            version.created_at,
        ),
        (f"INSERT INTO versions ({names}) VALUES ({marks})", *row.values()),  # noqa: S608 - names of ours
    )


async def find(database: Database, version_id: str) -> Version | None:
    rows = await database.rows(_VERSION, version_id)
    return Version.from_row(rows[0]) if rows else None


async def set_state(
    database: Database, version_id: str, state: str, now: str, *, reason: str | None = None, chunks: int | None = None
) -> None:
    await database.run(
        (
            "UPDATE versions SET state = ?, reason = ?, chunks = coalesce(?, chunks), updated_at = ? WHERE id = ?",
            state, reason, chunks, now, version_id,
        )
    )  # fmt: skip


async def publish(database: Database, version: Version, now: str) -> bool:
    """Let readers see this version in place of any other; False if the document was deleted or has a newer one."""
    newer = (
        "EXISTS (SELECT 1 FROM versions n JOIN documents d ON d.live_version = n.id "
        "WHERE d.tenant = ?1 AND d.id = ?2 AND n.created_at > ?4)"
    )
    await database.run(
        (
            f"UPDATE documents SET live_version = ?3 WHERE tenant = ?1 AND id = ?2 AND deleted = 0 "  # noqa: S608 - no values in it
            f"AND EXISTS (SELECT 1 FROM versions WHERE id = ?3) AND NOT {newer}",
            version.tenant, version.document_id, version.id, version.created_at,
        ),
        (
            "UPDATE versions SET state = 'indexed', reason = NULL, updated_at = ?2 "
            "WHERE id = ?1 AND EXISTS (SELECT 1 FROM documents WHERE live_version = ?1)",
            version.id, now,
        ),
        (
            "UPDATE versions SET state = 'replaced', updated_at = ?4 "
            "WHERE tenant = ?1 AND document_id = ?2 AND id <> ?3 AND created_at <= ?5 "
            "AND EXISTS (SELECT 1 FROM documents WHERE live_version = ?3)",
            version.tenant, version.document_id, version.id, now, version.created_at,
        ),
    )  # fmt: skip
    published = await find(database, version.id)
    return published is not None and published.state == "indexed"


async def replaced_by(database: Database, version: Version) -> list[Version]:
    """Return the versions of the same document that are replaced, and so to be removed."""
    rows = await database.rows(
        "SELECT * FROM versions WHERE tenant = ? AND document_id = ? AND id <> ? AND state = 'replaced'",
        version.tenant, version.document_id, version.id,
    )  # fmt: skip
    return [Version.from_row(row) for row in rows]


async def delete_version(database: Database, version_id: str) -> None:
    """Delete the rows of a version and of its passages."""
    await database.run(
        ("DELETE FROM chunks WHERE version = ?", version_id),
        ("DELETE FROM versions WHERE id = ?", version_id),
    )


async def unfinished(database: Database, before: str) -> list[str]:
    """Return the ids of unfinished versions whose state has not changed since that time."""
    marks = ", ".join(f"'{state}'" for state in UNFINISHED)
    query = f"SELECT id FROM versions WHERE state IN ({marks}) AND updated_at < ? LIMIT {MAX_ROWS}"  # noqa: S608 - names of ours
    return [row["id"] for row in await database.rows(query, before)]


async def replaced_before(database: Database, before: str) -> list[Version]:
    """Return the versions that were replaced before that time and are not yet removed."""
    query = f"SELECT * FROM versions WHERE state = 'replaced' AND updated_at < ? LIMIT {MAX_ROWS}"  # noqa: S608 - no values in it
    return [Version.from_row(row) for row in await database.rows(query, before)]


# ---- documents ---------------------------------------------------------------------------------------------------

_DOCUMENTS = """
SELECT v.*, d.live_version FROM documents d
JOIN versions v ON v.tenant = d.tenant AND v.document_id = d.id
WHERE d.deleted = 0 AND d.tenant = ?
"""


async def versions_of(database: Database, tenant: str, document_id: str) -> list[Version]:
    """Return the versions of a document, the newest first; none for an unknown document."""
    newest_first = "AND d.id = ? AND v.state <> 'replaced' ORDER BY v.created_at DESC, v.id DESC"
    rows = await database.rows(f"{_DOCUMENTS} {newest_first}", tenant, document_id)
    return [Version.from_row(row) for row in rows]


async def live_version(database: Database, tenant: str, document_id: str) -> str | None:
    query = "SELECT live_version FROM documents WHERE tenant = ? AND id = ? AND deleted = 0"
    rows = await database.rows(query, tenant, document_id)
    return rows[0]["live_version"] if rows else None


async def page(database: Database, tenant: str, after: str, limit: int) -> list[Version]:
    """Return the newest version of each document, ordered by document id, of ids after `after`."""
    versions = "SELECT id FROM versions WHERE tenant = d.tenant AND document_id = d.id"
    newest = f"({versions} ORDER BY created_at DESC, id DESC LIMIT 1)"
    query = f"{_DOCUMENTS} AND d.id > ? AND v.id = {newest} ORDER BY d.id LIMIT ?"
    return [Version.from_row(row) for row in await database.rows(query, tenant, after, limit)]


async def mark_deleted(database: Database, tenant: str, document_id: str) -> bool:
    """Hide the document from readers at once; False if there is none."""
    rows = await database.rows("SELECT 1 FROM documents WHERE tenant = ? AND id = ?", tenant, document_id)
    if not rows:
        return False
    await database.run(
        (
            "UPDATE documents SET deleted = 1, live_version = NULL WHERE tenant = ? AND id = ?",
            tenant, document_id,
        )
    )  # fmt: skip
    return True


async def versions_of_deleted(database: Database, tenant: str, document_id: str) -> list[Version]:
    """Return the remaining versions of a document that is marked as deleted; none if it was uploaded again."""
    rows = await database.rows(
        "SELECT v.* FROM versions v JOIN documents d ON d.tenant = v.tenant AND d.id = v.document_id "
        "WHERE d.tenant = ? AND d.id = ? AND d.deleted = 1",
        tenant, document_id,
    )  # fmt: skip
    return [Version.from_row(row) for row in rows]


async def deleted_documents(database: Database) -> list[tuple[str, str]]:
    """Return (tenant, id) of documents that are marked as deleted and not yet removed."""
    rows = await database.rows(f"SELECT tenant, id FROM documents WHERE deleted = 1 LIMIT {MAX_ROWS}")  # noqa: S608 - no values in it
    return [(row["tenant"], row["id"]) for row in rows]


async def delete_document(database: Database, tenant: str, document_id: str) -> None:
    """Delete the row of a document that is marked as deleted and has no versions left."""
    await database.run(
        (
            "DELETE FROM documents WHERE tenant = ?1 AND id = ?2 AND deleted = 1 "
            "AND NOT EXISTS (SELECT 1 FROM versions WHERE tenant = ?1 AND document_id = ?2)",
            tenant, document_id,
        )
    )  # fmt: skip


# ---- passages ----------------------------------------------------------------------------------------------------


async def put_chunks(database: Database, version: Version, chunks: Sequence[tuple[int, str, str]]) -> None:
    """Store a version's passages, (number, heading, text), in place of those it has."""
    await database.run(("DELETE FROM chunks WHERE version = ?", version.id))
    batch: list[str] = []
    size = 0
    for number, heading, text in chunks:
        batch.append(json.dumps([number, heading, text]))
        size += len(batch[-1])
        if size > BATCH_CHARACTERS:
            await _insert(database, version, batch)
            batch, size = [], 0
    if batch:
        await _insert(database, version, batch)


async def _insert(database: Database, version: Version, rows: list[str]) -> None:
    await database.run(
        (
            "INSERT OR REPLACE INTO chunks (version, number, scope, heading, text) "
            "SELECT ?, value ->> 0, ?, value ->> 1, value ->> 2 FROM json_each(?)",
            version.id, scope(version.tenant), f"[{','.join(rows)}]",
        )
    )  # fmt: skip


async def chunks(database: Database, version_id: str, start: int, count: int) -> list[dict[str, Any]]:
    """Return `number`, `heading` and `text` of up to `count` passages in order, from number `start`."""
    return await database.rows(
        "SELECT number, heading, text FROM chunks WHERE version = ? AND number >= ? AND number < ? ORDER BY number",
        version_id, start, start + count,
    )  # fmt: skip


_LIVE = """
SELECT c.version || '-' || c.number AS vector_id, c.heading, c.text, v.document_id, v.title, v.url, v.metadata
FROM {source} JOIN versions v ON v.id = c.version
JOIN documents d ON d.tenant = v.tenant AND d.id = v.document_id AND d.live_version = v.id
WHERE v.tenant = ?1
"""


async def passages(
    database: Database, tenant: str, vector_ids: Sequence[str], condition: tuple[str, list[Any]] = ("", [])
) -> dict[str, dict[str, Any]]:
    """Return vector id → row, for those of the ids that belong to live passages and meet the condition.

    condition: SQL on `v.metadata`, with its values, whose parameters start at number 3.
    """
    query = _LIVE.format(
        source="json_each(?2) wanted JOIN chunks c ON c.version = substr(value, 1, instr(value, '-') - 1) "
        "AND c.number = CAST(substr(value, instr(value, '-') + 1) AS INTEGER)"
    )
    where, values = condition
    rows = await database.rows(f"{query} {where}", tenant, json.dumps(list(vector_ids)), *values)
    return {row["vector_id"]: row for row in rows}


async def fulltext_search(
    database: Database, tenant: str, terms: Sequence[str], condition: tuple[str, list[Any]], limit: int
) -> list[dict[str, Any]]:
    """Return live passages that contain any of the terms, the best by BM25 first; their `score` is higher if better.

    condition: SQL on `v.metadata`, with its values, whose parameters start at number 4.
    """
    any_term = " OR ".join(f'"{term}"' for term in terms)
    match = f"scope : {scope(tenant)} AND {{heading text}} : ({any_term})"
    where, values = condition
    query = _LIVE.format(source="chunk_words JOIN chunks c ON c.row = chunk_words.rowid").replace(
        "SELECT ", "SELECT -bm25(chunk_words, 0, 2, 1) AS score, ", 1
    )
    query += f" AND chunk_words MATCH ?2 {where} ORDER BY score DESC LIMIT ?3"
    return await database.rows(query, tenant, match, limit, *values)
