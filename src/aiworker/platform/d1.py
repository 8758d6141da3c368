"""SQL in D1: the binding `DB`."""

import functools
from typing import Any

import js
from pyodide.ffi import jsnull

from aiworker.bindings import Statement
from aiworker.platform.javascript import binding_result, from_js, js_object

_from_database = functools.partial(binding_result, "The database could not answer")


class D1Database:
    """aiworker.bindings.Database over D1."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding
        self._with_names = js_object({"columnNames": True})

    async def rows(self, query: str, *values: str | float | None) -> list[dict[str, Any]]:
        # rows as arrays: as objects, each would repeat the names of the columns
        names, *rows = from_js(await _from_database(self._prepare((query, *values)).raw(self._with_names)))
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def run(self, *statements: Statement) -> list[dict[str, Any]]:
        results = await _from_database(self._binding.batch(js.Array.of(*map(self._prepare, statements))))
        rows = results[len(statements) - 1].results
        return from_js(rows) if rows.length else []

    def _prepare(self, statement: Statement) -> Any:
        query, *values = statement
        return self._binding.prepare(query).bind(*(jsnull if value is None else value for value in values))
