"""`/rag/documents`: add, list, read and delete the documents that `POST /rag` answers from."""

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from aiworker.bindings import require
from aiworker.clock import now
from aiworker.context import Context
from aiworker.error_text import public_message
from aiworker.errors import ApiError
from aiworker.http.body import FORM, JSON, media_type, parse_form, parse_json, parse_object
from aiworker.http.messages import Payload, Response, json_response
from aiworker.rag import file_kinds, filters, ingestion_cost, store
from aiworker.rag.ingest import ORIGINAL
from aiworker.rag.removal import delete_document as remove_document
from aiworker.rag.store import Version
from aiworker.rag.text_encoding import SAMPLE_BYTES, decode_head
from aiworker.routes.documents_schema import (
    DocumentFields,
    DocumentForm,
    DocumentList,
    DocumentRequest,
    DocumentState,
    ListQuery,
    TenantQuery,
    check_document_id,
)
from aiworker.routing import Returns, route

MAX_JSON_BYTES = 2_097_152
"""Bytes of a document in JSON, which Python holds several times, with up to four bytes a character. The file of a form
stays in JavaScript."""
TAIL_BYTES = 65_536
"""Bytes at the end of a file in which a PDF says that it is encrypted, and a ZIP archive lists what is in it."""
FORMATS = {"markdown": "text/markdown", "text": "text/plain", "html": "text/html"}


@route(
    "POST", "/rag/documents", scope="rag:write", rate="heavy", tag="Documents",
    body={JSON: DocumentRequest, FORM: DocumentForm}, files=("file",),
    returns=(
        Returns(DocumentState, "The document is being indexed; `location` is the URL of its state.", 202),
        Returns(DocumentState, "The document is indexed already."),
    ),
    errors=("unprocessable", "upstream_error", "budget_exceeded"),
)  # fmt: skip
async def add_document(context: Context) -> Response:
    """Add a document to the index.

    As JSON with the text, or as a form with a file. New content under the same id replaces the old once it is indexed;
    sending the same content again costs nothing.
    """
    upload = await _parse(context)
    filters.check_metadata(upload.fields.metadata, context.settings.rag_properties)
    key = context.caller.key
    version = _version(upload, context.caller.resolve_tenant(upload.fields.tenant), key.name if key else "")
    existing = await _unchanged(context, version)
    if existing:
        if existing.state == "queued":  # the Worker may have stopped before it started the workflow
            await context.ingestions.start(existing.id)
        return _response(context, existing, 200 if existing.state == "indexed" else 202)
    database, bucket = context.database, require(context.bucket)  # fails before anything is reserved
    neurons = ingestion_cost.estimate_upload(context, upload.size)
    [reservation] = await context.request_budget.reserve([neurons], [version.id])
    try:
        await bucket.put(version.folder + ORIGINAL, upload.content, upload.media_type, {})
        await store.add(database, version)
    except ApiError:
        reservation.cost = 0
        await bucket.delete_folder(version.folder)
        raise
    # if this fails or the Worker stops here, resume() starts the workflow
    await context.ingestions.start(version.id)
    return _response(context, version, 202)


@route(
    "GET", "/rag/documents", scope="rag:read", rate="read", tag="Documents",
    query=ListQuery, returns=Returns(DocumentList, "A page."), errors=("invalid_request", "upstream_error"),
)  # fmt: skip
async def list_documents(context: Context, query: ListQuery) -> Response:
    """List the documents of a tenant.

    Ordered by id, in pages.
    """
    tenant = context.caller.resolve_tenant(query.tenant)
    versions = await store.page(context.database, tenant, query.cursor, query.limit + 1)
    page = versions[: query.limit]
    cursor = page[-1].document_id if len(versions) > query.limit else None
    return json_response({"documents": [_document(each) for each in page], "cursor": cursor})


