"""AutoRAG, the older name of AI Search: `env.AI.autorag(name)` and its REST API, over the namespace `default`.

Source: developers.cloudflare.com/ai-search/api/migration/workers-binding-legacy
and the types of workerd's class AutoRAG.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from workers_ai_simulator.ai_search.errors import InvalidField
from workers_ai_simulator.ai_search.models import DEFAULT_NAMESPACE, Instance, Item, Match
from workers_ai_simulator.ai_search.routes import Endpoint, observed_routes
from workers_ai_simulator.ai_search.service import AiSearch, Found
from workers_ai_simulator.http import ACCOUNT, envelope, object_body
from workers_ai_simulator.markdown.models import section
from workers_ai_simulator.traffic.traffic import Traffic

Json = dict[str, Any]
COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte")


def routes(ai_search: AiSearch, traffic: Traffic) -> list[BaseRoute]:
    """The paths that workerd's class AutoRAG calls, and the same of the REST API."""
    handlers = AutoRag(ai_search)
    endpoints: list[Endpoint] = [
        ("/autorag/rags", "GET", "list", handlers.list),
        ("/autorag/rags/{id}/search", "POST", "search", handlers.search),
        ("/autorag/rags/{id}/ai-search", "POST", "aiSearch", handlers.ai_search),
    ]
    return observed_routes(endpoints, ("", ACCOUNT), traffic)


class AutoRag:
    """Handlers of the endpoints. Each raises an UpstreamError."""

    def __init__(self, ai_search: AiSearch) -> None:
        self._ai_search = ai_search

    async def list(self, _: Request) -> Response:
        return envelope([_about(each) for each in self._ai_search.store.instances(DEFAULT_NAMESPACE, "")])

    async def search(self, request: Request) -> Response:
        _, _, result = await self._found(request)
        return envelope(_page(result))

    async def ai_search(self, request: Request) -> Response:
        instance, body, result = await self._found(request)
        prompt = [{"role": "system", "content": body["system_prompt"]}] if body.get("system_prompt") else []
        options = {**body, "messages": [*prompt, {"role": "user", "content": result.query}]}
        generation = await run_in_threadpool(self._ai_search.generation, instance.config, options, result)
        if body.get("stream"):
            return StreamingResponse(generation.frames(), media_type="text/event-stream")
        return envelope({**_page(result), "response": generation.text})

    async def _found(self, request: Request) -> tuple[Instance, Json, Found]:
        body = await object_body(request, lambda reason: InvalidField("body", f"a JSON object ({reason})"))
        instance = self._ai_search.store.instance(DEFAULT_NAMESPACE, request.path_params["id"])
        query = {"query": body.get("query"), "ai_search_options": _options(body)}
        return instance, body, await run_in_threadpool(self._ai_search.search, instance, query)


# ---- requests ------------------------------------------------------------------------------------------------------


def _options(body: Json) -> Json:
    """The options of a search of AI Search that say the same. Raises InvalidField."""
    retrieval = {
        "max_num_results": body.get("max_num_results", 10),
        "match_threshold": section(body, "ranking_options").get("score_threshold", 0),
        **({"filters": _filters(body["filters"])} if body.get("filters") else {}),
    }
    return {"retrieval": retrieval, "reranking": section(body, "reranking")}


def _filters(value: object) -> Json:
    """The filter of Vectorize that says the same as a comparison, or several joined by `and` or `or`."""
    tree = section({"filters": value}, "filters")
    if tree.get("type") not in ("and", "or"):
        return _all([tree])
    listed = tree.get("filters")
    each = [section({"at": each}, "at") for each in cast("list[Any]", listed)] if isinstance(listed, list) else []
    return _all(each) if tree["type"] == "and" else _any(each)


def _all(comparisons: Sequence[Json]) -> Json:
    joined: dict[str, Json] = {}
    for each in comparisons:
        key, operator, value = _comparison(each)
        operators = joined.setdefault(key, {})
        if operator in operators:
            raise InvalidField("filters", f"at most one {each['type']} of {key}")
        operators[operator] = value
    return joined


def _any(comparisons: Sequence[Json]) -> Json:
    """One of several values of a key: Cloudflare's documentation allows no other `or`."""
    read = [_comparison(each) for each in comparisons]
    if not read or {(key, operator) for key, operator, _ in read} != {(read[0][0], "$eq")}:
        raise InvalidField("filters", "an `or` to have comparisons of the type eq, all of the same key")
    return {read[0][0]: {"$in": [value for _, _, value in read]}}


def _comparison(test: Mapping[str, Any]) -> tuple[str, str, Any]:
    key, kind = test.get("key"), test.get("type")
    if not isinstance(key, str) or kind not in COMPARISONS or "value" not in test:
        raise InvalidField("filters", f"{{type, key, value}}, with a type of {', '.join(COMPARISONS)}, and, or")
    return key, f"${kind}", test["value"]


# ---- answers -------------------------------------------------------------------------------------------------------


def _about(instance: Instance) -> Json:
    return {
        "id": instance.id,
        "enable": instance.config["enable"],
        "type": instance.config["type"] or "builtin",
        "source": instance.config["source"] or "",
        "vectorize_name": f"ai-search-{instance.id}",
        "paused": False,
        "status": "ready",
    }


def _page(result: Found) -> Json:
    """The result in AutoRAG's shape: a file at a time, in the order of their best chunks."""
    best = {each.chunk.item.id: number for number, each in reversed([*enumerate(result.matches)])}
    ordered = sorted(result.matches, key=lambda each: best[each.chunk.item.id])
    files = [[*matches] for _, matches in groupby(ordered, key=lambda each: each.chunk.item.id)]
    return {
        "object": "vector_store.search_results.page",
        "search_query": result.query,
        "data": [_file(matches[0].chunk.item, matches) for matches in files],
        "has_more": False,
        "next_page": None,
    }


def _file(item: Item, matches: Sequence[Match]) -> Json:
    attributes = {name: value for name, value in item.attributes.items() if name not in ("filename", "timestamp")}
    return {
        "file_id": item.id,
        "filename": item.key,
        "score": matches[0].score,
        "attributes": {**attributes, "modified_date": item.timestamp},
        "content": [{"id": each.chunk.id, "type": "text", "text": each.chunk.text} for each in matches],
    }
