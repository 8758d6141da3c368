"""Documents, versions and passages in D1: every SQL statement."""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from aiworker.bindings import Database
from aiworker.errors import ApiError
from aiworker.rag.document_fields import safe_reader_url
from aiworker.rag.passage import Range, without_title
from aiworker.rag.search_text import NORMALIZATION, index_text

UNFINISHED = ("queued", "converting", "embedding")
BATCH_CHARACTERS = 500_000
"""Characters of JSON in one statement's parameter, for which D1's limit is 2 MB."""
MAX_TITLE_CHARACTERS = 160
"""Characters of the title that are indexed with each passage."""
SEPARATOR_BYTES = 8
"""Bytes that separate title, headings and text of a passage that is embedded."""
PASSAGES_A_WRITE = 100
"""Passages whose words are written together."""
CHARACTERS_AT_A_STRETCH = 10_000
"""Characters of normalised text after which others get their turn: some 30 ms in a Worker for the slowest letters."""
MAX_COUNTED = 500
"""Passages up to which the passages of a word are counted."""
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
    def from_row(cls, row: Mapping[str, Any]) -> "Version":
        fields = {name: row[name] for name in cls.__dataclass_fields__}
        read: dict[str, Any] = {"metadata": json.loads(row["metadata"]), "url": safe_reader_url(row["url"])}
        return cls(**{**fields, **read})

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

    Of any number of equal uploads at the same time, one is stored. Raises ApiError `unavailable` if the equal one has
    ended in this moment.
    """
    row = {**version.__dict__, "metadata": json.dumps(version.metadata, ensure_ascii=False)}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    await database.run(
        (
            f"INSERT OR IGNORE INTO versions ({names}) SELECT {marks} WHERE NOT EXISTS ({_UNCHANGED})",
            *row.values(), version.tenant, version.document_id, version.fingerprint,
        ),
        (
            "INSERT INTO documents (tenant, id, created_at) SELECT tenant, document_id, created_at FROM versions "
            "WHERE id = ? ON CONFLICT (tenant, id) DO UPDATE SET deleted = 0",
            version.id,
        ),
    )  # fmt: skip
    stored = await find(database, version.id) or await unchanged(database, version)
    if stored is None:
        raise ApiError("unavailable", "An equal upload of the document has just ended: send it again.", retry_after=1)
    return stored


async def unchanged(database: Database, version: Version) -> Version | None:
    """Return the newest version of the document if it is the same upload as this one and has not failed."""
    rows = await database.rows(_UNCHANGED, version.tenant, version.document_id, version.fingerprint)
    return Version.from_row(rows[0]) if rows else None


async def add_again(database: Database, version: Version) -> bool:
    """Add another version of a document; False if the document is gone, or has an unfinished version."""
    row = {**version.__dict__, "metadata": json.dumps(version.metadata, ensure_ascii=False)}
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    states = ", ".join(f"'{state}'" for state in UNFINISHED)
    await database.run(
        (
            f"INSERT INTO versions ({names}) SELECT {marks} "  # noqa: S608 - names of ours
            "WHERE EXISTS (SELECT 1 FROM documents WHERE tenant = ? AND id = ? AND deleted = 0) "
            f"AND NOT EXISTS (SELECT 1 FROM versions WHERE tenant = ? AND document_id = ? AND state IN ({states}))",
            *row.values(), version.tenant, version.document_id, version.tenant, version.document_id,
        )
    )  # fmt: skip
    return await find(database, version.id) is not None


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


async def unfinished(database: Database, before: str) -> list[str]:
    """Return the ids of unfinished versions whose state has not changed since that time."""
    marks = ", ".join(f"'{state}'" for state in UNFINISHED)
    query = f"SELECT id FROM versions WHERE state IN ({marks}) AND updated_at < ? LIMIT {MAX_ROWS}"  # noqa: S608 - names of ours
    return [row["id"] for row in await database.rows(query, before)]


async def marked_versions(database: Database, before: str, limit: int) -> list[Version]:
    """Return versions of deleted documents, and versions that were replaced before that time, to be removed."""
    rows = await database.rows(
        "SELECT v.* FROM documents d JOIN versions v ON v.tenant = d.tenant AND v.document_id = d.id "
        "WHERE d.deleted = 1 UNION ALL SELECT * FROM versions v WHERE state = 'replaced' AND updated_at < ? AND EXISTS "
        "(SELECT 1 FROM documents d WHERE d.tenant = v.tenant AND d.id = v.document_id AND d.deleted = 0) LIMIT ?",
        before, limit,
    )  # fmt: skip
    return [Version.from_row(row) for row in rows]


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


async def shown_version(database: Database, tenant: str, document_id: str) -> Version | None:
    """Return the version that searches find, else the newest one; None for an unknown document."""
    shown_first = "AND d.id = ? ORDER BY v.id IS d.live_version DESC, v.created_at DESC, v.id DESC LIMIT 1"
    rows = await database.rows(f"{_DOCUMENTS} {shown_first}", tenant, document_id)
    return Version.from_row(rows[0]) if rows else None


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


_BY_SUBJECT = "AND id IN (SELECT document_id FROM versions WHERE tenant = ?1 AND subject = ?2 AND subject <> '')"


async def mark_all_deleted(database: Database, tenant: str, subject: str | None) -> None:
    """Hide the documents of a tenant from readers at once; only those that the subject uploaded, if there is one."""
    where, values = (_BY_SUBJECT, (tenant, subject)) if subject is not None else ("", (tenant,))
    query = f"UPDATE documents SET deleted = 1, live_version = NULL WHERE tenant = ?1 {where}"  # noqa: S608 - no values in it
    await database.run((query, *values))


async def deleted_versions(database: Database, tenant: str, limit: int) -> list[Version]:
    """Return versions of a tenant's documents that are marked as deleted."""
    rows = await database.rows(
        "SELECT v.* FROM documents d JOIN versions v ON v.tenant = d.tenant AND v.document_id = d.id "
        "WHERE d.tenant = ? AND d.deleted = 1 LIMIT ?",
        tenant, limit,
    )  # fmt: skip
    return [Version.from_row(row) for row in rows]


