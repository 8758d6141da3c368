"""HTTP routes of Web Search API: the one that the binding's Worker calls, and that of the REST API."""

import time
import uuid
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.gateway.requests import json_body
from workers_ai_simulator.gateway.service import Gateways
from workers_ai_simulator.http import ACCOUNT, error_envelope
from workers_ai_simulator.inference.models import ModelCall, Result
from workers_ai_simulator.traffic.traffic import Traffic
from workers_ai_simulator.web_search.models import WebSearch


def routes(gateways: Gateways, traffic: Traffic) -> list[BaseRoute]:
    """The routes. Every search goes through a gateway, which logs it."""
    handlers = Handlers(gateways)
    binding = traffic.observed("AI", "websearch", handlers.binding, error_envelope)
    rest = traffic.observed("AI", "websearch", handlers.rest, error_envelope)
    return [
        Route("/websearch", binding, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/websearch", rest, methods=["POST"]),
        Route(f"{ACCOUNT}/ai/websearch/", rest, methods=["POST"]),
    ]


class Handlers:
    """HTTP handlers. Each raises GatewayError 7001: the real codes are not documented."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways

    async def binding(self, request: Request) -> Response:
        """`env.AI.websearch({gatewayId, query, limit, provider, byokAlias})`."""
        body = await json_body(request)
        return await self._search(WebSearch.from_json(body, body.get("gatewayId")))

    async def rest(self, request: Request) -> Response:
        """The REST API, which has the gateway's id in `options`."""
        body = await json_body(request)
        match body.get("options"):
            case {"gateway": {"id": gateway_id}}:
                return await self._search(WebSearch.from_json(body, gateway_id))
            case _:
                return await self._search(WebSearch.from_json(body, None))

    async def _search(self, search: WebSearch) -> Response:
        started = time.monotonic()

        async def attempt() -> Result:
            milliseconds = round((time.monotonic() - started) * 1000)
            facts = {"query": search.query, "requestId": str(uuid.uuid4()), "latencyMs": milliseconds}
            return Result({"items": search.items(), "metadata": facts}, {})

        call = ModelCall(search.provider, {"query": search.query, "limit": search.limit})
        result = await self._gateways.run(search.gateway, call, attempt)
        return JSONResponse(cast("dict[str, Any]", result.answer), headers=result.headers)
