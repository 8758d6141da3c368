"""The one door to JavaScript: only this file, and entry.py for its base classes, imports js, pyodide or workers."""

import asyncio
import contextlib
import functools
import gc
import json
import math
import re
import sys
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import js
import pyodide
import pyodide_js
from pyodide.ffi import JsException, JsNull, JsProxy, create_once_callable, create_proxy, jsnull, to_js
from workers import Request as WorkersRequest
from workers import import_from_javascript

from aiworker import app
from aiworker.auth.budget import KeptBudget
from aiworker.auth.limits import RATES
from aiworker.bindings import (
    Binary,
    Converted,
    End,
    Inputs,
    Part,
    Spent,
    Statement,
    StoredObject,
    StreamEnd,
    Translation,
    VectorRecord,
)
from aiworker.context import Context, Resources
from aiworker.conversations import KeptConversation
from aiworker.errors import ApiError, ClientLeft, ErrorType
from aiworker.http import preconditions
from aiworker.http.messages import Opaque, Payload, Request, Response
from aiworker.log import RequestLog
from aiworker.models.breaker import Breaker
from aiworker.rag import ingest
from aiworker.settings import VARIABLES, Settings

BINDINGS = ("AI", "VECTORIZE", "BUCKET", "DB", "INGESTIONS", "CONVERSATIONS", "BUDGETS", "ASSETS", *RATES.values())

MOST_FIELDS = 100
"""Of a query string, a form, or a JSON body with files: each is at least one call between Python and JavaScript."""
MOST_MARKS = 20_000
"""Quotation marks, commas, colons and opening brackets in a JSON body with files: base64 has none of them."""
GLANCE = 262_144
"""Bytes of a payload that Python looks at a time, so that its memory need not grow, as it never shrinks again."""
MOST_TEXT = 1_048_576
"""Characters of JSON in a body with files, beside the files."""

LINGER = 16
"""A body up to so many times too large is received to its end before it is refused: a client that is still sending
when the connection closes sees a broken connection instead of the error."""

# JSON.parse makes a JavaScript object in one crossing, whatever its size
_to_js_object = js.JSON.parse
_apply = js.Reflect.apply


def _call(method: Any, arguments: Any) -> Any:
    """Call a JavaScript method with an array of its object and its arguments, which so stay in JavaScript."""
    # looked up in each call: the memory snapshot taken at upload cannot hold what Function.prototype leads to
    return _apply(js.Function.prototype.call, method, arguments)


async def serve(request: WorkersRequest, execution: Any) -> js.Response:
    """Answer a request of the platform; `execution` is its context, whose waitUntil keeps work alive."""
    _resume_once(execution)
    _isolate.requests += 1
    received: js.Request = request.js_object
    asked, streams = PlatformRequest(received), PlatformStreams(execution, received.signal)
    context = functools.partial(
        Context,
        **{**_bound(), "ai": _ai(received.signal)},
        request=asked,
        bindings=_present(),
        streams=streams,
        rate_limiters=_rate_limiters(),
        versions=_versions(),
        isolate=_isolate.told,
    )
    log = RequestLog(asked.method, _analytics(), _write_line)
    return _to_js_response(await app.handle(asked, streams, _settings, context, log))


def _write_line(line: str) -> None:
    """Into the Worker's log. (print() writes byte by byte.)"""
    # on a stack of its own: with each line workerd notes from where it comes, which costs milliseconds through Python
    js.queueMicrotask(js.console.log.bind(js.console, line))


# ---- requests and responses --------------------------------------------------------------------------------------


