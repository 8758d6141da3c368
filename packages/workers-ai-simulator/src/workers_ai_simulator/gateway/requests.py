"""Bodies of the requests to AI Gateway."""

from typing import Any

from starlette.requests import Request

from workers_ai_simulator.gateway.errors import GatewayError, invalid
from workers_ai_simulator.http import object_body


async def json_body(request: Request) -> dict[str, Any]:
    """JSON object in the request's body. Raises GatewayError 7001 for any other body."""
    return await object_body(request, _not_an_object)


def _not_an_object(_: str) -> GatewayError:
    return invalid("The body must be a JSON object")
