"""`/rag/documents`: add, list, read and delete the documents that `POST /rag` answers from."""

from typing import Any

from aiworker.context import Context
from aiworker.error_text import public_message
from aiworker.errors import ApiError
from aiworker.http.body import FORM, JSON, media_type, parse_form, parse_json_field, parse_json_with_text, parse_object
from aiworker.http.messages import Response, json_response
from aiworker.rag import upload
from aiworker.rag.document_fields import DocumentFields, DocumentRequest
from aiworker.rag.engine import engine_of
from aiworker.rag.store import Version
from aiworker.rag.upload import Upload
from aiworker.routes.documents_schema import (
    DocumentForm,
    DocumentList,
    DocumentState,
    ListQuery,
    TenantQuery,
    check_document_id,
    document_url,
)
from aiworker.routing import Returns, route


@route(
    "POST", "/rag/documents", scope="rag:write", rate="heavy", tag="Documents",
    body={JSON: DocumentRequest, FORM: DocumentForm}, files=("file",),
    returns=(
        Returns(DocumentState, "The document is being indexed; `location` is the URL of its state.", 202),
        Returns(DocumentState, "The document is indexed already."),
    ),
    errors=("unprocessable", "upstream_error", "budget_exceeded"),
    example={"id": "penguins", "text": "# Penguins\n\nPenguins live in the southern hemisphere. They cannot fly."},
)  # fmt: skip
async def add_document(context: Context) -> Response:
    """Add a document to the index.

    As JSON with the text, or as a form with a file. New content under the same id replaces the old once it is indexed;
    sending the same content again costs nothing.
    """
    parsed = await _parse(context)
    key = context.caller.key
    tenant = context.caller.resolve_tenant(parsed.fields.tenant)
    stored = await upload.take(
        context, parsed, tenant, key.name if key else "", subject=context.caller.subject,
        background=context.streams.wait_until,
    )  # fmt: skip
    return document_response(context, stored, 200 if stored.state == "indexed" else 202)


@route(
    "GET", "/rag/documents", scope="rag:read", rate="read", tag="Documents",
    query=ListQuery, returns=Returns(DocumentList, "A page."), errors=("invalid_request", "upstream_error"),
)  # fmt: skip
async def list_documents(context: Context, query: ListQuery) -> Response:
    """List the documents of a tenant.

    Ordered by id, in pages; with `folder`, those of a folder and of the folders below it.
    """
    tenant = context.caller.resolve_tenant(query.tenant)
    versions = await engine_of(context).page(tenant, query.cursor, query.limit + 1, query.folder)
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
    document = await engine_of(context).find(tenant, check_document_id(document_id))
    if document is None:
        raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
    version, is_searchable = document
    return json_response({**_document(version), "searchable": is_searchable})


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
    if not await engine_of(context).delete(tenant, check_document_id(document_id)):
        raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
    return Response(status=204)


# ---- uploads -----------------------------------------------------------------------------------------------------


async def _parse(context: Context) -> Upload:
    if media_type(context.request) == FORM:
        return await _parse_form(context)
    limit = min(context.settings.max_document_bytes, upload.MAX_TEXT_BYTES)
    return await upload.of_text(*await parse_json_with_text(DocumentRequest, context.request, limit, "text"))


async def _parse_form(context: Context) -> Upload:
    form, files = await parse_form(DocumentForm, context.request, context.settings.max_document_bytes, ("file",))
    file = files.get("file")
    if file is None:
        raise ApiError("invalid_request", "The form must contain the document as file.", param="file")
    metadata = parse_json_field("metadata", form.metadata)
    fields = parse_object(DocumentFields, {**form.model_dump(exclude_none=True), "metadata": metadata})
    return await upload.of_file(fields, file)


def _document(version: Version) -> dict[str, Any]:
    return {
        "id": version.document_id,
        "state": version.state,
        # earlier versions of the Worker stored the platform's own message
        "reason": public_message(version.reason) if version.reason else None,
        "title": version.title,
        "url": version.url,
        "metadata": version.metadata,
        "media_type": version.media_type,
        "size": version.size,
        "chunks": version.chunks,
        "fingerprint": version.fingerprint,
        "created_at": version.created_at,
        "updated_at": version.updated_at,
    }


def document_response(context: Context, version: Version, status: int) -> Response:
    """Return the response with a version's state, and the address under which the state can be read again."""
    status_url = document_url(context.request.origin, version.tenant, version.document_id)
    response = json_response({**_document(version), "status_url": status_url}, status)
    response.headers["location"] = status_url
    return response
