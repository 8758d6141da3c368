"""`POST /rag/documents/{document_id}/reindex`: a document is ingested again, from its stored file."""

import secrets
from dataclasses import replace

from aiworker.bindings import require
from aiworker.clock import now
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response
from aiworker.rag import ingestion_cost, store
from aiworker.rag.engine import require_own
from aiworker.rag.ingest import ORIGINAL
from aiworker.rag.store import Version
from aiworker.routes.documents import document_response
from aiworker.routes.documents_schema import DocumentState, TenantQuery, check_document_id
from aiworker.routing import Returns, route


@route(
    "POST", "/rag/documents/{document_id}/reindex", scope="rag:write", rate="heavy", tag="Documents",
    query=TenantQuery, returns=Returns(DocumentState, "The document is being indexed.", 202),
    errors=("invalid_request", "not_found", "upstream_error", "budget_exceeded"),
)  # fmt: skip
async def reindex_document(context: Context, document_id: str, query: TenantQuery) -> Response:
    """Convert, chunk and embed a document again.

    From its stored file: after a failure, or a change of the Worker. Searches find the version before until the new one
    is indexed. A document that is being indexed already is left alone.
    """
    require_own(context)
    tenant = context.caller.resolve_tenant(query.tenant)
    newest = await _newest(context, tenant, check_document_id(document_id))
    if newest.state in store.UNFINISHED:
        return document_response(context, newest, 202)
    version = await _copy(context, newest)
    if version is None:  # another request was faster, or the document was deleted
        return document_response(context, await _newest(context, tenant, document_id), 202)
    # if this fails or the Worker stops here, resume() starts the workflow
    await context.ingestions.start(version.id)
    return document_response(context, version, 202)


async def _newest(context: Context, tenant: str, document_id: str) -> Version:
    versions = await store.versions_of(context.database, tenant, document_id)
    if not versions:
        raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
    return versions[0]


async def _copy(context: Context, newest: Version) -> Version | None:
    """Store a new version with the same file and facts; return None if the document has an unfinished one by now."""
    bucket, created = require(context.bucket), now()
    file = await bucket.payload(newest.folder + ORIGINAL)
    if file is None:
        raise ApiError("not_found", f"The file of the document {newest.document_id} is missing: upload it again.")
    key = context.caller.key
    version = replace(
        newest, id=secrets.token_hex(12), state="queued", reason=None, chunks=0, normalization=0,
        created_at=created, updated_at=created, payer=key.name if key else "",
    )  # fmt: skip
    neurons = ingestion_cost.estimate_upload(context, version.size)
    [reservation] = await context.request_budget.reserve([neurons], [version.id])
    is_added = False
    try:
        await bucket.put(version.folder + ORIGINAL, file, version.media_type, {})
        is_added = await store.add_again(context.database, version)
    finally:
        if not is_added:
            reservation.cost = 0
            await bucket.delete_folder(version.folder)
    return version if is_added else None
