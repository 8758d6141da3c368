"""The response of a model that has begun to answer, and the response that the client gets."""

import json
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import from_json

from aiworker.auth.budget import BudgetReservation
from aiworker.bindings import Streams, UpstreamResponse
from aiworker.errors import ApiError
from aiworker.http.body import EVENT_STREAM, JSON
from aiworker.http.messages import JsHandle, Response
from aiworker.log import RequestLog
from aiworker.models import catalogue, gen_ai
from aiworker.models.answer_reader import broken_stream_error, valid_number, valid_usage
from aiworker.models.catalogue import Model
from aiworker.models.completion import DONE, Completion, ends_within_frame, frame, is_done, read_completion
from aiworker.models.openai_stream import OpenAITransform
from aiworker.models.openai_writers import ChatWriter, Head
from aiworker.models.vendors import dialects
from aiworker.tracing import NoSpan, Span

LOG_ID_HEADER = "x-gateway-log-id"
FORWARDED_HEADERS: Mapping[str, str] = {
    "cf-ai-req-id": "x-ai-request-id",
    "cf-aig-log-id": LOG_ID_HEADER,
    "cf-aig-cache-status": "x-gateway-cache",
    "cf-ai-neurons": "x-neurons",
    "simulator-real-model": "x-real-model",
}
"""Header of the model's response → header of the client's. They are read from the response: the binding object, which
has some of them too, is shared by all requests."""

ANSWER = re.compile(rb'"(?:response|choices|tool_calls)"')
"""Names of fields one of which is in every answer."""
ENDED_EARLY = "it ended early"

TAIL = 16_384
"""Bytes at the end of a stream that are enough to find the frame with `usage`."""


@dataclass(frozen=True)
class ModelResponse:
    """A stream, or a body that has not been read."""

    model: Model
    raw: UpstreamResponse
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Headers for the client: x-model, server-timing, ids."""
    log: RequestLog = field(default_factory=RequestLog)
    reservation: BudgetReservation = field(default_factory=BudgetReservation)
    """The call's share of the key's budget."""
    span: Span = field(default_factory=NoSpan)
    """The call's span, which ends when the usage is known."""
    buffered: str | None = None
    """The whole body, if a guard has read it before anything is sent; `raw` has none left then."""

    @property
    def content_type(self) -> str:
        return self.raw.header("content-type") or "application/octet-stream"

    @property
    def is_stream(self) -> bool:
        return self.content_type.lower().startswith(EVENT_STREAM)

    async def text(self) -> str:
        """Return the whole body; a stream in OpenAI's or Workers AI's own dialect."""
        text = await self.raw.text()
        if not (self.is_stream and self.is_translated):
            return text
        translation = self.translation()
        return (translation.transform(text.encode()) + translation.finish()).decode()

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the chunks of the stream, in OpenAI's or Workers AI's own dialect."""
        translation = self.translation() if self.is_translated else None
        async with aclosing(self.raw.chunks()) as chunks:
            async for chunk in chunks:
                yield translation.transform(chunk) if translation else chunk
        if translation:
            yield translation.finish()

    @property
    def is_translated(self) -> bool:
        """True if the model writes in a vendor's dialect, which clients of `POST /chat` do not read."""
        return self.model.vendor in dialects.INPUTS

    def translation(self) -> OpenAITransform:
        """Return a transform of the stream into OpenAI's dialect."""
        head = Head(f"chatcmpl-{self.log.request_id.removeprefix('req_')}", int(time.time()), self.model.id)
        return OpenAITransform(ChatWriter(head, include_usage=True), answer_id=head.id)

    async def json(self) -> Any:
        """Return the parsed body, an answer in OpenAI's or Workers AI's own dialect.

        Raises ApiError `upstream_error` if it is not JSON.
        """
        text = await self.raw.text() if self.buffered is None else self.buffered
        try:
            # not with the json module: in Pyodide, JSON nested thousands of levels deep would end the isolate
            data = from_json(text)
        except ValueError:
            excerpt = text[:100] or "nothing"
            raise ApiError("upstream_error", f"{self.model.id} returned something other than JSON: {excerpt}") from None
        if self.is_translated and isinstance(data, dict):
            return dialects.to_openai(cast("dict[str, Any]", data))
        return data

    async def object(self) -> dict[str, Any]:
        """Return the parsed body. Raises ApiError `upstream_error` if it is not a JSON object."""
        data = await self.json()
        if not isinstance(data, dict):
            raise ApiError("upstream_error", f"{self.model.id} returned something other than a JSON object.")
        return cast("dict[str, Any]", data)

    async def answer(self, answer_id: str = "", known_ids: Collection[str] = ()) -> tuple[dict[str, Any], Completion]:
        """Return the parsed body of a whole answer, and the completion read from it.

        answer_id, known_ids: as for Completion.
        Raises ApiError `upstream_error` if it is no answer of a text model; the call then still has its cost.
        """
        completion = Completion(answer_id, known_ids)
        try:
            data = await self.object()
            completion.add(data)
            completion.check(self.model.id)
        except ApiError as error:
            self.record_usage(completion.usage)
            error.headers |= self.headers
            raise
        return data, completion

    def record_usage(self, usage: Any) -> float | None:
        """Log the tokens, and settle the reservation; return the cost in neurons, None if it is unknown.

        usage: as the model reports it, of whatever type.
        """
        counts = valid_usage(usage)
        reported = valid_number(self.headers.get("x-neurons"))
        cost = catalogue.neurons(self.model, counts) if reported is None else reported
        self.log.record_usage(counts, cost)
        self.reservation.cost = cost
        self.span.set(gen_ai.usage_attributes(counts, cost))
        self.span.end()
        return cost

    def response(self, body: Any, content_type: str | None = None) -> Response:
        """Return a response with the model's headers, and `cache-control: no-store`."""
        headers = {"content-type": content_type or self.content_type, "cache-control": "no-store", **self.headers}
        return Response(body, 200, headers)

    def whole_response(self, body: str, content_type: str, usage: Any) -> Response:
        """Return a response that is a whole answer, with its cost in `x-neurons`. usage: as for `record_usage`."""
        return add_cost(self.response(body, content_type), self.record_usage(usage))

    def json_response(self, data: Any, usage: Any) -> Response:
        """Return a whole answer as JSON, with its cost in `x-neurons`. usage: as for `record_usage`."""
        return self.whole_response(json.dumps(data, ensure_ascii=False, separators=(",", ":")), JSON, usage)


