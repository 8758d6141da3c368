"""Instances of AI Search: the binding `AI_SEARCH`, a namespace whose methods another service runs."""

from collections.abc import Awaitable, Mapping
from typing import Any

import js

from aiworker.bindings import SearchItem
from aiworker.errors import ApiError, ErrorType
from aiworker.http.messages import JsHandle, Payload
from aiworker.platform.javascript import apply, binding_result, from_js, js_object
from aiworker.platform.payload import JsPayload

SENTENCE = "AI Search could not answer"
REFUSALS: Mapping[str, tuple[ErrorType, str]] = {
    "_not_found": ("not_found", "AI Search has no such instance or item."),
    "file_exceeds_maximum_size": ("payload_too_large", "The file is too large: AI Search takes at most 4 MB."),
    "unsupported_file_type": ("unsupported_media_type", "AI Search does not take files of this kind."),
    "monthly_query_quota_exceeded": ("rate_limited", "The month's searches of this account's plan are used up."),
    "max_instances_reached": ("unavailable", "The account has no room for another instance of AI Search."),
    "ai_search_is_paused": ("unavailable", "The instance of AI Search is paused: resume it in the dashboard."),
}
"""Word in an error's message → the error that it becomes.

Source: developers.cloudflare.com/ai-search/troubleshooting/api-error-codes
"""
EXISTS = "ai_search_with_this_name_already_exist"


class AiSearchInstances:
    """aiworker.bindings.SearchInstances over a namespace of AI Search."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def create(self, instance: str, config: Mapping[str, Any]) -> bool:
        try:
            await _result(self._binding.create(js_object({"id": instance, **config})))
        except ApiError as error:
            if EXISTS not in error.message:
                raise
            return False
        return True

    async def config(self, instance: str) -> Mapping[str, Any]:
        return from_js(await self._instance(instance).call("info").result())

    async def update(self, instance: str, config: Mapping[str, Any]) -> None:
        await self._instance(instance).call("update", js_object(config)).result()

    async def upload(self, instance: str, key: str, content: str | Payload, metadata: Mapping[str, str]) -> SearchItem:
        body = content if isinstance(content, str) else content.body
        options = js_object({"metadata": metadata})
        return _item(from_js(await self._items(instance).call("upload", key, body, options).result()))

    async def item(self, instance: str, item_id: str) -> SearchItem | None:
        try:
            return _item(from_js(await self._items(instance).call("get", item_id).call("info").result()))
        except ApiError as error:
            if error.type != "not_found":
                raise
            return None

    async def item_of(self, instance: str, key: str) -> SearchItem | None:
        query = js_object({"key": key, "source": "builtin"})
        try:
            page = from_js(await self._items(instance).call("list", query).result())
        except ApiError as error:
            if error.type != "not_found":
                raise
            return None
        return next((_item(each) for each in page["result"] if each["key"] == key), None)

    async def delete(self, instance: str, item_id: str) -> None:
        try:
            await self._items(instance).call("delete", item_id).result()
        except ApiError as error:
            if error.type != "not_found":
                raise

    async def download(self, instance: str, item_id: str) -> tuple[JsHandle, int]:
        file = await self._items(instance).call("get", item_id).call("download").result()
        return JsHandle(file.body), file.size

    async def payload(self, instance: str, item_id: str, limit: int) -> Payload:
        body, size = await self.download(instance, item_id)
        stream: Any = body
        if size > limit:
            await stream.cancel()
            raise ApiError("payload_too_large", f"The file has {size:,} bytes; at most {limit:,} can be read.")
        return JsPayload(await _result(js.Response.new(stream).arrayBuffer()))

    async def search(self, instance: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        return from_js((await self._instance(instance).call("search", js_object(request)).result()).chunks)

    def _instance(self, name: str) -> "Remote":
        return Remote(js.Array.of(self._binding)).call("get", name)

    def _items(self, instance: str) -> "Remote":
        return self._instance(instance).get("items")


class Remote:
    """An object of another service, kept in a JavaScript array.

    Such an object is a promise as well, from which Python would make a future without its properties and methods.
    """

    def __init__(self, boxed: Any) -> None:
        """boxed: array with the object."""
        self._boxed = boxed

    def get(self, name: str) -> "Remote":
        """Return a property."""
        return Remote(_boxed(js.Reflect.get, self._boxed.concat(js.Array.of(name))))

    def call(self, name: str, *arguments: Any) -> "Remote":
        """Call a method; return its result."""
        # Reflect.apply(Function.prototype.call, method, [object, …arguments])
        method = self.get(name)._boxed
        passed = js.Array.of(self._boxed.concat(js.Array.of(*arguments)))
        return Remote(_boxed(apply, js.Array.of(js.Function.prototype.call).concat(method, passed)))

    async def result(self) -> Any:
        """Await the object. Raises ApiError of REFUSALS, or `upstream_error`."""
        return (await _result(js.Promise.all(self._boxed)))[0]


def _boxed(function: Any, arguments: Any) -> Any:
    """Call a JavaScript function; return an array with its result, which Python never holds."""
    return js.Array.of(arguments).map(apply.bind(None, function, None))


async def _result(result: Awaitable[Any]) -> Any:
    """Await the result of a method. Raises ApiError of REFUSALS, or `upstream_error`."""
    try:
        return await binding_result(SENTENCE, result)
    except ApiError as error:
        for word, (kind, sentence) in REFUSALS.items():
            if word in error.message:
                raise ApiError(kind, sentence) from error
        raise


def _item(item: Mapping[str, Any]) -> SearchItem:
    return SearchItem(item["id"], item.get("status", "queued"), item.get("error") or "", item.get("chunks_count") or 0)
