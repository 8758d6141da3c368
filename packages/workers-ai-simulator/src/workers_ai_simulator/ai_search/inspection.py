"""Instances of AI Search and their content, for the simulator's page. Its requests do not count as calls, and the
journal does not record them."""

from collections import Counter
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.ai_search.models import Instance
from workers_ai_simulator.ai_search.service import AiSearch
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.http import json_object, media_type

INSTANCE = "/simulator/ai-search/{namespace}/{id}"
SHOWN = ("embedding_model", "ai_search_model", "index_method", "chunk_size", "chunk_overlap", "reranking")
"""Fields of the configuration that tell how an instance searches."""
PAGE = 50
"""Items of a page."""


class Inspection:
    """HTTP handlers, and their routes."""

    def __init__(self, ai_search: AiSearch) -> None:
        self._ai_search = ai_search
        self._store = ai_search.store

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/simulator/ai-search", self._instances),
            Route(f"{INSTANCE}/items", self._items),
            Route(f"{INSTANCE}/search", self._search, methods=["POST"]),
        ]

    async def _instances(self, _: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self._overview))

    def _overview(self) -> list[dict[str, Any]]:
        return [self._about(each) for each in self._store.all_instances()]

    def _about(self, instance: Instance) -> dict[str, Any]:
        items = self._store.items(instance)
        return {
            "namespace": instance.namespace,
            "id": instance.id,
            "created_at": instance.created_at,
            "items": len(items),
            "states": Counter(each.status for each in items),
            "chunks": sum(each.chunks or 0 for each in items),
            "config": {name: instance.config.get(name) for name in SHOWN},
        }

    async def _items(self, request: Request) -> Response:
        """A page of items by their keys: 50 from the `offset` on, and how many there are."""
        offset = request.query_params.get("offset", "0")
        try:
            items = await run_in_threadpool(self._store.items, self._instance(request))
        except UpstreamError as error:
            return _refusal(error)
        start = int(offset) if offset.isdecimal() else 0
        return JSONResponse({"total": len(items), "items": [each.to_json() for each in items[start : start + PAGE]]})

    async def _search(self, request: Request) -> Response:
        """The chunks that an instance finds for a `query`, by its own configuration."""
        if media_type(request) != "application/json":  # the only body that a web page may not send unasked
            return JSONResponse({"error": "send the query as JSON, with content-type: application/json"}, 415)
        body = json_object(await request.body())
        if body is None or not isinstance(body.get("query"), str):
            return JSONResponse({"error": "the body must be a JSON object with the text `query`"}, 400)
        try:
            search = {"query": body["query"]}
            result = await run_in_threadpool(self._ai_search.search, self._instance(request), search)
        except UpstreamError as error:
            return _refusal(error)
        return JSONResponse(result.to_json())

    def _instance(self, request: Request) -> Instance:
        return self._store.instance(request.path_params["namespace"], request.path_params["id"])


def _refusal(error: UpstreamError) -> Response:
    return JSONResponse({"error": error.description}, error.status)
