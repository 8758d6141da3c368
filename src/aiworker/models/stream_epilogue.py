"""The end of a model's stream that goes to its client unread: was it whole, what has it cost, who wants to keep it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiworker.bindings import Streams
from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle
from aiworker.models.completion import DONE, Completion, Frames, frame_data
from aiworker.models.model_response import ModelResponse

TAIL = 16_384
"""Bytes at the end of a stream among which its last frames are."""


@dataclass(frozen=True)
class AnswerEpilogue:
    answer: ModelResponse
    broken_off: Callable[[str], str]
    """What its client is sent if the stream has broken off, made of the reason."""
    keep: Callable[[Completion], Awaitable[None]] | None = None
    """Is given the answer if it is whole; may raise ApiError."""

    @property
    def reads(self) -> int | None:
        return None if self.keep else TAIL

    async def whole(self, body: bytes) -> str:
        # `[DONE]` ends a stream in either dialect: without it, what has come is not the whole
        if not body.rstrip().endswith(DONE.encode()):
            return self.broken_off("it ended early")
        said = said_in(body) if self.keep else said_in(body, '"usage"')
        self.answer.record_usage(said.usage)
        if self.keep:
            try:
                await self.keep(said)
            except ApiError as error:
                return self.broken_off(error.message)
        return ""

    def failed(self, reason: str) -> str:
        return self.broken_off(reason)


async def relayed(streams: Streams, end: AnswerEpilogue, before: str = "") -> str | JsHandle:
    """`before`, the answer's own stream, and what follows it; all at once of an answer that was held."""
    answer = end.answer
    if answer.buffered is None:
        # from one JavaScript stream to the other; should the client leave, the model is cancelled
        return streams.pipe(answer.raw.body, end, before)
    return before + answer.buffered + await end.whole(answer.buffered.encode())


def said_in(body: bytes, mark: str = "") -> Completion:
    """What a stream says, or its end, of which a frame that has lost its beginning says nothing.

    mark: frames without this text are not looked into.
    """
    said = Completion()
    for block in Frames().feed(body):
        if mark in block:
            said.add(frame_data(block) or {})
    return said
