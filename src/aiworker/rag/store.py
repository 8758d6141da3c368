"""Documents and their versions in D1: every SQL statement."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from aiworker.bindings import Database, Statement
from aiworker.errors import ApiError
from aiworker.rag import filters
from aiworker.rag.document_fields import safe_reader_url
from aiworker.rag.record import Record, selected

UNFINISHED = ("queued", "converting", "embedding")
MAX_LOOKED_UP = 1_000
"""Documents up to which those of a folder are looked up one by one."""
MAX_ROWS = 100
"""Rows of maintenance that one call returns; the next call returns the next."""


@dataclass(frozen=True)
class Version(Record):
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
    normalization: int = 0
    """Number of the normalisation that its passages are indexed by; 0 before they are."""
    file_name: str = ""
    """Name of the uploaded file."""
    charset: str = ""
    """Character encoding that the upload declares."""
    subject: str = ""
    """Subject of the browser token that uploaded it; empty without one."""
    payer: str = ""
    """Name of the key that uploaded it, whose budget pays for its ingestion; empty without one."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return super().from_row({**row, "url": safe_reader_url(row["url"])})

    @property
    def folder(self) -> str:
        """Prefix of its files' keys in the bucket."""
        return f"documents/{self.tenant}/{self.document_id}/{self.id}/"

    def vector_id(self, number: int) -> str:
        return f"{self.id}-{number}"

    def vector_ids(self, start: int = 0) -> list[str]:
        return [self.vector_id(number) for number in range(start, self.chunks)]


# ---- versions ----------------------------------------------------------------------------------------------------

_VERSION = "SELECT * FROM versions WHERE id = ?"
_UNCHANGED = """
SELECT * FROM (
  SELECT v.* FROM documents d JOIN versions v ON v.tenant = d.tenant AND v.document_id = d.id
  WHERE d.deleted = 0 AND d.tenant = ? AND d.id = ? AND v.state <> 'replaced'
  ORDER BY v.created_at DESC, v.id DESC LIMIT 1
) WHERE fingerprint = ? AND state <> 'failed'
"""
"""A document's newest version if it has that fingerprint and has not failed."""


async def add(database: Database, version: Version) -> Version:
    """Store a version, unless the newest one of its document is the same upload; return the one that is stored.

    Of any number of equal uploads at the same time, one is stored. Raises ApiError `unavailable` if an equal one has
    just ended.
    """
    row = version.to_row()
    rows = await database.run(
        (
            f"INSERT OR IGNORE INTO versions {selected(row)} WHERE NOT EXISTS ({_UNCHANGED})",
            *row.values(), version.tenant, version.document_id, version.fingerprint,
        ),
        (
            "INSERT INTO documents (tenant, id, created_at) SELECT tenant, document_id, created_at FROM versions "
            "WHERE id = ? ON CONFLICT (tenant, id) DO UPDATE SET deleted = 0",
            version.id,
        ),
        (_VERSION, version.id),
    )  # fmt: skip
    stored = Version.from_row(rows[0]) if rows else await unchanged(database, version)
    if stored is None:
        raise ApiError("unavailable", "An equal upload of the document has just ended: send it again.", retry_after=1)
    return stored


async def unchanged(database: Database, version: Version) -> Version | None:
    """Return the newest version of the document if it is the same upload as this one and has not failed."""
    return await _version(database, _UNCHANGED, version.tenant, version.document_id, version.fingerprint)


async def add_again(database: Database, version: Version) -> bool:
    """Add another version of a document; False if the document is gone, or has an unfinished version."""
    row = version.to_row()
    states = ", ".join(f"'{state}'" for state in UNFINISHED)
    await database.run(
        (
            f"INSERT INTO versions {selected(row)} "  # noqa: S608 - names of ours
            "WHERE EXISTS (SELECT 1 FROM documents WHERE tenant = ? AND id = ? AND deleted = 0) "
            f"AND NOT EXISTS (SELECT 1 FROM versions WHERE tenant = ? AND document_id = ? AND state IN ({states}))",
            *row.values(), version.tenant, version.document_id, version.tenant, version.document_id,
        )
    )  # fmt: skip
    return await find(database, version.id) is not None


async def _versions(database: Database, query: str, *values: str | float | None) -> list[Version]:
    return [Version.from_row(row) for row in await database.rows(query, *values)]


async def _version(database: Database, query: str, *values: str | float | None) -> Version | None:
    """Return the first version that the query finds, if any."""
    versions = await _versions(database, query, *values)
    return versions[0] if versions else None


async def find(database: Database, version_id: str) -> Version | None:
    return await _version(database, _VERSION, version_id)


async def set_state(
    database: Database, version_id: str, state: str, now: str, *, reason: str | None = None, chunks: int | None = None
) -> None:
    await database.run(state_change(version_id, state, now, reason=reason, chunks=chunks))


def state_change(
    version_id: str, state: str, now: str, *, reason: str | None = None, chunks: int | None = None
) -> Statement:
    """Return the statement that sets a version's state. chunks: number of its passages; None leaves it as it is."""
    return (
        "UPDATE versions SET state = ?, reason = ?, chunks = coalesce(?, chunks), updated_at = ? WHERE id = ?",
        state, reason, chunks, now, version_id,
    )  # fmt: skip


