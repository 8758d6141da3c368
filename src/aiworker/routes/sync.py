"""`/rag/sync`: synchronised sources of documents, which are sites and folders of the bucket."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from aiworker.clock import now
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.http.messages import Response, json_response
from aiworker.rag import sites, sync, sync_store
from aiworker.rag.crawl import MAX_PAGES
from aiworker.rag.document_fields import Metadata, Name, Scalar
from aiworker.rag.engine import require_own
from aiworker.rag.sync_store import STATES, Kind, Source
from aiworker.routes.documents_schema import TenantQuery
from aiworker.routing import Returns, route

MAX_SOURCES = 50
"""Sources of one tenant."""
OWN_PREFIXES = ("documents/", "images/", "batches/")
"""Prefixes of the Worker's own objects, which are never a source."""
MAX_PREFIX_CHARACTERS = 500
Address = Annotated[str, Field(min_length=1, max_length=sites.MAX_URL_CHARACTERS)]


class SyncRequest(Schema):
    """A source: one of `prefix`, `sitemap` and `urls`."""

    prefix: Annotated[str, Field(min_length=1, max_length=MAX_PREFIX_CHARACTERS)] | None = None
    """Start of the keys of objects in the Worker's bucket. A key of one tenant may name `{tenant}/…` only."""
    sitemap: Address | None = None
    """Address of a sitemap, whose pages on the same site are indexed."""
    urls: Annotated[list[Address], Field(min_length=1, max_length=MAX_PAGES, fail_fast=True)] | None = None
    """Addresses of pages of one site."""
    hours: Annotated[int, Field(ge=1, le=720)] = 24
    """Time between two runs."""
    metadata: Metadata = Field(default_factory=dict[str, Scalar])
    """Metadata of all documents of the source; their `folder` is added."""
    tenant: Name | None = None


class SyncQuery(TenantQuery):
    documents: Literal["keep", "delete"] = "keep"
    """Whether the documents of the source are deleted, too."""


