"""A request and a response as the rest of the Worker sees them: plain Python, whatever the platform.

A body that is a `JsHandle` belongs to JavaScript. It is handed on as it is and never read here: that is why a stream of
a thousand frames costs Python nothing.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NewType, Protocol

JsHandle = NewType("JsHandle", object)
"""A JavaScript object, such as a ReadableStream, on its way from one JavaScript API to another."""


class Payload(Protocol):
    """Bytes that belong to JavaScript: an upload, an image, a sound."""

    name: str
    """Of a file of a form, as its client says; empty otherwise. So is `media_type`."""
    media_type: str

    @property
    def size(self) -> int: ...

    @property
    def body(self) -> JsHandle:
        """The bytes as the body of a response."""
        ...

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """A copy of that part."""
        ...

    def view(self, start: int, end: int) -> JsHandle:
        """That part where it is, uncopied."""
        ...

    def find(self, byte: int, start: int) -> int:
        """Where from `start` that byte first is; -1 if it is not."""
        ...

    async def sha256(self) -> str:
        """Hexadecimal."""
        ...

    def base64(self) -> JsHandle:
        """The bytes as base64, for a part of a response."""
        ...

    async def floats_base64(self, start: int, end: int) -> list[JsHandle]:
        """Of each array in the JSON array of arrays of numbers that is there, the float32, little-endian, as base64."""
        ...


class Request(Protocol):
    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def origin(self) -> str:
        """Scheme, host and port under which the client has called."""
        ...

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters after `?`; of one given twice, the last."""
        ...

    def header(self, name: str) -> str | None: ...

    async def read(self, limit: int) -> bytes:
        """The body.

        Raises ApiError `payload_too_large` if it is larger than `limit` bytes, of which no more are kept.
        """
        ...

    async def read_with_files(self, limit: int, names: Collection[str]) -> tuple[bytes, Mapping[str, Payload]]:
        """The body, and the files that its JSON has as base64, bare or in a data URI, under some of those names.

        In the body, the name then stands in place of the file; what is no JSON object comes as it is. Raises as
        `read`, and ApiError `invalid_request` for a file that is not base64.
        """
        ...

    async def read_payload(self, limit: int) -> Payload:
        """The body, left in JavaScript; raises as `read`."""
        ...

    async def read_form(self, limit: int) -> Mapping[str, "str | Payload"]:
        """The fields and files of a form (multipart/form-data); of one given twice, the last.

        Raises as `read`, and ApiError `invalid_request` for a body that is no form.
        """
        ...


@dataclass
class Response:
    body: "str | list[str | JsHandle] | JsHandle | None" = None
    """Of a list, the parts are put together in JavaScript."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])


def json_response(data: Any, status: int = 200) -> Response:
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return Response(body, status, {"content-type": "application/json"})
