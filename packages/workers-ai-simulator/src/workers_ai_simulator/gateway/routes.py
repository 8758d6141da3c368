"""HTTP routes of AI Gateway: the binding's calls, the REST API, and the gateways' own endpoints."""

from collections.abc import Callable

from starlette.routing import BaseRoute, Route

from workers_ai_simulator.gateway.endpoints import Endpoints, refusing
from workers_ai_simulator.gateway.rest import Rest
from workers_ai_simulator.gateway.route_rest import RouteRest
from workers_ai_simulator.gateway.service import Gateways
from workers_ai_simulator.http import ACCOUNT, Handler, error_envelope
from workers_ai_simulator.inference.models import RunModel
from workers_ai_simulator.traffic.traffic import Traffic

GATEWAYS = f"{ACCOUNT}/ai-gateway/gateways"
GATEWAY = f"{GATEWAYS}/{{gateway}}"
BINDING = "/ai-gateway/gateways/{gateway}"
ROUTES = f"{GATEWAY}/routes"
ROUTE = f"{ROUTES}/{{route}}"
ALIASES = "/simulator/gateways/{gateway}/aliases"
"""Path of the simulator's own API: no documentation of Cloudflare's was found."""
ENDPOINT = "/v1/{account}/{gateway}"


def routes(gateways: Gateways, run_model: RunModel, traffic: Traffic) -> list[BaseRoute]:
    """The routes; `run_model` answers model calls through the gateway that their options name."""
    return [
        *_management_routes(Rest(gateways), traffic),
        *_routing_routes(RouteRest(gateways), traffic),
        *_model_routes(Endpoints(gateways, run_model)),
    ]


def _observed_by(traffic: Traffic) -> Callable[[str, str, str, Handler], Route]:
    """Return a function that returns the route of a path, a method, an operation in the journal, and a handler."""

    def route(path: str, method: str, operation: str, handler: Handler) -> Route:
        return Route(path, traffic.observed("AI_GATEWAY", operation, handler, error_envelope), methods=[method])

    return route


def _management_routes(rest: Rest, traffic: Traffic) -> list[BaseRoute]:
    route = _observed_by(traffic)
    return [
        route(f"{BINDING}/logs/{{log}}", "GET", "getLog", rest.log),
        route(f"{BINDING}/logs/{{log}}", "PATCH", "patchLog", rest.patch_log),
        route(f"{BINDING}/url/{{provider}}", "GET", "getUrl", rest.url_for_binding),
        route(GATEWAYS, "GET", "listGateways", rest.list),
        route(GATEWAYS, "POST", "createGateway", rest.create),
        route(GATEWAY, "GET", "getGateway", rest.get),
        route(GATEWAY, "PUT", "updateGateway", rest.update),
        route(GATEWAY, "DELETE", "deleteGateway", rest.delete),
        route(f"{GATEWAY}/url/{{provider}}", "GET", "getUrl", rest.url),
        route(f"{GATEWAY}/logs", "GET", "listLogs", rest.logs),
        route(f"{GATEWAY}/logs", "DELETE", "deleteLogs", rest.delete_logs),
        route(f"{GATEWAY}/logs/{{log}}", "GET", "getLog", rest.log),
        route(f"{GATEWAY}/logs/{{log}}", "PATCH", "patchLog", rest.patch_log),
        route(f"{GATEWAY}/logs/{{log}}/request", "GET", "getLogRequest", rest.log_request),
        route(f"{GATEWAY}/logs/{{log}}/response", "GET", "getLogResponse", rest.log_response),
    ]


def _routing_routes(rest: RouteRest, traffic: Traffic) -> list[BaseRoute]:
    route = _observed_by(traffic)
    return [
        route(ROUTES, "GET", "listRoutes", rest.list),
        route(ROUTES, "POST", "createRoute", rest.create),
        route(ROUTE, "GET", "getRoute", rest.get),
        route(ROUTE, "PATCH", "updateRoute", rest.update),
        route(ROUTE, "DELETE", "deleteRoute", rest.delete),
        route(f"{ROUTE}/versions", "GET", "listRouteVersions", rest.versions),
        route(f"{ROUTE}/versions", "POST", "createRouteVersion", rest.create_version),
        route(f"{ROUTE}/versions/{{version}}", "GET", "getRouteVersion", rest.version),
        route(f"{ROUTE}/deployments", "GET", "listRouteDeployments", rest.deployments),
        route(f"{ROUTE}/deployments", "POST", "createRouteDeployment", rest.deploy),
        Route(ALIASES, refusing(rest.aliases), methods=["GET"]),
        Route(f"{ALIASES}/{{alias}}", refusing(rest.put_alias), methods=["PUT"]),
        Route(f"{ALIASES}/{{alias}}", refusing(rest.delete_alias), methods=["DELETE"]),
    ]


def _model_routes(endpoints: Endpoints) -> list[BaseRoute]:
    def route(path: str, handler: Handler) -> Route:
        return Route(path, refusing(handler), methods=["POST"])

    return [
        route("/ai-gateway/universal/run/{gateway}", endpoints.universal),
        route(ENDPOINT, endpoints.authenticated(endpoints.universal)),
        route(f"{ENDPOINT}/compat/chat/completions", endpoints.authenticated(endpoints.compat)),
        route(f"{ENDPOINT}/{{provider}}/{{endpoint:path}}", endpoints.authenticated(endpoints.direct)),
    ]
