"""Batches of documents: a job adds one document after the other, each as if it had been sent in a request of its
own."""

import asyncio
import codecs
import datetime
from collections.abc import Sequence

from aiworker.clock import now
from aiworker.context import Resources
from aiworker.error_text import public_message
from aiworker.errors import ApiError, ErrorType
from aiworker.http.body import parse_object, parse_payload_with_text
from aiworker.http.messages import Payload
from aiworker.jobs.store import Job, Progress
from aiworker.rag import batch_store, ingestion_cost, paths, upload
from aiworker.rag.batch_entries import Entry
from aiworker.rag.batch_store import Batch, Outcome
from aiworker.rag.document_fields import DocumentFields, DocumentRequest
from aiworker.rag.upload import Upload

KIND = "batch"
"""Kind of the job that takes the documents of a batch."""
DOCUMENTS_A_STEP = 8
"""Documents that one step takes, each with about eight calls of bindings."""
TICK = datetime.timedelta(microseconds=1)
TRANSIENT: tuple[ErrorType, ...] = ("upstream_error", "unavailable", "timeout")
"""Temporary errors of bindings, after which the step is tried again."""


async def step(resources: Resources, job: Job) -> Progress:
    """Take the next documents of a batch; after the last ones, remove its body.

    Raises ApiError if the bucket or the database fails; documents that are taken stay so.
    """
    database = resources.database
    batch = await batch_store.find(database, job.id)
    entries = await batch_store.queued(database, job.id, DOCUMENTS_A_STEP) if batch else []
    if batch and entries:
        await _take_all(resources, batch, entries)
    else:
        await resources.bucket.delete(batch_store.body_key(job.id))
    counted = await batch_store.counts(database, job.id)
    total = sum(counted.values())
    return Progress(not entries, total=total, done=total - counted.get("queued", 0), failed=counted.get("failed", 0))


async def _take_all(resources: Resources, batch: Batch, entries: Sequence[Entry]) -> None:
    created = now()
    for entry in entries:
        created = _later(created)
        outcome = await _take(resources, batch, entry, created)
        # recorded one by one: a repeated step must not add an earlier version of a document after a later one
        await batch_store.record(resources.database, batch.job, outcome)
        await asyncio.sleep(0)  # other requests get their turn


def _later(created: str) -> str:
    """Return the present time, or the first one after `created`: of two versions of a document, the later one stays."""
    return max(now(), (datetime.datetime.fromisoformat(created) + TICK).isoformat(timespec="microseconds"))


async def _take(resources: Resources, batch: Batch, entry: Entry, created: str) -> Outcome:
    charged = ingestion_cost.charged_to(resources, batch.payer)
    try:
        if not entry.size:  # R2 has no empty ranges
            raise ApiError("unprocessable", "The document is empty.")
        part = await resources.bucket.read_part(batch_store.body_key(batch.job), entry.start, entry.size)
        if part is None:
            raise ApiError("unprocessable", "The batch's file is missing in the bucket: send the document again.")
        taken = await _line(batch, entry, part[0]) if batch.form == "lines" else await _file(batch, entry, part[0])
        origin = f"{batch.job} {entry.number}"
        version = await upload.take(charged, taken, batch.tenant, batch.payer, created, origin, batch.subject)
        return Outcome(entry.number, version.document_id, version.id)
    except ApiError as error:
        if error.type in TRANSIENT:
            raise
        return Outcome(entry.number, reason=public_message(error.message))
    finally:
        await charged.request_budget.settle()


async def _line(batch: Batch, entry: Entry, content: Payload) -> Upload:
    if entry.size > upload.MAX_TEXT_BYTES:
        raise ApiError(
            "payload_too_large", f"A line has at most {upload.MAX_TEXT_BYTES:,} bytes: send the file in a form."
        )
    marked = content.read(0, len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
    line = content.slice(len(codecs.BOM_UTF8), content.size) if marked else content
    body, text = await parse_payload_with_text(DocumentRequest, line, "text")
    if body.tenant not in (None, batch.tenant):
        raise ApiError("forbidden", f"All documents of this batch belong to the tenant {batch.tenant}.", param="tenant")
    return await upload.of_text(body, text)


async def _file(batch: Batch, entry: Entry, content: Payload) -> Upload:
    fields = {
        "id": paths.document_id(entry.path),
        "title": paths.title(entry.path),
        "metadata": paths.metadata(entry.path, batch.metadata),
    }
    file = content.described(entry.path, entry.media_type, entry.charset)
    return await upload.of_file(parse_object(DocumentFields, fields), file)
