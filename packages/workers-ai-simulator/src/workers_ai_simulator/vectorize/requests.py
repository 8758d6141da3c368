"""Bodies of the requests to Vectorize."""

from typing import Any, cast

from starlette.requests import Request

from workers_ai_simulator.http import json_value, object_body
from workers_ai_simulator.vectorize.errors import UNPARSABLE_VECTORS, VectorizeError, unparsable_body


async def json_body(request: Request) -> dict[str, Any]:
    """JSON object in the request's body. Raises VectorizeError 40026 for any other body."""
    return await object_body(request, unparsable_body)


async def ids(request: Request) -> list[Any]:
    """The `ids` in the request's body, at least one. Raises VectorizeError 40026 for any other body."""
    value = (await json_body(request)).get("ids")
    if not isinstance(value, list) or not value:
        raise unparsable_body("ids: expected strings")
    return cast("list[Any]", value)


def vectors(ndjson: bytes) -> list[Any]:
    """Vectors of a write, one per line. Raises VectorizeError 40023 for a line that is no JSON."""
    try:
        return [json_value(line) for line in ndjson.splitlines() if line.strip()]
    except ValueError:
        raise VectorizeError(UNPARSABLE_VECTORS, "failed to parse vectors request in json format") from None
