"""Workers AI and AI Gateway: the binding `AI`."""

import contextlib
import json
from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Any

import js
from pyodide.ffi import JsException, JsNull, to_js

from aiworker.bindings import Binary, Converted, Inputs
from aiworker.errors import ApiError, ClientDisconnected
from aiworker.http.messages import JsHandle, Payload
from aiworker.platform.javascript import (
    binding_result,
    error_message,
    from_js,
    js_errors_suppressed,
    js_object,
    parse_json,
    string_or_none,
)
from aiworker.platform.payload import JsPayload, decode_base64, payload_from_text

CONVERSION = {"conversionOptions": {"pdf": {"metadata": False}}}
"""Options of toMarkdown: leave out a PDF's metadata, which is not text of its pages.

Source: developers.cloudflare.com/workers-ai/features/markdown-conversion/conversion-options
"""

# JavaScript values that are kept at import must have a path from globalThis, or the memory snapshot cannot hold them
abort_any = js.AbortSignal.any
abort_timeout = js.AbortSignal.timeout
array_of = js.Array.of


class WorkersAi:
    """aiworker.bindings.Ai over the binding `AI`."""

    def __init__(self, binding: Any, caller: Any = None) -> None:
        """caller: a JavaScript object whose `signal` ends its calls, such as the client's Request; None for none."""
        self._binding = binding
        self._caller = caller

    def for_caller(self, caller: Any) -> "WorkersAi":
        """Return the same for the calls of one request. caller: as for the class."""
        return WorkersAi(self._binding, caller)

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> "AiResponse":
        js_inputs = _to_js_inputs(inputs)
        js_options = js_object(options)
        deadline = abort_timeout(max(0, round(seconds * 1000)))
        # the platform cancels the calls of a client that has disconnected, but not those that waitUntil keeps alive
        signal = None if self._caller is None else self._caller.signal
        js_options.signal = abort_any(array_of(deadline, signal)) if signal else deadline
        try:
            return AiResponse(await self._binding.run(model, js_inputs, js_options))
        except JsException as error:
            message = error_message(error)
            if signal and signal.aborted:
                raise ClientDisconnected from error
            if error.name in ("TimeoutError", "AbortError"):
                raise ApiError("timeout", f"{model} did not begin to answer in time.") from error
            raise ApiError("upstream_error", f"Workers AI could not be reached: {message}") from error

    async def to_markdown(self, name: str, media_type: str, file: Payload | bytes) -> Converted:
        document = js_object({"name": name})
        content = to_js(file) if isinstance(file, bytes) else file.body
        document.blob = js.Blob.new(js.Array.of(content), js_object({"type": media_type}))
        try:
            result = await self._binding.toMarkdown(document, js_object(CONVERSION))
        except JsException as error:
            raise ApiError(
                "upstream_error", f"Workers AI could not convert the file: {error_message(error)}"
            ) from error
        if result.format == "error":
            return Converted(None, str(result.error))
        # as the values of an object: reading the text by its name would copy it to Python, and it may be long
        names = list(js.Object.keys(result))
        at = names.index("data")
        return Converted(payload_from_text(js.Object.values(result).slice(at, at + 1)))

    async def web_search(self, request: Mapping[str, Any], seconds: float) -> "AiResponse":
        call = self._binding.websearch(js_object(request))
        return AiResponse(await binding_result("The web could not be searched", call, seconds=seconds))

    async def gateway_log(self, gateway: str, log_id: str) -> dict[str, Any]:
        with _gateway_errors(log_id):
            return from_js(await self._binding.gateway(gateway).getLog(log_id))

    async def rate_log(self, gateway: str, log_id: str, rating: Mapping[str, Any]) -> None:
        with _gateway_errors(log_id):
            await self._binding.gateway(gateway).patchLog(log_id, js_object(rating))


