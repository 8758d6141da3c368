"""Requests of clients over JavaScript's Request."""

import contextlib
from collections.abc import Awaitable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import js
from pyodide.ffi import JsException, JsNull, JsProxy

from aiworker.errors import ApiError, ClientDisconnected, release
from aiworker.http.content_type import read_boundary
from aiworker.http.form_parts import form_fields, form_parts
from aiworker.http.messages import Payload
from aiworker.http.payload_checks import (
    MAX_FIELDS,
    check_punctuation,
    small_body,
    too_large,
    too_many_fields,
)
from aiworker.platform.javascript import call_method, js_errors_suppressed, string_or_none
from aiworker.platform.payload import JsPayload, payload_from_base64

MAX_TEXT = 1_048_576
"""Characters of a JSON body without its files; for a body in which no files are found, its bytes."""

DRAIN_FACTOR = 16
"""A body up to this many times the limit is received to its end before it is refused: a client that is still sending
when the connection closes sees a broken connection instead of the error."""


MAX_DISCARDED = 104_857_600
"""Largest body in bytes that is received although the answer does not depend on it: 100 MiB, the largest request of
Cloudflare's Free and Pro plans."""


class JsRequest:
    """aiworker.http.messages.Request; headers and body stay in JavaScript until they are read."""

    def __init__(self, request: js.Request) -> None:
        self._request = request
        self.method: str = request.method
        self._url = urlsplit(request.url)
        self._arriving: Awaitable[Any] | None = None
        """The body as an ArrayBuffer, once `start_reading` has started to receive it."""
        self.path = self._url.path

    @property
    def origin(self) -> str:
        return f"{self._url.scheme}://{self._url.netloc}"

    @property
    def query(self) -> Mapping[str, str]:
        try:
            return dict(parse_qsl(self._url.query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            raise too_many_fields("The query string") from None

    def header(self, name: str) -> str | None:
        return string_or_none(self._read_header(name))

    @cached_property
    def _read_header(self) -> Any:
        return self._request.headers.get

    def start_reading(self, limit: int) -> None:
        if self._length is not None and self._length <= limit:
            self._arriving = self._request.arrayBuffer()

    async def read(self, limit: int) -> bytes:
        if self._fits(limit):
            return (await self._received_whole()).to_bytes()
        return b"".join([part.to_bytes() for part in await self._parts(limit)])

    async def read_with_files(
        self, limit: int, names: Collection[str], within: Sequence[str] = ()
    ) -> tuple[bytes, Mapping[str, Payload]]:
        payload = await self.read_payload(limit)
        await check_punctuation(payload)
        try:
            data = await js.Response.new(payload.body).json()
        except JsException as error:
            release(error)
            return small_body(payload, MAX_TEXT), {}
        if not isinstance(data, JsProxy) or js.Array.isArray(data):
            return small_body(payload, MAX_TEXT), {}
        return _without_files(data, names, within)

    async def read_payload(self, limit: int) -> Payload:
        if self._fits(limit):
            return JsPayload(await self._received_whole())
        parts = await self._parts(limit)
        joined = js.Uint8Array.new(sum(part.byteLength for part in parts))
        start = 0
        for part in parts:
            joined.set(part, start)
            start += part.byteLength
        return JsPayload(joined)

    async def read_form(self, limit: int, files: Collection[str] = ()) -> Mapping[str, str | Payload]:
        boundary = read_boundary(self.header("content-type") or "")
        payload = await self.read_payload(limit)
        return form_fields(payload, await form_parts(payload, boundary, MAX_FIELDS), files)

    async def discard_body(self) -> None:
        """Receive the body to its end if nothing has read it and its declared length is at most MAX_DISCARDED.

        An answer that is sent before the body has arrived closes the connection: a client that is still sending, or a
        proxy in front of the Worker, then sees a broken connection instead of the answer.
        """
        if self._arriving:
            with contextlib.suppress(ClientDisconnected):
                await self._received_whole()
        if self._request.bodyUsed or isinstance(self._request.body, JsNull):
            return
        if self._length is not None and self._length <= MAX_DISCARDED:
            with js_errors_suppressed():  # the client has disconnected
                await self._request.body.pipeTo(js.WritableStream.new())

    async def _received_whole(self) -> Any:
        arriving, self._arriving = self._arriving or self._request.arrayBuffer(), None
        return await _received(arriving)

    def _fits(self, limit: int) -> bool:
        """Tell whether content-length is within the limit; raises ApiError if it is more than DRAIN_FACTOR times it."""
        if self._length is None:
            return False
        if self._length > DRAIN_FACTOR * limit:
            raise too_large(limit)
        return self._length <= limit

    @cached_property
    def _length(self) -> int | None:
        """The body's declared length in bytes; None if there is none."""
        length = self.header("content-length") or ""
        return int(length) if length.isdecimal() else None

    async def _parts(self, limit: int) -> list[Any]:
        """Read a body whose length is unknown or too large, as Uint8Arrays; nothing above the limit is kept."""
        if isinstance(self._request.body, JsNull):
            return []
        reader = self._request.body.getReader()
        parts: list[Any] = []
        size = 0
        while size <= DRAIN_FACTOR * limit and not (part := await _received(reader.read())).done:
            size += part.value.byteLength
            if size <= limit:
                parts.append(part.value)
        if size > limit:
            await reader.cancel()
            raise too_large(limit)
        return parts


def _total_length(texts: Any) -> int:
    """Return the number of characters of all strings of a JavaScript iterable. The strings are not copied; other values
    count as 0."""
    # as objects, strings stay in JavaScript; files have no length
    return sum(getattr(value, "length", 0) for value in js.Array.from_(texts, js.Object))


async def _received(body: Awaitable[Any]) -> Any:
    """Await a part of the body; raises ClientDisconnected if it breaks off."""
    try:
        return await body
    except JsException as error:
        release(error)
        raise ClientDisconnected from error


def _without_files(data: Any, names: Collection[str], within: Sequence[str]) -> tuple[bytes, Mapping[str, Payload]]:
    """Take the files out of a JSON object, and write the rest again with each file's name in its place."""
    holder = data
    for name in within:
        if (holder := _inner_object(holder, name)) is None:
            return _to_json(data), {}
    entries = js.Object.entries(holder)
    if entries.length > MAX_FIELDS:
        raise too_many_fields("The body")
    files: dict[str, Payload] = {}
    for entry in entries:
        name, value = entry[0], entry.slice(1)  # an array of the value: a long string would be copied to Python
        if name in names and call_method(js.Object.prototype.toString, value) == "[object String]":
            files[name] = payload_from_base64(name, value)
            setattr(holder, name, name)
    return _to_json(data), files


def _inner_object(data: Any, name: str) -> Any:
    """Return a field of an object that is an object itself; None for any other, which is not copied to Python."""
    field = js.Object.getOwnPropertyDescriptor(data, name)
    if not isinstance(field, JsProxy):
        return None
    value = js.Object.values(field).slice(0, 1)
    return value[0] if call_method(js.Object.prototype.toString, value) == "[object Object]" else None


def _to_json(data: Any) -> bytes:
    try:
        texts = js.Array.of(data).map(js.JSON.stringify)  # an array of the text: a long one is not copied to Python
    except JsException:  # JSON.parse takes deeper nesting than JSON.stringify
        raise ApiError("invalid_request", "The body is nested too deeply.") from None
    if _total_length(texts) > MAX_TEXT:
        raise ApiError("payload_too_large", f"The body has more than {MAX_TEXT:,} characters outside of its files.")
    return texts[0].encode()
