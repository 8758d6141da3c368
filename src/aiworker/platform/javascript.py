"""Calls into JavaScript that several modules of this package need."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import js
from pyodide.ffi import JsException, JsNull

from aiworker.error_text import public_message
from aiworker.errors import ApiError, ErrorType, release
from aiworker.platform.time_limits import time_limits

# JavaScript values that are kept at import must have a path from globalThis, or the memory snapshot cannot hold them
parse_json = js.JSON.parse
"""Make a JavaScript value from JSON: one crossing, whatever its size."""
apply = js.Reflect.apply
stringify = js.JSON.stringify

BINDING_SECONDS = 30.0
"""Time limit of one call of a binding other than AI. D1 itself ends a query after 30 seconds."""


def js_object(data: Any) -> Any:
    """Return a JavaScript copy of JSON data."""
    return parse_json(json.dumps(data))


def from_js(value: Any) -> Any:
    """Return a Python copy of a JavaScript value that JSON can hold: one crossing, whatever its size."""
    return json.loads(stringify(value))


def call_method(method: Any, arguments: Any) -> Any:
    """Call a JavaScript method. arguments: array of the object and the method's arguments, which stay in JavaScript."""
    # looked up in each call: Function.prototype has no path that the memory snapshot could hold
    return apply(js.Function.prototype.call, method, arguments)


def string_or_none(value: str | JsNull) -> str | None:
    """Return None for JavaScript's null."""
    return value if isinstance(value, str) else None


async def binding_result(
    sentence: str,
    result: Awaitable[Any],
    *,
    kind: ErrorType = "upstream_error",
    retry_after: int | None = None,
    seconds: float = BINDING_SECONDS,
) -> Any:
    """Await the result of a binding's method.

    Raises ApiError of the type `kind`, with the sentence and the binding's own message, if the method fails, or if it
    has no result after so many seconds.
    """
    future = asyncio.ensure_future(result)
    limits = time_limits()
    limits.add(future, seconds)
    try:
        return await future
    except TimeoutError as error:
        release(error)
        raise ApiError(kind, f"{sentence}: no result after {seconds:g} seconds", retry_after=retry_after) from error
    except JsException as error:
        raise ApiError(kind, f"{sentence}: {error_message(error)}", retry_after=retry_after) from error
    finally:
        limits.remove(future)
        del future  # it keeps its exception, whose traceback may refer to this frame


def error_message(error: JsException) -> str:
    """Return the message of a JavaScript error as clients may see it: another Worker's class may have raised it.

    The error is released: nobody looks at its frames.
    """
    release(error)
    return public_message(str(error))


class js_errors_suppressed:  # noqa: N801 - reads as contextlib.suppress does
    """Context manager that suppresses errors of JavaScript and releases them."""

    # a class: a generator's context manager gives the error its frames back
    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        is_from_javascript = isinstance(error, JsException)
        if is_from_javascript:
            release(error)
        return is_from_javascript