class AiResponse:
    """aiworker.bindings.UpstreamResponse over a JavaScript Response."""

    def __init__(self, response: js.Response) -> None:
        self._response = response
        self._read_header = response.headers.get
        self.status: int = response.status
        self.body = JsHandle(response.body)

    def header(self, name: str) -> str | None:
        return string_or_none(self._read_header(name))

    async def text(self) -> str:
        with _broken_bodies():
            return await self._response.text()

    async def payload(self) -> Payload:
        with _broken_bodies():
            return JsPayload(await self._response.arrayBuffer())

    async def base64_payload(self, name: str) -> Payload:
        try:
            data = await self._response.json()
            strings = next((entry.slice(1) for entry in js.Object.entries(data) if entry[0] == name), js.Array.new())
            return decode_base64(strings)
        except JsException as error:  # no JSON, no such property, no string, no base64
            raise ApiError("upstream_error", f"The model's answer has no {name}: {error_message(error)}") from error

    async def value(self, name: str) -> JsHandle:
        try:
            value = getattr(await self._response.json(), name, None)
        except JsException as error:
            raise ApiError("upstream_error", f"The model's answer is not JSON: {error_message(error)}") from error
        if value is None or isinstance(value, JsNull):
            raise ApiError("upstream_error", f"The model's answer has no {name}.")
        return JsHandle(value)

    async def chunks(self) -> AsyncGenerator[bytes]:
        if isinstance(self._response.body, JsNull):
            return
        reader = self._response.body.getReader()
        try:
            with _broken_bodies():
                while not (part := await reader.read()).done:
                    yield part.value.to_bytes()
        finally:
            # cancels the model if it is still writing; a stream that broke off raises its error again
            with js_errors_suppressed():
                await reader.cancel()


ESCAPED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""Characters that end the name of a form's field → what stands for them (WHATWG's multipart/form-data encoding)."""


def _to_js_inputs(inputs: Inputs) -> Any:
    js_inputs = parse_json(json.dumps(inputs.fields, ensure_ascii=False))
    for name, binary in inputs.binary.items():
        _set_binary(js_inputs, name, binary)
    if inputs.form:
        js_inputs.multipart = _to_js_form(inputs.form)
    return js_inputs


def _set_binary(js_inputs: Any, name: str, binary: Binary) -> None:
    payload = binary.payload
    assert isinstance(payload, JsPayload)
    if binary.part:
        payload = payload.part(binary.part)
    if binary.written_as == "base64":
        payload.set_base64(js_inputs, name)
    elif binary.written_as == "numbers":
        setattr(js_inputs, name, payload.numbers())
    else:
        stream = js_object({"contentType": binary.content_type})
        stream.body = js.Response.new(payload.body).body
        setattr(js_inputs, name, stream)


def _to_js_form(fields: Mapping[str, str | Payload]) -> Any:
    """Encode a form as the binding takes it: a stream and the content type with its boundary.

    It is joined from its parts, because workerd's own encoding of a FormData of 25 MB holds the thread for 150 ms.
    """
    boundary = f"form-{js.crypto.randomUUID()}"
    parts = js.Array.new()
    for name, value in fields.items():
        is_text = isinstance(value, str)
        more = "" if is_text else '; filename="blob"\r\ncontent-type: application/octet-stream'
        parts.push(
            f'--{boundary}\r\ncontent-disposition: form-data; name="{name.translate(ESCAPED)}"{more}\r\n\r\n',
            value if is_text else value.body,
            "\r\n",
        )
    parts.push(f"--{boundary}--\r\n")
    stream = js_object({"contentType": f"multipart/form-data; boundary={boundary}"})
    stream.body = js.Response.new(js.Blob.new(parts)).body
    return stream


@contextlib.contextmanager
def _broken_bodies() -> Generator[None]:
    """Turn the failure to read a body into ApiError `upstream_error`."""
    try:
        yield
    except JsException as error:
        raise ApiError("upstream_error", f"The model's answer broke off: {error_message(error)}") from error


@contextlib.contextmanager
def _gateway_errors(log_id: str) -> Generator[None]:
    """Turn a failure of the gateway into ApiError `not_found` or `upstream_error`."""
    try:
        yield
    except JsException as error:
        message = error_message(error)
        if error.name == "AiGatewayLogNotFound":
            raise ApiError("not_found", f"The gateway has no log {log_id}.") from error
        raise ApiError("upstream_error", f"AI Gateway could not answer: {message}") from error
