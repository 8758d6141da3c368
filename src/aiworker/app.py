"""Handling of a request: request id → host → CORS → route → access → origin → rate limit → handler → response.

Any of these may end in an error instead.
"""

import functools
import re
import time
from collections.abc import Callable

from aiworker.anthropic_errors import anthropic_response
from aiworker.auth import access, limits
from aiworker.auth.budget import RequestBudget, budgets_of
from aiworker.bindings import RateLimiter, StreamOutcome, Streams
from aiworker.context import Context
from aiworker.errors import ApiError, release
from aiworker.http import cors, pages
from aiworker.http.messages import Request, Response
from aiworker.log import RequestLog
from aiworker.mcp.errors import is_oauth, oauth_response, rpc_response
from aiworker.routes import find
from aiworker.settings import Settings

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of every response: a browser that opens one neither guesses its type nor runs anything in it."""

PARAMETER = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
"""Names of ignored parameters that are safe to repeat in a header; others, which clients make up, are left out of
it."""
MAX_IGNORED = 50
"""Maximum number of names in the header `x-ignored-parameters`."""


async def handle(
    request: Request,
    streams: Streams,
    read_settings: Callable[[], Settings],
    make_context: Callable[..., Context],
    log: RequestLog,
    failures: RateLimiter | None = None,
) -> Response:
    """Answer one request; every exception becomes an error response of the API.

    read_settings: returns the settings; may raise ApiError. make_context: returns the route's Context from the
    request's `settings`, `caller`, `log` and `request_budget`. failures: the rate limit of limits.FAILURES, if any.
    """
    request_budget = RequestBudget()
    headers: dict[str, str] = {"x-request-id": log.request_id, **SECURITY_HEADERS}
    try:
        settings = read_settings()
        log.log_prompts = settings.log_prompts
        pages.check_host(request, settings.allowed_hosts)
        headers |= cors.headers(request, settings.allowed_origins)
        if cors.is_preflight(request):
            response = cors.answer_preflight(request, settings.allowed_origins)
        else:
            prepared = functools.partial(make_context, settings=settings, log=log, request_budget=request_budget)
            response = await _respond(
                request, streams, settings, log, prepared, failures if settings.rate_limits else None
            )
    except ApiError as error:
        log.record_error(error)
        response = _error_response(error, request, log)
        release(error)
    except Exception as error:  # the one place where an exception of this Worker's code becomes a response
        log.record_defect(error)
        defect = ApiError("internal_error", f"The Worker failed. Its log has the cause under {log.request_id}.")
        response = _error_response(defect, request, log)
        release(error)
    response.headers = {**headers, **_notes(log), **response.headers}
    timings = response.headers.get("server-timing")
    retries = f'retries;desc="{log.retries}"' if log.retries else None
    total = f"total;dur={log.record_head(response.status)}"
    response.headers["server-timing"] = ", ".join(filter(None, (timings, retries, total)))

    def complete(outcome: StreamOutcome) -> None:
        log.finish(outcome)
        if request_budget.reservations:
            streams.wait_until(request_budget.settle())

    streams.on_complete(complete)
    return response  # the platform leaves out the body of the response to a HEAD


def _notes(log: RequestLog) -> dict[str, str]:
    """Return the headers that name ignored parameters and the successor of a retired model."""
    notes: dict[str, str] = {}
    if log.retired is not None:
        notes["warning"] = f'299 - "The model {log.retired} was retired: {log.successor} answers in its place."'
    ignored = [name for name in dict.fromkeys(log.ignored) if PARAMETER.fullmatch(name)][:MAX_IGNORED]
    if ignored:
        notes["x-ignored-parameters"] = ", ".join(ignored)
    return notes


def _error_response(error: ApiError, request: Request, log: RequestLog) -> Response:
    if request.path == "/mcp":
        return rpc_response(error, log.request_id)
    if is_oauth(request.path):
        return oauth_response(error)
    # also for clients of OpenAI's API that have a wrong base URL: `//v1/…`, `/api/v1/…`
    is_misdirected = log.route is None and "v1" in request.path.lower().split("/")
    if request.path.startswith("/v1/messages") or request.header("anthropic-version") is not None:
        return anthropic_response(error, log.request_id)
    if f"{request.path}/".startswith("/api/chat/"):
        return error.to_text_response()
    is_openai = is_misdirected or f"{request.path}/".startswith("/v1/")
    return error.to_openai_response() if is_openai else error.to_response(log.request_id)


async def _respond(
    request: Request,
    streams: Streams,
    settings: Settings,
    log: RequestLog,
    make_context: Callable[..., Context],
    failures: RateLimiter | None,
) -> Response:
    """Find the route, identify the caller, check the rate limit, and run the route's handler."""
    route, parameters = find(request.method, request.path)
    log.route = route.path
    try:
        caller = access.identify(request, settings.policy, route.scope, time.time())
    except ApiError as error:
        raise await limits.slow_failures(error, request, failures) from None
    log.caller = caller.name
    if caller.key is None:
        pages.check_page(request, settings.allowed_origins)
    context = make_context(caller=caller)
    streams.on_disconnect(log.finish_disconnected)
    route.start_reading(context)
    await limits.check_rate(context, route.rate)
    _charge(context)
    return await route.respond(context, parameters)


def _charge(context: Context) -> None:
    """Count the request's model calls against the daily budgets of the caller's key and of the Worker."""
    drawn = budgets_of(context.budgets, context.caller.key, context.settings.daily_neurons)
    for budget in drawn:
        context.request_budget.charge_to(budget, context.request_id)
