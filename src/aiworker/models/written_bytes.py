"""Limits of bytes that become text in a model's inputs: an isolate has 128 MB for everything.

At its peak, memory holds the bytes, their text, the JSON that contains it, and the JSON's bytes. A stream of the same
bytes is
passed on as it is, and has no such limit.
"""

from collections.abc import Mapping
from typing import Literal

from aiworker.errors import ApiError

TextEncoding = Literal["base64", "numbers"]
"""How bytes become text: a string of base64, or a list of numbers from 0 to 255."""

MAX_WRITTEN_BYTES: Mapping[TextEncoding, int] = {"base64": 8 << 20, "numbers": 2 << 20}
"""Bytes of one input. In V8's heap and in buffers, a byte takes about 5 as base64, and about 16 as a number."""
PIECE_BYTES: Mapping[TextEncoding, int] = {"base64": 4 << 20, "numbers": 1 << 20}
"""Bytes of one piece of a recording that is sent in pieces, PARALLEL_PIECES at a time."""
PARALLEL_PIECES: Mapping[str, int] = {"base64": 2, "numbers": 1}


def check_written(param: str, size: int, encoding: TextEncoding, model: str, way_out: str) -> None:
    """Raise ApiError `payload_too_large` for an input with too many bytes.

    param: field of the request that it came in. size: its bytes. way_out: what the client can do, as a clause.
    """
    limit = MAX_WRITTEN_BYTES[encoding]
    if size > limit:
        raise ApiError(
            "payload_too_large",
            f"{param} has {size:,} bytes; {model} takes at most {limit:,}, because its inputs are JSON: {way_out}.",
            param=param,
        )