async def publish(database: Database, version: Version, now: str) -> bool:
    """Let readers see this version in place of any other; False if the document was deleted or has a newer one."""
    return await publish_over(database, version, now) is not None


async def publish_over(database: Database, version: Version, now: str) -> list[Version] | None:
    """Publish a version as `publish` does; return those that it has replaced, or None if it is not published."""
    newer = (
        "EXISTS (SELECT 1 FROM versions n JOIN documents d ON d.live_version = n.id "
        "WHERE d.tenant = ?1 AND d.id = ?2 AND n.created_at > ?4)"
    )
    rows = await database.run(
        (
            f"UPDATE documents SET live_version = ?3 WHERE tenant = ?1 AND id = ?2 AND deleted = 0 "  # noqa: S608 - no values in it
            f"AND EXISTS (SELECT 1 FROM versions WHERE id = ?3) AND NOT {newer}",
            version.tenant, version.document_id, version.id, version.created_at,
        ),
        (
            "UPDATE versions SET state = iif(id = ?3, 'indexed', 'replaced'), reason = iif(id = ?3, NULL, reason), "
            "updated_at = ?4 WHERE tenant = ?1 AND document_id = ?2 AND (id = ?3 OR created_at <= ?5) "
            "AND EXISTS (SELECT 1 FROM documents WHERE live_version = ?3) RETURNING *",
            version.tenant, version.document_id, version.id, now, version.created_at,
        ),
    )  # fmt: skip
    replaced = [each for each in map(Version.from_row, rows) if each.id != version.id]
    return replaced if len(replaced) < len(rows) else None


async def replaced_by(database: Database, version: Version) -> list[Version]:
    """Return the versions of the same document that are replaced, and so to be removed."""
    return await _versions(
        database,
        "SELECT * FROM versions WHERE tenant = ? AND document_id = ? AND id <> ? AND state = 'replaced'",
        version.tenant, version.document_id, version.id,
    )  # fmt: skip


async def delete_version(database: Database, version_id: str) -> None:
    """Delete the rows of a version and of its passages, and with the last version that of a deleted document."""
    await database.run(
        ("DELETE FROM chunks WHERE version = ?", version_id),
        (
            "DELETE FROM documents AS d WHERE deleted = 1 "
            "AND (tenant, id) = (SELECT tenant, document_id FROM versions WHERE id = ?1) AND NOT EXISTS "
            "(SELECT 1 FROM versions v WHERE v.tenant = d.tenant AND v.document_id = d.id AND v.id <> ?1)",
            version_id,
        ),
        ("DELETE FROM versions WHERE id = ?", version_id),
    )


async def unfinished(database: Database, before: str, small_before: str, small: int) -> list[str]:
    """Return the ids of unfinished versions without progress since `before`; of small ones, since `small_before`.

    small: bytes that a small version may have.
    """
    marks = ", ".join(f"'{state}'" for state in UNFINISHED)
    query = (
        f"SELECT id FROM versions WHERE state IN ({marks}) AND updated_at < max(?1, ?2) "  # noqa: S608 - names of ours
        f"AND (updated_at < ?1 OR size <= ?3 AND updated_at < ?2) LIMIT {MAX_ROWS}"
    )
    return [row["id"] for row in await database.rows(query, before, small_before, small)]


_DELETED = """
SELECT v.* FROM documents d JOIN versions v ON v.tenant = d.tenant AND v.document_id = d.id WHERE d.deleted = 1
"""
"""Remaining versions of deleted documents."""


async def marked_versions(database: Database, before: str, limit: int) -> list[Version]:
    """Return versions of deleted documents, and versions that were replaced before that time, to be removed."""
    return await _versions(
        database,
        f"{_DELETED} UNION ALL SELECT * FROM versions v WHERE state = 'replaced' AND updated_at < ? AND EXISTS "  # noqa: S608 - no values in it
        "(SELECT 1 FROM documents d WHERE d.tenant = v.tenant AND d.id = v.document_id AND d.deleted = 0) LIMIT ?",
        before, limit,
    )  # fmt: skip


# ---- documents ---------------------------------------------------------------------------------------------------

_DOCUMENTS = """
SELECT v.*, d.live_version FROM documents d
JOIN versions v ON v.tenant = d.tenant AND v.document_id = d.id
WHERE d.deleted = 0 AND d.tenant = ?
"""


async def versions_of(database: Database, tenant: str, document_id: str) -> list[Version]:
    """Return the versions of a document, the newest first; none for an unknown document."""
    newest_first = "AND d.id = ? AND v.state <> 'replaced' ORDER BY v.created_at DESC, v.id DESC"
    return await _versions(database, f"{_DOCUMENTS} {newest_first}", tenant, document_id)


async def live_version(database: Database, tenant: str, document_id: str) -> str | None:
    query = "SELECT live_version FROM documents WHERE tenant = ? AND id = ? AND deleted = 0"
    rows = await database.rows(query, tenant, document_id)
    return rows[0]["live_version"] if rows else None


