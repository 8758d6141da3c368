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
    format_failure: Callable[[str], str]
    """What its client is sent if the stream has broken off, made of the reason."""
    on_complete: Callable[[Completion], Awaitable[None]] | None = None
    """Is given the answer if it is whole; may raise ApiError."""

    @property
    def tail_size(self) -> int | None:
        return None if self.on_complete else TAIL

    async def finish(self, body: bytes) -> str:
        # `[DONE]` ends a stream in either dialect: without it, what has come is not the whole
        if not body.rstrip().endswith(DONE.encode()):
            return self.format_failure("it ended early")
        said = read_completion(body) if self.on_complete else read_completion(body, '"usage"')
        self.answer.record_usage(said.usage)
        if self.on_complete:
            try:
                await self.on_complete(said)
            except ApiError as error:
                return self.format_failure(error.message)
        return ""

    def fail(self, reason: str) -> str:
        return self.format_failure(reason)


async def pipe_answer(streams: Streams, end: AnswerEpilogue, before: str = "") -> str | JsHandle:
    """`before`, the answer's own stream, and what follows it; all at once of an answer that was held."""
    answer = end.answer
    if answer.buffered is None:
        # from one JavaScript stream to the other; should the client leave, the model is cancelled
        return streams.pipe(answer.raw.body, end, before)
    return before + answer.buffered + await end.finish(answer.buffered.encode())


def read_completion(body: bytes, mark: str = "") -> Completion:
    """What a stream says, or its end, of which a frame that has lost its beginning says nothing.

    mark: frames without this text are not looked into.
    """
    said = Completion()
    for block in Frames().feed(body):
        if mark in block:
            said.add(frame_data(block) or {})
    return said