async def tenants(database: Database, after: str, limit: int) -> list[str]:
    """Return tenants that have documents or conversations, in the order of their names, from behind `after`."""
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
    rows = await database.rows(
        "SELECT v.* FROM versions v JOIN documents d ON d.tenant = v.tenant AND d.id = v.document_id "
        "WHERE d.tenant = ? AND d.id = ? AND d.deleted = 1",
        tenant, document_id,
    )  # fmt: skip
    return [Version.from_row(row) for row in rows]


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


# ---- passages ----------------------------------------------------------------------------------------------------


async def put_chunks(
    database: Database,
    version: Version,
    chunks: Sequence[tuple[int, str, str]],
    first: int = 0,
    ranges: Sequence[Range | None] = (),
) -> None:
    """Store a version's passages, (number, heading, text), in place of those from number `first`; index their words.

    ranges: where each passage stands in the document's text, if that is known.
    """
    await database.run(("DELETE FROM chunks WHERE version = ? AND number >= ?", version.id, first))
    rows = zip_longest(chunks, ranges)
    for batch in _batches(json.dumps([*chunk, *(place or (None, None))]) for chunk, place in rows):
        await database.run(
            (
                "INSERT OR REPLACE INTO chunks (version, number, scope, heading, text, first_byte, end_byte) "
                "SELECT ?, value ->> 0, ?, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?)",
                version.id, scope(version.tenant), batch,
            )
        )  # fmt: skip
    await index_chunks(database, version, chunks)
    await set_normalization(database, version.id)


async def delete_chunks(database: Database, version_id: str, first: int) -> None:
    """Delete a version's passages from number `first`."""
    await database.run(
        ("DELETE FROM chunks WHERE version = ? AND number >= ?", version_id, first),
        ("UPDATE versions SET chunks = min(chunks, ?) WHERE id = ?", first, version_id),
    )