@route(
    "GET", "/rag/documents/{document_id}", scope="rag:read", rate="read", tag="Documents",
    query=TenantQuery, returns=Returns(DocumentState, "The newest version."),
    errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def read_document(context: Context, document_id: str, query: TenantQuery) -> Response:
    """Read the state of a document.

    `searchable` is true once a version of it can be found.
    """
    tenant = context.caller.resolve_tenant(query.tenant)
    versions = await store.versions_of(context.database, tenant, check_document_id(document_id))
    if not versions:
        raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
    live = await store.live_version(context.database, tenant, document_id)
    return json_response({**_document(versions[0]), "searchable": live is not None})


@route(
    "DELETE", "/rag/documents/{document_id}", scope="rag:write", rate="read", tag="Documents",
    query=TenantQuery, returns=Returns(status=204, description="The document is deleted."),
    errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def delete_document(context: Context, document_id: str, query: TenantQuery) -> Response:
    """Delete a document.

    With its file, its passages and its vectors.
    """
    tenant = context.caller.resolve_tenant(query.tenant)
    if not await remove_document(context, tenant, check_document_id(document_id)):
        raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
    return Response(status=204)


# ---- uploads -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    fields: DocumentFields
    media_type: str
    content: str | Payload
    digest: str
    """SHA-256 of the content."""
    size: int
    """Bytes."""
    head: str
    """The first characters of a text; empty for a binary file."""
    file_name: str = ""
    charset: str = ""
    """Character encoding that the client declares."""


async def _parse(context: Context) -> Upload:
    if media_type(context.request) == FORM:
        return await _parse_form(context)
    limit = min(context.settings.max_document_bytes, MAX_JSON_BYTES)
    body = await parse_json(DocumentRequest, context.request, limit)
    if not body.text.strip():
        raise ApiError("unprocessable", "The document is empty.", param="text")
    fields = DocumentFields.model_validate(body.model_dump(exclude={"text", "format"}))
    content = body.text.encode()
    digest = hashlib.sha256(content).hexdigest()
    return Upload(fields, FORMATS[body.format], body.text, digest, len(content), body.text[:4096])


async def _parse_form(context: Context) -> Upload:
    form, files = await parse_form(DocumentForm, context.request, context.settings.max_document_bytes, ("file",))
    file = files.get("file")
    if file is None:
        raise ApiError("invalid_request", "The form must contain the document as file.", param="file")
    if not file.size:
        raise ApiError("unprocessable", "The document is empty.", param="file")
    sample = file.read(0, min(file.size, SAMPLE_BYTES))
    tail = file.read(max(0, file.size - TAIL_BYTES), file.size)
    kind = _media_type(file.name, file.media_type, sample + tail)
    if kind == file_kinds.PDF and b"/Encrypt" in tail:
        raise ApiError("unprocessable", "The PDF is encrypted: remove its password first.", param="file")
    fields = parse_object(DocumentFields, {**form.model_dump(exclude_none=True), "metadata": _metadata(form.metadata)})
    if fields.title is None and file.name:
        fields = fields.model_copy(update={"title": file.name[:500]})
    head = decode_head(sample) if kind in file_kinds.PLAIN else ""
    return Upload(fields, kind, file, await file.sha256(), file.size, head, file.name[:500], file.charset)


def _metadata(text: str) -> Any:
    try:
        # not with the json module: in Pyodide, JSON nested thousands of levels deep would end the isolate
        return from_json(text)
    except ValueError:
        raise ApiError("invalid_request", "metadata must be a JSON object.", param="metadata") from None


def _media_type(name: str, declared: str, sample: bytes) -> str:
    """Return the media type of a file. Raises ApiError `unsupported_media_type` for a kind that is not taken."""
    kind = file_kinds.media_type(name, declared, sample)
    if kind is None:
        extensions = ", ".join(sorted(file_kinds.EXTENSIONS))
        raise ApiError(
            "unsupported_media_type",
            f"Files of this kind cannot be read; save the file as another kind. Those that can are {extensions}.",
            param="file",
        )
    return kind


def _version(upload: Upload, tenant: str, payer: str) -> Version:
    fields = upload.fields
    facts = [upload.digest, upload.media_type, fields.title, fields.url, fields.metadata]
    content = json.dumps(facts + [upload.charset] * bool(upload.charset), sort_keys=True)
    heading = next((line.strip(" #") for line in upload.head.splitlines() if line.startswith("#")), "")
    created = now()
    return Version(
        id=secrets.token_hex(12),
        tenant=tenant,
        document_id=fields.id or f"doc_{upload.digest[:24]}",
        state="queued",
        reason=None,
        title=fields.title or heading[:200] or fields.id or "Untitled",
        url=fields.url,
        metadata=filters.normalize_metadata(fields.metadata),
        media_type=upload.media_type,
        size=upload.size,
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
        chunks=0,
        created_at=created,
        updated_at=created,
        file_name=upload.file_name,
        charset=upload.charset,
        payer=payer,
    )


async def _unchanged(context: Context, version: Version) -> Version | None:
    """Return the newest version if it has the same content and has not failed."""
    versions = await store.versions_of(context.database, version.tenant, version.document_id)
    newest = versions[0] if versions else None
    return newest if newest and newest.fingerprint == version.fingerprint and newest.state != "failed" else None


def _document(version: Version) -> dict[str, Any]:
    return {
        "id": version.document_id,
        "state": version.state,
        # earlier versions of the Worker stored the platform's own words
        "reason": public_message(version.reason) if version.reason else None,
        "title": version.title,
        "url": version.url,
        "metadata": version.metadata,
        "media_type": version.media_type,
        "size": version.size,
        "chunks": version.chunks,
        "created_at": version.created_at,
        "updated_at": version.updated_at,
    }


def _response(context: Context, version: Version, status: int) -> Response:
    tenant = "" if version.tenant == "default" else f"?tenant={version.tenant}"
    status_url = f"{context.request.origin}/rag/documents/{version.document_id}{tenant}"
    response = json_response({**_document(version), "status_url": status_url}, status)
    response.headers["location"] = status_url
    return response
