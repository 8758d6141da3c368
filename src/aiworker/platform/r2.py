"""Objects in R2: the binding `BUCKET`."""

import asyncio
import contextlib
import functools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import js
from pyodide.ffi import JsException, JsNull

from aiworker.bindings import StoredObject
from aiworker.http import preconditions
from aiworker.http.messages import JsHandle, Payload, Request
from aiworker.platform.javascript import binding_result, from_js, js_object
from aiworker.platform.payload import MAX_BYTES_AT_ONCE, JsPayload

_from_bucket = functools.partial(binding_result, "The bucket could not answer")


class R2Bucket:
    """aiworker.bindings.Bucket over an R2 bucket."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def put(self, key: str, content: str | Payload, content_type: str, metadata: Mapping[str, str]) -> None:
        options = {"httpMetadata": {"contentType": content_type}, "customMetadata": metadata}
        if isinstance(content, JsPayload) and content.size > MAX_BYTES_AT_ONCE:
            await self._put_stream(key, content, js_object(options))
            return
        body = content if isinstance(content, str) else content.body
        await _from_bucket(self._binding.put(key, body, js_object(options)))

    async def _put_stream(self, key: str, content: JsPayload, options: Any) -> None:
        """Store bytes as a stream: in one piece, 25 MB would keep everybody else waiting for half a second."""
        stream = js.FixedLengthStream.new(content.size)
        writing = asyncio.ensure_future(content.write(stream.writable.getWriter()))
        try:
            await _from_bucket(self._binding.put(key, stream.readable, options))
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, JsException):  # the bucket has stopped reading
                await writing

    async def get(self, key: str, request: Request) -> StoredObject | None:
        # ranges and conditions can only be decided when size, date and etag are known
        needs_head = request.method != "GET" or any(request.header(name) for name in preconditions.HEADERS)
        stored = await _from_bucket(self._binding.head(key) if needs_head else self._binding.get(key))
        if isinstance(stored, JsNull):
            return None
        version = _version(stored)
        selection = preconditions.select(request, version)
        if selection.has_content and request.method == "GET" and needs_head:
            stored = await _from_bucket(self._binding.get(key, js_object(_range(selection))))
            if isinstance(stored, JsNull):  # deleted since
                return None
        body = JsHandle(stored.body) if hasattr(stored, "body") else None
        return StoredObject(body, selection.status, preconditions.response_headers(selection, version))

    async def payload(self, key: str) -> Payload | None:
        stored = await _from_bucket(self._binding.get(key))
        return None if isinstance(stored, JsNull) else JsPayload(await stored.arrayBuffer())

    async def read_part(self, key: str, start: int, length: int) -> tuple[Payload, int] | None:
        stored = await _from_bucket(self._binding.get(key, js_object({"range": {"offset": start, "length": length}})))
        return None if isinstance(stored, JsNull) else (JsPayload(await stored.arrayBuffer()), stored.size)

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        stored = await _from_bucket(self._binding.head(key))
        return None if isinstance(stored, JsNull) else from_js(stored.customMetadata)

    async def keys(self, prefix: str, maximum: int) -> list[str]:
        keys: list[str] = []
        page = {"prefix": prefix}
        while len(keys) < maximum:
            listed = await _from_bucket(self._binding.list(js_object(page)))
            keys += [each.key for each in listed.objects]
            if not listed.truncated:
                break
            page["cursor"] = listed.cursor
        return keys[:maximum]

    async def head(self, key: str) -> tuple[str, int] | None:
        stored = await _from_bucket(self._binding.head(key))
        return None if isinstance(stored, JsNull) else (stored.etag, stored.size)

    async def delete(self, key: str) -> None:
        await _from_bucket(self._binding.delete(key))

    async def delete_all(self, keys: Sequence[str]) -> None:
        await _from_bucket(self._binding.delete(js_object(list(keys))))

    async def page(self, prefix: str, cursor: str | None) -> tuple[Mapping[str, Mapping[str, str]], str | None]:
        options = {"prefix": prefix, "include": ["customMetadata"]}
        page = await _from_bucket(self._binding.list(js_object(options | ({"cursor": cursor} if cursor else {}))))
        objects = {each.key: from_js(each.customMetadata) for each in page.objects}
        return objects, page.cursor if page.truncated else None

    async def delete_folder(self, prefix: str) -> bool:
        page = await _from_bucket(self._binding.list(js_object({"prefix": prefix})))
        keys = [each.key for each in page.objects]
        if keys:
            await _from_bucket(self._binding.delete(js_object(keys)))
        return page.truncated


def _version(stored: Any) -> preconditions.Version:
    return preconditions.Version(
        etag=stored.httpEtag,
        modified=datetime.fromtimestamp(stored.uploaded.getTime() // 1000, UTC),
        size=stored.size,
        content_type=getattr(stored.httpMetadata, "contentType", None) or "application/octet-stream",
    )


def _range(selection: preconditions.Selection) -> dict[str, Any]:
    """Return R2's options for the selected bytes."""
    return {"range": {"offset": selection.start, "length": selection.length}} if selection.status == 206 else {}
