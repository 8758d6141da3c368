"""The stored documents as resources of `POST /mcp`: their list, and the text of each."""

import re
from typing import Any
from urllib.parse import unquote

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.json_parts import JsonValue
from aiworker.http.messages import Payload
from aiworker.mcp.protocol import INVALID_PARAMS, RESOURCE_NOT_FOUND, RpcError
from aiworker.rag.ai_search.engine import AiSearchEngine
from aiworker.rag.engine import engine_of
from aiworker.rag.store import Version
from aiworker.routes.document_original import shown_text, text_type
from aiworker.routes.documents_schema import check_document_id

SCOPE = "rag:read"
PAGE = 100
"""Documents of one page of the list."""
MAX_TEXT_BYTES = 4_194_304
"""Bytes of the text of one resource, which a model is to read."""
ADDRESS = re.compile(r"aiworker://documents/([^/?#]+)")
TEMPLATE = {
    "uriTemplate": "aiworker://documents/{id}",
    "name": "document",
    "title": "A stored document",
    "description": "The text of a document, by its id of list_documents.",
}


def has_resources(context: Context) -> bool:
    """Tell whether the caller may read documents."""
    return context.caller.has_scope(SCOPE)


async def list_page(context: Context, cursor: str) -> dict[str, Any]:
    """Return a page of the list. cursor: that of the page before; empty for the first."""
    if not has_resources(context):
        return {"resources": []}
    versions = await engine_of(context).page(context.caller.resolve_tenant(None), cursor, PAGE + 1)
    page = [_resource(version) for version in versions[:PAGE]]
    return {"resources": page, **({"nextCursor": versions[PAGE - 1].document_id} if len(versions) > PAGE else {})}


async def read(context: Context, uri: str, *, is_stateless: bool) -> dict[str, Any]:
    """Return the text of a document. Raises RpcError if the address is unknown, or the text too long."""
    match = ADDRESS.fullmatch(uri)
    try:
        if match is None or not has_resources(context):
            raise ApiError("not_found", "There is no such resource, or this key's scopes do not allow it.")
        document, tenant = check_document_id(unquote(match[1])), context.caller.resolve_tenant(None)
        version, text = await _text(context, tenant, document)
    except ApiError as error:
        if error.type not in ("not_found", "invalid_request"):
            raise
        code = INVALID_PARAMS if is_stateless else RESOURCE_NOT_FOUND
        raise RpcError(code, error.message, {"uri": uri[:200]}) from None
    if text.size > MAX_TEXT_BYTES:
        message = (
            f"The document has {text.size:,} bytes of text, and a resource may have {MAX_TEXT_BYTES:,}: search it."
        )
        raise RpcError(INVALID_PARAMS, message, {"uri": uri[:200]})
    content = {"uri": uri, "mimeType": text_type(version), "text": JsonValue((await text.json_string(),))}
    return {"contents": [content]}


async def _text(context: Context, tenant: str, document: str) -> tuple[Version, Payload]:
    if context.settings.rag_engine == "ai-search":
        return await AiSearchEngine(context).text(tenant, document)
    return await shown_text(context, tenant, document, context.bucket.payload)


def _resource(version: Version) -> dict[str, Any]:
    return {
        "uri": f"aiworker://documents/{version.document_id}",
        "name": version.document_id,
        "title": version.title or version.document_id,
        "mimeType": text_type(version),
        "annotations": {"lastModified": version.updated_at},
    }
