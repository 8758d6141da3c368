"""The one door to JavaScript: only this file, and entry.py for its base classes, imports js, pyodide or workers."""

import asyncio
import contextlib
import functools
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import js
import pyodide
from pyodide.ffi import JsException, JsNull, jsnull, to_js
from workers import Request as WorkersRequest
from workers import import_from_javascript

from aiworker import app
from aiworker.bindings import Binary, Inputs, StoredObject
from aiworker.context import Context
from aiworker.conversations import KeptConversation
from aiworker.errors import ApiError
from aiworker.http import Opaque, Payload, Request, Response
from aiworker.settings import VARIABLES, Settings

BINDINGS = ("AI", "VECTORIZE", "BUCKET", "ASSETS", "RATE_LIMIT", "CONVERSATIONS")

LINGER = 16
"""A body up to so many times too large is received to its end before it is refused: a client that is still sending
when the connection closes sees a broken connection instead of the error."""

# JSON.parse makes a JavaScript object in one crossing, whatever its size
_to_js_object = js.JSON.parse


async def serve(request: WorkersRequest, execution: Any) -> js.Response:
    """Answer a request of the platform; `execution` is its context, whose waitUntil keeps work alive."""
    asked = PlatformRequest(request.js_object)
    context = functools.partial(
        Context,
        asked,
        bindings=_present(),
        ai=_ai(),
        bucket=_bucket(),
        conversations=_conversations(),
        streams=PlatformStreams(execution),
        versions=_versions(),
    )
    return _to_js_response(await app.handle(asked, _settings, context))


# ---- requests and responses --------------------------------------------------------------------------------------


class PlatformRequest:
    """aiworker.http.Request over a JavaScript one; nothing crosses before it is asked for."""

    def __init__(self, request: js.Request) -> None:
        self._request = request
        self.method: str = request.method
        self._url = urlsplit(request.url)
        self.path = self._url.path

    @property
    def origin(self) -> str:
        return f"{self._url.scheme}://{self._url.netloc}"

    @property
    def query(self) -> Mapping[str, str]:
        return dict(parse_qsl(self._url.query, keep_blank_values=True))

    @property
    def headers(self) -> Any:
        """JavaScript's own, for bindings that read them."""
        return self._request.headers

    def header(self, name: str) -> str | None:
        return _text_or_none(self._request.headers.get(name))

    async def read(self, limit: int) -> bytes:
        if self._fits(limit):
            return (await self._request.arrayBuffer()).to_bytes()
        return b"".join([part.to_bytes() for part in await self._received(limit)])

    async def read_payload(self, limit: int) -> Payload:
        if self._fits(limit):
            return PlatformPayload(await self._request.arrayBuffer())
        parts = js.Array.new(*await self._received(limit))
        return PlatformPayload(await js.Blob.new(parts).arrayBuffer())

    async def read_form(self, limit: int) -> Mapping[str, str | Payload]:
        payload = await self.read_payload(limit)
        head = _to_js_object(json.dumps({"headers": {"content-type": self.header("content-type") or ""}}))
        try:
            entries = await js.Response.new(payload.body, head).formData()
        except JsException:
            raise ApiError("invalid_request", "The body is not the form that its content-type promises.") from None
        return {name: value if isinstance(value, str) else await _file(value) for name, value in entries}

    def _fits(self, limit: int) -> bool:
        """Whether the request says that it does; raises if it says that it is too large by far."""
        length = self.header("content-length") or ""
        if length.isdecimal() and int(length) > LINGER * limit:
            raise _too_large(limit)
        return length.isdecimal() and int(length) <= limit

    async def _received(self, limit: int) -> list[Any]:
        """The parts of a body that does not say its length, or too large a one: nothing above `limit` is kept."""
        if isinstance(self._request.body, JsNull):
            return []
        reader = self._request.body.getReader()
        parts: list[Any] = []
        size = 0
        while size <= LINGER * limit and not (part := await reader.read()).done:
            size += part.value.byteLength
            if size <= limit:
                parts.append(part.value)
        if size > limit:
            await reader.cancel()
            raise _too_large(limit)
        return parts


class PlatformPayload:
    """aiworker.http.Payload over an ArrayBuffer."""

    def __init__(self, buffer: Any) -> None:
        self._bytes = js.Uint8Array.new(buffer)
        self.size: int = self._bytes.byteLength
        self.body = Opaque(buffer)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._bytes.subarray(start, self.size if end is None else end).to_bytes()

    async def sha256(self) -> str:
        return (await js.crypto.subtle.digest("SHA-256", self.body)).to_bytes().hex()

    def base64(self) -> str:
        return self._bytes.toBase64()

    def numbers(self) -> Any:
        return js.Array["from"](self._bytes)


async def _file(blob: Any) -> Payload:
    return PlatformPayload(await blob.arrayBuffer())


def _to_js_response(response: Response) -> js.Response:
    head = _to_js_object(json.dumps({"status": response.status, "headers": response.headers}))
    return js.Response.new(jsnull if response.body is None else response.body, head)


