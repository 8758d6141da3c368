"""Responses to clients."""

from typing import Any

import js
from pyodide.ffi import jsnull

from aiworker.http.messages import Response
from aiworker.platform.javascript import js_object


def to_js_response(response: Response) -> js.Response:
    """Return the platform's Response; the parts of a list body are joined in JavaScript."""
    head = js_object({"status": response.status, "headers": response.headers})
    return js.Response.new(_to_js_body(response.body), head)


def _to_js_body(body: Any) -> Any:
    if isinstance(body, list):
        return js.Blob.new(js.Array.of(*body))
    return jsnull if body is None else body
