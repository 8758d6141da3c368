"""Calls into JavaScript that several modules of this package need."""

import json
from collections.abc import Awaitable
from typing import Any

import js
from pyodide.ffi import JsException, JsNull

from aiworker.errors import ApiError, ErrorType

# JavaScript values that are kept at import must have a path from globalThis, or the memory snapshot cannot hold them
parse_json = js.JSON.parse
"""Make a JavaScript value from JSON: one crossing, whatever its size."""
apply = js.Reflect.apply


def js_object(data: Any) -> Any:
    """Return a JavaScript copy of JSON data."""
    return parse_json(json.dumps(data))


def from_js(value: Any) -> Any:
    """Return a Python copy of a JavaScript value that JSON can hold: one crossing, whatever its size."""
    return json.loads(js.JSON.stringify(value))


def call_method(method: Any, arguments: Any) -> Any:
    """Call a JavaScript method. arguments: array of the object and the method's arguments, which stay in JavaScript."""
    # looked up in each call: Function.prototype has no path that the memory snapshot could hold
    return apply(js.Function.prototype.call, method, arguments)


def string_or_none(value: str | JsNull) -> str | None:
    """Return None for JavaScript's null."""
    return value if isinstance(value, str) else None


async def binding_result(
    sentence: str, result: Awaitable[Any], *, kind: ErrorType = "upstream_error", retry_after: int | None = None
) -> Any:
    """Await the result of a binding's method.

    Raises ApiError of the type `kind`, with the sentence and the binding's own message, if the method fails.
    """
    try:
        return await result
    except JsException as error:
        raise ApiError(kind, f"{sentence}: {error}", retry_after=retry_after) from error
