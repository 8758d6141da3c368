"""The end of a model's stream that goes to its client unread: its completeness, its cost, and what follows it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiworker.bindings import Streams
from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle
from aiworker.models.completion import DONE, Completion, Frames, frame_data
from aiworker.models.model_response import ModelResponse

TAIL = 16_384
"""Bytes at the end of a stream that are enough to find the frame with `usage`."""


@dataclass(frozen=True)
class AnswerEpilogue:
    """aiworker.bindings.StreamEpilogue of a model's answer."""

    answer: ModelResponse
    format_failure: Callable[[str], str]
    """Returns the end of a stream that has broken off, from the reason."""
    on_complete: Callable[[Completion], Awaitable[None]] | None = None
    """Called with an answer that is complete; may raise ApiError."""

    @property
    def tail_size(self) -> int | None:
        return None if self.on_complete else TAIL

    async def finish(self, body: bytes) -> str:
        # `[DONE]` ends a stream in either dialect: without it, the answer is incomplete
        if not body.rstrip().endswith(DONE.encode()):
            return self.format_failure("it ended early")
        completion = read_completion(body) if self.on_complete else read_completion(body, '"usage"')
        self.answer.record_usage(completion.usage)
        if self.on_complete:
            try:
                await self.on_complete(completion)
            except ApiError as error:
                return self.format_failure(error.message)
        return ""

    def fail(self, reason: str) -> str:
        return self.format_failure(reason)


async def pipe_answer(streams: Streams, epilogue: AnswerEpilogue, prefix: str = "") -> str | JsHandle:
    """Return a response's body: the prefix, the answer's own stream, and the epilogue.

    It is a stream, or a text if the answer is buffered.
    """
    answer = epilogue.answer
    if answer.buffered is None:
        # from one JavaScript stream to the other; if the client disconnects, the model is cancelled
        return streams.pipe(answer.raw.body, epilogue, prefix)
    return prefix + answer.buffered + await epilogue.finish(answer.buffered.encode())


def read_completion(body: bytes, filter_text: str = "") -> Completion:
    """Return the completion of a stream, or of its end; an incomplete first frame is skipped.

    filter_text: frames without this text are skipped.
    """
    completion = Completion()
    for block in Frames().feed(body):
        if filter_text in block:
            completion.add(frame_data(block) or {})
    return completion
