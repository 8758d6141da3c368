"""The end of a model's stream that goes to its client unread: was it whole, what has it cost, who wants to keep it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiworker.ai import model_call
from aiworker.ai.answer import DONE, Answer, Frames, frame_data
from aiworker.errors import ApiError

TAIL = 16_384
"""Bytes at the end of a stream among which its last frames are."""


@dataclass(frozen=True)
class StreamEnd:
    answer: model_call.Answer
    broken_off: Callable[[str], str]
    """What its client is sent if the stream has broken off, made of the reason."""
    keep: Callable[[Answer], Awaitable[None]] | None = None
    """Is given the answer if it is whole; may raise ApiError."""

    async def whole(self, body: bytes) -> str:
        # `[DONE]` ends a stream in either dialect: without it, what has come is not the whole
        if not body.rstrip().endswith(DONE.encode()):
            return self.broken_off("it ended early")
        self.answer.used(last_usage(body))
        if self.keep:
            try:
                await self.keep(said_in(body))
            except ApiError as error:
                return self.broken_off(error.message)
        return ""

    def failed(self, reason: str) -> str:
        return self.broken_off(reason)


def last_usage(body: bytes) -> dict[str, Any]:
    """The tokens that a stream reports at its end; empty if it does not."""
    _, _, tail = body[-TAIL:].partition(b"\n\n") if len(body) > TAIL else (b"", b"", body)
    return said_in(tail).usage


def said_in(body: bytes) -> Answer:
    said = Answer()
    for block in Frames().feed(body):
        said.add(frame_data(block) or {})
    return said
