"""Batches of documents in D1: every SQL statement.

Every document of a batch has a row from the start. Its state is read from its version.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from aiworker.bindings import Database
from aiworker.rag import document_states
from aiworker.rag.batch_entries import Entry
from aiworker.rag.record import Record, selected

UNLIMITED = 1_000_000_000
MAX_ROWS = 100
"""Rows of maintenance that one call returns; the next call returns the next."""
Form = Literal["lines", "form"]
"""Form of a batch's body: JSON lines, or a form with files."""


@dataclass(frozen=True)
class Batch(Record):
    """The facts about a batch that its job needs."""

    job: str
    tenant: str
    form: Form
    metadata: dict[str, Any]
    """Metadata of all its files."""
    caller: str
    """The caller whose documents in an hour are counted, as the rate limits name them."""
    payer: str
    """Name of the key whose budget pays; empty for none."""
    subject: str
    """Subject of the browser token that has sent it; empty for none."""
    documents: int
    """Number of its documents."""
    created_at: str


def body_key(job: str) -> str:
    """Return the key of a batch's body in the bucket."""
    return f"batches/{job}"


@dataclass(frozen=True)
class Outcome:
    """The version of a document, or the reason why it has none."""

    number: int
    document_id: str | None = None
    version: str | None = None
    reason: str | None = None


STATES = ("queued", "running", "indexed", "failed", "replaced")
"""States of the documents of a batch."""
_DOCUMENTS = f"FROM batch_documents e {document_states.VERSION} WHERE e.job = ?1"


async def add(database: Database, batch: Batch, entries: Sequence[Entry], hourly: int | None) -> bool:
    """Store a batch and its documents.

    Return False if the caller's batches of the last hour would then have more than `hourly` documents (None: no limit).
    """
    row = batch.to_row()
    earlier = (
        "SELECT coalesce(sum(documents), 0) FROM batches "
        "WHERE caller = ? AND created_at > strftime('%Y-%m-%dT%H:%M:%f', ?, '-1 hour')"
    )
    await database.run(
        (
            f"INSERT INTO batches {selected(row)} WHERE ({earlier}) + ? <= ?",
            *row.values(), batch.caller, batch.created_at, batch.documents, UNLIMITED if hourly is None else hourly,
        ),
        (
            "INSERT INTO batch_documents (job, number, start, size, path, media_type, charset) "
            "SELECT b.job, value ->> 'number', value ->> 'start', value ->> 'size', value ->> 'path', "
            "value ->> 'media_type', value ->> 'charset' FROM batches b, json_each(?) WHERE b.job = ?",
            json.dumps([asdict(each) for each in entries]), batch.job,
        ),
    )  # fmt: skip
    return await find(database, batch.job) is not None


async def find(database: Database, job: str) -> Batch | None:
    rows = await database.rows("SELECT * FROM batches WHERE job = ?", job)
    return Batch.from_row(rows[0]) if rows else None


async def delete(database: Database, job: str) -> None:
    """Delete the rows of a batch; its documents stay."""
    await database.run(
        ("DELETE FROM batch_documents WHERE job = ?", job),
        ("DELETE FROM batches WHERE job = ?", job),
    )


async def without_job(database: Database, before: str) -> list[str]:
    """Return batches from before that time whose jobs are gone, or were never started."""
    rows = await database.rows(
        f"SELECT job FROM batches b WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = b.job) "  # noqa: S608 - no values in it
        f"LIMIT {MAX_ROWS}",
        before,
    )  # fmt: skip
    return [row["job"] for row in rows]


# ---- documents ---------------------------------------------------------------------------------------------------


async def queued(database: Database, job: str, limit: int) -> list[Entry]:
    """Return the next documents that have not been added yet, in order."""
    rows = await database.rows(
        "SELECT number, start, size, path, media_type, charset FROM batch_documents "
        "WHERE job = ? AND version IS NULL AND reason IS NULL ORDER BY number LIMIT ?",
        job, limit,
    )  # fmt: skip
    return [Entry(**row) for row in rows]


async def record(database: Database, job: str, outcome: Outcome) -> None:
    """Store the outcome of a document."""
    await database.run(
        (
            "UPDATE batch_documents SET document_id = ?, version = ?, reason = ? WHERE job = ? AND number = ?",
            outcome.document_id, outcome.version, outcome.reason, job, outcome.number,
        )
    )  # fmt: skip


async def counts(database: Database, job: str) -> Mapping[str, int]:
    """Return state → number of documents."""
    query = f"SELECT {document_states.state('replaced')} AS state, count(*) AS documents {_DOCUMENTS} GROUP BY 1"
    return {row["state"]: row["documents"] for row in await database.rows(query, job)}


async def documents(database: Database, job: str, state: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Return documents with a number above `after`, in their order. state: only those in it; empty for all."""
    query = document_states.page("e.number, e.path, e.document_id AS id", _DOCUMENTS, "number", "replaced")
    return await database.rows(query, job, after, state, limit)
