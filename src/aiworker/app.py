"""A request's way through: id → CORS → access → route → response or error."""

import secrets
import traceback
from collections.abc import Callable

from aiworker import cors
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http import Request, Response
from aiworker.routing import find
from aiworker.settings import Settings

OPEN_PATHS = frozenset({"/health"})
"""Served whatever the access mode: they tell nothing private and cost nothing."""


async def handle(request: Request, read_settings: Callable[[], Settings], context: Callable[..., Context]) -> Response:
    """Answer one request; whatever goes wrong becomes an error response of the API.

    read_settings: may raise ApiError. context: makes the route's Context from `request_id` and `settings`.
    """
    request_id = f"req_{secrets.token_hex(12)}"
    shared: dict[str, str] = {"x-request-id": request_id}
    try:
        settings = read_settings()
        shared |= cors.headers(request, settings.allowed_origins)
        if cors.is_preflight(request):
            response = cors.answer_preflight(request, settings.allowed_origins)
        else:
            response = await _route(context(request_id=request_id, settings=settings))
    except ApiError as error:
        response = _refusal(error, request, request_id)
    except Exception:  # the one place where a defect of ours becomes a response
        print(f"{request_id} failed\n{traceback.format_exc()}")  # noqa: T201 - the Worker's log
        defect = ApiError("internal_error", f"This is a defect of the server; it is logged under {request_id}.")
        response = _refusal(defect, request, request_id)
    response.headers |= shared
    return response  # to a HEAD, the platform sends it without its body


def _refusal(error: ApiError, request: Request, request_id: str) -> Response:
    is_openai = f"{request.path}/".startswith("/v1/")
    return error.to_openai_response() if is_openai else error.to_response(request_id)


async def _route(context: Context) -> Response:
    route, parameters = find(context.request.method, context.request.path)
    if not context.settings.is_public and context.request.path not in OPEN_PATHS:
        raise ApiError(
            "unavailable",
            "This Worker is closed: nothing says who may call it. "
            'To serve everybody, at your cost, set the variable AUTH_MODE to "public".',
        )
    return await route(context, **parameters)
