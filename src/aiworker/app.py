"""A request's way: request id → CORS → route → access → rate limit → handler → response or error."""

import functools
import time
from collections.abc import Callable
from typing import Any

from aiworker.auth import access, limits
from aiworker.auth.budget import RequestBudget
from aiworker.bindings import StreamOutcome, Streams
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http import cors
from aiworker.http.messages import Request, Response
from aiworker.log import RequestLog
from aiworker.routes import find
from aiworker.settings import Settings

NO_PAGE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of all that is served here: a browser that opens it shall neither guess what it is nor run any of it."""


async def handle(
    request: Request,
    streams: Streams,
    read_settings: Callable[[], Settings],
    context: Callable[..., Context],
    log: RequestLog,
) -> Response:
    """Answer one request; whatever goes wrong becomes an error response of the API.

    read_settings: may raise ApiError. context: makes the route's Context from the request's `settings`, `caller`,
    `log` and `request_budget`.
    """
    request_budget = RequestBudget()
    served: dict[str, Any] = {"log": log, "request_budget": request_budget}
    streams.on_disconnect(log.finish_disconnected)
    shared: dict[str, str] = {"x-request-id": log.request_id, **NO_PAGE}
    try:
        settings = read_settings()
        log.log_prompts = settings.log_prompts
        shared |= cors.headers(request, settings.allowed_origins)
        if cors.is_preflight(request):
            response = cors.answer_preflight(request, settings.allowed_origins)
        else:
            response = await _routed(request, settings, log, functools.partial(context, settings=settings, **served))
    except ApiError as error:
        log.record_error(error)
        response = _refusal(error, request, log.request_id)
    except Exception as error:  # the one place where a defect of ours becomes a response
        log.record_defect(error)
        defect = ApiError("internal_error", f"The Worker failed. Its log has the cause under {log.request_id}.")
        response = _refusal(defect, request, log.request_id)
    response.headers = {**shared, **response.headers}
    timings = response.headers.get("server-timing")
    response.headers["server-timing"] = ", ".join(
        filter(None, (timings, f"total;dur={log.record_head(response.status)}"))
    )

    def ended(end: StreamOutcome) -> None:
        log.finish(end)
        if request_budget.reservations:
            streams.wait_until(request_budget.settle())

    streams.on_complete(ended)
    return response  # to a HEAD, the platform sends it without its body


def _refusal(error: ApiError, request: Request, request_id: str) -> Response:
    is_openai = f"{request.path}/".startswith("/v1/")
    return error.to_openai_response() if is_openai else error.to_response(request_id)


async def _routed(request: Request, settings: Settings, log: RequestLog, context: Callable[..., Context]) -> Response:
    route, parameters = find(request.method, request.path)
    log.route = route.path
    caller = access.identify(request, settings.policy, route.scope, time.time())
    log.caller = caller.name
    served = context(caller=caller)
    await limits.check_rate(served, route.rate)
    if caller.key and caller.key.daily_neurons is not None:
        served.request_budget.charge_to(caller.key, served.budgets.find(caller.key.name), log.request_id)
    return await route.respond(served, parameters)
