"""HTTP routes of Vectorize: the paths that the `VectorizeIndexImpl` class calls, and those of the REST API."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Host, Route, Router

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.http import ACCOUNT, Handler, JsonHandler, error_envelope, in_envelope
from workers_ai_simulator.traffic.traffic import Traffic
from workers_ai_simulator.vectorize.binding import Binding
from workers_ai_simulator.vectorize.rest import Rest
from workers_ai_simulator.vectorize.store import VectorStore

BINDING_HOST = "vector-search"
"""`Host` of every call that the `VectorizeIndexImpl` class makes."""

INDEXES = f"{ACCOUNT}/vectorize/v2/indexes"
INDEX = f"{INDEXES}/{{name}}"


def routes(store: VectorStore, traffic: Traffic) -> list[BaseRoute]:
    """Routes of the binding and of the REST API."""
    binding = Host(BINDING_HOST, Router(_binding_routes(Binding(store), traffic)))
    return [binding, *_rest_routes(Rest(store), traffic)]


def _binding_routes(binding: Binding, traffic: Traffic) -> list[BaseRoute]:
    """Routes that answer the bare result, or `{code, error}` with a status other than 200."""

    def route(path: str, method: str, operation: str, answer: JsonHandler) -> Route:
        return Route(path, traffic.observed("VECTORIZE", operation, _bare(answer), _bare_error), methods=[method])

    return [
        route("/info", "GET", "describe", binding.info),
        route("/insert", "POST", "insert", binding.insert),
        route("/upsert", "POST", "upsert", binding.upsert),
        route("/query", "POST", "query", binding.query),
        route("/getByIds", "POST", "getByIds", binding.get),
        route("/deleteByIds", "POST", "deleteByIds", binding.delete),
    ]


def _rest_routes(rest: Rest, traffic: Traffic) -> list[BaseRoute]:
    """Routes that answer in the envelope of the REST API."""

    def route(path: str, method: str, operation: str, answer: JsonHandler) -> Route:
        return Route(
            path, traffic.observed("VECTORIZE", operation, in_envelope(answer), error_envelope), methods=[method]
        )

    return [
        route(INDEXES, "GET", "listIndexes", rest.list),
        route(INDEXES, "POST", "createIndex", rest.create),
        route(INDEX, "GET", "getIndex", rest.get_index),
        route(INDEX, "DELETE", "deleteIndex", rest.delete_index),
        route(f"{INDEX}/info", "GET", "describe", rest.info),
        route(f"{INDEX}/list", "GET", "listVectors", rest.list_vectors),
        route(f"{INDEX}/insert", "POST", "insert", rest.insert),
        route(f"{INDEX}/upsert", "POST", "upsert", rest.upsert),
        route(f"{INDEX}/query", "POST", "query", rest.query),
        route(f"{INDEX}/get_by_ids", "POST", "getByIds", rest.get),
        route(f"{INDEX}/delete_by_ids", "POST", "deleteByIds", rest.delete),
        route(f"{INDEX}/metadata_index/create", "POST", "createMetadataIndex", rest.create_metadata_index),
        route(f"{INDEX}/metadata_index/list", "GET", "listMetadataIndexes", rest.list_metadata_indexes),
        route(f"{INDEX}/metadata_index/delete", "POST", "deleteMetadataIndex", rest.delete_metadata_index),
    ]


def _bare(answer: JsonHandler) -> Handler:
    async def handler(request: Request) -> Response:
        return JSONResponse(await answer(request))

    return handler


def _bare_error(error: UpstreamError) -> Response:
    return JSONResponse({"code": error.code, "error": error.description}, error.status)