async def shown_version(database: Database, tenant: str, document_id: str) -> Version | None:
    """Return the version that searches find, else the newest one; None for an unknown document."""
    shown_first = "AND d.id = ? ORDER BY v.id IS d.live_version DESC, v.created_at DESC, v.id DESC LIMIT 1"
    return await _version(database, f"{_DOCUMENTS} {shown_first}", tenant, document_id)


async def page(database: Database, tenant: str, after: str, limit: int, folder: str = "") -> list[Version]:
    """Return the newest version of each document with an id above `after`, ordered by document id.

    folder: only documents of it and of the folders below it; empty for all. Those of a folder with few documents are
    looked up by an index; those of one with many are soon met among the tenant's documents, which are read in order.
    """
    where, values = filters.condition(filters.below(folder), first=4)
    ids = await _ids_in_folder(database, tenant, after, *values) if values else []
    is_looked_up = bool(values) and len(ids) <= MAX_LOOKED_UP
    place, value = (
        ("d.id IN (SELECT value FROM json_each(?2))", json.dumps(ids)) if is_looked_up else ("d.id > ?2", after)
    )
    versions = "SELECT id FROM versions WHERE tenant = d.tenant AND document_id = d.id"
    newest = f"({versions} ORDER BY created_at DESC, id DESC LIMIT 1)"
    query = f"{_DOCUMENTS} AND {place} AND v.id = {newest} {where} ORDER BY d.id LIMIT ?3"
    return await _versions(database, query, tenant, value, limit, *values)


async def _ids_in_folder(database: Database, tenant: str, after: str, first: str, end: str) -> list[str]:
    """Return ids of documents of which a version is in a folder from `first` and before `end`.

    All of them, or more than MAX_LOOKED_UP.
    """
    rows = await database.rows(
        "SELECT DISTINCT document_id FROM versions INDEXED BY versions_by_folder WHERE tenant = ? "
        "AND json_type(metadata, '$.folder') = 'text' AND json_extract(metadata, '$.folder') >= ? "
        "AND json_extract(metadata, '$.folder') < ? AND document_id > ? LIMIT ?",
        tenant, first, end, after, MAX_LOOKED_UP + 1,
    )  # fmt: skip
    return [row["document_id"] for row in rows]


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


_BY_SUBJECT = "AND id IN (SELECT document_id FROM versions WHERE tenant = ?1 AND subject = ?2 AND subject <> '')"


async def mark_all_deleted(database: Database, tenant: str, subject: str | None) -> None:
    """Hide the documents of a tenant from readers at once; only those that the subject uploaded, if there is one."""
    where, values = (_BY_SUBJECT, (tenant, subject)) if subject is not None else ("", (tenant,))
    query = f"UPDATE documents SET deleted = 1, live_version = NULL WHERE tenant = ?1 {where}"  # noqa: S608 - no values in it
    await database.run((query, *values))


async def deleted_versions(database: Database, tenant: str, limit: int) -> list[Version]:
    """Return versions of a tenant's documents that are marked as deleted."""
    return await _versions(database, f"{_DELETED} AND d.tenant = ? LIMIT ?", tenant, limit)


async def tenants(database: Database, after: str, limit: int) -> list[str]:
    """Return tenants that have documents or conversations, in the order of their names, beginning after `after`."""
    # one search in the indexes for each name: DISTINCT would read every row
    following = (
        "SELECT min(name) FROM (SELECT min(tenant) AS name FROM documents WHERE tenant > {0} "
        "UNION ALL SELECT min(tenant) FROM conversations WHERE tenant > {0} "
        "UNION ALL SELECT min(tenant) FROM ai_search_items WHERE tenant > {0})"
    )
    rows = await database.rows(
        f"WITH RECURSIVE names (name) AS ({following.format('?1')} UNION ALL "  # noqa: S608 - no values in it
        f"SELECT ({following.format('names.name')}) FROM names WHERE name IS NOT NULL LIMIT ?2) "
        "SELECT name FROM names WHERE name IS NOT NULL",
        after, limit,
    )  # fmt: skip
    return [row["name"] for row in rows]


async def versions_of_deleted(database: Database, tenant: str, document_id: str) -> list[Version]:
    """Return the remaining versions of a document that is marked as deleted; none if it was uploaded again."""
    return await _versions(database, f"{_DELETED} AND d.tenant = ? AND d.id = ?", tenant, document_id)


async def has_deleted_documents(database: Database) -> bool:
    """Tell whether there are documents that are marked as deleted and not yet removed."""
    return bool(await database.rows("SELECT 1 FROM documents WHERE deleted = 1 LIMIT 1"))


async def delete_empty_documents(database: Database) -> None:
    """Delete the rows of documents that are marked as deleted and have no versions."""
    await database.run(
        (
            "DELETE FROM documents WHERE deleted = 1 AND NOT EXISTS "
            "(SELECT 1 FROM versions v WHERE v.tenant = documents.tenant AND v.document_id = documents.id)",
        )
    )
