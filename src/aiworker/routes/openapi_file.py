"""`GET /openapi.json`: the API's description, a static file that scripts/check writes (see aiworker.openapi)."""

from aiworker.context import Context
from aiworker.http.messages import Response
from aiworker.routing import Returns, route

FILE = "/openapi.json"
"""Path below public/. Generating it takes more than a second of CPU, which no request should pay for."""


@route("GET", "/openapi.json", scope="open", rate="read", returns=Returns(), is_documented=False)
async def openapi(context: Context) -> Response:
    """Return the description, unread by Python."""
    file = await context.assets.get(FILE, context.request)
    return Response(file.body, file.status, dict(file.headers))
