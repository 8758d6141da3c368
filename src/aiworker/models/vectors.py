"""The vectors of a model's answer, sent to the client as the JSON text in which they came.

A hundred vectors are a megabyte of digits and more. Python reads only what comes before and after them; the vectors
themselves stay in JavaScript.
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
"""Bytes at either end of an answer that must hold everything but the vectors."""

BEGIN = re.compile(rb'"data"\s*:\s*(?=\[\s*\[)')
END = re.compile(rb"[-+.,\d\seE\[\]]*?\]\s*\]")
"""The text from anywhere in the vectors to their end: the first two brackets that close together."""

OPENING, CLOSING = b"[]"


@dataclass(frozen=True)
class Vectors:
    """The vectors of one answer."""

    answer: ModelResponse
    rows: JsHandle
    """JSON arrays of the vectors as text, with commas between them and without the outer brackets."""
    count: int
    dimensions: int
    extra: Mapping[str, Any]
    """The other fields of the answer, such as `pooling`."""
    payload: Payload
    """The whole answer."""
    begin: int
    """Position in the payload at which the JSON array of all vectors begins."""
    end: int
    """Position after its last byte."""

    def split(self) -> Iterator[JsHandle]:
        """Yield the JSON array of each vector."""
        begin = self.begin + 1
        for _ in range(self.count):
            begin = self.payload.find(OPENING, begin)
            end = self.payload.find(CLOSING, begin) + 1
            yield self.payload.view(begin, end)
            begin = end

    async def to_base64(self) -> list[JsHandle]:
        """Return each vector as little-endian float32 in base64."""
        return await self.payload.floats_base64(self.begin, self.end)


async def read(answer: ModelResponse) -> Vectors:
    """Find the vectors in `{shape: [n, d], data: [[…]], …}`, whatever the order of its keys and its spaces.

    Raises ApiError `upstream_error` for an answer of any other shape.
    """
    payload = await answer.raw.payload()
    begin, end = _find_bounds(payload)
    match _parse_rest(payload, begin, end):
        case {"data": None, "shape": [int(count), int(dimensions)], **extra}:
            return Vectors(answer, payload.view(begin + 1, end - 1), count, dimensions, extra, payload, begin, end)
        case _:
            excerpt = payload.read(0, min(payload.size, 100)).decode(errors="replace") or "nothing"
            raise ApiError("upstream_error", f"{answer.model.id} returned no vectors: {excerpt}")


def _find_bounds(payload: Payload) -> tuple[int, int]:
    """Return the positions at which the JSON array of the vectors begins and ends; (0, 0) if there is none."""
    head = BEGIN.search(payload.read(0, min(payload.size, WINDOW)))
    if head is None:
        return 0, 0
    tail_at = max(head.end(), payload.size - WINDOW)
    tail = END.match(payload.read(tail_at))
    return (head.end(), tail_at + tail.end()) if tail else (0, 0)


def _parse_rest(payload: Payload, begin: int, end: int) -> Any:
    """Parse the answer with null in place of its vectors; None if it is not JSON."""
    if not end:
        return None
    try:
        return json.loads(payload.read(0, begin) + b"null" + payload.read(end))
    except ValueError:
        return None
