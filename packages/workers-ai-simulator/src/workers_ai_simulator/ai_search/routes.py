"""HTTP routes of AI Search: those of the REST API, which the simulator's binding calls as well."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.ai_search.errors import AiSearchError, InvalidField
from workers_ai_simulator.ai_search.models import DEFAULT_NAMESPACE, DEFAULTS, Instance, check_config, check_id
from workers_ai_simulator.ai_search.service import AiSearch, Found
from workers_ai_simulator.http import ACCOUNT, Handler, envelope, error_envelope, object_body
from workers_ai_simulator.markdown.formats import MIME_TYPES
from workers_ai_simulator.text_generation.generation import Generation
from workers_ai_simulator.traffic.traffic import Traffic

ROOT = f"{ACCOUNT}/ai-search"
NAMESPACE = f"{ROOT}/namespaces/{{namespace}}"
MAX_PAGE = 50
"""Items of one page; 20 by default."""
Endpoint = tuple[str, str, str, Handler]
"""Path, method, operation in the journal, and handler."""


def routes(ai_search: AiSearch, traffic: Traffic) -> list[BaseRoute]:
    """Routes under a namespace, and the same without one, for the namespace `default`."""
    handlers = Rest(ai_search)
    endpoints: list[Endpoint] = [
        ("/search", "POST", "search", handlers.search_many),
        ("/chat/completions", "POST", "chatCompletions", handlers.chat_many),
        ("/instances", "GET", "list", handlers.list),
        ("/instances", "POST", "create", handlers.create),
        ("/instances/{id}", "GET", "info", handlers.info),
        ("/instances/{id}", "PUT", "update", handlers.update),
        ("/instances/{id}", "DELETE", "delete", handlers.delete),
        ("/instances/{id}/stats", "GET", "stats", handlers.stats),
        ("/instances/{id}/search", "POST", "search", handlers.search),
        ("/instances/{id}/chat/completions", "POST", "chatCompletions", handlers.chat),
        ("/instances/{id}/items", "GET", "items.list", handlers.list_items),
        ("/instances/{id}/items", "POST", "items.upload", handlers.upload),
        ("/instances/{id}/items/{item}", "GET", "items.info", handlers.item),
        ("/instances/{id}/items/{item}", "PATCH", "items.sync", handlers.sync),
        ("/instances/{id}/items/{item}", "DELETE", "items.delete", handlers.delete_item),
        ("/instances/{id}/items/{item}/download", "GET", "items.download", handlers.download),
        ("/instances/{id}/items/{item}/logs", "GET", "items.logs", handlers.item_logs),
        ("/instances/{id}/items/{item}/chunks", "GET", "items.chunks", handlers.item_chunks),
        ("/instances/{id}/jobs", "GET", "jobs.list", handlers.list_jobs),
        ("/instances/{id}/jobs", "POST", "jobs.create", handlers.create_job),
        ("/instances/{id}/jobs/{job}", "GET", "jobs.info", handlers.job),
        ("/instances/{id}/jobs/{job}", "PATCH", "jobs.cancel", handlers.cancel_job),
        ("/instances/{id}/jobs/{job}/logs", "GET", "jobs.logs", handlers.job_logs),
    ]
    return observed_routes(endpoints, (NAMESPACE, ROOT), traffic)


def observed_routes(endpoints: Sequence[Endpoint], starts: Sequence[str], traffic: Traffic) -> list[BaseRoute]:
    """Return the routes of endpoints, whose paths have each of `starts` in front of them."""
    return [
        Route(start + path, traffic.observed("AI_SEARCH", operation, handler, error_envelope), methods=[method])
        for path, method, operation, handler in endpoints
        for start in starts
    ]


class Rest:
    """Handlers of the endpoints. Each raises an UpstreamError."""

    def __init__(self, ai_search: AiSearch) -> None:
        self._ai_search = ai_search
        self._store = ai_search.store

    # ---- instances ---------------------------------------------------------------------------------------------------

    async def list(self, request: Request) -> Response:
        instances = self._store.instances(_namespace(request), request.query_params.get("search", ""))
        return _page(request, [each.to_json() for each in instances])

    async def create(self, request: Request) -> Response:
        body = await _body(request)
        instance = self._store.create(_namespace(request), check_id(body.get("id")), check_config(body))
        return envelope(instance.to_json(), 201)

    async def info(self, request: Request) -> Response:
        return envelope(self._instance(request).to_json())

    async def update(self, request: Request) -> Response:
        instance, config = self._instance(request), check_config(await _body(request))
        return envelope(self._store.update(instance, config).to_json())

    async def delete(self, request: Request) -> Response:
        instance = self._instance(request)
        await run_in_threadpool(self._store.delete, instance)
        return envelope(instance.to_json())

    async def stats(self, request: Request) -> Response:
        items = await run_in_threadpool(self._store.items, self._instance(request))
        states = Counter(each.status for each in items)
        names = ("queued", "running", "completed", "error", "skipped", "outdated")
        chunks = sum(each.chunks or 0 for each in items)
        return envelope(
            {
                **{name: states.get(name, 0) for name in names},  # pyright: ignore[reportArgumentType]
                "last_activity": max((each.created_at for each in items), default=None),
                "engine": {
                    "vectorize": {"vectorsCount": chunks, "dimensions": 1024},
                    "r2": {
                        "payloadSizeBytes": sum(each.size for each in items),
                        "metadataSizeBytes": 0,
                        "objectCount": len(items),
                    },
                },
            }
        )

    # ---- search and chat ---------------------------------------------------------------------------------------------

    async def search(self, request: Request) -> Response:
        result = await run_in_threadpool(self._ai_search.search, self._instance(request), await _body(request))
        return envelope(result.to_json())

    async def search_many(self, request: Request) -> Response:
        _, answer = await self._search_many(request, await _body(request))
        return envelope(answer)

    async def chat(self, request: Request) -> Response:
        instance, body = self._instance(request), _with_messages(await _body(request))
        result = await run_in_threadpool(self._ai_search.search, instance, body)
        generation = await run_in_threadpool(self._ai_search.generation, instance.config, body, result)
        return _completion(generation, result.to_json(), bool(body.get("stream")))

    async def chat_many(self, request: Request) -> Response:
        body = _with_messages(await _body(request))
        result, answer = await self._search_many(request, body)
        generation = await run_in_threadpool(self._ai_search.generation, DEFAULTS, body, result)
        return _completion(generation, answer, bool(body.get("stream")))

    async def _search_many(self, request: Request, body: dict[str, Any]) -> tuple[Found, dict[str, Any]]:
        result, owners, errors = await run_in_threadpool(self._ai_search.search_many, _namespace(request), body)
        answer = result.to_json()
        chunks = [{**each, "instance_id": owners[each["id"]]} for each in answer["chunks"]]
        return result, {**answer, "chunks": chunks, **({"errors": errors} if errors else {})}

    # ---- items -------------------------------------------------------------------------------------------------------

    async def list_items(self, request: Request) -> Response:
        query = request.query_params
        items = [each.to_json() for each in await run_in_threadpool(self._store.items, self._instance(request))]
        wanted = {"status": query.get("status"), "id": query.get("item_id"), "key": query.get("key")}
        wanted["source_id"] = query.get("source")
        selected = [
            each
            for each in items
            if all(value in (None, each[name]) for name, value in wanted.items())
            and query.get("search", "") in each["key"]
        ]
        return _page(request, selected, MAX_PAGE)

    async def upload(self, request: Request) -> Response:
        instance = self._instance(request)
        async with request.form() as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise AiSearchError("file_field_is_required")
            content, metadata = await file.read(), _metadata(form)
            item = await run_in_threadpool(self._ai_search.upload, instance, file.filename or "", content, metadata)
        return envelope(item.to_json(), 201)

    async def item(self, request: Request) -> Response:
        item = await run_in_threadpool(self._store.item, self._instance(request), request.path_params["item"])
        return envelope(item.to_json())

    async def sync(self, request: Request) -> Response:
        instance, item_id = self._instance(request), request.path_params["item"]
        self._store.item(instance, item_id)
        self._store.sync(instance, item_id)
        return envelope(self._store.item(instance, item_id).to_json())

    async def delete_item(self, request: Request) -> Response:
        item_id = request.path_params["item"]
        await run_in_threadpool(self._store.delete_item, self._instance(request), item_id)
        return envelope({"id": item_id})

    async def download(self, request: Request) -> Response:
        item = await run_in_threadpool(self._store.item, self._instance(request), request.path_params["item"])
        name = item.key.rpartition("/")[2]
        kind = MIME_TYPES.get(
            f".{name.rpartition('.')[2].lower()}", "text/markdown" if name.endswith(".md") else "text/plain"
        )
        # as a percent-encoded header: a key may have letters that a header cannot
        return Response(self._store.content(item), media_type=kind, headers={"x-filename": _ascii(name)})

    async def item_logs(self, request: Request) -> Response:
        item = await run_in_threadpool(self._store.item, self._instance(request), request.path_params["item"])
        about = {"timestamp": item.created_at, "fileKey": item.key}
        logs = [{**about, "action": "upload", "message": "The file was uploaded"}]
        if item.status == "completed":
            logs.append({**about, "action": "index", "message": "The file was indexed", "chunkCount": item.chunks})  # pyright: ignore[reportArgumentType]
        if item.status == "error":
            logs.append({**about, "action": "index", "message": item.error, "errorType": item.error})
        info = {"count": len(logs), "per_page": MAX_PAGE, "cursor": None, "truncated": False}
        return _with_info(logs, info)

    async def item_chunks(self, request: Request) -> Response:
        item = await run_in_threadpool(self._store.item, self._instance(request), request.path_params["item"])
        limit, offset = _number(request, "limit", 20, 1, 100), _number(request, "offset", 0, 0, 1_000_000)
        chunks = self._store.chunks_of(item)
        page = chunks[offset : offset + limit]
        return _with_info(page, {"count": len(page), "total": len(chunks), "limit": limit, "offset": offset})

    # ---- jobs --------------------------------------------------------------------------------------------------------

    async def list_jobs(self, request: Request) -> Response:
        return _page(request, self._store.jobs(self._instance(request)))

    async def create_job(self, request: Request) -> Response:
        description = (await _body(request)).get("description")
        return envelope(self._store.create_job(self._instance(request), description), 201)

    async def job(self, request: Request) -> Response:
        return envelope(self._store.job(self._instance(request), request.path_params["job"]))

    async def cancel_job(self, request: Request) -> Response:
        self._store.job(self._instance(request), request.path_params["job"])
        raise AiSearchError("job_cannot_be_cancelled")

    async def job_logs(self, request: Request) -> Response:
        job = self._store.job(self._instance(request), request.path_params["job"])
        return _page(request, [{"id": 1, "message": job["end_reason"], "message_type": 0, "created_at": 0}])

    def _instance(self, request: Request) -> Instance:
        return self._store.instance(_namespace(request), request.path_params["id"])


def _namespace(request: Request) -> str:
    return request.path_params.get("namespace", DEFAULT_NAMESPACE)


async def _body(request: Request) -> dict[str, Any]:
    return await object_body(request, lambda reason: InvalidField("body", f"a JSON object ({reason})"))


def _with_messages(body: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(body.get("messages"), list):
        raise AiSearchError("missing_user_query")
    return body


def _metadata(form: FormData) -> dict[str, Any]:
    try:
        metadata = json.loads(str(form.get("metadata") or "{}"))
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise AiSearchError("invalid_metadata_format")
    return metadata  # pyright: ignore[reportUnknownVariableType]


def _completion(generation: Generation, result: dict[str, Any], stream: bool) -> Response:
    """The answer in OpenAI's shape with the chunks, or a stream of frames behind one of the chunks."""
    if stream:
        chunks = f"event: chunks\ndata: {json.dumps(result['chunks'])}\n\n"
        return StreamingResponse(
            (each for each in (chunks, *generation.frames("openai"))), media_type="text/event-stream"
        )
    chunks = {name: result[name] for name in ("chunks", "errors") if name in result}
    return JSONResponse({**generation.answer("openai"), **chunks})


def _page(request: Request, values: Sequence[dict[str, Any]], maximum: int = 100) -> Response:
    page, size = _number(request, "page", 1, 1, 1_000_000), _number(request, "per_page", 20, 1, maximum)
    part = values[(page - 1) * size : page * size]
    return _with_info(part, {"count": len(part), "page": page, "per_page": size, "total_count": len(values)})


def _with_info(values: Sequence[Any], info: dict[str, Any]) -> Response:
    return JSONResponse({"success": True, "result": values, "errors": [], "messages": [], "result_info": info})


def _number(request: Request, name: str, default: int, minimum: int, maximum: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not minimum <= int(text) <= maximum:
        raise InvalidField(name, f"a whole number from {minimum} to {maximum}")
    return int(text)


def _ascii(name: str) -> str:
    return json.dumps(name)[1:-1]