def _text_or_none(value: str | JsNull) -> str | None:
    return value if isinstance(value, str) else None


def _too_large(limit: int) -> ApiError:
    return ApiError("payload_too_large", f"The body is larger than {limit:,} bytes.")


# ---- Workers AI --------------------------------------------------------------------------------------------------


class PlatformAi:
    """aiworker.bindings.Ai over the binding `AI`."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> "PlatformResponse":
        to_js = _to_js_object(json.dumps(options))
        to_js.signal = js.AbortSignal.timeout(round(seconds * 1000))
        try:
            return PlatformResponse(await self._binding.run(model, _to_js_inputs(inputs), to_js))
        except JsException as error:
            if error.name in ("TimeoutError", "AbortError"):
                raise ApiError("timeout", f"{model} has not begun to answer in time.") from error
            raise ApiError("upstream_error", f"Workers AI could not be reached: {error}") from error

    async def gateway_log(self, gateway: str, log_id: str) -> dict[str, Any]:
        with _log_found(log_id):
            return json.loads(js.JSON.stringify(await self._binding.gateway(gateway).getLog(log_id)))

    async def rate_log(self, gateway: str, log_id: str, rating: Mapping[str, Any]) -> None:
        with _log_found(log_id):
            await self._binding.gateway(gateway).patchLog(log_id, _to_js_object(json.dumps(rating)))


class PlatformResponse:
    """aiworker.bindings.UpstreamResponse over a JavaScript Response."""

    def __init__(self, response: js.Response) -> None:
        self._response = response
        self.status: int = response.status
        self.body = Opaque(response.body)

    def header(self, name: str) -> str | None:
        return _text_or_none(self._response.headers.get(name))

    async def text(self) -> str:
        return await self._response.text()

    async def payload(self) -> Payload:
        return PlatformPayload(await self._response.arrayBuffer())

    async def base64_payload(self, name: str) -> Payload:
        found = getattr(await self._response.json(), name, None)
        if not isinstance(found, str):
            raise ApiError("upstream_error", f"The model's answer has no {name}.")
        return PlatformPayload(js.Uint8Array.fromBase64(found).buffer)

    async def chunks(self) -> AsyncIterator[bytes]:
        if isinstance(self._response.body, JsNull):
            return
        reader = self._response.body.getReader()
        try:
            while not (part := await reader.read()).done:
                yield part.value.to_bytes()
        except JsException as error:
            raise ApiError("upstream_error", f"The model's answer broke off: {error}") from error
        finally:
            await reader.cancel()  # of a stream that has been read to its end, nothing is left to cancel


def _to_js_inputs(inputs: Inputs) -> Any:
    to_js = _to_js_object(json.dumps(inputs.fields, ensure_ascii=False))
    for name, binary in inputs.binary.items():
        setattr(to_js, name, _to_js_binary(binary))
    if inputs.form:
        to_js.multipart = _to_js_form(inputs.form)
    return to_js


def _to_js_binary(binary: Binary) -> Any:
    payload = binary.payload
    assert isinstance(payload, PlatformPayload)
    if binary.written_as == "base64":
        return payload.base64()
    if binary.written_as == "numbers":
        return payload.numbers()
    stream = _to_js_object(json.dumps({"contentType": binary.content_type}))
    stream.body = js.Response.new(payload.body).body
    return stream


def _to_js_form(fields: Mapping[str, str | Payload]) -> Any:
    form = js.FormData.new()
    for name, value in fields.items():
        form.append(name, value if isinstance(value, str) else js.Blob.new(js.Array.of(value.body)))
    written = js.Response.new(form)
    stream = _to_js_object(json.dumps({"contentType": written.headers.get("content-type")}))
    stream.body = written.body
    return stream


@contextlib.contextmanager
def _log_found(log_id: str) -> Generator[None]:
    try:
        yield
    except JsException as error:
        if error.name == "AiGatewayLogNotFound":
            raise ApiError("not_found", f"The gateway has no log {log_id}.") from error
        raise ApiError("upstream_error", f"AI Gateway could not answer: {error}") from error


# ---- streams -----------------------------------------------------------------------------------------------------


class PlatformStreams:
    """aiworker.bindings.Streams, over IdentityTransformStreams.

    (With a TransformStream, a client's leaving would not be noticed.)
    """

    def __init__(self, execution: Any) -> None:
        self._execution = execution

    def relay(self, body: Opaque, failed: Callable[[str], str]) -> Opaque:
        pipe = js.IdentityTransformStream.new()
        self._run(_relayed(body, pipe.writable, failed))
        return Opaque(pipe.readable)

    def written(self, parts: AsyncGenerator[str | bytes]) -> Opaque:
        pipe = js.IdentityTransformStream.new()
        self._run(_written(parts, pipe.writable.getWriter()))
        return Opaque(pipe.readable)

    def _run(self, work: Any) -> None:
        # without waitUntil, what comes behind the response would never run
        self._execution.waitUntil(asyncio.ensure_future(work))


async def _relayed(body: Any, writable: Any, failed: Callable[[str], str]) -> None:
    last = ""
    try:
        await body.pipeTo(writable, preventAbort=True, preventClose=True)
    except JsException as error:  # the model's connection broke, its time is over, or the client has left
        last = failed(str(error))
    await _end(writable.getWriter(), last)


async def _written(parts: AsyncGenerator[str | bytes], writer: Any) -> None:
    async with contextlib.aclosing(parts):
        async for part in parts:
            try:
                await writer.write(_encoded(part))
            except JsException:  # the client has left
                return
    await _end(writer)


async def _end(writer: Any, last: str = "") -> None:
    with contextlib.suppress(JsException):  # nobody reads any more
        if last:
            await writer.write(_encoded(last))
        await writer.close()


def _encoded(part: str | bytes) -> Any:
    return to_js(part) if isinstance(part, bytes) else _encoder().encode(part)


@functools.cache
def _encoder() -> Any:
    return js.TextEncoder.new()


# ---- R2 ----------------------------------------------------------------------------------------------------------


class PlatformBucket:
    """aiworker.bindings.Bucket over an R2 bucket."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def put(self, key: str, payload: Payload, content_type: str, metadata: Mapping[str, str]) -> None:
        options = {"httpMetadata": {"contentType": content_type}, "customMetadata": metadata}
        await self._binding.put(key, payload.body, _to_js_object(json.dumps(options)))

    async def get(self, key: str, request: Request) -> StoredObject | None:
        assert isinstance(request, PlatformRequest)
        options = _to_js_object("{}")
        options.onlyIf = options.range = request.headers
        try:
            found = await self._binding.get(key, options)
        except JsException as error:
            if "range" not in str(error).lower():
                raise ApiError("upstream_error", f"The bucket could not answer: {error}") from error
            return await self._unsatisfied(key)
        return None if isinstance(found, JsNull) else _stored(found, request)

    async def _unsatisfied(self, key: str) -> StoredObject | None:
        """416: the object is shorter than the range asked for."""
        head = await self._binding.head(key)
        if isinstance(head, JsNull):
            return None
        return StoredObject(None, 416, {"content-range": f"bytes */{head.size}"})


def _stored(found: Any, request: Request) -> StoredObject:
    headers = {
        "content-type": getattr(found.httpMetadata, "contentType", None) or "application/octet-stream",
        "etag": found.httpEtag,
        "last-modified": found.uploaded.toUTCString(),
        "accept-ranges": "bytes",
    }
    if not hasattr(found, "body"):
        status = 304 if request.header("if-none-match") or request.header("if-modified-since") else 412
        return StoredObject(None, status, headers)
    size: int = found.size
    if request.header("range") is None or not hasattr(found, "range"):
        return StoredObject(Opaque(found.body), 200, headers | {"content-length": str(size)})
    start: int = getattr(found.range, "offset", None) or 0
    length: int = getattr(found.range, "length", None) or size - start
    part = {"content-range": f"bytes {start}-{start + length - 1}/{size}", "content-length": str(length)}
    return StoredObject(Opaque(found.body), 206, headers | part)


# ---- conversations -----------------------------------------------------------------------------------------------


class PlatformConversations:
    """aiworker.bindings.Conversations over a namespace of Durable Objects."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def find(self, conversation_id: str) -> "PlatformConversation":
        return PlatformConversation(self._binding.getByName(conversation_id))


@dataclass(frozen=True)
class PlatformConversation:
    """aiworker.bindings.Conversation over the stub of one object; JSON crosses as text."""

    _stub: Any

    async def history(self) -> list[dict[str, Any]]:
        return json.loads(await self._stub.history())

    async def append(self, messages: list[dict[str, Any]]) -> None:
        await self._stub.append(json.dumps(messages))

    async def erase(self) -> None:
        await self._stub.erase()


def kept_conversation(storage: Any) -> KeptConversation:
    """What the Durable Object keeps, over its `ctx.storage`."""
    return KeptConversation(PlatformStorage(storage), _settings().conversation_days * 86_400)


class PlatformStorage:
    """aiworker.conversations.Storage over the storage of a Durable Object."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        return [list(row) for row in self._storage.sql.exec(query, *values).raw().toArray()]

    async def wake_in(self, seconds: float) -> None:
        await self._storage.setAlarm(js.Date.now() + round(seconds * 1000))

    async def erase(self) -> None:
        await self._storage.deleteAlarm()
        await self._storage.deleteAll()


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
def _bucket() -> PlatformBucket | None:
    return PlatformBucket(_env().BUCKET) if hasattr(_env(), "BUCKET") else None


@functools.cache
def _conversations() -> PlatformConversations | None:
    return PlatformConversations(_env().CONVERSATIONS) if hasattr(_env(), "CONVERSATIONS") else None


@functools.cache
def _versions() -> Mapping[str, str]:
    return {"python": sys.version.split()[0], "pyodide": pyodide.__version__}
