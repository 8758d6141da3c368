"""Requests and responses in plain Python, independent of the platform.

A body that is a `JsHandle` stays in JavaScript and is sent unread: a stream of a thousand frames costs Python nothing.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NewType, Protocol

JsHandle = NewType("JsHandle", object)
"""A JavaScript object, such as a ReadableStream, that Python only passes from one JavaScript API to another."""


class ReadableBytes(Protocol):
    """Bytes of which parts can be read."""

    @property
    def size(self) -> int:
        """Number of bytes."""
        ...

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """Copy the bytes from `start` up to `end` to Python."""
        ...


class Payload(ReadableBytes, Protocol):
    """Bytes that stay in JavaScript: an upload, an image, a sound."""

    name: str
    """File name that the client gives a file of a form; empty for anything else."""
    media_type: str
    """Media type that the client gives a file of a form, without parameters; empty for anything else."""
    charset: str
    """Character encoding that the client gives a file of a form; empty for anything else."""

    @property
    def body(self) -> JsHandle:
        """The bytes as a body of a response, or of a request."""
        ...

    def view(self, start: int, end: int) -> JsHandle:
        """Return the bytes from `start` up to `end` without a copy."""
        ...

    def slice(self, start: int, end: int) -> "Payload":
        """Return the bytes from `start` up to `end` as a payload, without a copy."""
        ...

    def described(self, name: str, media_type: str, charset: str) -> "Payload":
        """Return the same bytes as a file of this name, media type and character encoding."""
        ...

    def find(self, byte: int, start: int) -> int:
        """Return the first index of the byte from `start` on; -1 if there is none."""
        ...

    async def sha256(self) -> str:
        """Return the SHA-256 of the bytes, in hexadecimal."""
        ...

    async def is_utf8(self) -> bool:
        """Tell whether the bytes are valid UTF-8, without making a copy of them."""
        ...

    async def transcode(self, encoding: str, *, with_mark: bool = False) -> "Payload | None":
        """Return a text as UTF-8, without its byte order mark; None if the bytes are not valid in the encoding.

        encoding: label, as of HTML's charset. with_mark: let the result begin with a byte order mark.
        """
        ...

    def base64(self) -> JsHandle:
        """Encode the bytes as base64, as a part of a response's body."""
        ...

    async def json_string(self) -> JsHandle:
        """Write the bytes, UTF-8, as a JSON string with its quotation marks, as a part of a response's body."""
        ...

    async def unquoted(self) -> "Payload | None":
        """Return the text of a JSON string, which has its quotation marks, as UTF-8; None if it is not valid."""
        ...

    async def floats_base64(self, start: int, end: int) -> list[JsHandle]:
        """Read a JSON array of arrays of numbers, and encode each as little-endian float32 in base64."""
        ...


class Request(Protocol):
    """A request of a client."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def origin(self) -> str:
        """Scheme, host and port of the URL that the client has called."""
        ...

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters after `?`; the last value of one that is repeated.

        Raises ApiError `invalid_request` for more than 100 of them.
        """
        ...

    def header(self, name: str) -> str | None:
        """Return a header by its name in any case; None if it is missing."""
        ...

    def start_reading(self, limit: int) -> None:
        """Start to receive a body whose length is known and at most `limit` bytes, so that reading it takes less time
        later."""
        ...

    async def read(self, limit: int) -> bytes:
        """Read the body.

        Raises ApiError `payload_too_large` if it has more than `limit` bytes; never keeps more than that in memory.
        """
        ...

    async def read_with_files(
        self, limit: int, names: Collection[str], within: Sequence[str] = ()
    ) -> tuple[bytes, Mapping[str, Payload]]:
        """Read a JSON object, and take out the files that it holds as base64, bare or in a data URI.

        names: fields that may be files. within: path of the object that has these fields.
        Returns the body, in which each file is replaced by the name of its field, and the files by name; a body that
        is no JSON object is returned unchanged. Raises as `read`, and ApiError `invalid_request` for a file that is
        not base64.
        """
        ...

    async def read_payload(self, limit: int) -> Payload:
        """Read the body as bytes that stay in JavaScript; raises as `read`."""
        ...

    async def read_form(self, limit: int, files: Collection[str] = ()) -> Mapping[str, "str | Payload"]:
        """Read the fields and files of a form (multipart/form-data); the last value of one that is repeated.

        files: names of fields that are files, even without a file name.

        Raises as `read`, and ApiError `invalid_request` for a body that is no form.
        """
        ...


@dataclass
class Response:
    """A response to a client."""

    body: "str | list[str | JsHandle] | JsHandle | None" = None
    """The parts of a list are joined in JavaScript."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])


def json_response(data: Any, status: int = 200) -> Response:
    """Return a response with a JSON body. data: JSON values."""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return Response(body, status, {"content-type": "application/json"})
