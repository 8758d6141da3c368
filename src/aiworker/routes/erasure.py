"""`DELETE /tenants/{tenant}` and `DELETE /subjects/{subject}`: everything that belongs to them; `GET /tenants`."""

from typing import Annotated

from pydantic import Field

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.http.messages import Response, json_response
from aiworker.jobs import erasure
from aiworker.rag import store
from aiworker.routes.documents_schema import NAME, TenantQuery
from aiworker.routes.jobs import JobStatus, job_response
from aiworker.routing import Returns, route

STARTED = Returns(JobStatus, "The job that deletes it; `location` is its URL.", 202)


class TenantsQuery(Schema):
    cursor: str = ""
    """`cursor` of the page before."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class TenantList(Reply):
    tenants: list[str]
    cursor: str | None
    """Cursor of the next page; null on the last page."""


@route(
    "GET", "/tenants", scope="admin", rate="read",
    query=TenantsQuery, returns=Returns(TenantList, "A page."), errors=("upstream_error",),
)  # fmt: skip
async def list_tenants(context: Context, query: TenantsQuery) -> Response:
    """List the tenants that have documents or conversations.

    Ordered by name, in pages.
    """
    tenants = await store.tenants(context.database, query.cursor, query.limit + 1)
    page = tenants[: query.limit]
    return json_response({"tenants": page, "cursor": page[-1] if len(tenants) > query.limit else None})


@route(
    "DELETE", "/tenants/{tenant}", scope="admin", rate="heavy", returns=STARTED,
    errors=("invalid_request", "upstream_error"),
)  # fmt: skip
async def delete_tenant(context: Context, tenant: str) -> Response:
    """Delete everything of a tenant.

    Its documents, conversations and images, by a job. Its documents can no longer be found as soon as this is answered.
    """
    return await job_response(context, await erasure.start(context, _valid(tenant), None))


@route(
    "DELETE", "/subjects/{subject}", scope="admin", rate="heavy",
    query=TenantQuery, returns=STARTED, errors=("invalid_request", "upstream_error"),
)  # fmt: skip
async def delete_subject(context: Context, subject: str, query: TenantQuery) -> Response:
    """Delete everything of a user, for whom browser tokens were made with this subject.

    The documents that they have uploaded, their conversations and images, in one tenant, by a job.
    """
    tenant = context.caller.resolve_tenant(query.tenant)
    return await job_response(context, await erasure.start(context, tenant, _valid(subject)))


def _valid(name: str) -> str:
    """Raises ApiError `invalid_request` for a name that no tenant and no subject can have."""
    if not NAME.fullmatch(name):
        raise ApiError("invalid_request", "Tenants and subjects have up to 64 letters, digits, ., _ and -.")
    return name
