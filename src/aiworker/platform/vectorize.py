"""Vectors in Vectorize: the binding `VECTORIZE`."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from aiworker.bindings import VectorRecord
from aiworker.errors import ApiError
from aiworker.platform.javascript import binding_result, from_js, js_object

MAX_DELETED = 100
"""Maximum ids in one call of deleteByIds."""

_from_index = functools.partial(binding_result, "Vectorize could not answer")


class VectorizeIndex:
    """aiworker.bindings.VectorIndex over Vectorize."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def upsert(self, rows: Any, records: Sequence[VectorRecord]) -> None:
        if rows.length != len(records):
            raise ApiError("upstream_error", f"The model returned {rows.length} vectors for {len(records)} texts.")
        vectors = js_object(
            [{"id": each.id, "namespace": each.namespace, "metadata": dict(each.metadata)} for each in records]
        )
        for number in range(len(records)):
            vectors[number].values = rows[number]
        await _from_index(self._binding.upsert(vectors))

    async def query(
        self,
        rows: Any,
        row: int,
        count: int,
        namespace: str,
        filter: Mapping[str, Any],  # noqa: A002 - Vectorize's word
    ) -> dict[str, float]:
        options = {"topK": count, "namespace": namespace, "returnValues": False, "returnMetadata": "none"}
        js_options = js_object({**options, "filter": filter} if filter else options)
        result = await _from_index(self._binding.query(rows[row], js_options))
        matches: list[dict[str, Any]] = from_js(result.matches)
        return {match["id"]: match["score"] for match in matches}

    async def present(self, ids: Sequence[str]) -> set[str]:
        vectors = await _from_index(self._binding.getByIds(js_object(list(ids))))
        return {each.id for each in vectors}

    async def delete(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), MAX_DELETED):
            await _from_index(self._binding.deleteByIds(js_object(list(ids[start : start + MAX_DELETED]))))