def record_cost(
    responses: Sequence[ModelResponse], usage: Mapping[str, Any], default: float | None = None
) -> float | None:
    """Log the tokens of several calls of one model, and settle their reservations; return their cost in neurons.

    The cost is what the model reports, else the price of `usage`, else `default`, which the route computes from minutes
    or pixels; None if it is unknown.
    """
    reported = [valid_number(response.headers.get("x-neurons")) for response in responses]
    known = [each for each in reported if each is not None]
    cost = sum(known) if len(known) == len(reported) else catalogue.neurons(responses[0].model, usage)
    if cost is None:
        cost = default
    responses[0].log.record_usage(usage, cost)
    responses[0].span.set(gen_ai.usage_attributes(usage, cost))
    for number, response in enumerate(responses):
        response.span.end()
        if cost is not None:
            response.reservation.cost = 0 if number else cost
    return cost


def add_cost(response: Response, neurons: float | None) -> Response:
    """Add the header `x-neurons`, the cost of the request's model calls, unless it is unknown."""
    if neurons is not None:
        response.headers["x-neurons"] = f"{neurons:.4g}"
    return response


def joined_response(
    responses: Sequence[ModelResponse], body: str | list[str | JsHandle], neurons: float | None
) -> Response:
    """Return a JSON response made of several calls of one model, with the headers of all and the sum of their costs."""
    headers: dict[str, dict[str, None]] = {}
    for response in responses:
        for name, value in response.headers.items():
            headers.setdefault(name, {})[value] = None
    joined = {name: ", ".join(values) for name, values in headers.items()}
    response = Response(body, 200, {"content-type": JSON, "cache-control": "no-store", **joined})
    return add_cost(response, neurons)


# ---- streams ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResponseEpilogue:
    """aiworker.bindings.StreamEpilogue: the end of a model's stream that goes to its client unread."""

    response: ModelResponse
    format_failure: Callable[[ApiError], str]
    """Returns the end of an incomplete stream."""
    on_complete: Callable[[Completion], Awaitable[None]] | None = None
    """Called with a complete answer; may raise ApiError."""

    @property
    def tail_size(self) -> int | None:
        return None if self.on_complete else TAIL

    async def finish(self, body: bytes) -> str:
        # `[DONE]` ends a stream in either dialect; some servers leave it out, and give the reason for the end
        is_whole = is_done(body)
        needs_all = bool(self.on_complete or not is_whole or b'"error' in body or not ANSWER.search(body))
        try:
            completion = read_completion(body, b"" if needs_all else b'"usage"')
            if not is_whole and (ends_within_frame(body) or not completion.has_reason):
                raise broken_stream_error(ENDED_EARLY)
            self.response.record_usage(completion.usage)
            if needs_all:
                completion.check(self.response.model.id)
            if self.on_complete:
                await self.on_complete(completion)
        except ApiError as error:
            return self.format_failure(error)
        # a client reads the last frame only if an empty line ends it
        gap = "" if body.endswith((b"\n\n", b"\r\n\r\n")) else "\n\n"
        return gap + ("" if is_whole else frame(DONE))

    def fail(self, reason: str) -> str:
        return self.format_failure(broken_stream_error(reason))


class TranslatedStream:
    """aiworker.bindings.StreamTransform of another vendor's stream into OpenAI's dialect, with its epilogue."""

    def __init__(self, epilogue: ResponseEpilogue, prefix: str) -> None:
        self._epilogue = epilogue
        self._translation = epilogue.response.translation()
        self._prefix = prefix.encode()
        self._body = b""

    def transform(self, chunk: bytes) -> bytes:
        return self._start() + self._add(self._translation.transform(chunk))

    async def finish(self) -> bytes:
        rest = self._start() + self._add(self._translation.finish())
        return rest + (await self._epilogue.finish(self._body)).encode()

    def fail(self, reason: str) -> str:
        return self._start().decode() + self._epilogue.fail(reason)

    def _start(self) -> bytes:
        prefix, self._prefix = self._prefix, b""
        return prefix

    def _add(self, content: bytes) -> bytes:
        """Keep the part of a piece that the epilogue needs, and return the piece."""
        self._body = (self._body + content)[-(self._epilogue.tail_size or 0) :]
        return content


async def pipe_response(streams: Streams, epilogue: ResponseEpilogue, prefix: str = "") -> str | JsHandle:
    """Return a response's body: the prefix, the model's own stream, and the epilogue.

    It is a stream, or a text if the model's response is buffered.
    """
    response = epilogue.response
    if response.buffered is None and response.is_translated:
        return streams.transform(response.raw.body, TranslatedStream(epilogue, prefix))
    if response.buffered is None:
        # from one JavaScript stream to the other; if the client disconnects, the model is cancelled
        return streams.pipe(response.raw.body, epilogue, prefix)
    return prefix + response.buffered + await epilogue.finish(response.buffered.encode())