async def index_chunks(database: Database, version: Version, chunks: Sequence[tuple[int, str, str]]) -> None:
    """Index the words of stored passages, (number, heading, text), in place of those that are indexed."""
    title = index_text(version.title[:MAX_TITLE_CHARACTERS])
    for start in range(0, len(chunks), PASSAGES_A_WRITE):
        rows: list[str] = []
        written = 0
        for number, heading, text in chunks[start : start + PASSAGES_A_WRITE]:
            words = map(index_text, without_title(version.title, heading, text))
            rows.append(json.dumps([number, title, *words], ensure_ascii=False))
            written += len(rows[-1])
            if written > CHARACTERS_AT_A_STRETCH:
                await asyncio.sleep(0)
                written = 0
        for batch in _batches(rows):
            await database.run(
                (
                    "INSERT OR REPLACE INTO passage_words (rowid, scope, title, heading, text) "
                    "SELECT c.row, c.scope, value ->> 1, value ->> 2, value ->> 3 "
                    "FROM json_each(?2) CROSS JOIN chunks c ON c.version = ?1 AND c.number = value ->> 0",
                    version.id, batch,
                )
            )  # fmt: skip


def _batches(rows: Iterable[str]) -> Iterator[str]:
    """Yield the rows, each a value as JSON, as arrays that fit into a parameter of a statement."""
    batch: list[str] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row)
        if size > BATCH_CHARACTERS:
            yield f"[{','.join(batch)}]"
            batch, size = [], 0
    if batch:
        yield f"[{','.join(batch)}]"


async def set_normalization(database: Database, version_id: str) -> None:
    """Note that all passages of a version are indexed by the present normalisation."""
    await database.run(("UPDATE versions SET normalization = ? WHERE id = ?", NORMALIZATION, version_id))


async def versions_to_index(database: Database, limit: int) -> list[Version]:
    """Return published versions whose passages are not indexed by the present normalisation."""
    query = "SELECT * FROM versions WHERE state = 'indexed' AND normalization < ? LIMIT ?"
    return [Version.from_row(row) for row in await database.rows(query, NORMALIZATION, limit)]


async def chunks(database: Database, version_id: str, start: int, count: int) -> list[dict[str, Any]]:
    """Return up to `count` passages from number `start`: `number`, `heading`, `text`, `first_byte`, `end_byte`."""
    return await database.rows(
        "SELECT number, heading, text, first_byte, end_byte FROM chunks "
        "WHERE version = ? AND number >= ? AND number < ? ORDER BY number",
        version_id, start, start + count,
    )  # fmt: skip


async def text_to_embed(database: Database, version: Version) -> tuple[int, int]:
    """Return the number of a version's passages, and the bytes of their texts with titles and headings."""
    [row] = await database.rows(
        "SELECT count(*) AS passages, total(length(CAST(heading AS BLOB)) + length(CAST(text AS BLOB))) AS bytes "
        "FROM chunks WHERE version = ?",
        version.id,
    )
    title = len(version.title[:MAX_TITLE_CHARACTERS].encode())
    return row["passages"], int(row["bytes"]) + row["passages"] * (title + SEPARATOR_BYTES)


_LIVE = """
JOIN versions v ON v.id = c.version
JOIN documents d ON d.tenant = v.tenant AND d.id = v.document_id AND d.live_version = v.id
WHERE v.tenant = ?1
"""
"""Joins and condition that leave, of passages `c`, those that the readers of a tenant see."""


async def passages(
    database: Database, tenant: str, vector_ids: Sequence[str], condition: tuple[str, list[Any]] = ("", [])
) -> dict[str, dict[str, Any]]:
    """Return vector id → row, for those of the ids that belong to live passages and meet the condition.

    One statement, so that all passages of a document are of the same version. condition: SQL on `v.metadata`, with its
    values, whose parameters start at number 3.
    """
    where, values = condition
    rows = await database.rows(
        "SELECT value AS vector_id, c.heading, c.text, c.first_byte, c.end_byte, "  # noqa: S608 - names that are checked
        "v.document_id, v.title, v.url, v.metadata, v.media_type "
        "FROM json_each(?2) CROSS JOIN chunks c ON c.version = substr(value, 1, instr(value, '-') - 1) "
        f"AND c.number = CAST(substr(value, instr(value, '-') + 1) AS INTEGER) {_LIVE} {where}",
        tenant, json.dumps(list(vector_ids)), *values,
    )  # fmt: skip
    return {row["vector_id"]: row for row in rows}


