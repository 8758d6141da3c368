"""`GET /openapi.json`: the description of this API, a static file that scripts/check writes (see aiworker.openapi)."""

from aiworker.context import Context
from aiworker.http.messages import Response

FILE = "/openapi.json"
"""Below public/. Making it takes more than a second of CPU, which no request should pay for."""


async def openapi(context: Context) -> Response:
    """Answer with the file, unread by Python."""
    file = await context.the_assets().get(FILE, context.request)
    return Response(file.body, file.status, dict(file.headers))
