"""`GET /logs/{id}` and `POST /feedback`: what AI Gateway has logged of an answer, and what people think of it."""

from pydantic import TypeAdapter, ValidationError

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import clipped, parse_json
from aiworker.http.messages import Response, json_response
from aiworker.routes.gateway_schema import FeedbackRequest, LogId


async def log(context: Context, log_id: str) -> Response:
    found = await context.the_ai().gateway_log(_gateway(context), _checked(log_id))
    response = json_response(found)
    response.headers["cache-control"] = "no-store"  # a rating changes it
    return response


async def feedback(context: Context) -> Response:
    gateway = _gateway(context)
    asked = await parse_json(FeedbackRequest, context.request, context.settings.max_body_bytes)
    await context.the_ai().rate_log(gateway, asked.log_id, asked.rating())
    return Response(status=204)


def _gateway(context: Context) -> str:
    """Raises ApiError `unavailable` if the Worker has none."""
    if context.settings.gateway_id is None:
        raise ApiError("unavailable", "This Worker has no gateway, and so no logs: set its variable GATEWAY_ID.")
    return context.settings.gateway_id


def _checked(log_id: str) -> str:
    try:
        return TypeAdapter(LogId).validate_python(log_id)
    except ValidationError:
        raise ApiError("not_found", f"The gateway has no log {clipped(log_id)}.") from None
