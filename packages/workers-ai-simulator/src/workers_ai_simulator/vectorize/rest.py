"""Vectorize in Cloudflare's REST API."""

from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from workers_ai_simulator.http import media_type
from workers_ai_simulator.vectorize import limits
from workers_ai_simulator.vectorize.errors import UNPARSABLE_BODY, UNPARSABLE_VECTORS, VectorizeError
from workers_ai_simulator.vectorize.models import Index
from workers_ai_simulator.vectorize.requests import ids, json_body, vectors
from workers_ai_simulator.vectorize.store import VectorStore


@dataclass(frozen=True)
class Rest:
    """Handlers of the endpoints. Each returns the `result` of its answer, or raises VectorizeError."""

    store: VectorStore

    # ---- indexes -------------------------------------------------------------------------------------------------

    async def list(self, _: Request) -> Any:
        return [_to_json(index) for index in self.store.indexes()]

    async def create(self, request: Request) -> Any:
        body = await json_body(request)
        match body:
            case {"name": str(name), "config": {"preset": str(preset)}}:
                dimensions, metric = _preset(preset)
            case {"name": str(name), "config": {"dimensions": int(dimensions), "metric": str(metric)}} if (
                dimensions is not True
            ):
                pass
            case _:
                raise VectorizeError(
                    UNPARSABLE_BODY, "expected name and config with dimensions and metric, or with preset"
                )
        return _to_json(self.store.create_index(name, dimensions, metric, str(body.get("description") or "")))

    async def get_index(self, request: Request) -> Any:
        return _to_json(self.store.index(_index_name(request)))

    async def delete_index(self, request: Request) -> Any:
        self.store.delete_index(_index_name(request))

    async def info(self, request: Request) -> Any:
        return await run_in_threadpool(self.store.info, _index_name(request))

    # ---- vectors -------------------------------------------------------------------------------------------------

    async def list_vectors(self, request: Request) -> Any:
        query = request.query_params
        count, cursor = query.get("count", ""), query.get("cursor", "")
        return await run_in_threadpool(self.store.list_ids, _index_name(request), count, cursor)

    async def insert(self, request: Request) -> Any:
        return await self._write(request, "insert")

    async def upsert(self, request: Request) -> Any:
        return await self._write(request, "upsert")

    async def _write(self, request: Request, kind: str) -> Any:
        written = vectors(await _ndjson(request))
        mutation = await run_in_threadpool(
            self.store.write, _index_name(request), kind, written, limits.MAX_VECTORS_OVER_HTTP
        )
        return {"mutationId": mutation}

    async def query(self, request: Request) -> Any:
        return await run_in_threadpool(self.store.query, _index_name(request), await json_body(request))

    async def get(self, request: Request) -> Any:
        return await run_in_threadpool(self.store.get, _index_name(request), await ids(request))

    async def delete(self, request: Request) -> Any:
        deleted = await ids(request)
        mutation = await run_in_threadpool(
            self.store.delete, _index_name(request), deleted, limits.MAX_VECTORS_OVER_HTTP
        )
        return {"mutationId": mutation}

    # ---- metadata indexes ----------------------------------------------------------------------------------------

    async def create_metadata_index(self, request: Request) -> Any:
        body = await json_body(request)
        kind = str(body.get("indexType", "")).lower()
        property_name = str(body.get("propertyName", ""))
        return {"mutationId": self.store.create_metadata_index(_index_name(request), property_name, kind)}

    async def list_metadata_indexes(self, request: Request) -> Any:
        indexed = self.store.metadata_indexes(self.store.index(_index_name(request)).name)
        return {
            "metadataIndexes": [{"propertyName": name, "indexType": kind.title()} for name, kind in indexed.items()]
        }

    async def delete_metadata_index(self, request: Request) -> Any:
        property_name = str((await json_body(request)).get("propertyName", ""))
        return {"mutationId": self.store.delete_metadata_index(_index_name(request), property_name)}


def _preset(name: str) -> tuple[int, str]:
    """Dimensions and metric of a preset. Raises VectorizeError 40026 for an unknown one."""
    if name not in limits.PRESETS:
        raise VectorizeError(UNPARSABLE_BODY, f"config.preset: expected one of {', '.join(limits.PRESETS)}")
    return limits.PRESETS[name]


def _index_name(request: Request) -> str:
    return request.path_params["name"]


async def _ndjson(request: Request) -> bytes:
    """NDJSON of a write: the body itself, or the file `vectors` of a form, as wrangler sends it.

    Raises VectorizeError for `application/json`, which the API does not take; its code and sentence are invented.
    """
    declared = media_type(request)
    if declared == "application/json":
        raise VectorizeError(
            UNPARSABLE_VECTORS,
            "failed to parse vectors: expected application/x-ndjson or multipart/form-data, not application/json",
        )
    if declared != "multipart/form-data":
        return await request.body()
    async with request.form() as form:
        file = form.get("vectors")
        return b"" if file is None else file.encode() if isinstance(file, str) else await file.read()


def _to_json(index: Index) -> dict[str, Any]:
    return {
        "name": index.name,
        "description": index.description,
        "config": {"dimensions": index.dimensions, "metric": index.metric},
        "created_on": index.created,
        "modified_on": index.modified,
    }
