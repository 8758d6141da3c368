"""`POST /rag/documents/batch`: many documents in one request, which a job takes one after the other."""

from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from aiworker.auth import limits
from aiworker.bindings import require
from aiworker.clock import now
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import FORM, Reply, Schema, media_type, parse_json_field, parse_object
from aiworker.http.content_type import read_boundary
from aiworker.http.messages import Payload, Response, json_response
from aiworker.jobs import queue
from aiworker.rag import batch_entries, batch_store, filters, paths
from aiworker.rag.batch import KIND
from aiworker.rag.batch_entries import Entry
from aiworker.rag.batch_store import Batch
from aiworker.rag.document_fields import DocumentRequest, Metadata, Name, Scalar
from aiworker.rag.engine import require_own
from aiworker.routes.documents_schema import TenantQuery
from aiworker.routes.jobs import JobStatus, find_job, job_response
from aiworker.routing import Returns, route

LINES = ("application/x-ndjson", "application/jsonl")
"""Media types of JSON lines."""
MAX_DOCUMENTS_AN_HOUR = 100_000
"""Documents in the batches of one caller, whom the rate limits define."""
RETRY_SECONDS = 600


class BatchForm(Schema):
    """A form with files beside these fields, which are for all of them.

    The id, the title and the metadata `folder` of a document are made from its file's name, which may be a path.
    """

    metadata: Annotated[str, Field(max_length=20_000)] = "{}"
    """A JSON object."""
    folder: Annotated[str, Field(max_length=500)] = ""
    """Folder of all files, in front of their paths."""
    tenant: Name | None = None


class BatchMetadata(Schema):
    metadata: Metadata = Field(default_factory=dict[str, Scalar])


class DocumentsQuery(Schema):
    state: Literal["", "queued", "running", "indexed", "failed", "replaced"] = ""
    cursor: Annotated[int, Field(ge=0)] = 0
    """`cursor` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class BatchDocument(Reply):
    number: int
    """Number of the line, or of the file in the form, from 1."""
    path: str
    """Path of a file; empty for a line."""
    id: str | None
    """The document; null if it could not be taken."""
    state: str
    """`queued`, `running`, `indexed`, `failed`, or `replaced` by a later version."""
    reason: str | None


class BatchDocuments(Reply):
    documents: list[BatchDocument]
    cursor: int | None


@route(
    "POST", "/rag/documents/batch", scope="rag:write", rate="heavy", tag="Documents", query=TenantQuery,
    body={LINES[0]: DocumentRequest, LINES[1]: DocumentRequest, FORM: BatchForm}, files=("file",),
    returns=Returns(JobStatus, "The documents are being taken; `location` is the URL of the job.", 202),
    errors=("invalid_request", "unprocessable", "rate_limited", "upstream_error"),
    example=[{"id": "penguins", "text": "Penguins cannot fly."}, {"id": "bears", "text": "Bears sleep in winter."}],
)  # fmt: skip
async def add_batch(context: Context, query: TenantQuery) -> Response:
    """Add many documents to the index.

    As JSON lines or as a form with files, up to 1,000. A document that cannot be taken fails by itself.
    """
    require_own(context)
    batch, entries, body = await _parse(context, query)
    database, bucket = context.database, require(context.bucket)
    hourly = MAX_DOCUMENTS_AN_HOUR if context.settings.rate_limits else None
    if not await batch_store.add(database, batch, entries, hourly):
        raise ApiError(
            "rate_limited",
            f"Batches of one caller may have {MAX_DOCUMENTS_AN_HOUR:,} documents an hour.",
            retry_after=RETRY_SECONDS,
        )
    try:
        await bucket.put(batch_store.body_key(batch.job), body, "application/octet-stream", {})
    except ApiError:
        await batch_store.delete(database, batch.job)
        raise
    job = await queue.start(context, KIND, batch.tenant, {}, job_id=batch.job)
    return await job_response(context, job)


@route(
    "GET", "/rag/jobs/{job_id}/documents", scope="rag:read", rate="read", tag="Documents", query=DocumentsQuery,
    returns=BatchDocuments, errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def list_job_documents(context: Context, job_id: str, query: DocumentsQuery) -> Response:
    """List the documents of a batch.

    Each with its state and, if it failed, the reason.
    """
    job = await find_job(context, job_id)
    rows = await batch_store.documents(context.database, job.id, query.state, query.cursor, query.limit + 1)
    page = rows[: query.limit]
    cursor = page[-1]["number"] if len(rows) > query.limit else None
    return json_response({"documents": page, "cursor": cursor})


# ---- the body ----------------------------------------------------------------------------------------------------


class Parsed(NamedTuple):
    batch: Batch
    entries: list[Entry]
    body: Payload


async def _parse(context: Context, query: TenantQuery) -> Parsed:
    """Return the batch, the places of its documents, and its body, which stays in JavaScript."""
    kind = media_type(context.request)
    if kind not in (*LINES, FORM):
        raise ApiError(
            "unsupported_media_type",
            f"Send JSON lines, with the header content-type: {LINES[0]}, or a form with files (not {kind or 'none'}).",
        )
    boundary = read_boundary(context.request.header("content-type") or "") if kind == FORM else ""
    body = await context.request.read_payload(context.settings.max_document_bytes)
    if kind != FORM:
        entries = batch_entries.of_lines(body)
        return Parsed(_batch(context, query.tenant, "lines", {}, len(entries)), entries, body)
    entries, fields = await batch_entries.of_form(body, boundary)
    form = parse_object(BatchForm, dict(fields))
    metadata = _metadata(context, form.metadata)
    files = [_in_folder(form.folder, each) for each in entries]
    return Parsed(_batch(context, form.tenant or query.tenant, "form", metadata, len(files)), files, body)


def _batch(context: Context, tenant: str | None, form: batch_store.Form, metadata: dict[str, Any], count: int) -> Batch:
    key = context.caller.key
    return Batch(
        job=queue.new_id(),
        tenant=context.caller.resolve_tenant(tenant),
        form=form,
        metadata=metadata,
        caller=limits.bucket(context),
        payer=key.name if key else "",
        subject=context.caller.subject,
        documents=count,
        created_at=now(),
    )


def _in_folder(folder: str, entry: Entry) -> Entry:
    return replace(entry, path=paths.normalize(f"{folder}/{entry.path}"))


def _metadata(context: Context, text: str) -> dict[str, Any]:
    """Return the metadata of a form. Raises ApiError `invalid_request` if no document could have it."""
    fields = {"metadata": parse_json_field("metadata", text)}
    metadata = dict(parse_object(BatchMetadata, fields).metadata)
    filters.check_metadata(metadata, context.settings.rag_properties)
    return metadata