async def replaced_documents(database: Database, vector_ids: Iterable[str]) -> set[str]:
    """Return the ids of the documents of which these passages were, before a newer version became live."""
    version_ids = {vector_id.partition("-")[0] for vector_id in vector_ids}
    rows = await database.rows(
        "SELECT DISTINCT v.document_id FROM json_each(?) CROSS JOIN versions v ON v.id = value "
        "WHERE v.state = 'replaced'",
        json.dumps(sorted(version_ids)),
    )
    return {row["document_id"] for row in rows}


async def fulltext_search(
    database: Database,
    tenant: str,
    terms: Sequence[str],
    terms_as_written: Sequence[str],
    condition: tuple[str, list[Any]],
    limit: int,
) -> dict[str, float]:
    """Return vector id → score of live passages that contain any of the terms, the best by BM25 first.

    terms: expressions of search_text.query_terms. terms_as_written: those for passages that are not normalised yet.
    condition: SQL on `v.metadata`, with its values, whose parameters start at number 6.
    """
    where, values = condition
    normalized = _ranked("passage_words", "0, 2, 2, 1", f"MATCH ?2 AND v.normalization >= ?4 {where}")
    as_written = _ranked(
        "chunk_words", "0, 2, 1", f"MATCH ?5 AND v.normalization < ?4 {where}", f"{_OUTDATED} CROSS JOIN"
    )
    query = f"SELECT * FROM ({normalized}) UNION ALL SELECT * FROM ({as_written}) ORDER BY score DESC LIMIT ?3"  # noqa: S608 - no values in it
    match = f"scope : {scope(tenant)} AND {{title heading text}} : ({' OR '.join(terms)})"
    match_as_written = f"scope : {scope(tenant)} AND {{heading text}} : ({' OR '.join(terms_as_written or terms)})"
    rows = await database.rows(query, tenant, match, limit, NORMALIZATION, match_as_written, *values)
    return {row["vector_id"]: row["score"] for row in rows}


_OUTDATED = "(SELECT 1 WHERE EXISTS (SELECT 1 FROM versions WHERE state = 'indexed' AND normalization < ?4))"
"""Source of one row if there are passages that are not normalised yet, else of none, so that nothing is searched."""


def _ranked(index: str, weights: str, conditions: str, source: str = "") -> str:
    """Return the SQL of a search. weights: of the index's columns. conditions: SQL that follows the index's name.

    The index sorts its matches by rank before any is looked up in another table, and this ends with the last that is
    wanted: with 100,000 matches, looking up each takes as long as everything else. CROSS JOIN keeps that order.
    """
    live = _LIVE.replace("JOIN", "CROSS JOIN")
    return (
        f"SELECT c.version || '-' || c.number AS vector_id, -{index}.rank AS score "  # noqa: S608 - names of ours
        f"FROM {source} {index} CROSS JOIN chunks c ON c.row = {index}.rowid {live} "
        f"AND {index}.rank MATCH 'bm25({weights})' AND {index} {conditions} ORDER BY {index}.rank LIMIT ?3"
    )


async def rarest_terms(database: Database, tenant: str, terms: Sequence[str], count: int) -> list[str]:
    """Return the `count` terms that the fewest of a tenant's passages contain, in their order.

    Those that no passage contains come last; of equally rare ones, the longest come first.
    """
    rows = await database.rows(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM passage_words WHERE passage_words MATCH "
        "'scope : ' || ?1 || ' AND {title heading text} : (' || value || ')' LIMIT ?2)) AS passages FROM json_each(?3)",
        scope(tenant), MAX_COUNTED, json.dumps(list(terms)),
    )  # fmt: skip
    counted = list(zip(terms, (row["passages"] for row in rows), strict=True))
    rarest = sorted(counted, key=lambda each: (not each[1], each[1], -len(each[0])))[:count]
    kept = {term for term, _ in rarest}
    return [term for term in terms if term in kept]
