"""A request's way through: id → CORS → route → access → limits → the route's story → response or error."""

import functools
import secrets
import time
from collections.abc import Callable

from aiworker import access, cors, limits
from aiworker.bindings import Streams
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http import Request, Response
from aiworker.request_log import RequestLog
from aiworker.routing import find
from aiworker.settings import Settings


async def handle(
    request: Request, streams: Streams, read_settings: Callable[[], Settings], context: Callable[..., Context]
) -> Response:
    """Answer one request; whatever goes wrong becomes an error response of the API.

    read_settings: may raise ApiError. context: makes the route's Context from the request's `settings`, `caller` and
    `log`.
    """
    log = RequestLog(f"req_{secrets.token_hex(12)}", request.method)
    shared: dict[str, str] = {"x-request-id": log.request_id, "x-content-type-options": "nosniff"}
    try:
        settings = read_settings()
        log.repeats = settings.log_prompts
        shared |= cors.headers(request, settings.allowed_origins)
        if cors.is_preflight(request):
            response = cors.answer_preflight(request, settings.allowed_origins)
        else:
            response = await _routed(request, settings, log, functools.partial(context, settings=settings, log=log))
    except ApiError as error:
        log.error, log.upstream_code = error.type, error.upstream_code
        response = _refusal(error, request, log.request_id)
    except Exception as error:  # the one place where a defect of ours becomes a response
        log.error = "internal_error"
        log.write_defect(error)
        defect = ApiError("internal_error", f"This is a defect of the server; it is logged under {log.request_id}.")
        response = _refusal(defect, request, log.request_id)
    response.headers |= shared
    log.status = response.status
    streams.when_over(log.write)
    return response  # to a HEAD, the platform sends it without its body


def _refusal(error: ApiError, request: Request, request_id: str) -> Response:
    is_openai = f"{request.path}/".startswith("/v1/")
    return error.to_openai_response() if is_openai else error.to_response(request_id)


async def _routed(request: Request, settings: Settings, log: RequestLog, context: Callable[..., Context]) -> Response:
    route, log.route, parameters = find(request.method, request.path)
    caller = access.identify(request, settings.policy, route.scope, time.time())
    log.caller = caller.name
    served = context(caller=caller)
    await limits.admit(served, route.rate)
    return await route.handler(served, **parameters)
