"""Gateways and their logs in Cloudflare's REST API and for the binding's `AiGateway` class."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers_ai_simulator.gateway.errors import invalid, not_found
from workers_ai_simulator.gateway.filters import page_of, search
from workers_ai_simulator.gateway.models import Gateway, Log, iso_time
from workers_ai_simulator.gateway.options import GATEWAY_ID, MAX_METADATA_ENTRIES
from workers_ai_simulator.gateway.requests import json_body
from workers_ai_simulator.gateway.service import Gateways
from workers_ai_simulator.gateway.settings import checked, checked_id
from workers_ai_simulator.gateway.store import MAX_LOGS
from workers_ai_simulator.http import envelope

BINDING_ACCOUNT = "simulator"
"""Account in addresses for the binding, which does not tell its own."""


class Rest:
    """HTTP handlers of the API, one for each endpoint. Each raises GatewayError."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways

    # ---- gateways ------------------------------------------------------------------------------------------------

    async def list(self, request: Request) -> Response:
        matches = self._gateways.store.search(request.query_params.get("search", ""))
        items, page, per_page = page_of(matches, request.query_params)
        return _paged([_to_json(gateway) for gateway in items], len(matches), page, per_page)

    async def create(self, request: Request) -> Response:
        body = await json_body(request)
        gateway = self._gateways.store.create(checked_id(body), checked(body), self._gateways.now_ms)
        return envelope(_to_json(gateway))

    async def get(self, request: Request) -> Response:
        return envelope(_to_json(self._gateways.store.get(_gateway_id(request))))

    async def update(self, request: Request) -> Response:
        body = await json_body(request)
        gateway = self._gateways.store.get(_gateway_id(request))
        updated = self._gateways.store.update(gateway.id, checked(body), self._gateways.now_ms)
        if updated.settings["cache_invalidate_on_update"]:
            self._gateways.clear_cache(gateway.id)
        return envelope(_to_json(updated))

    async def delete(self, request: Request) -> Response:
        return envelope(_to_json(self._gateways.delete(_gateway_id(request))))

    async def url(self, request: Request) -> Response:
        return envelope(_url(request, request.path_params["account"]))

    async def url_for_binding(self, request: Request) -> Response:
        return envelope({"url": _url(request, BINDING_ACCOUNT)})

    # ---- logs ----------------------------------------------------------------------------------------------------

    async def logs(self, request: Request) -> Response:
        gateway = self._gateways.store.get(_gateway_id(request))
        query = search(request.query_params)
        logs, count = self._gateways.logs.search(gateway.id, query)
        return _paged([log.summary() for log in logs], count, query.offset // query.limit + 1, query.limit)

    async def delete_logs(self, request: Request) -> Response:
        """Delete the logs that match the filters, at most `limit` of them in the order given."""
        gateway = self._gateways.store.get(_gateway_id(request))
        limit = request.query_params.get("limit", str(MAX_LOGS))
        if not limit.isdecimal():
            raise invalid("limit: Expected number")
        self._gateways.logs.delete(gateway.id, replace(search(request.query_params), limit=int(limit)))
        return envelope(None)

    async def log(self, request: Request) -> Response:
        return envelope(self._log(request).to_json())

    async def patch_log(self, request: Request) -> Response:
        """Set feedback, score and metadata of a log; those that the body does not name stay."""
        log = self._log(request)
        body = await json_body(request)
        self._gateways.logs.patch(log, {name: read(body[name]) for name, read in PATCHABLE.items() if name in body})
        return envelope(self._log(request).to_json())

    async def log_request(self, request: Request) -> Response:
        log = self._log(request)
        return _body_response(log.request, log.request_size, log.request_content_type, "Request")

    async def log_response(self, request: Request) -> Response:
        log = self._log(request)
        return _body_response(log.response, log.response_size, log.response_content_type, "Response")

    def _log(self, request: Request) -> Log:
        log = self._gateways.logs.find(_gateway_id(request), request.path_params["log"])
        if log is None:
            raise not_found("Log")
        return log


# ---- values of a patch -----------------------------------------------------------------------------------------------


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
    if len(entries) > MAX_METADATA_ENTRIES:
        raise invalid(f"metadata: expected no more than {MAX_METADATA_ENTRIES} entries")
    return entries


PATCHABLE: dict[str, Callable[[object], Any]] = {"feedback": _feedback, "score": _score, "metadata": _metadata}
"""Column that a client may set → the function that checks its value. Types and ranges are those of the binding's
`AiGatewayPatchLog`, and of Cloudflare's documentation of `score`."""


# ---- requests and responses ------------------------------------------------------------------------------------------


def _gateway_id(request: Request) -> str:
    return request.path_params["gateway"]


def _url(request: Request, account: str) -> str:
    """Address of a gateway on this simulator, for one provider or for all of them (`universal`)."""
    gateway, provider = _gateway_id(request), request.path_params["provider"]
    if not GATEWAY_ID.fullmatch(gateway):
        raise not_found("Gateway")
    # the listener's own address: the binding's calls have a `Host` that only Cloudflare's network knows
    host, port = request.scope["server"]
    address = f"http://{host}:{port}/v1/{account}/{gateway}"
    return address if provider == "universal" else f"{address}/{provider}"


def _to_json(gateway: Gateway) -> dict[str, Any]:
    times = {"created_at": iso_time(gateway.created), "modified_at": iso_time(gateway.modified)}
    return {"id": gateway.id, "is_default": gateway.id == "default", **gateway.settings, **times}


def _body_response(body: str | None, size: int, content_type: str | None, name: str) -> Response:
    """The part of a body that a log stores, with the body's own content type if it is the whole body.

    Raises GatewayError 7002, with the body's name, if the log stores none of it.
    """
    if body is None:
        raise not_found(name)
    is_whole = len(body.encode()) == size
    return Response(body, media_type=content_type if is_whole and content_type else "text/plain")


def _paged(items: list[Any], count: int, page: int, per_page: int) -> Response:
    info = {"count": len(items), "page": page, "per_page": per_page, "total_count": count}
    return JSONResponse({"success": True, "result": items, "errors": [], "messages": [], "result_info": info})
