"""The vectors that a model has answered, handed on as the JSON text that they came in.

A hundred of them are a megabyte and more of digits. Python reads what stands before and behind these, and finds out
where they begin and end; they themselves stay in JavaScript.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle, Payload
from aiworker.models.model_response import ModelResponse

WINDOW = 4096
"""Bytes at either end of an answer, in which everything must stand that is not vectors."""

BEGIN = re.compile(rb'"data"\s*:\s*(?=\[\s*\[)')
END = re.compile(rb"[-+.,\d\seE\[\]]*?\]\s*\]")
"""From anywhere in the vectors to their end, the first two brackets that close together."""

OPENING, CLOSING = b"[]"


@dataclass(frozen=True)
class Vectors:
    answer: ModelResponse
    rows: JsHandle
    """JSON arrays of numbers with commas between them, without the brackets around all of them."""
    count: int
    dimensions: int
    extra: Mapping[str, Any]
    """What the answer says besides, such as `pooling`."""
    payload: Payload
    """The whole answer, and where in it the JSON array of the vectors begins and ends."""
    begin: int
    end: int

    def split(self) -> Iterator[JsHandle]:
        """The JSON array of each vector."""
        begin = self.begin + 1
        for _ in range(self.count):
            begin = self.payload.find(OPENING, begin)
            end = self.payload.find(CLOSING, begin) + 1
            yield self.payload.view(begin, end)
            begin = end

    async def to_base64(self) -> list[JsHandle]:
        """Each vector as base64 of its float32, little-endian."""
        return await self.payload.floats_base64(self.begin, self.end)


async def read(answer: ModelResponse) -> Vectors:
    """Find the vectors in `{shape: [n, d], data: [[…]], …}`, whatever the order of its keys and its spaces.

    Raises ApiError `upstream_error` for an answer of any other shape.
    """
    payload = await answer.raw.payload()
    begin, end = _span(payload)
    match _said(payload, begin, end):
        case {"data": None, "shape": [int(count), int(dimensions)], **extra}:
            return Vectors(answer, payload.view(begin + 1, end - 1), count, dimensions, extra, payload, begin, end)
        case _:
            shown = payload.read(0, min(payload.size, 100)).decode(errors="replace") or "nothing"
            raise ApiError("upstream_error", f"{answer.model.id} returned no vectors: {shown}")


def _span(payload: Payload) -> tuple[int, int]:
    """Where the outer brackets around the vectors open and close; (0, 0) if there are none."""
    head = BEGIN.search(payload.read(0, min(payload.size, WINDOW)))
    if head is None:
        return 0, 0
    tail_at = max(head.end(), payload.size - WINDOW)
    tail = END.match(payload.read(tail_at))
    return (head.end(), tail_at + tail.end()) if tail else (0, 0)


def _said(payload: Payload, begin: int, end: int) -> Any:
    """The answer without its vectors, null in their place; None if that is no JSON."""
    if not end:
        return None
    try:
        return json.loads(payload.read(0, begin) + b"null" + payload.read(end))
    except ValueError:
        return None
