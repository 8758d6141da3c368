"""Bytes that stay in JavaScript: uploads, images, sounds."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import js
from pyodide.ffi import JsException, to_js

from aiworker.bindings import Part
from aiworker.errors import ApiError, release
from aiworker.http.messages import JsHandle, Payload
from aiworker.platform.javascript import apply, call_method, js_object

WRITTEN_BYTES = 262_144
"""Bytes that are written to a stream at a time."""
MAX_BYTES_AT_ONCE = 1_048_576
"""Bytes that are hashed or stored in one piece: a few milliseconds."""


class JsPayload:
    """aiworker.http.messages.Payload over an ArrayBuffer, or over a part of one as Uint8Array."""

    def __init__(self, buffer: Any, name: str = "", media_type: str = "", charset: str = "") -> None:
        self.name = name
        self.media_type = media_type
        self.charset = charset
        # a Uint8Array of a Uint8Array would be a copy
        self._bytes = buffer if js.ArrayBuffer.isView(buffer) else js.Uint8Array.new(buffer)
        self.size: int = self._bytes.byteLength
        self.body = JsHandle(buffer)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._bytes.subarray(start, self.size if end is None else end).to_bytes()

    def view(self, start: int, end: int) -> JsHandle:
        return self._bytes.subarray(start, end)

    def slice(self, start: int, end: int) -> "JsPayload":
        return JsPayload(self._bytes.subarray(start, end), self.name, self.media_type, self.charset)

    def described(self, name: str, media_type: str, charset: str) -> "JsPayload":
        return JsPayload(self.body, name, media_type, charset)

    def find(self, byte: int, start: int) -> int:
        return self._bytes.indexOf(byte, start)

    async def sha256(self) -> str:
        if self.size <= MAX_BYTES_AT_ONCE:
            return (await js.crypto.subtle.digest("SHA-256", self.body)).to_bytes().hex()
        digest = js.crypto.DigestStream.new("SHA-256")
        await self.write(digest.getWriter())
        return (await digest.digest).to_bytes().hex()

    async def is_utf8(self) -> bool:
        decoder = _decoder("utf-8")
        return await self._decode(decoder, decoder.readable.pipeTo(js.WritableStream.new())) is not None

    async def transcode(self, encoding: str, *, with_mark: bool = False) -> "JsPayload | None":
        try:
            decoder = _decoder(encoding)
        except JsException:  # no such encoding
            return None
        text = decoder.readable.pipeThrough(js.TextEncoderStream.new())
        decoded = await self._decode(decoder, js.Response.new(text).arrayBuffer())
        if decoded is None:
            return None
        [buffer] = decoded
        if with_mark:
            buffer = await js.Blob.new(js.Array.of("\ufeff", buffer)).arrayBuffer()
        return JsPayload(buffer, self.name, self.media_type)

    async def _decode(self, decoder: Any, result: Awaitable[Any]) -> "tuple[Any] | None":
        """Write the bytes to a TextDecoderStream; return its output, or None if the bytes are not valid in its
        encoding.

        They are written in windows: decoded in one piece, 25 MB would keep everybody else waiting.
        """
        results = await asyncio.gather(self.write(decoder.writable.getWriter()), result, return_exceptions=True)
        for each in results:
            if isinstance(each, BaseException) and not isinstance(each, JsException):
                raise each
        return None if any(isinstance(each, JsException) for each in results) else (results[1],)

    async def write(self, writer: Any) -> None:
        """Write the bytes to a JavaScript stream, in windows between which others get their turn, and close it."""
        for start in range(0, self.size, WRITTEN_BYTES):
            await writer.write(self._bytes.subarray(start, start + WRITTEN_BYTES))
        await writer.close()

    def part(self, part: Part) -> "JsPayload":
        """Return the part's head with a copy of its bytes after it."""
        joined = js.Uint8Array.new(len(part.head) + part.end - part.start)
        joined.set(to_js(part.head))
        joined.set(self._bytes.subarray(part.start, part.end), len(part.head))
        return JsPayload(joined.buffer)

    def numbers(self) -> Any:
        """Return a JavaScript array of the bytes as numbers."""
        return js.Array.from_(self._bytes)

    def base64(self) -> JsHandle:
        strings = js.Array.new()
        self.set_base64(strings, "0")
        return JsHandle(js.Blob.new(strings))

    def set_base64(self, target: Any, name: str) -> None:
        """Set a property of a JavaScript object to the bytes as base64.

        The string is copied from a getter by JavaScript, so that Python never holds it.
        """
        getter = js_object({"enumerable": True})
        getter.get = self._bytes.toBase64.bind(self._bytes)
        js.Object.assign(target, js.Object.defineProperty(js.Object.new(), name, getter))

    async def json_string(self) -> JsHandle:
        # in an array, a text and its promise stay in JavaScript
        texts = await js.Promise.all(js.Array.of(js.Response.new(self._bytes)).map(_method(js.Response, "text")))
        return JsHandle(js.Blob.new(texts.map(js.JSON.stringify)))

    async def unquoted(self) -> "JsPayload | None":
        if not await self.is_utf8():
            return None
        try:
            texts = await js.Promise.all(js.Array.of(js.Response.new(self._bytes)).map(_method(js.Response, "json")))
        except JsException as error:
            release(error)
            return None
        return payload_from_text(texts) if texts.every(_method(js.String, "isWellFormed")) else None

    async def floats_base64(self, start: int, end: int) -> list[JsHandle]:
        rows = await js.Response.new(self.view(start, end)).json()
        return [JsPayload(js.Float32Array.new(row).buffer).base64() for row in rows]


def _method(kind: Any, name: str) -> Any:
    """Return a method of a JavaScript class as a function of an object, for the methods of arrays."""
    return js.Function.prototype.call.bind(getattr(kind.prototype, name))


def _decoder(encoding: str) -> Any:
    """Return a stream that decodes bytes and fails at invalid ones. Raises JsException for an unknown encoding.

    It is a stream, because a text would be copied to Python.
    """
    return js.TextDecoderStream.new(encoding, js_object({"fatal": True}))


def decode_base64(strings: Any) -> JsPayload:
    """Decode a JavaScript array that holds one string of base64. Raises JsException if it is not base64."""
    return JsPayload(apply(js.Uint8Array.fromBase64, js.Uint8Array, strings).buffer)


def payload_from_base64(name: str, value: Any) -> Payload:
    """Decode a field of a request, bare base64 or a data URI: a JavaScript array that holds the string.

    Raises ApiError `invalid_request` if it is neither.
    """
    try:
        # what follows the comma of "data:image/png;base64,…"; base64 itself has none
        parts = call_method(js.String.prototype.split, value.concat(js.Array.of(",")))
        return decode_base64(parts.slice(-1))
    except JsException:
        raise ApiError(
            "invalid_request", f"{name} must be base64, bare or in a data URI (data:image/png;base64,…).", param=name
        ) from None


def payload_from_text(value: Any) -> JsPayload:
    """Encode a text as UTF-8: a JavaScript array that holds the string."""
    return JsPayload(apply(js.TextEncoder.prototype.encode, js.TextEncoder.new(), value).buffer)
