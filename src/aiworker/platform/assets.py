"""Static files: the binding `ASSETS`."""

from collections.abc import Mapping
from typing import Any

from aiworker.bindings import StoredObject
from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle, Payload, Request
from aiworker.platform.javascript import binding_result, js_object
from aiworker.platform.payload import JsPayload


class StaticAssets:
    """aiworker.bindings.Assets over the binding."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def get(self, path: str, request: Request) -> StoredObject:
        etag = request.header("if-none-match")
        file = await self._fetch(path, {"headers": {"if-none-match": etag}} if etag else {})
        headers = {name: file.headers.get(name) for name in ("content-type", "etag") if file.headers.has(name)}
        return StoredObject(JsHandle(file.body) if file.status == 200 else None, file.status, headers)

    async def read(self, path: str) -> Payload:
        file = await self._fetch(path, {})
        return JsPayload(await binding_result("The static file broke off", file.arrayBuffer()))

    async def _fetch(self, path: str, options: Mapping[str, Any]) -> Any:
        # the binding takes whole URLs and ignores their host
        response = self._binding.fetch(f"https://assets.invalid{path}", js_object(options))
        file = await binding_result("The static files could not answer", response)
        if file.status not in (200, 304):
            raise ApiError("unavailable", f"This deployment has no file {path}: run scripts/check, then deploy again.")
        return file
