"""What the Worker is bound to, as the rest of it sees it: plain Python in front, the platform's objects behind.

Large things stay in JavaScript. A `Payload` is bytes of which Python reads only the part it asks for; an `Opaque` is
handed on unread.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from aiworker.http import Opaque, Payload, Request


@dataclass(frozen=True)
class Binary:
    """One input of a model that is bytes."""

    payload: Payload
    written_as: Literal["base64", "numbers", "stream"]
    """A string of base64, an array of numbers from 0 to 255, or the body itself with its content type."""
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Inputs:
    """What a model is sent."""

    fields: Mapping[str, Any]
    """JSON values."""
    binary: Mapping[str, Binary] = field(default_factory=dict[str, Binary])
    form: Mapping[str, str | Payload] = field(default_factory=dict[str, str | Payload])
    """For models that take a form, as their input `multipart`."""


class UpstreamResponse(Protocol):
    """The raw answer to a model call: its head in Python, its body left where it is until asked for, once."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> Opaque: ...

    def header(self, name: str) -> str | None: ...

    async def text(self) -> str:
        """The body, read to its end."""
        ...

    async def payload(self) -> Payload:
        """The body as bytes that stay in JavaScript."""
        ...

    async def base64_payload(self, name: str) -> Payload:
        """The bytes that the property `name` of the JSON body holds as base64.

        Raises ApiError `upstream_error` if there is none.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Leaving the loop early cancels the model."""
        ...


class Ai(Protocol):
    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> UpstreamResponse:
        """Call a model.

        options: as `env.AI.run` takes them. seconds: after so many the call is given up, its body included.
        Raises ApiError `timeout` if they are over before the answer begins, `upstream_error` if none arrives at all.
        """
        ...

    async def gateway_log(self, gateway: str, log_id: str) -> dict[str, Any]:
        """Raises ApiError `not_found` if the gateway has no such log."""
        ...

    async def rate_log(self, gateway: str, log_id: str, rating: Mapping[str, Any]) -> None:
        """Set `feedback`, `score` or `metadata` of a log; raises ApiError `not_found` if there is none."""
        ...


class Streams(Protocol):
    """Bodies that are written while the client already reads them."""

    def relay(self, body: Opaque, failed: Callable[[str], str]) -> Opaque:
        """The body untouched and unread; should it break off, what `failed` makes of the reason is its end."""
        ...

    def written(self, parts: "AsyncGenerator[str | bytes]") -> Opaque:
        """A body of these parts, written as they come. The generator is closed when the client leaves."""
        ...


@dataclass(frozen=True)
class StoredObject:
    """An object of the bucket, as much of it as the request asks for."""

    body: Opaque | None
    """None if the client has it already (304), or wants it only if it were another (412)."""
    status: int
    """200, 206, 304, 412 or 416."""
    headers: dict[str, str]
    """content-type, etag, last-modified, content-length, and content-range of a part."""


class Bucket(Protocol):
    async def put(self, key: str, payload: Payload, content_type: str, metadata: Mapping[str, str]) -> None: ...

    async def get(self, key: str, request: Request) -> StoredObject | None:
        """The object as the request's `range` and conditional headers want it; None if there is none."""
        ...


class Conversation(Protocol):
    """What was said under one id."""

    async def history(self) -> list[dict[str, Any]]:
        """The messages, oldest first."""
        ...

    async def append(self, messages: list[dict[str, Any]]) -> None:
        """Keep what was sent and what was answered, both or neither."""
        ...

    async def erase(self) -> None: ...


class Conversations(Protocol):
    def find(self, conversation_id: str) -> Conversation: ...
