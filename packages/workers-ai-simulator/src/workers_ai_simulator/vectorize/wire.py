"""Vectorize over HTTP: as the `VectorizeIndexImpl` class asks, and as Cloudflare's REST API has it."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Host, Route, Router

from workers_ai_simulator.api.bodies import json_value
from workers_ai_simulator.errors import UpstreamError, enveloped
from workers_ai_simulator.traffic.traffic import Handler, Traffic
from workers_ai_simulator.vectorize import limits
from workers_ai_simulator.vectorize.limits import VectorizeError
from workers_ai_simulator.vectorize.store import Index, VectorStore

BINDING_HOST = "vector-search"
"""The `Host` of every call that the `VectorizeIndexImpl` class makes."""

INDEX_HEADER = "x-simulator-index"
"""Names the index of a binding's call: miniflare_plugin.cjs adds it, since the class itself does not say."""

ACCOUNT = "/client/v4/accounts/{account}/vectorize/v2/indexes"

Call = Callable[[Request], Awaitable[Any]]


def routes(store: VectorStore, traffic: Traffic) -> list[BaseRoute]:
    binding, rest = Binding(store), Rest(store)
    index = f"{ACCOUNT}/{{name}}"

    def called(operation: str, answer: Call) -> Handler:
        """A binding's call: the bare result, or `{code, error}` and a status that is not 200."""
        return traffic.watched("VECTORIZE", operation, _bare(answer), _refused)

    def asked(operation: str, answer: Call) -> Handler:
        """A call of the REST API: `{success, result, errors, messages}`."""
        return traffic.watched("VECTORIZE", operation, _enveloped(answer), _refused_in_envelope)

    return [
        Host(
            BINDING_HOST,
            Router(
                [
                    Route("/info", called("describe", binding.info)),
                    Route("/insert", called("insert", binding.insert), methods=["POST"]),
                    Route("/upsert", called("upsert", binding.upsert), methods=["POST"]),
                    Route("/query", called("query", binding.query), methods=["POST"]),
                    Route("/getByIds", called("getByIds", binding.get), methods=["POST"]),
                    Route("/deleteByIds", called("deleteByIds", binding.delete), methods=["POST"]),
                ]
            ),
        ),
        Route(ACCOUNT, asked("listIndexes", rest.list), methods=["GET"]),
        Route(ACCOUNT, asked("createIndex", rest.create), methods=["POST"]),
        Route(index, asked("getIndex", rest.show), methods=["GET"]),
        Route(index, asked("deleteIndex", rest.remove), methods=["DELETE"]),
        Route(f"{index}/info", asked("describe", rest.info)),
        Route(f"{index}/list", asked("listVectors", rest.list_vectors)),
        Route(f"{index}/insert", asked("insert", rest.insert), methods=["POST"]),
        Route(f"{index}/upsert", asked("upsert", rest.upsert), methods=["POST"]),
        Route(f"{index}/query", asked("query", rest.query), methods=["POST"]),
        Route(f"{index}/get_by_ids", asked("getByIds", rest.get), methods=["POST"]),
        Route(f"{index}/delete_by_ids", asked("deleteByIds", rest.delete), methods=["POST"]),
        Route(
            f"{index}/metadata_index/create", asked("createMetadataIndex", rest.create_metadata_index), methods=["POST"]
        ),
        Route(f"{index}/metadata_index/list", asked("listMetadataIndexes", rest.list_metadata_indexes)),
        Route(
            f"{index}/metadata_index/delete", asked("deleteMetadataIndex", rest.delete_metadata_index), methods=["POST"]
        ),
    ]


@dataclass(frozen=True)
class Binding:
    """The calls of one binding. Its index is made by the first write: of the width of its vectors, by cosine."""

    store: VectorStore

    async def info(self, request: Request) -> Any:
        name = _index_name(request)
        if not self.store.find_index(name):
            nothing = {"processedUpToDatetime": None, "processedUpToMutation": None}
            return {"vectorCount": 0, "dimensions": 0, **nothing}
        return await run_in_threadpool(self.store.info, name)

    async def insert(self, request: Request) -> Any:
        return await self._write(request, "insert")

    async def upsert(self, request: Request) -> Any:
        return await self._write(request, "upsert")

    async def _write(self, request: Request, kind: str) -> Any:
        name, vectors = _index_name(request), _lines(await request.body())
        if not self.store.find_index(name):
            width = request.headers.get("cf-vector-search-dim-width", "")
            self.store.create_index(name, int(width) if width.isdecimal() else 0, "cosine")
        mutation = await run_in_threadpool(self.store.write, name, kind, vectors, limits.MOST_FROM_WORKER)
        return {"mutationId": mutation}

    async def query(self, request: Request) -> Any:
        name, asked = _index_name(request), await _object(request)
        if not self.store.find_index(name):
            return {"count": 0, "matches": []}
        return await run_in_threadpool(self.store.query, name, asked)

    async def get(self, request: Request) -> Any:
        name, ids = _index_name(request), _ids(await _object(request))
        return await run_in_threadpool(self.store.get, name, ids) if self.store.find_index(name) else []

    async def delete(self, request: Request) -> Any:
        name, ids = _index_name(request), _ids(await _object(request))
        if not self.store.find_index(name):
            return {"mutationId": str(uuid.uuid4())}
        mutation = await run_in_threadpool(self.store.delete, name, ids, limits.MOST_FROM_WORKER)
        return {"mutationId": mutation}


