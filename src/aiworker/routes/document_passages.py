"""`GET /rag/documents/{document_id}/passages`: the passages of a document that searches find."""

import re
from typing import Annotated

from pydantic import Field

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response, json_response
from aiworker.rag import passage_store, store
from aiworker.rag.engine import require_own
from aiworker.rag.passage import page_of, range_of
from aiworker.rag.store import Version
from aiworker.routes.documents_schema import DocumentPassages, TenantQuery, check_document_id, text_range
from aiworker.routing import Returns, route

CURSOR = re.compile(r"([0-9A-Za-z]{1,64})-([0-9]{1,9})")
"""Id of a version, and number of the next passage."""


class PassagesQuery(TenantQuery):
    cursor: Annotated[str, Field(max_length=80)] = ""
    """`cursor` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50


@route(
    "GET", "/rag/documents/{document_id}/passages", scope="rag:read", rate="read", tag="Documents",
    query=PassagesQuery, returns=Returns(DocumentPassages, "A page."),
    errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def list_passages(context: Context, document_id: str, query: PassagesQuery) -> Response:
    """List the passages of a document.

    Those that searches find, in the document's order, in pages; none before the document is indexed. A cursor ends with
    the version of the document that it is for.
    """
    require_own(context)
    tenant = context.caller.resolve_tenant(query.tenant)
    version = await store.shown_version(context.database, tenant, check_document_id(document_id))
    if version is None:
        raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
    start = _start(query.cursor, version)
    rows = (
        await passage_store.chunks(context.database, version.id, start, query.limit)
        if version.state == "indexed"
        else []
    )
    passages = [
        {
            "id": version.vector_id(row["number"]),
            "number": row["number"],
            "heading": row["heading"],
            "page": page_of(version.media_type, row["heading"]),
            "range": text_range(range_of(row)),
            "text": row["text"],
        }
        for row in rows
    ]
    end = start + query.limit
    cursor = version.vector_id(end) if rows and end < version.chunks else None
    return json_response({"passages": passages, "cursor": cursor})


def _start(cursor: str, version: Version) -> int:
    """Return the number of a page's first passage. Raises ApiError `invalid_request` for another version's cursor."""
    if not cursor:
        return 0
    match = CURSOR.fullmatch(cursor)
    if match is None:
        raise ApiError("invalid_request", "The cursor is not one of this route.", param="cursor")
    if match[1] != version.id:
        message = "The document has a new version since the page before: read its passages from the start."
        raise ApiError("invalid_request", message, param="cursor")
    return int(match[2])
