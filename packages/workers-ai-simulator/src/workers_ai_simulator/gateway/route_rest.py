"""Dynamic routes in Cloudflare's REST API, and model aliases in the simulator's own.

Paths and shapes follow the types of Cloudflare's SDKs: lists and changes are not in `result` there.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers_ai_simulator.gateway import aliases, dynamic_routes
from workers_ai_simulator.gateway.errors import invalid
from workers_ai_simulator.gateway.models import iso_time
from workers_ai_simulator.gateway.options import GATEWAY_ID
from workers_ai_simulator.gateway.requests import json_body
from workers_ai_simulator.gateway.route_store import Deployment, Route, Version, version_json
from workers_ai_simulator.gateway.service import Gateways
from workers_ai_simulator.http import envelope


class RouteRest:
    """HTTP handlers, one for each endpoint. Each raises GatewayError."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways
        self._routes = gateways.routes

    # ---- routes --------------------------------------------------------------------------------------------------

    async def list(self, request: Request) -> Response:
        routes = self._routes.routes(self._gateway(request))
        return _listed("routes", [_route_json(request, route) for route in routes])

    async def create(self, request: Request) -> Response:
        gateway, body = self._gateway(request), await json_body(request)
        elements = dynamic_routes.checked(body.get("elements"))
        route = self._routes.create(gateway, _name(body), elements, self._gateways.now_ms)
        return envelope(_route_json(request, route))

    async def get(self, request: Request) -> Response:
        return envelope(_route_json(request, self._route(request)))

    async def update(self, request: Request) -> Response:
        """Rename a route."""
        route, body = self._route(request), await json_body(request)
        renamed = self._routes.rename(route, _name(body), self._gateways.now_ms)
        return JSONResponse({"success": True, "route": _route_json(request, renamed)})

    async def delete(self, request: Request) -> Response:
        route = self._route(request)
        self._routes.delete(route)
        return envelope(_head(request, route))

    # ---- versions and deployments --------------------------------------------------------------------------------

    async def versions(self, request: Request) -> Response:
        route = self._route(request)
        return _listed("versions", [_version_json(each, route) for each in self._routes.versions(route.id)])

    async def create_version(self, request: Request) -> Response:
        """Add a version, which is not deployed yet."""
        route, body = self._route(request), await json_body(request)
        elements = dynamic_routes.checked(body.get("elements"))
        version = self._routes.add_version(route.id, elements, _comment(body), self._gateways.now_ms)
        return envelope({**_head(request, route), **_version_json(version, route), "elements": version.elements})

    async def version(self, request: Request) -> Response:
        route = self._route(request)
        version = self._routes.version(route.id, request.path_params["version"])
        return envelope({**_head(request, route), **_version_json(version, route), "elements": version.elements})

    async def deployments(self, request: Request) -> Response:
        route = self._route(request)
        return _listed("deployments", [_deployment_json(each) for each in self._routes.deployments(route.id)])

    async def deploy(self, request: Request) -> Response:
        """Send calls through a version."""
        route, body = self._route(request), await json_body(request)
        version_id = body.get("version_id")
        if not isinstance(version_id, str):
            raise invalid("version_id: Expected string")
        self._routes.deploy(route.id, version_id, _comment(body), self._gateways.now_ms)
        return envelope(_route_json(request, self._routes.get(route.gateway, route.id)))

    def _gateway(self, request: Request) -> str:
        return self._gateways.store.get(request.path_params["gateway"]).id

    def _route(self, request: Request) -> Route:
        return self._routes.get(self._gateway(request), request.path_params["route"])

    # ---- aliases -------------------------------------------------------------------------------------------------

    async def aliases(self, request: Request) -> Response:
        return JSONResponse(self._routes.aliases(request.path_params["gateway"]))

    async def put_alias(self, request: Request) -> Response:
        """Create or replace an alias `{models, routing}`; a gateway that is not there is created, too."""
        gateway_id = request.path_params["gateway"]
        if not GATEWAY_ID.fullmatch(gateway_id):
            raise invalid("gateway: expected 1 to 64 letters, digits, - or _")
        alias = aliases.checked(request.path_params["alias"], await json_body(request))
        gateway = self._gateways.store.get_or_create(gateway_id, self._gateways.now_ms)
        self._routes.put_alias(gateway.id, alias)
        return JSONResponse(alias)

    async def delete_alias(self, request: Request) -> Response:
        self._routes.delete_alias(request.path_params["gateway"], request.path_params["alias"])
        return Response(status_code=204)


# ---- requests and responses ----------------------------------------------------------------------------------------


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not GATEWAY_ID.fullmatch(name):
        raise invalid("name: expected 1 to 64 letters, digits, - or _")
    return name


def _comment(body: dict[str, Any]) -> str | None:
    comment = body.get("comment")
    if comment is not None and not isinstance(comment, str):
        raise invalid("comment: Expected string")
    return comment


def _listed(name: str, items: list[dict[str, Any]]) -> Response:
    page = {"order_by": "created_at", "order_by_direction": "desc", "page": 1, "per_page": max(len(items), 20)}
    return JSONResponse({"success": True, "data": {name: items, **page}})


def _head(request: Request, route: Route) -> dict[str, Any]:
    return {
        "id": route.id,
        "account_tag": request.path_params["account"],
        "gateway_id": route.gateway,
        "name": route.name,
        "elements": route.version.elements,
        "created_at": iso_time(route.created),
        "modified_at": iso_time(route.modified),
    }


def _route_json(request: Request, route: Route) -> dict[str, Any]:
    deployment, version = _deployment_json(route.deployment), _version_json(route.version, route)
    return {**_head(request, route), "deployment": deployment, "version": version}


def _version_json(version: Version, route: Route) -> dict[str, Any]:
    return {**version_json(version, route.deployment.version), "created_at": iso_time(version.created)}


def _deployment_json(deployment: Deployment) -> dict[str, Any]:
    return {
        "deployment_id": deployment.id,
        "version_id": deployment.version,
        "comment": deployment.comment,
        "created_at": iso_time(deployment.created),
    }