class PlatformRequest:
    """aiworker.http.messages.Request over a JavaScript one; nothing crosses before it is asked for."""

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
        try:
            return dict(parse_qsl(self._url.query, keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError:
            raise _too_many("The query string") from None

    @property
    def headers(self) -> Any:
        """JavaScript's own, for bindings that read them."""
        return self._request.headers

    def header(self, name: str) -> str | None:
        return _text_or_none(self._request.headers.get(name))

    async def read(self, limit: int) -> bytes:
        if self._fits(limit):
            return (await _sent(self._request.arrayBuffer())).to_bytes()
        return b"".join([part.to_bytes() for part in await self._received(limit)])

    async def read_with_files(self, limit: int, names: Collection[str]) -> tuple[bytes, Mapping[str, Payload]]:
        payload = await self.read_payload(limit)
        _check_marks(payload)
        try:
            data = await js.Response.new(payload.body).json()
        except JsException:
            return _small(payload), {}
        if not isinstance(data, JsProxy) or js.Array.isArray(data):
            return _small(payload), {}
        entries = js.Object.entries(data)
        if entries.length > MOST_FIELDS:
            raise _too_many("The body")
        files: dict[str, Payload] = {}
        for entry in entries:
            name, text = entry[0], entry.slice(1)
            if name in names and _call(js.Object.prototype.toString, text) == "[object String]":
                files[name] = _from_base64(name, text)
                setattr(data, name, name)
        return _written_again(data), files

    async def read_payload(self, limit: int) -> Payload:
        if self._fits(limit):
            return PlatformPayload(await _sent(self._request.arrayBuffer()))
        parts = js.Array.new(*await self._received(limit))
        return PlatformPayload(await js.Blob.new(parts).arrayBuffer())

    async def read_form(self, limit: int) -> Mapping[str, str | Payload]:
        payload = await self.read_payload(limit)
        content_type = self.header("content-type") or ""
        _check_parts(payload, content_type)
        head = _to_js_object(json.dumps({"headers": {"content-type": content_type}}))
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
        while size <= LINGER * limit and not (part := await _sent(reader.read())).done:
            size += part.value.byteLength
            if size <= limit:
                parts.append(part.value)
        if size > limit:
            await reader.cancel()
            raise _too_large(limit)
        return parts


async def _sent(body: Awaitable[Any]) -> Any:
    try:
        return await body
    except JsException as error:  # it has broken off: whoever sent it is gone
        raise ClientLeft from error


class PlatformPayload:
    """aiworker.http.messages.Payload over an ArrayBuffer."""

    def __init__(self, buffer: Any, name: str = "", media_type: str = "") -> None:
        self.name = name
        self.media_type = media_type
        self._bytes = js.Uint8Array.new(buffer)
        self.size: int = self._bytes.byteLength
        self.body = Opaque(buffer)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._bytes.subarray(start, self.size if end is None else end).to_bytes()

    def view(self, start: int, end: int) -> Opaque:
        return self._bytes.subarray(start, end)

    async def sha256(self) -> str:
        return (await js.crypto.subtle.digest("SHA-256", self.body)).to_bytes().hex()

    def part(self, part: Part) -> "PlatformPayload":
        joined = js.Uint8Array.new(len(part.head) + part.end - part.start)
        joined.set(to_js(part.head))
        joined.set(self._bytes.subarray(part.start, part.end), len(part.head))
        return PlatformPayload(joined.buffer)

    def set_base64(self, target: Any, name: str) -> None:
        """Give a JavaScript object the property; copied from a getter, the string never is one of Python's."""
        getter = _to_js_object('{"enumerable": true}')
        getter.get = self._bytes.toBase64.bind(self._bytes)
        js.Object.assign(target, js.Object.defineProperty(js.Object.new(), name, getter))

    def numbers(self) -> Any:
        return js.Array.from_(self._bytes)

    def find(self, byte: int, start: int) -> int:
        return self._bytes.indexOf(byte, start)

    def base64(self) -> Opaque:
        texts = js.Array.new()
        self.set_base64(texts, "0")
        return Opaque(js.Blob.new(texts))

    async def floats_base64(self, start: int, end: int) -> list[Opaque]:
        rows = await js.Response.new(self.view(start, end)).json()
        return [PlatformPayload(js.Float32Array.new(row).buffer).base64() for row in rows]


def _from_base64(name: str, text: Any) -> Payload:
    """text: an array that holds the string, which so becomes bytes without ever being one of Python's."""
    try:
        # "data:image/png;base64,…": base64 itself has no comma
        parts = _call(js.String.prototype.split, text.concat(js.Array.of(",")))
        return PlatformPayload(_apply(js.Uint8Array.fromBase64, js.Uint8Array, parts.slice(-1)).buffer)
    except JsException:
        raise ApiError(
            "invalid_request", f"{name} must be base64, bare or in a data URI (data:image/png;base64,…).", param=name
        ) from None


async def _file(blob: Any) -> Payload:
    return PlatformPayload(await blob.arrayBuffer(), blob.name, blob.type.partition(";")[0])


def _to_js_response(response: Response) -> js.Response:
    head = _to_js_object(json.dumps({"status": response.status, "headers": response.headers}))
    return js.Response.new(_to_js_body(response.body), head)


def _to_js_body(body: Any) -> Any:
    if isinstance(body, list):
        return js.Blob.new(js.Array.of(*body))
    return jsnull if body is None else body


def _text_or_none(value: str | JsNull) -> str | None:
    return value if isinstance(value, str) else None


def _glances(payload: Payload, overlap: int = 0) -> Iterator[bytes]:
    """The payload, a part at a time, each beginning so many bytes before the last one's end."""
    for start in range(0, payload.size, GLANCE):
        yield payload.read(max(0, start - overlap), min(payload.size, start + GLANCE))


def _check_marks(payload: Payload) -> None:
    """Raises ApiError `payload_too_large` for JSON of which JavaScript would make objects without end."""
    marks = sum(len(part) - len(part.translate(None, b'",:[{')) for part in _glances(payload))
    if marks > MOST_MARKS:
        raise ApiError("payload_too_large", f"The body has more than {MOST_MARKS:,} of the signs that JSON is made of.")


def _check_parts(payload: Payload, content_type: str) -> None:
    """Raises ApiError `invalid_request` for a form of too many parts, each of which would be an object."""
    found = re.search(r"boundary=(?:\"([^\"]+)\"|([^\s;]+))", content_type, re.IGNORECASE)
    boundary = f"\r\n--{found[1] or found[2]}".encode() if found else b""
    if boundary and sum(part.count(boundary) for part in _glances(payload, len(boundary) - 1)) > MOST_FIELDS + 1:
        raise _too_many("The form")


def _small(payload: Payload) -> bytes:
    """What is no object with files in it is not wanted: Python need only find out what is wrong with it."""
    if payload.size > MOST_TEXT:
        raise _too_large(MOST_TEXT)
    return payload.read()


def _written_again(data: Any) -> bytes:
    try:
        text: str = js.JSON.stringify(data)
    except JsException:  # JavaScript has read what it cannot write
        raise ApiError("invalid_request", "The body is nested too deep.") from None
    if len(text) > MOST_TEXT:
        raise ApiError("payload_too_large", f"Beside its files, the body has more than {MOST_TEXT:,} characters.")
    return text.encode()


def _too_many(what: str) -> ApiError:
    return ApiError("invalid_request", f"{what} has more than {MOST_FIELDS} fields.")


def _too_large(limit: int) -> ApiError:
    return ApiError("payload_too_large", f"The body is larger than {limit:,} bytes.")


# ---- Workers AI --------------------------------------------------------------------------------------------------


class PlatformAi:
    """aiworker.bindings.Ai over the binding `AI`."""

    def __init__(self, binding: Any, client: Any = None) -> None:
        """client: the signal of the request that it is for, which aborts when nobody waits for it any more."""
        self._binding = binding
        self._client = client

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> "PlatformResponse":
        given = _to_js_inputs(inputs)
        how = _to_js_object(json.dumps(options))
        deadline = js.AbortSignal.timeout(max(0, round(seconds * 1000)))
        # the platform gives up what a request that nobody waits for has begun, but not while waitUntil keeps it
        how.signal = js.AbortSignal.any(js.Array.of(deadline, self._client)) if self._client else deadline
        try:
            return PlatformResponse(await self._binding.run(model, given, how))
        except JsException as error:
            if self._client and self._client.aborted:
                raise ClientLeft from error
            if error.name in ("TimeoutError", "AbortError"):
                raise ApiError("timeout", f"{model} has not begun to answer in time.") from error
            raise ApiError("upstream_error", f"Workers AI could not be reached: {error}") from error

    async def to_markdown(self, name: str, media_type: str, file: Payload) -> Converted:
        document = _to_js_object(json.dumps({"name": name}))
        document.blob = js.Blob.new(js.Array.of(file.body), _to_js_object(json.dumps({"type": media_type})))
        try:
            found = json.loads(js.JSON.stringify(await self._binding.toMarkdown(document)))
        except JsException as error:
            raise ApiError("upstream_error", f"Workers AI could not convert the file: {error}") from error
        return Converted(found.get("data") or "", found.get("error"))

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
        try:
            return await self._response.text()
        except JsException as error:
            raise ApiError("upstream_error", f"The model's answer broke off: {error}") from error

    async def payload(self) -> Payload:
        try:
            return PlatformPayload(await self._response.arrayBuffer())
        except JsException as error:
            raise ApiError("upstream_error", f"The model's answer broke off: {error}") from error

    async def base64_payload(self, name: str) -> Payload:
        try:
            data = await self._response.json()
            held = next((entry.slice(1) for entry in js.Object.entries(data) if entry[0] == name), js.Array.new())
            return PlatformPayload(_apply(js.Uint8Array.fromBase64, js.Uint8Array, held).buffer)
        except JsException as error:  # no JSON, no such property, no string, no base64
            raise ApiError("upstream_error", f"The model's answer has no {name}: {error}") from error

    async def value(self, name: str) -> Opaque:
        try:
            found = getattr(await self._response.json(), name, None)
        except JsException as error:
            raise ApiError("upstream_error", f"The model's answer is no JSON: {error}") from error
        if found is None or isinstance(found, JsNull):
            raise ApiError("upstream_error", f"The model's answer has no {name}.")
        return Opaque(found)

    async def chunks(self) -> AsyncGenerator[bytes]:
        if isinstance(self._response.body, JsNull):
            return
        reader = self._response.body.getReader()
        try:
            while not (part := await reader.read()).done:
                yield part.value.to_bytes()
        except JsException as error:
            raise ApiError("upstream_error", f"The model's answer broke off: {error}") from error
        finally:
            # cancels the model if it is still writing; a stream that broke repeats its error
            with contextlib.suppress(JsException):
                await reader.cancel()


def _to_js_inputs(inputs: Inputs) -> Any:
    made = _to_js_object(json.dumps(inputs.fields, ensure_ascii=False))
    for name, binary in inputs.binary.items():
        _set_binary(made, name, binary)
    if inputs.form:
        made.multipart = _to_js_form(inputs.form)
    return made


def _set_binary(made: Any, name: str, binary: Binary) -> None:
    payload = binary.payload
    assert isinstance(payload, PlatformPayload)
    if binary.part:
        payload = payload.part(binary.part)
    if binary.written_as == "base64":
        payload.set_base64(made, name)
    elif binary.written_as == "numbers":
        setattr(made, name, payload.numbers())
    else:
        stream = _to_js_object(json.dumps({"contentType": binary.content_type}))
        stream.body = js.Response.new(payload.body).body
        setattr(made, name, stream)


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
    """aiworker.bindings.Streams of one request, over IdentityTransformStreams.

    (With a TransformStream, a client's leaving would not be noticed.)
    """

    def __init__(self, execution: Any, client: Any) -> None:
        """client: the request's signal."""
        self._execution = execution
        self._client = client
        self._open = 0
        self._end = End(has_left=False)
        self._when_over: Callable[[End], None] | None = None
        self._when_left: Any = None

    def relay(self, body: Opaque, end: StreamEnd, before: str = "") -> Opaque:
        pipe = js.IdentityTransformStream.new()
        return self._run(pipe, _relayed(body, pipe.writable, end, before))

    def translated(self, body: Opaque, translation: Translation) -> Opaque:
        pipe = js.IdentityTransformStream.new()
        return self._run(pipe, _translated(body, pipe.writable, translation))

    def written(self, parts: AsyncGenerator[str | bytes]) -> Opaque:
        pipe = js.IdentityTransformStream.new()
        return self._run(pipe, _written(parts, pipe.writable.getWriter()))

    def when_over(self, work: Callable[[End], None]) -> None:
        self._when_over = work
        self._tell()

    def work_on(self, work: Coroutine[Any, Any, None]) -> None:
        self._execution.waitUntil(asyncio.ensure_future(work))

    def when_left(self, work: Callable[[], None]) -> None:
        def leave(_event: Any) -> None:
            self._when_left = None
            work()

        self._when_left = create_once_callable(leave)
        self._client.addEventListener("abort", self._when_left)

    def _run(self, pipe: Any, work: Coroutine[Any, Any, bool]) -> Opaque:
        self._open += 1
        # without waitUntil, what comes behind the response would never run
        self._execution.waitUntil(asyncio.ensure_future(self._follow(pipe.writable, work)))
        return Opaque(pipe.readable)

    async def _follow(self, writable: Any, work: Coroutine[Any, Any, bool]) -> None:
        _isolate.open_streams += 1
        try:
            self._end = End(has_left=not await work)
        except Exception as error:  # a defect of ours: the client must not take what it has for the whole
            self._end = End(has_left=False, defect=error)
            with contextlib.suppress(JsException):
                await writable.abort("a defect of the server")
        finally:
            _isolate.open_streams -= 1
            self._open -= 1
            self._tell()

    def _tell(self) -> None:
        if self._when_over and not self._open:
            self._when_over(self._end)
            if self._when_left:
                self._client.removeEventListener("abort", self._when_left)
                self._when_left.destroy()
                self._when_left = None


async def _relayed(body: Any, writable: Any, end: StreamEnd, before: str) -> bool:
    """Whether the client has waited for the end.

    The stream has two branches: one for the client, and one in which JavaScript keeps what has gone by. (To read that
    one at the same time would hold back the other, until enough of it has come.)
    """
    passed_on, kept = body.tee()
    try:
        if before:
            await _send(writable, before)
        await passed_on.pipeTo(writable, preventAbort=True, preventClose=True)
        all_of_it = js.Uint8Array.new(await js.Response.new(kept).arrayBuffer())
        last = await end.whole((all_of_it.subarray(-end.reads) if end.reads else all_of_it).to_bytes())
    except JsException as error:  # the model's connection broke, its time is over, or the client has left
        last = end.failed(str(error))
        for branch in (passed_on, kept):  # only both stop the model
            with contextlib.suppress(JsException):
                await branch.cancel()
    return await _end(writable.getWriter(), last)


async def _translated(body: Any, writable: Any, translation: Translation) -> bool:
    """Whether the client has waited for the end."""
    transformer = _Transformer(translation)
    with transformer.callbacks() as callbacks:
        try:
            translated = body.pipeThrough(js.TransformStream.new(callbacks))
            await translated.pipeTo(writable, preventAbort=True, preventClose=True)
            last = ""
        except JsException as error:
            last = translation.failed(str(error))
    has_waited = await _end(writable.getWriter(), last)
    if transformer.defect:
        raise transformer.defect
    return has_waited


class _Transformer:
    """Is called for each chunk, which costs a fraction of what awaiting each of them would."""

    def __init__(self, translation: Translation) -> None:
        self.defect: Exception | None = None
        """Of ours, which has broken the stream off."""
        self._translation = translation
        self._new_bytes = js.Uint8Array.new
        self._enqueue: Any = None

    @contextlib.contextmanager
    def callbacks(self) -> Generator[Any]:
        made = {each.__name__: create_proxy(each) for each in (self.start, self.transform, self.flush)}
        try:
            yield _object_of(made)
        finally:
            for callback in made.values():
                callback.destroy()

    def start(self, controller: Any) -> None:
        self._enqueue = controller.enqueue.bind(controller)  # once, not for each chunk

    def transform(self, chunk: Any, controller: Any) -> None:
        try:
            self._pass_on(self._translation.transform(chunk.to_bytes()))
        except Exception as error:
            self._break_off(error, controller)

    def flush(self, controller: Any) -> None:
        try:
            self._pass_on(self._translation.finish())
        except Exception as error:
            self._break_off(error, controller)

    def _pass_on(self, translated: bytes) -> None:
        if translated:
            chunk = self._new_bytes(len(translated))
            chunk.assign(translated)  # half of what to_js takes
            self._enqueue(chunk)

    def _break_off(self, defect: Exception, controller: Any) -> None:
        self.defect = defect
        controller.error(js.Error.new("a defect of the server"))  # only the log may know why


def _object_of(members: Mapping[str, Any]) -> Any:
    made = js.Object.new()
    for name, member in members.items():
        setattr(made, name, member)
    return made


async def _written(parts: AsyncGenerator[str | bytes], writer: Any) -> bool:
    """Whether the client has waited for the end."""
    async with contextlib.aclosing(parts):
        try:
            async for part in parts:
                if not await _is_written(writer, part):
                    return False
        except Exception:
            writer.releaseLock()
            raise
    return await _end(writer)


async def _send(writable: Any, part: str) -> None:
    writer = writable.getWriter()
    try:
        await writer.write(_encoded(part))
    finally:
        writer.releaseLock()


async def _is_written(writer: Any, part: str | bytes) -> bool:
    try:
        await writer.write(_encoded(part))
    except JsException:
        return False
    return True


async def _end(writer: Any, last: str = "") -> bool:
    """Whether somebody still reads."""
    try:
        if last:
            await writer.write(_encoded(last))
        await writer.close()
    except JsException:
        return False
    return True


def _encoded(part: str | bytes) -> Any:
    return to_js(part) if isinstance(part, bytes) else _encoder().encode(part)


@functools.cache
def _encoder() -> Any:
    return js.TextEncoder.new()


# ---- bindings that may fail --------------------------------------------------------------------------------------


async def _answered(
    sentence: str, answer: Awaitable[Any], *, kind: ErrorType = "upstream_error", retry_after: int | None = None
) -> Any:
    """What a binding answers. Raises ApiError of that kind, with the sentence and the binding's own words."""
    try:
        return await answer
    except JsException as error:
        raise ApiError(kind, f"{sentence}: {error}", retry_after=retry_after) from error


# ---- static files ------------------------------------------------------------------------------------------------


class PlatformAssets:
    """aiworker.bindings.Assets over the binding of the static files."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def get(self, path: str, request: Request) -> StoredObject:
        tag = request.header("if-none-match")
        head = _to_js_object(json.dumps({"headers": {"if-none-match": tag}} if tag else {}))
        found = await _answered("The static files could not answer", self._binding.fetch(request.origin + path, head))
        if found.status not in (200, 304):
            raise ApiError("unavailable", f"This deployment has no file {path}: run scripts/check, then deploy again.")
        headers = {name: found.headers.get(name) for name in ("content-type", "etag") if found.headers.has(name)}
        return StoredObject(Opaque(found.body) if found.status == 200 else None, found.status, headers)


# ---- R2 ----------------------------------------------------------------------------------------------------------


class PlatformBucket:
    """aiworker.bindings.Bucket over an R2 bucket."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def put(self, key: str, content: str | Payload, content_type: str, metadata: Mapping[str, str]) -> None:
        options = {"httpMetadata": {"contentType": content_type}, "customMetadata": metadata}
        body = content if isinstance(content, str) else content.body
        await _from_bucket(self._binding.put(key, body, _to_js_object(json.dumps(options))))

    async def get(self, key: str, request: Request) -> StoredObject | None:
        # what is wanted of it can depend on what it is
        looks_first = request.method != "GET" or any(request.header(name) for name in preconditions.HEADERS)
        found = await _from_bucket(self._binding.head(key) if looks_first else self._binding.get(key))
        if isinstance(found, JsNull):
            return None
        size: int = found.size
        modified = datetime.fromtimestamp(found.uploaded.getTime() // 1000, UTC)
        wants = preconditions.wanted(request, found.httpEtag, modified, size)
        headers = _stored_headers(found, preconditions.http_date(modified), wants)
        if wants.status in (200, 206) and request.method == "GET" and looks_first:
            found = await _from_bucket(self._binding.get(key, _to_js_object(json.dumps(_part(wants)))))
            if isinstance(found, JsNull):  # erased in this moment
                return None
        return StoredObject(Opaque(found.body) if hasattr(found, "body") else None, wants.status, headers)

    async def payload(self, key: str) -> Payload | None:
        found = await _from_bucket(self._binding.get(key))
        return None if isinstance(found, JsNull) else PlatformPayload(await found.arrayBuffer())

    async def delete_folder(self, prefix: str) -> None:
        while True:
            listed = await _from_bucket(self._binding.list(_to_js_object(json.dumps({"prefix": prefix}))))
            keys = [each.key for each in listed.objects]
            if not keys:
                return
            await _from_bucket(self._binding.delete(_to_js_object(json.dumps(keys))))


_from_bucket = functools.partial(_answered, "The bucket could not answer")


def _part(wants: preconditions.Wanted) -> dict[str, Any]:
    return {"range": {"offset": wants.start, "length": wants.length}} if wants.status == 206 else {}


def _stored_headers(found: Any, modified: str, wants: preconditions.Wanted) -> dict[str, str]:
    if wants.status == 416:
        return {"content-range": f"bytes */{found.size}"}
    headers = {"etag": found.httpEtag, "last-modified": modified, "accept-ranges": "bytes"}
    if wants.status in (200, 206):
        headers["content-type"] = getattr(found.httpMetadata, "contentType", None) or "application/octet-stream"
        headers["content-length"] = str(wants.length)
    if wants.status == 206:
        headers["content-range"] = f"bytes {wants.start}-{wants.start + wants.length - 1}/{found.size}"
    return headers


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
        return json.loads(await _from_object(self._stub.history()))

    async def append(self, messages: list[dict[str, Any]]) -> None:
        await _from_object(self._stub.append(json.dumps(messages)))

    async def erase(self) -> None:
        await _from_object(self._stub.erase())


_from_object = functools.partial(_answered, "The conversation could not be reached")


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


# ---- budgets of keys ---------------------------------------------------------------------------------------------


class PlatformBudgets:
    """aiworker.bindings.Budgets over a namespace of Durable Objects."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def find(self, key_name: str) -> "PlatformBudget":
        return PlatformBudget(self._binding.getByName(key_name))


@dataclass(frozen=True)
class PlatformBudget:
    """aiworker.bindings.Budget over the stub of one object."""

    _stub: Any

    async def reserve(self, charges: Mapping[str, float], daily: float) -> Spent:
        return Spent(**json.loads(await _from_budget(self._stub.reserve(json.dumps(charges), daily))))

    async def settle(self, costs: Mapping[str, float]) -> None:
        await _from_budget(self._stub.settle(json.dumps(costs)))

    async def today(self) -> Spent:
        return Spent(**json.loads(await _from_budget(self._stub.today())))


_from_budget = functools.partial(_answered, "The key's budget could not be asked", kind="unavailable", retry_after=1)


def kept_budget(storage: Any) -> KeptBudget:
    """What the Durable Object keeps, over its `ctx.storage`."""
    return KeptBudget(PlatformStorage(storage), time.time)


# ---- D1, Vectorize, Workflows ------------------------------------------------------------------------------------


class PlatformDatabase:
    """aiworker.bindings.Database over D1."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def rows(self, query: str, *values: str | float | None) -> list[dict[str, Any]]:
        found = await _from_database(self._prepared((query, *values)).all())
        # as text: one crossing, however many rows
        return json.loads(js.JSON.stringify(found.results))

    async def run(self, *statements: Statement) -> None:
        await _from_database(self._binding.batch(js.Array.of(*map(self._prepared, statements))))

    def _prepared(self, statement: Statement) -> Any:
        query, *values = statement
        return self._binding.prepare(query).bind(*(jsnull if value is None else value for value in values))


_from_database = functools.partial(_answered, "The database could not answer")


class PlatformVectorIndex:
    """aiworker.bindings.VectorIndex over Vectorize."""

    MOST_DELETED = 100
    """Ids in one call."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def upsert(self, rows: Any, records: Sequence[VectorRecord]) -> None:
        if rows.length != len(records):
            raise ApiError("upstream_error", f"The model has answered {rows.length} vectors for {len(records)} texts.")
        vectors = _to_js_object(
            json.dumps(
                [{"id": each.id, "namespace": each.namespace, "metadata": dict(each.metadata)} for each in records]
            )
        )
        for number in range(len(records)):
            vectors[number].values = rows[number]
        await _from_vectorize(self._binding.upsert(vectors))

    async def query(self, rows: Any, count: int, namespace: str, filter: Mapping[str, Any]) -> dict[str, float]:  # noqa: A002 - Vectorize's word
        options = {"topK": count, "namespace": namespace, "returnValues": False, "returnMetadata": "none"}
        given = _to_js_object(json.dumps({**options, "filter": filter} if filter else options))
        found = await _from_vectorize(self._binding.query(rows[0], given))
        matches: list[dict[str, Any]] = json.loads(js.JSON.stringify(found.matches))
        return {match["id"]: match["score"] for match in matches}

    async def present(self, ids: Sequence[str]) -> set[str]:
        found = await _from_vectorize(self._binding.getByIds(_to_js_object(json.dumps(list(ids)))))
        return {each.id for each in found}

    async def delete(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), self.MOST_DELETED):
            batch = list(ids[start : start + self.MOST_DELETED])
            await _from_vectorize(self._binding.deleteByIds(_to_js_object(json.dumps(batch))))


_from_vectorize = functools.partial(_answered, "Vectorize could not answer")


ENDED = ("complete", "errored", "terminated")
"""States of a workflow that does nothing any more."""


class PlatformIngestions:
    """aiworker.bindings.Ingestions over a Workflow."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def start(self, version_id: str) -> None:
        instance = _to_js_object(json.dumps({"id": version_id, "params": {"version": version_id}}))
        try:
            await self._binding.create(instance)
        except JsException as error:
            if "already_exists" not in str(error):
                raise ApiError("upstream_error", f"The workflow could not be started: {error}") from error

    async def wake(self, version_id: str) -> None:
        try:
            instance = await self._binding.get(version_id)
        except JsException:  # a crash came before it was started
            await self.start(version_id)
            return
        with contextlib.suppress(JsException):  # it ends in this moment
            if (await instance.status()).status in ENDED:  # not even giving up has worked
                await instance.restart()
                return
            # the local engine has no alarm: an event, of whatever type, wakes it. Steps that are done stay done
            await instance.sendEvent(_to_js_object('{"type": "wake", "payload": {}}'))


_resumed = False


def _resume_once(execution: Any) -> None:
    """With the first request of an isolate, look after documents that a crash has left."""
    global _resumed
    if _resumed or _bound()["database"] is None or _bound()["ingestions"] is None:
        return
    _resumed = True
    execution.waitUntil(asyncio.ensure_future(_resume()))


async def _resume() -> None:
    await ingest.resume(_resources())


async def run_ingestion(event: Any, step: Any) -> None:
    """What the Workflow does for one version of a document."""
    await ingest.ingest(_resources(), PlatformSteps(step), event["payload"]["version"])


class PlatformSteps:
    """aiworker.rag.ingest.Steps over those of the SDK."""

    ORDINARY: Mapping[str, Any] = {
        "retries": {"limit": 6, "delay": "1 second", "backoff": "exponential"},
        "timeout": "10 minutes",
    }
    PATIENT: Mapping[str, Any] = {
        "retries": {"limit": 90, "delay": "2 seconds", "backoff": "constant"},
        "timeout": "1 minute",
    }

    def __init__(self, step: Any) -> None:
        self._step = step

    async def do(self, name: str, work: Callable[[], Awaitable[Any]], *, patiently: bool = False) -> Any:
        # what is hopeless counts as done, so that it is not tried again; every replay then says the same
        async def attempt() -> str:
            try:
                return json.dumps({"result": await work()})
            except ingest.Hopeless as error:
                return json.dumps({"hopeless": str(error)})
            except ApiError as error:
                raise RuntimeError(error.message) from error

        done = json.loads(await self._step.do(name, config=self.PATIENT if patiently else self.ORDINARY)(attempt)())
        if "hopeless" in done:
            raise ingest.Hopeless(done["hopeless"])
        return done["result"]


# ---- what stays the same for as long as this isolate lives -------------------------------------------------------


COUNT_EVERY = 10
"""Seconds for which a count of objects is told again."""


@dataclass
class Isolate:
    """What goes on in this isolate now."""

    requests: int = 0
    open_streams: int = 0
    _objects: int = 0
    _counted: float = -math.inf

    def told(self) -> dict[str, int]:
        # whoever asks again and again shall not keep it busy with that: to look for cycles takes some 50 ms
        if time.monotonic() - self._counted > COUNT_EVERY:
            gc.collect()
            self._counted, self._objects = time.monotonic(), len(gc.get_objects())
        return {
            "requests": self.requests,
            "open_streams": self.open_streams,
            "objects": self._objects,  # Pyodide has no pymalloc, and so no count of its blocks
            # Emscripten has no other name for it
            "memory_bytes": pyodide_js._module.HEAPU8.byteLength,  # pyright: ignore[reportPrivateUsage]
        }


_isolate = Isolate()


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


def _resources() -> Resources:
    return Resources(settings=_settings(), **_bound())


class PlatformRateLimiter:
    """aiworker.bindings.RateLimiter over a rate limiting binding."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def admits(self, key: str) -> bool:
        return (await _from_limiter(self._binding.limit(_to_js_object(json.dumps({"key": key}))))).success


_from_limiter = functools.partial(_answered, "The rate limit could not be asked", kind="unavailable", retry_after=1)


class PlatformAnalytics:
    """aiworker.bindings.Analytics over an Analytics Engine data set."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    def write(self, index: str, texts: Sequence[str], numbers: Sequence[float]) -> None:
        point = {"indexes": [index], "blobs": list(texts), "doubles": list(numbers)}
        self._binding.writeDataPoint(_to_js_object(json.dumps(point)))


@functools.cache
def _analytics() -> PlatformAnalytics | None:
    return _adapted("ANALYTICS", PlatformAnalytics)


@functools.cache
def _rate_limiters() -> Mapping[str, PlatformRateLimiter]:
    names = {rate: name for rate, name in RATES.items() if hasattr(_env(), name)}
    return {rate: PlatformRateLimiter(getattr(_env(), name)) for rate, name in names.items()}


ADAPTERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "ai": ("AI", PlatformAi),
    "assets": ("ASSETS", PlatformAssets),
    "bucket": ("BUCKET", PlatformBucket),
    "budgets": ("BUDGETS", PlatformBudgets),
    "conversations": ("CONVERSATIONS", PlatformConversations),
    "database": ("DB", PlatformDatabase),
    "vectors": ("VECTORIZE", PlatformVectorIndex),
    "ingestions": ("INGESTIONS", PlatformIngestions),
}
"""Field of Resources → the binding it is over, and what makes the one of the other."""


@functools.cache
def _bound() -> dict[str, Any]:
    bound = {field: _adapted(name, adapter) for field, (name, adapter) in ADAPTERS.items()}
    return {**bound, "breaker": Breaker()}


def _adapted(name: str, adapter: Callable[[Any], Any]) -> Any:
    """None for a binding that wrangler.jsonc does not have."""
    return adapter(getattr(_env(), name)) if hasattr(_env(), name) else None


def _ai(client: Any) -> PlatformAi | None:
    """The binding for one request. client: its signal."""
    return PlatformAi(_env().AI, client) if _present()["AI"] else None


@functools.cache
def _versions() -> Mapping[str, str]:
    deployed = {"deployment": _env().VERSION.id} if hasattr(_env(), "VERSION") else {}
    return {"python": sys.version.split()[0], "pyodide": pyodide.__version__, **deployed}
