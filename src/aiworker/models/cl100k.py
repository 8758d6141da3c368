"""Texts from tokens of cl100k_base, the encoding of all of OpenAI's embedding models that are still in service."""

import base64
import zlib
from array import array
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from aiworker.errors import ApiError
from aiworker.models.cl100k_table import COUNT, TABLE


class _Table(NamedTuple):
    lengths: bytes
    """Of each token, in bytes; 0 where an id has none."""
    begins: "array[int]"
    """Where each token begins in `tokens`, and where the last one ends."""
    tokens: bytes


def size(tokens: Sequence[int], param: str) -> int:
    """Bytes of the text that the tokens stand for, one token at least.

    Raises ApiError `invalid_request` for an id that is none; param: the field that the tokens are from.
    """
    lengths = _table().lengths
    known = min(tokens) >= 0 and max(tokens) < len(lengths)
    sizes = bytes(map(lengths.__getitem__, tokens)) if known else b"\0"
    if 0 in sizes:
        position = next(n for n, each in enumerate(tokens) if not (0 <= each < len(lengths) and lengths[each]))
        raise ApiError(
            "invalid_request",
            f"{param}.{position} must be a token of cl100k_base: 0 to 100,255, 100,257 to 100,260 or 100,276.",
            param=f"{param}.{position}",
        )
    return sum(sizes)


def decode(tokens: Sequence[int]) -> str:
    """The text, of tokens that `size` knows. What is not UTF-8 becomes U+FFFD, as with OpenAI's own decoder."""
    _, begins, every = _table()
    return b"".join([every[begins[each] : begins[each + 1]] for each in tokens]).decode(errors="replace")


@cache
def _table() -> _Table:
    unpacked = zlib.decompress(base64.b64decode(TABLE))
    lengths, tokens = unpacked[:COUNT], unpacked[COUNT:]
    return _Table(lengths, array("I", accumulate(lengths, initial=0)), tokens)
