"""Cloudflare's REST API for gateways and their logs, and what the binding's `AiGateway` class asks for."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.api.bodies import json_object
from workers_ai_simulator.errors import UpstreamError, enveloped
from workers_ai_simulator.gateway.errors import invalid, not_found
from workers_ai_simulator.gateway.filters import page_of, search
from workers_ai_simulator.gateway.gateways import Gateways
from workers_ai_simulator.gateway.logs import MOST_LOGS, Log, moment
from workers_ai_simulator.gateway.options import GATEWAY_ID, MOST_METADATA
from workers_ai_simulator.gateway.settings import Gateway
from workers_ai_simulator.traffic.traffic import Handler, Traffic

GATEWAYS = "/client/v4/accounts/{account}/ai-gateway/gateways"
GATEWAY = f"{GATEWAYS}/{{gateway}}"
BINDING = "/ai-gateway/gateways/{gateway}"
BINDING_ACCOUNT = "simulator"
"""The account in addresses for the binding, which does not say its own."""

Call = Callable[[Request], Awaitable[Response]]


def routes(gateways: Gateways, traffic: Traffic) -> list[BaseRoute]:
    rest = Rest(gateways)

    def called(path: str, method: str, operation: str, answer: Call) -> Route:
        handler: Handler = traffic.watched("AI_GATEWAY", operation, answer, _refused)
        return Route(path, handler, methods=[method])

    return [
        called(f"{BINDING}/logs/{{log}}", "GET", "getLog", rest.log),
        called(f"{BINDING}/logs/{{log}}", "PATCH", "patchLog", rest.patch_log),
        called(f"{BINDING}/url/{{provider}}", "GET", "getUrl", rest.url_for_binding),
        called(GATEWAYS, "GET", "listGateways", rest.list),
        called(GATEWAYS, "POST", "createGateway", rest.create),
        called(GATEWAY, "GET", "getGateway", rest.show),
        called(GATEWAY, "PUT", "updateGateway", rest.update),
        called(GATEWAY, "DELETE", "deleteGateway", rest.remove),
        called(f"{GATEWAY}/url/{{provider}}", "GET", "getUrl", rest.url),
        called(f"{GATEWAY}/logs", "GET", "listLogs", rest.logs),
        called(f"{GATEWAY}/logs", "DELETE", "deleteLogs", rest.delete_logs),
        called(f"{GATEWAY}/logs/{{log}}", "GET", "getLog", rest.log),
        called(f"{GATEWAY}/logs/{{log}}", "PATCH", "patchLog", rest.patch_log),
        called(f"{GATEWAY}/logs/{{log}}/request", "GET", "getLogRequest", rest.log_request),
        called(f"{GATEWAY}/logs/{{log}}/response", "GET", "getLogResponse", rest.log_response),
    ]


class Rest:
    """Each method answers in the envelope, or raises UpstreamError."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways

    # ---- gateways ------------------------------------------------------------------------------------------------

    async def list(self, request: Request) -> Response:
        found = self._gateways.settings.search(request.query_params.get("search", ""))
        part, page, per_page = page_of(found, request.query_params)
        return _paged([_shown(gateway) for gateway in part], len(found), page, per_page)

    async def create(self, request: Request) -> Response:
        return enveloped(_shown(self._gateways.settings.create(await sent_object(request), self._gateways.now_ms)))

    async def show(self, request: Request) -> Response:
        return enveloped(_shown(self._gateways.settings.get(_gateway(request))))

    async def update(self, request: Request) -> Response:
        gateway = self._gateways.settings.update(_gateway(request), await sent_object(request), self._gateways.now_ms)
        if gateway.settings["cache_invalidate_on_update"]:
            self._gateways.forget(gateway.id)
        return enveloped(_shown(gateway))

    async def remove(self, request: Request) -> Response:
        return enveloped(_shown(self._gateways.delete(_gateway(request))))

    async def url(self, request: Request) -> Response:
        return enveloped(_url(request, request.path_params["account"]))

    async def url_for_binding(self, request: Request) -> Response:
        return enveloped({"url": _url(request, BINDING_ACCOUNT)})

    # ---- logs ----------------------------------------------------------------------------------------------------

    async def logs(self, request: Request) -> Response:
        gateway = self._gateways.settings.get(_gateway(request))
        asked = search(request.query_params)
        logs, count = self._gateways.logs.search(gateway.id, asked)
        return _paged([log.summary() for log in logs], count, asked.offset // asked.limit + 1, asked.limit)

    async def delete_logs(self, request: Request) -> Response:
        """Those that the filters match, of which no more than `limit` in the given order."""
        gateway = self._gateways.settings.get(_gateway(request))
        limit = request.query_params.get("limit", str(MOST_LOGS))
        if not limit.isdecimal():
            raise invalid("limit: Expected number")
        self._gateways.logs.delete(gateway.id, replace(search(request.query_params), limit=int(limit)))
        return enveloped(None)

    async def log(self, request: Request) -> Response:
        return enveloped(self._log(request).to_json())

    async def patch_log(self, request: Request) -> Response:
        """Feedback, score and metadata of a log; what is not named stays."""
        log = self._log(request)
        sent = await sent_object(request)
        self._gateways.logs.patch(log, {name: read(sent[name]) for name, read in PATCHED.items() if name in sent})
        return enveloped(self._log(request).to_json())

    async def log_request(self, request: Request) -> Response:
        log = self._log(request)
        return _body(log.request, log.request_size, log.request_content_type, "Request")

    async def log_response(self, request: Request) -> Response:
        log = self._log(request)
        return _body(log.response, log.response_size, log.response_content_type, "Response")

    def _log(self, request: Request) -> Log:
        found = self._gateways.logs.find(_gateway(request), request.path_params["log"])
        if found is None:
            raise not_found("Log")
        return found


# ---- what may be patched ---------------------------------------------------------------------------------------------


def _feedback(value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or value not in (-1, 1)):
        raise invalid("feedback: expected -1, 1 or null")
    return None if value is None else int(cast("float", value))


def _score(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise invalid("score: expected a number from 0 to 100, or null")
    return value


def _metadata(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    entries = cast("dict[str, Any]", value)
    if not isinstance(value, dict) or not all(
        each is None or isinstance(each, str | int | float) for each in entries.values()
    ):
        raise invalid("metadata: expected an object of strings, numbers, booleans and nulls, or null")
    if len(entries) > MOST_METADATA:
        raise invalid(f"metadata: expected no more than {MOST_METADATA} entries")
    return entries


PATCHED: dict[str, Callable[[object], Any]] = {"feedback": _feedback, "score": _score, "metadata": _metadata}
"""Types and ranges of the binding's `AiGatewayPatchLog`, and Cloudflare's documentation of `score`."""


# ---- requests and responses ------------------------------------------------------------------------------------------


def _gateway(request: Request) -> str:
    return request.path_params["gateway"]


def _url(request: Request, account: str) -> str:
    """The address of a gateway on this simulator, for one provider or all of them (`universal`)."""
    gateway, provider = _gateway(request), request.path_params["provider"]
    if not GATEWAY_ID.fullmatch(gateway):
        raise not_found("Gateway")
    # the listener's own address: the `Host` of the binding's calls is one that only Cloudflare has
    host, port = request.scope["server"]
    address = f"http://{host}:{port}/v1/{account}/{gateway}"
    return address if provider == "universal" else f"{address}/{provider}"


async def sent_object(request: Request) -> dict[str, Any]:
    """The JSON object that a request to a gateway brings. Raises GatewayError 7001 for any other body."""
    found = json_object(await request.body())
    if found is None:
        raise invalid("The body must be a JSON object")
    return found


def _shown(gateway: Gateway) -> dict[str, Any]:
    times = {"created_at": moment(gateway.created), "modified_at": moment(gateway.modified)}
    return {"id": gateway.id, "is_default": gateway.id == "default", **gateway.settings, **times}


def _body(kept: str | None, size: int, content_type: str | None, name: str) -> Response:
    """What a log has of a body: as its own type if it has all of it."""
    if kept is None:
        raise not_found(name)
    whole = len(kept.encode()) == size
    return Response(kept, media_type=content_type if whole and content_type else "text/plain")


def _paged(items: list[Any], count: int, page: int, per_page: int) -> Response:
    info = {"count": len(items), "page": page, "per_page": per_page, "total_count": count}
    return JSONResponse({"success": True, "result": items, "errors": [], "messages": [], "result_info": info})


def _refused(error: UpstreamError) -> Response:
    return enveloped(None, error.status, [(error.code, error.description)])
