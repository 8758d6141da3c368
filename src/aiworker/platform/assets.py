"""Static files: the binding `ASSETS`."""

from typing import Any

from aiworker.bindings import StoredObject
from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle, Request
from aiworker.platform.javascript import binding_result, js_object


class StaticAssets:
    """aiworker.bindings.Assets over the binding."""

    def __init__(self, binding: Any) -> None:
        self._binding = binding

    async def get(self, path: str, request: Request) -> StoredObject:
        etag = request.header("if-none-match")
        options = js_object({"headers": {"if-none-match": etag}} if etag else {})
        file = await binding_result(
            "The static files could not answer", self._binding.fetch(request.origin + path, options)
        )
        if file.status not in (200, 304):
            raise ApiError("unavailable", f"This deployment has no file {path}: run scripts/check, then deploy again.")
        headers = {name: file.headers.get(name) for name in ("content-type", "etag") if file.headers.has(name)}
        return StoredObject(JsHandle(file.body) if file.status == 200 else None, file.status, headers)
