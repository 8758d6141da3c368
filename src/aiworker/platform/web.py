"""Pages of the web, by the platform's fetch()."""

from collections.abc import Mapping
from typing import Any

import js
from pyodide.ffi import JsException, JsNull

from aiworker.bindings import WebResponse
from aiworker.errors import ApiError
from aiworker.platform.javascript import error_message, js_object
from aiworker.platform.payload import JsPayload


class WebClient:
    """aiworker.bindings.Web over fetch()."""

    async def get(self, url: str, headers: Mapping[str, str], limit: int, seconds: float) -> WebResponse:
        return await _fetch(url, {"headers": headers}, limit, seconds)

    async def post(self, url: str, headers: Mapping[str, str], body: str, limit: int, seconds: float) -> WebResponse:
        return await _fetch(url, {"headers": headers, "method": "POST", "body": body}, limit, seconds)


async def _fetch(url: str, request: Mapping[str, Any], limit: int, seconds: float) -> WebResponse:
    options = js_object({**request, "redirect": "manual"})
    options.signal = js.AbortSignal.timeout(round(seconds * 1000))
    try:
        response = await js.fetch(url, options)
        is_read = response.status == 200 or "method" in request
        body = await _read(response, limit) if is_read else await _discard(response)
    except JsException as error:
        message = error_message(error)
        if options.signal.aborted:
            raise ApiError("timeout", f"The site has not answered within {seconds:g} seconds.") from error
        raise ApiError("upstream_error", f"The site cannot be reached: {message}") from error
    return WebResponse(response.status, dict(response.headers), body)


async def _read(response: Any, limit: int) -> JsPayload | None:
    """Return the body of a response. Raises ApiError `payload_too_large`; keeps no more than that."""
    if isinstance(response.body, JsNull):
        return None
    reader = response.body.getReader()
    parts = js.Array.new()
    size = 0
    while size <= limit and not (part := await reader.read()).done:
        size += part.value.byteLength
        parts.push(part.value)
    if size <= limit:
        return JsPayload(await js.Blob.new(parts).arrayBuffer())
    await reader.cancel()
    raise ApiError("payload_too_large", f"The page has more than {limit:,} bytes.")


async def _discard(response: Any) -> None:
    if not isinstance(response.body, JsNull):
        await response.body.cancel()