class PagesQuery(TenantQuery):
    state: Literal["", "queued", "running", "indexed", "failed"] = ""
    cursor: Annotated[str, Field(max_length=sites.MAX_URL_CHARACTERS)] = ""
    """`cursor` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class SyncSource(Reply):
    id: str
    kind: str
    """`prefix`, `sitemap` or `urls`."""
    target: str | list[str]
    """The prefix, or the addresses: of a sitemap, one."""
    state: str
    """`waiting`, `running`, `current`, `failed` (with the reason), or `deleting`."""
    reason: str | None
    hours: int
    metadata: dict[str, Any]
    documents: dict[str, int]
    """Number of documents by state: `queued`, `running`, `indexed`, `failed`."""
    created_at: str
    ran_at: str | None
    next_at: str


class SyncList(Reply):
    sources: list[SyncSource]


class SyncPage(Reply):
    location: str
    """Address of a page, or key of an object."""
    document: str | None
    state: str
    reason: str | None


class SyncPages(Reply):
    pages: list[SyncPage]
    cursor: str | None


@route(
    "POST", "/rag/sync", scope="rag:write", rate="heavy", tag="Documents", body=SyncRequest,
    returns=Returns(SyncSource, "The source is being read.", 202), errors=("invalid_request", "upstream_error"),
    example={"sitemap": "https://example.com/sitemap.xml", "hours": 24},
)  # fmt: skip
async def add_source(context: Context, body: SyncRequest) -> Response:
    """Keep documents in step with a site or with a folder of the bucket.

    New pages are indexed, changed ones again, and the documents of those that are gone are deleted: now, and again
    after so many hours. The same source again is read at once.
    """
    require_own(context)
    tenant = context.caller.resolve_tenant(body.tenant)
    kind, target = _target(context, body, tenant)
    created = now()
    source_id = hashlib.sha256(json.dumps([tenant, kind, target]).encode()).hexdigest()[:24]
    known = await sync_store.of_tenant(context.database, tenant, MAX_SOURCES)
    if len(known) == MAX_SOURCES and source_id not in {each.id for each in known}:
        raise ApiError("invalid_request", f"There are {MAX_SOURCES} sources already: delete one first.")
    key = context.caller.key
    source = Source(
        id=source_id, tenant=tenant, kind=kind, target=target, metadata=dict(body.metadata), hours=body.hours, run=0,
        state="waiting", reason=None, created_at=created, began_at=None, ran_at=None, next_at=created,
        payer=key.name if key else "", subject=context.caller.subject,
    )  # fmt: skip
    await sync_store.add(context.database, source)
    await sync.start_due(context, source_id)
    return await _response(context, source_id, tenant, 202)


@route(
    "GET", "/rag/sync", scope="rag:read", rate="read", tag="Documents", query=TenantQuery, returns=SyncList,
    errors=("invalid_request", "upstream_error"),
)  # fmt: skip
async def list_sources(context: Context, query: TenantQuery) -> Response:
    """List the sources of a tenant."""
    tenant = context.caller.resolve_tenant(query.tenant)
    sources = await sync_store.of_tenant(context.database, tenant, MAX_SOURCES)
    counted = await sync_store.counts(context.database, [each.id for each in sources])
    return json_response({"sources": [_described(each, counted.get(each.id, {})) for each in sources]})


@route(
    "GET", "/rag/sync/{source_id}", scope="rag:read", rate="read", tag="Documents", query=TenantQuery,
    returns=SyncSource, errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def read_source(context: Context, source_id: str, query: TenantQuery) -> Response:
    """Read the state of a source."""
    return await _response(context, source_id, context.caller.resolve_tenant(query.tenant), 200)


@route(
    "GET", "/rag/sync/{source_id}/pages", scope="rag:read", rate="read", tag="Documents", query=PagesQuery,
    returns=SyncPages, errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def list_pages(context: Context, source_id: str, query: PagesQuery) -> Response:
    """List the pages of a source.

    Each with its document, its state and the reason of a failure.
    """
    source = await _find(context, source_id, context.caller.resolve_tenant(query.tenant))
    rows = await sync_store.pages(context.database, source.id, query.state, query.cursor, query.limit + 1)
    page = rows[: query.limit]
    cursor = page[-1]["location"] if len(rows) > query.limit else None
    return json_response({"pages": page, "cursor": cursor})


@route(
    "DELETE", "/rag/sync/{source_id}", scope="rag:write", rate="read", tag="Documents", query=SyncQuery,
    returns=(
        Returns(status=204, description="The source is deleted, its documents stay."),
        Returns(SyncSource, "The source's documents are being deleted, then the source.", 202),
    ),
    errors=("invalid_request", "not_found", "upstream_error"),
)  # fmt: skip
async def delete_source(context: Context, source_id: str, query: SyncQuery) -> Response:
    """Delete a source.

    Its documents stay as they are, unless `documents` is `delete`.
    """
    source = await _find(context, source_id, context.caller.resolve_tenant(query.tenant))
    if query.documents == "keep":
        await sync_store.delete(context.database, source)
        return Response(status=204)
    await sync.delete_with_documents(context, source)
    return await _response(context, source_id, source.tenant, 202)


def _target(context: Context, body: SyncRequest, tenant: str) -> tuple[Kind, str]:
    """Return the kind of a source and its target as it is stored. Raises ApiError for a source that may not be read."""
    named = [name for name in ("prefix", "sitemap", "urls") if getattr(body, name) is not None]
    if len(named) != 1:
        raise ApiError("invalid_request", "Send one of prefix, sitemap and urls.", param="prefix")
    if body.prefix is not None:
        return "prefix", _prefix(context, body.prefix, tenant)
    hosts = context.settings.sync_hosts
    addresses = [sites.check(each, hosts) for each in ([body.sitemap] if body.sitemap else body.urls or [])]
    if len({sites.site(each) for each in addresses}) > 1:
        raise ApiError("invalid_request", "All urls of a source must be of one site.", param="urls")
    return ("sitemap" if body.sitemap else "urls"), json.dumps(list(dict.fromkeys(addresses)))


def _prefix(context: Context, prefix: str, tenant: str) -> str:
    if any(own.startswith(prefix) or prefix.startswith(own) for own in OWN_PREFIXES):
        raise ApiError("invalid_request", "The Worker keeps its own objects there.", param="prefix")
    # the bucket is the deployment's, whose tenants must not read each other's objects
    if context.caller.tenant is not None and not prefix.startswith(f"{tenant}/"):
        raise ApiError("forbidden", f"This key may name prefixes that begin with {tenant}/ only.", param="prefix")
    return prefix


async def _find(context: Context, source_id: str, tenant: str) -> Source:
    source = await sync_store.find(context.database, tenant, source_id)
    if source is None:
        raise ApiError("not_found", f"There is no source {source_id[:100]} of {tenant}.")
    return source


async def _response(context: Context, source_id: str, tenant: str, status: int) -> Response:
    source = await _find(context, source_id, tenant)
    counted = await sync_store.counts(context.database, [source.id])
    return json_response(_described(source, counted.get(source.id, {})), status)


def _described(source: Source, counted: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": source.id,
        "kind": source.kind,
        "target": source.target if source.kind == "prefix" else json.loads(source.target),
        "state": source.state,
        "reason": source.reason,
        "hours": source.hours,
        "metadata": source.metadata,
        "documents": {state: counted.get(state, 0) for state in STATES},
        "created_at": source.created_at,
        "ran_at": source.ran_at,
        "next_at": source.next_at,
    }
