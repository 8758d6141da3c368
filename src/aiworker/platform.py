"""The one door to JavaScript: only this file, and entry.py for its base classes, imports js, pyodide or workers."""

import functools
import json
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import js
import pyodide
from pyodide.ffi import JsException, JsNull, jsnull
from workers import Request as WorkersRequest
from workers import import_from_javascript

from aiworker import app
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http import Opaque, Response
from aiworker.settings import Settings

BINDINGS = ("AI", "VECTORIZE", "BUCKET", "ASSETS", "RATE_LIMIT")
VARIABLES = ("AUTH_MODE", "ALLOWED_ORIGINS", "CHAT_MODEL", "MAX_BODY_BYTES", "SIMULATED")

LINGER = 16
"""A body up to so many times too large is received to its end before it is refused: a client that is still sending
when the connection closes sees a broken connection instead of the error."""

# JSON.parse makes a JavaScript object in one crossing, whatever its size
_to_js_object = js.JSON.parse


async def serve(request: WorkersRequest) -> js.Response:
    """Answer a request of the platform."""
    asked = PlatformRequest(request.js_object)
    context = functools.partial(Context, asked, bindings=_present(), ai=_ai(), versions=_versions())
    return _to_js_response(await app.handle(asked, _settings, context))


class PlatformRequest:
    """aiworker.http.Request over a JavaScript one; nothing crosses before it is asked for."""

    def __init__(self, request: js.Request) -> None:
        self._request = request
        self.method: str = request.method
        self._url = urlsplit(request.url)
        self.path = self._url.path

    @property
    def query(self) -> Mapping[str, str]:
        return dict(parse_qsl(self._url.query, keep_blank_values=True))

    def header(self, name: str) -> str | None:
        return _text_or_none(self._request.headers.get(name))

    async def read(self, limit: int) -> bytes:
        length = self.header("content-length") or ""
        if length.isdecimal() and int(length) <= limit:
            return (await self._request.arrayBuffer()).to_bytes()
        if length.isdecimal() and int(length) > LINGER * limit:
            raise _too_large(limit)
        return await self._read_counting(limit)

    async def _read_counting(self, limit: int) -> bytes:
        """The body of a request that does not say its length, or too large a one: nothing above `limit` is kept."""
        if isinstance(self._request.body, JsNull):
            return b""
        reader = self._request.body.getReader()
        body, size = bytearray(), 0
        while size <= LINGER * limit and not (part := await reader.read()).done:
            size += part.value.byteLength
            if size <= limit:
                body += part.value.to_bytes()
        if size > limit:
            await reader.cancel()
            raise _too_large(limit)
        return bytes(body)


class PlatformAi:
    """aiworker.context.Ai over the binding `AI`."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def run(self, model: str, inputs: str, options: str) -> "PlatformResponse":
        try:
            answer = await self._binding.run(model, _to_js_object(inputs), _to_js_object(options))
        except JsException as error:
            raise ApiError("upstream_error", f"Workers AI could not be reached: {error}") from error
        return PlatformResponse(answer)


class PlatformResponse:
    """aiworker.context.UpstreamResponse over a JavaScript Response."""

    def __init__(self, response: js.Response) -> None:
        self._response = response
        self.status: int = response.status
        self.body = Opaque(response.body)

    def header(self, name: str) -> str | None:
        return _text_or_none(self._response.headers.get(name))

    async def text(self) -> str:
        return await self._response.text()


def _to_js_response(response: Response) -> js.Response:
    head = _to_js_object(json.dumps({"status": response.status, "headers": response.headers}))
    return js.Response.new(jsnull if response.body is None else response.body, head)


def _text_or_none(value: str | JsNull) -> str | None:
    return value if isinstance(value, str) else None


def _too_large(limit: int) -> ApiError:
    return ApiError("payload_too_large", f"The body is larger than {limit:,} bytes.")


# ---- what stays the same for as long as this isolate lives -------------------------------------------------------


@functools.cache
def _env() -> Any:
    """The bindings as JavaScript has them: the SDK's own `env` converts whatever passes through it."""
    return import_from_javascript("cloudflare:workers").env


@functools.cache
def _settings() -> Settings:
    return Settings.read({name: getattr(_env(), name) for name in VARIABLES if hasattr(_env(), name)})


@functools.cache
def _present() -> Mapping[str, bool]:
    return {name: hasattr(_env(), name) for name in BINDINGS}


@functools.cache
def _ai() -> PlatformAi | None:
    return PlatformAi(_env().AI) if hasattr(_env(), "AI") else None


@functools.cache
def _versions() -> Mapping[str, str]:
    return {"python": sys.version.split()[0], "pyodide": pyodide.__version__}