@dataclass(frozen=True)
class Rest:
    """The REST API; each method returns the `result` of the envelope."""

    store: VectorStore

    async def list(self, _: Request) -> Any:
        return [_shown(index) for index in self.store.indexes()]

    async def create(self, request: Request) -> Any:
        match await _object(request):
            case {"name": str(name), "config": {"dimensions": int(dimensions), "metric": str(metric)}, **rest} if (
                dimensions is not True
            ):
                description = rest.get("description") or ""
                return _shown(self.store.create_index(name, dimensions, metric, str(description)))
            case _:
                raise VectorizeError(limits.PARSE_BODY, "expected name and config with dimensions and metric")

    async def show(self, request: Request) -> Any:
        return _shown(self.store.index(request.path_params["name"]))

    async def remove(self, request: Request) -> Any:
        self.store.delete_index(request.path_params["name"])

    async def info(self, request: Request) -> Any:
        return await run_in_threadpool(self.store.info, request.path_params["name"])

    async def list_vectors(self, request: Request) -> Any:
        name, query = request.path_params["name"], request.query_params
        return await run_in_threadpool(self.store.list_ids, name, query.get("count", ""), query.get("cursor", ""))

    async def insert(self, request: Request) -> Any:
        return await self._write(request, "insert")

    async def upsert(self, request: Request) -> Any:
        return await self._write(request, "upsert")

    async def _write(self, request: Request, kind: str) -> Any:
        vectors = _lines(await _sent_lines(request))
        name = request.path_params["name"]
        mutation = await run_in_threadpool(self.store.write, name, kind, vectors, limits.MOST_OVER_HTTP)
        return {"mutationId": mutation}

    async def query(self, request: Request) -> Any:
        return await run_in_threadpool(self.store.query, request.path_params["name"], await _object(request))

    async def get(self, request: Request) -> Any:
        return await run_in_threadpool(self.store.get, request.path_params["name"], _ids(await _object(request)))

    async def delete(self, request: Request) -> Any:
        ids = _ids(await _object(request))
        name = request.path_params["name"]
        return {"mutationId": await run_in_threadpool(self.store.delete, name, ids, limits.MOST_OVER_HTTP)}

    async def create_metadata_index(self, request: Request) -> Any:
        asked = await _object(request)
        kind = str(asked.get("indexType", "")).lower()
        name = request.path_params["name"]
        return {"mutationId": self.store.create_metadata_index(name, str(asked.get("propertyName", "")), kind)}

    async def list_metadata_indexes(self, request: Request) -> Any:
        name = self.store.index(request.path_params["name"]).name
        found = self.store.metadata_indexes(name).items()
        return {"metadataIndexes": [{"propertyName": name, "indexType": kind.title()} for name, kind in found]}

    async def delete_metadata_index(self, request: Request) -> Any:
        asked = await _object(request)
        name = request.path_params["name"]
        return {"mutationId": self.store.delete_metadata_index(name, str(asked.get("propertyName", "")))}


def _bare(answer: Call) -> Handler:
    async def handler(request: Request) -> Response:
        try:
            return JSONResponse(await answer(request))
        except VectorizeError as error:
            return JSONResponse({"code": error.code, "error": error.error}, error.status)

    return handler


def _enveloped(answer: Call) -> Handler:
    async def handler(request: Request) -> Response:
        try:
            return enveloped(await answer(request))
        except VectorizeError as error:
            return enveloped(None, error.status, [(error.code, error.error)])

    return handler


def _refused(error: UpstreamError) -> Response:
    return JSONResponse({"code": error.code, "error": error.description}, error.status)


def _refused_in_envelope(error: UpstreamError) -> Response:
    return enveloped(None, error.status, [(error.code, error.description)])


def _index_name(request: Request) -> str:
    name = request.headers.get(INDEX_HEADER)
    if not name:
        raise HTTPException(400, f"The header {INDEX_HEADER} must name the index: use miniflare_plugin.cjs.")
    return name


async def _object(request: Request) -> dict[str, Any]:
    try:
        found = json_value(await request.body())
    except ValueError as error:
        raise VectorizeError(limits.PARSE_BODY, f"Failed to parse the request body as JSON: {error}") from None
    if not isinstance(found, dict):
        raise VectorizeError(limits.PARSE_BODY, "Failed to parse the request body as JSON: expected an object")
    return cast("dict[str, Any]", found)


def _ids(asked: dict[str, Any]) -> list[Any]:
    ids = asked.get("ids")
    if not isinstance(ids, list) or not ids:
        raise VectorizeError(limits.PARSE_BODY, "Failed to parse the request body as JSON: ids: expected strings")
    return cast("list[Any]", ids)


async def _sent_lines(request: Request) -> bytes:
    """The NDJSON of a write: the body itself, or the file `vectors` of a form, as wrangler sends it."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    async with request.form() as form:
        file = form.get("vectors")
        return b"" if file is None else file.encode() if isinstance(file, str) else await file.read()


def _lines(body: bytes) -> list[Any]:
    try:
        return [json_value(line) for line in body.splitlines() if line.strip()]
    except ValueError:
        raise VectorizeError(limits.PARSE_VECTORS, "failed to parse vectors request in json format") from None


def _shown(index: Index) -> dict[str, Any]:
    return {
        "name": index.name,
        "description": index.description,
        "config": {"dimensions": index.dimensions, "metric": index.metric},
        "created_on": index.created,
        "modified_on": index.modified,
    }
