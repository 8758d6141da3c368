"""Passages and their words in D1: every SQL statement that stores or finds them."""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from aiworker.bindings import Database, Statement
from aiworker.rag.passage import Range, without_title
from aiworker.rag.search_text import NORMALIZATION, index_text
from aiworker.rag.store import Version

BATCH_CHARACTERS = 500_000
"""Characters of JSON in one statement's parameter, for which D1's limit is 2 MB."""
MAX_TITLE_CHARACTERS = 160
"""Characters of the title that are indexed with each passage."""
SEPARATOR_BYTES = 8
"""Bytes that separate title, headings and text of a passage that is embedded."""
PASSAGES_A_WRITE = 100
"""Passages whose words `index_chunks` writes together."""
CHARACTERS_AT_A_STRETCH = 5_000
"""Characters of normalised text after which others get their turn: some 15 ms in a Worker for the slowest letters."""
MAX_COUNTED = 500
"""Passages up to which the passages of a word are counted."""

_IS_KEPT = (
    "EXISTS (SELECT 1 FROM versions WHERE id = ?1) AND NOT EXISTS (SELECT 1 FROM versions v "
    "JOIN documents d ON d.tenant = v.tenant AND d.id = v.document_id WHERE v.id = ?1 AND d.deleted = 1)"
)
"""Condition that version ?1 exists and its document is not marked as deleted."""

NumberedPassage = tuple[int, str, str]
"""Number of a passage in its version, its path of headings, and its text."""


def scope(tenant: str) -> str:
    """Return a tenant's value of the column `scope`: one word for full-text search, whatever the tenant's name."""
    return "t" + hashlib.sha256(tenant.encode()).hexdigest()[:32]


async def put_chunks(
    database: Database,
    version: Version,
    chunks: Sequence[NumberedPassage],
    first: int = 0,
    ranges: Sequence[Range | None] = (),
    then: Sequence[Statement] = (),
) -> None:
    """Store a version's passages in place of those from number `first`; index their words.

    All in one transaction. None is stored once the document is deleted, so that whoever removes it knows how many there
    are. ranges: the place of each passage in the document's text, if it is known. then: statements
    that end the transaction.
    """
    rows = zip_longest(chunks, ranges)
    stored: list[Statement] = [
        (
            "INSERT OR REPLACE INTO chunks (version, number, scope, heading, text, first_byte, end_byte) "  # noqa: S608 - no values in it
            "SELECT ?1, value ->> 0, ?2, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?3) "
            f"WHERE {_IS_KEPT}",
            version.id, scope(version.tenant), batch,
        )
        for batch in _batches(json.dumps([*chunk, *(place or (None, None))]) for chunk, place in rows)
    ]  # fmt: skip
    words = await _indexed_words(version, chunks)
    await database.run(
        ("DELETE FROM chunks WHERE version = ? AND number >= ?", version.id, first),
        *stored, *words, _normalized(version.id), *then,
    )  # fmt: skip


async def delete_chunks(database: Database, version_id: str, first: int) -> None:
    """Delete a version's passages from number `first`."""
    await database.run(
        ("DELETE FROM chunks WHERE version = ? AND number >= ?", version_id, first),
        ("UPDATE versions SET chunks = min(chunks, ?) WHERE id = ?", first, version_id),
    )


async def index_chunks(database: Database, version: Version, chunks: Sequence[NumberedPassage]) -> None:
    """Index the words of stored passages in place of those that are indexed."""
    for start in range(0, len(chunks), PASSAGES_A_WRITE):
        await database.run(*await _indexed_words(version, chunks[start : start + PASSAGES_A_WRITE]))


async def _indexed_words(version: Version, chunks: Sequence[NumberedPassage]) -> list[Statement]:
    """Return the statements that index the words of passages."""
    title = index_text(version.title[:MAX_TITLE_CHARACTERS])
    rows: list[str] = []
    normalized = 0
    for number, heading, text in chunks:
        words = map(index_text, without_title(version.title, heading, text))
        rows.append(json.dumps([number, title, *words], ensure_ascii=False))
        normalized += len(rows[-1])
        if normalized > CHARACTERS_AT_A_STRETCH:
            await asyncio.sleep(0)
            normalized = 0
    return [
        (
            "INSERT OR REPLACE INTO passage_words (rowid, scope, title, heading, text) "
            "SELECT c.row, c.scope, value ->> 1, value ->> 2, value ->> 3 "
            "FROM json_each(?2) CROSS JOIN chunks c ON c.version = ?1 AND c.number = value ->> 0",
            version.id, batch,
        )
        for batch in _batches(rows)
    ]  # fmt: skip


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
    await database.run(_normalized(version_id))


def _normalized(version_id: str) -> Statement:
    return "UPDATE versions SET normalization = ? WHERE id = ?", NORMALIZATION, version_id


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

SHOWN = ("c.heading", "c.text", "c.first_byte", "c.end_byte", "v.title", "v.url", "v.media_type")
"""Columns of what readers see of a passage."""
FIRST_CONDITION = 3
"""Number of the first parameter of a condition in `passages` and `fulltext_search`."""


