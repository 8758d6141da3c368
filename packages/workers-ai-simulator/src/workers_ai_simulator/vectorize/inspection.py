"""Indexes and their content, for the simulator's page. Its requests do not count as calls, and the journal does not
record them."""

from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.catalogue import MODELS, Model
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.http import json_object, media_type
from workers_ai_simulator.inference.answers import AnswerInputs
from workers_ai_simulator.vectorize.limits import MAX_IDS
from workers_ai_simulator.vectorize.store import VectorStore

PAGE = "50"
"""Vectors of a page."""
SHOWN_VALUES = 8
"""Values of a vector in a list."""
QUERY_PARTS = ("topK", "namespace", "filter")
"""Parts of a query that are passed on as they are."""


class Inspection:
    """HTTP handlers, and their routes."""

    def __init__(self, store: VectorStore, embed: AnswerInputs) -> None:
        """embed: answers the models of embeddings."""
        self._store = store
        self._embed = embed

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/simulator/indexes", self._indexes),
            Route("/simulator/indexes/{name}/vectors", self._vectors),
            Route("/simulator/indexes/{name}/query", self._query, methods=["POST"]),
        ]

    async def _indexes(self, _: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._store.overview))

    async def _vectors(self, request: Request) -> Response:
        """A page of vectors by their ids: 50 after the `cursor` of the page before; or that of one `id`, whole."""
        name, query = request.path_params["name"], request.query_params
        try:
            if "id" in query:
                return JSONResponse(await run_in_threadpool(self._store.get, name, [query["id"]]))
            return JSONResponse(await run_in_threadpool(self._page, name, query.get("cursor", "")))
        except UpstreamError as error:
            return _refusal(error)

    def _page(self, name: str, cursor: str) -> dict[str, Any]:
        page = self._store.list_ids(name, PAGE, cursor)
        ids = [each["id"] for each in page["vectors"]]
        batches = [ids[start : start + MAX_IDS] for start in range(0, len(ids), MAX_IDS)]
        vectors = [vector for batch in batches for vector in self._store.get(name, batch)]
        return {**page, "vectors": [{**each, "values": each["values"][:SHOWN_VALUES]} for each in vectors]}

    async def _query(self, request: Request) -> Response:
        """The vectors nearest to a `text`, by the vector that a `model` makes of it, or to that of a `vectorId`."""
        if media_type(request) != "application/json":  # the only body that a web page may not send unasked
            return JSONResponse({"error": "send the query as JSON, with content-type: application/json"}, 415)
        body = json_object(await request.body())
        if body is None:
            return JSONResponse({"error": "the body must be a JSON object"}, 400)
        try:
            return JSONResponse(await run_in_threadpool(self._nearest, request.path_params["name"], body))
        except UpstreamError as error:
            return _refusal(error)

    def _nearest(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        query = {part: body[part] for part in QUERY_PARTS if part in body}
        if "vectorId" in body:
            query["vectorId"] = body["vectorId"]
        else:
            query["vector"] = self._vector(self._model(name, body.get("model")), str(body.get("text", "")))
        return self._store.query(name, {**query, "returnMetadata": "all"})

    def _model(self, index: str, model_id: object) -> Model:
        """The model of that name. Raises UpstreamError if it is none of embeddings as wide as the index."""
        dimensions = self._store.index(index).dimensions
        fitting = {each.id: each for each in MODELS.values() if each.task == "embeddings"}
        model = fitting.get(str(model_id))
        if model is None or model.dimensions != dimensions:
            names = ", ".join(each.id for each in fitting.values() if each.dimensions == dimensions) or "none"
            raise UpstreamError(400, 0, f"name a model of embeddings with {dimensions} dimensions in `model`: {names}")
        return model

    def _vector(self, model: Model, text: str) -> list[float]:
        answer = cast("dict[str, Any]", self._embed(model, {"text": [text]}))
        return answer["data"][0]


def _refusal(error: UpstreamError) -> Response:
    return JSONResponse({"error": error.description}, error.status)
