"""`GET /rag/documents/{document_id}/original` and `/text`: the file of a document as it was uploaded, and as text.

Their bytes go from R2 to the client without entering Python.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import quote

from aiworker.bindings import StoredObject
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response
from aiworker.rag import file_kinds, store
from aiworker.rag.engine import ATTEMPTS, engine_of, require_own
from aiworker.rag.ingest import MARKDOWN, ORIGINAL
from aiworker.rag.store import Version
from aiworker.routes.documents_schema import TenantQuery, check_document_id
from aiworker.routing import BYTES, Returns, route

Content = TypeVar("Content")

INLINE = file_kinds.PLAIN | {file_kinds.PDF, "image/png", "image/jpeg", "image/webp"}
"""Media types that browsers show without running anything in them; files of all others are downloaded."""
NO_SCRIPTS = "default-src 'none'; style-src 'unsafe-inline'"
HEADERS = {
    # a stored page must not run with the rights of the Worker's origin
    "content-security-policy": f"{NO_SCRIPTS}; sandbox",
    "cross-origin-resource-policy": "same-site",
    "cache-control": "private, no-cache",
}
"""`no-cache`: a browser may store the file, and asks each time whether it is still current."""
PDF_HEADERS = {"content-security-policy": f"{NO_SCRIPTS}; object-src 'self'; frame-ancestors 'none'"}
"""Chromium shows no PDF in a sandbox; its viewer runs scripts of a PDF apart from the origin."""
RETURNS = (
    Returns({"*/*": BYTES}, "The file."),
    Returns({"*/*": BYTES}, "The requested range.", 206),
    Returns(status=304, description="The client's copy is current."),
    Returns(status=412, description="A precondition failed."),
    Returns(status=416, description="The range lies behind the file's end."),
)


@route(
    "GET", "/rag/documents/{document_id}/original", scope="rag:read", rate="read", tag="Documents",
    query=TenantQuery, returns=RETURNS,
    errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def read_original(context: Context, document_id: str, query: TenantQuery) -> Response:
    """Read the file of a document.

    The one that searches find, or that of the newest version if none is indexed. Supports ETag, conditional and range
    requests. Text, PDF and images are shown by browsers, other kinds are downloaded.
    """
    tenant = context.caller.resolve_tenant(query.tenant)
    original = await engine_of(context).original(tenant, check_document_id(document_id), context.request)
    if original is None:
        raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
    version, stored = original
    headers = dict(stored.headers)
    if "content-type" in headers:
        headers["content-disposition"] = _disposition(version)
    own = HEADERS | (PDF_HEADERS if version.media_type == file_kinds.PDF else {})
    return Response(stored.body, stored.status, {**headers, **own})


@route(
    "GET", "/rag/documents/{document_id}/text", scope="rag:read", rate="read", tag="Documents",
    query=TenantQuery, returns=RETURNS, errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def read_text(context: Context, document_id: str, query: TenantQuery) -> Response:
    """Read the text of a document.

    In UTF-8, as it is cut into passages: what a file was converted to, else the file itself. The `range` of a passage
    is a range of its bytes. Supports ETag, conditional and range requests.
    """
    require_own(context)
    tenant = context.caller.resolve_tenant(query.tenant)

    async def read(key: str) -> StoredObject | None:
        return await context.bucket.get(key, context.request)

    version, stored = await shown_text(context, tenant, check_document_id(document_id), read)
    headers = {**stored.headers, **HEADERS}
    if "content-type" in headers:
        headers |= {"content-type": f"{text_type(version)}; charset=utf-8", "content-disposition": "inline"}
    return Response(stored.body, stored.status, headers)


async def shown_text(
    context: Context, tenant: str, document_id: str, read: Callable[[str], Awaitable[Content | None]]
) -> tuple[Version, Content]:
    """Return the version to show, and what `read` returns for the key of its text. Raises ApiError `not_found`.

    read: returns None for a key that the bucket does not have.
    """
    for _ in range(ATTEMPTS):
        version = await store.shown_version(context.database, tenant, document_id)
        if version is None:
            raise ApiError("not_found", f"There is no document {document_id} of {tenant}.")
        content = await read(version.folder + MARKDOWN)
        if content is None and not file_kinds.is_converted(version.media_type):
            content = await read(version.folder + ORIGINAL)
        if content is not None:
            return version, content
    raise ApiError("not_found", f"The document {document_id} has no text: it was not converted, or not yet.")


def text_type(version: Version) -> str:
    """Return the media type of a document's text."""
    return "text/markdown" if file_kinds.is_converted(version.media_type) else version.media_type


def _disposition(version: Version) -> str:
    """Return how browsers treat the file, and its name (RFC 6266)."""
    name = file_kinds.conversion_name(version.file_name, version.media_type, version.document_id)
    plain = "".join(each if each.isascii() and each.isprintable() and each not in '"\\%' else "_" for each in name)
    kind = "inline" if version.media_type in INLINE else "attachment"
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{kind}; filename="{plain}"{extended}'
