"""`GET /access`."""

from typing import Literal

from pydantic import BaseModel

from aiworker.context import Context
from aiworker.http.messages import Response, json_response
from aiworker.routing import Returns, route


class CallerAccess(BaseModel):
    caller: Literal["key", "token", "public"]
    """Kind of credential that was sent: an API key, a browser token, or neither."""
    key: str | None
    """Name of the key, or of the one that made the token."""
    scopes: list[str]
    """Scopes of the caller; `admin` includes every other one."""
    tenant: str | None
    """The only tenant whose documents and conversations the caller reaches; null for any."""
    subject: str | None
    """The user for whom the token was made."""


@route("GET", "/access", scope="any", rate="read", tag="About", returns=Returns(CallerAccess, "The caller's rights."))
async def access(context: Context) -> Response:
    """Show what the caller may do.

    The scopes, the tenant and the user of the key or token that was sent, or those of callers without one.
    """
    caller = context.caller
    kind = "token" if caller.has_token else "key" if caller.key else "public"
    response = json_response(
        {
            "caller": kind,
            "key": caller.key.name if caller.key else None,
            "scopes": sorted(caller.scopes),
            "tenant": caller.tenant,
            "subject": caller.subject or None,
        }
    )
    response.headers["cache-control"] = "no-store"
    return response
