"""Calls of a Vectorize binding, as the `VectorizeIndexImpl` class of workerd sends them."""

import uuid
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from workers_ai_simulator.vectorize import limits
from workers_ai_simulator.vectorize.requests import ids, json_body, vectors
from workers_ai_simulator.vectorize.store import VectorStore

INDEX_HEADER = "x-simulator-index"
"""Header with the name of the index, added by miniflare_plugin.cjs, since the class itself does not send it."""


@dataclass(frozen=True)
class Binding:
    """Handlers of one binding's calls. The first write creates its index: as wide as its vectors, by cosine.

    Each returns the JSON of its answer, or raises VectorizeError.
    """

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
        name, written = _index_name(request), vectors(await request.body())
        if not self.store.find_index(name):
            width = request.headers.get("cf-vector-search-dim-width", "")
            self.store.create_index(name, int(width) if width.isdecimal() else 0, "cosine")
        mutation = await run_in_threadpool(self.store.write, name, kind, written, limits.MAX_VECTORS_FROM_WORKER)
        return {"mutationId": mutation}

    async def query(self, request: Request) -> Any:
        name, query = _index_name(request), await json_body(request)
        if not self.store.find_index(name):
            return {"count": 0, "matches": []}
        return await run_in_threadpool(self.store.query, name, query)

    async def get(self, request: Request) -> Any:
        name, requested = _index_name(request), await ids(request)
        return await run_in_threadpool(self.store.get, name, requested) if self.store.find_index(name) else []

    async def delete(self, request: Request) -> Any:
        name, deleted = _index_name(request), await ids(request)
        if not self.store.find_index(name):
            return {"mutationId": str(uuid.uuid4())}
        mutation = await run_in_threadpool(self.store.delete, name, deleted, limits.MAX_VECTORS_FROM_WORKER)
        return {"mutationId": mutation}


def _index_name(request: Request) -> str:
    name = request.headers.get(INDEX_HEADER)
    if not name:
        raise HTTPException(400, f"The header {INDEX_HEADER} must name the index: use miniflare_plugin.cjs.")
    return name