async def passages(
    database: Database, tenant: str, vector_ids: Sequence[str], condition: tuple[str, list[Any]] = ("", [])
) -> dict[str, dict[str, Any]]:
    """Return vector id → row, for those of the ids that belong to live passages and meet the condition.

    One statement, so that all passages of a document are of the same version. condition: SQL on `v.metadata`, with its
    values, whose parameters start at number FIRST_CONDITION.
    """
    if not vector_ids:
        return {}
    where, values = condition
    rows = await database.rows(
        f"SELECT value AS vector_id, v.document_id, {', '.join(SHOWN)} "  # noqa: S608 - names of ours, and those that are checked
        "FROM json_each(?2) CROSS JOIN chunks c ON c.version = substr(value, 1, instr(value, '-') - 1) "
        f"AND c.number = CAST(substr(value, instr(value, '-') + 1) AS INTEGER) {_LIVE} {where}",
        tenant, json.dumps(vector_ids), *values,
    )  # fmt: skip
    return {row["vector_id"]: row for row in rows}


async def replaced_documents(database: Database, vector_ids: Iterable[str]) -> set[str]:
    """Return the ids of the documents to which these passages belonged before a newer version became live."""
    version_ids = {vector_id.partition("-")[0] for vector_id in vector_ids}
    rows = await database.rows(
        "SELECT DISTINCT v.document_id FROM json_each(?) CROSS JOIN versions v ON v.id = value "
        "WHERE v.state = 'replaced'",
        json.dumps(sorted(version_ids)),
    )
    return {row["document_id"] for row in rows}


class Terms(NamedTuple):
    """Words and codes of one query."""

    normalized: Sequence[str]
    """Expressions of search_text.query_terms."""
    as_written: Sequence[str]
    """Expressions for passages that are not normalised yet; empty if they are the same."""


async def fulltext_search(
    database: Database, tenant: str, queries: Sequence[Terms], condition: tuple[str, list[Any]], limit: int
) -> list[dict[str, float]]:
    """Return, for each query, vector id → score of the live passages that contain any of its terms, the best first.

    One statement for all queries. limit: number of passages for each. condition: SQL on `v.metadata`, with its values,
    whose parameters start at number FIRST_CONDITION.
    """
    where, values = condition
    searches: list[str] = []
    matches: list[str] = []
    for number, terms in enumerate(queries):
        if terms.normalized:
            first = FIRST_CONDITION + len(values) + len(matches)
            searches.append(_search(number, first, where))
            matches += _matches(tenant, terms)
    scores: list[dict[str, float]] = [{} for _ in queries]
    if searches:
        rows = await database.rows(" UNION ALL ".join(searches), tenant, limit, *values, *matches)
        for row in sorted(rows, key=lambda each: -each["score"]):
            scores[row["query"]][row["vector_id"]] = row["score"]
    return scores


def _matches(tenant: str, terms: Terms) -> list[str]:
    """Return the expressions of a query for both indexes."""
    as_written = terms.as_written or terms.normalized
    return [
        f"scope : {scope(tenant)} AND {{title heading text}} : ({' OR '.join(terms.normalized)})",
        f"scope : {scope(tenant)} AND {{heading text}} : ({' OR '.join(as_written)})",
    ]


def _search(number: int, first: int, where: str) -> str:
    """Return the SQL of a query's search, whose expressions are the parameters from number `first`."""
    normalized = _ranked(
        "passage_words", "0, 2, 2, 1", f"MATCH ?{first} AND v.normalization >= {NORMALIZATION} {where}"
    )
    as_written = _ranked(
        "chunk_words",
        "0, 2, 1",
        f"MATCH ?{first + 1} AND v.normalization < {NORMALIZATION} {where}",
        f"{_OUTDATED} CROSS JOIN",
    )
    both = f"SELECT * FROM ({normalized}) UNION ALL SELECT * FROM ({as_written})"  # noqa: S608 - no values in it
    return f"SELECT {number} AS query, * FROM ({both} ORDER BY score DESC LIMIT ?2)"  # noqa: S608 - the same


_OUTDATED = (
    f"(SELECT 1 WHERE EXISTS (SELECT 1 FROM versions WHERE state = 'indexed' AND normalization < {NORMALIZATION}))"  # noqa: S608
)
"""Source of one row if there are passages that are not normalised yet, else of none, so that nothing is searched."""


def _ranked(index: str, weights: str, conditions: str, source: str = "") -> str:
    """Return the SQL of a search. weights: of the index's columns. conditions: SQL that follows the index's name.

    The index sorts its matches by rank before any is looked up in another table, and the query ends at its limit: with
    100,000 matches, looking up each would take as long as everything else. CROSS JOIN keeps that order.
    """
    live = _LIVE.replace("JOIN", "CROSS JOIN")
    return (
        f"SELECT c.version || '-' || c.number AS vector_id, -{index}.rank AS score "  # noqa: S608 - names of ours
        f"FROM {source} {index} CROSS JOIN chunks c ON c.row = {index}.rowid {live} "
        f"AND {index}.rank MATCH 'bm25({weights})' AND {index} {conditions} ORDER BY {index}.rank LIMIT ?2"
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
