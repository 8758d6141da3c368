"""Text from tokens of cl100k_base, the encoding of OpenAI's embedding models, which clients may send in place of text.

The table of tokens is a static file of the deployment, read when tokens first arrive: few requests need its megabyte,
and neither the upload of the Worker nor its memory snapshot holds it.
"""

import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate

from aiworker.bindings import Assets
from aiworker.errors import ApiError

FILE = "/data/cl100k_base.bin"
"""Path below public/. tools/cl100k/vendor.py writes the file and describes its format."""
COUNT = 100_277
"""One more than the highest token id."""


class TokenTable:
    """The bytes of each token."""

    def __init__(self, data: bytes) -> None:
        """data: the content of FILE."""
        table = zlib.decompress(data)
        self._lengths = table[:COUNT]
        self._offsets = array("I", accumulate(self._lengths, initial=0))
        self._bytes = table[COUNT:]

    def size(self, tokens: Sequence[int], param: str) -> int:
        """Return the size in bytes of the text of at least one token.

        Raises ApiError `invalid_request` for an id without a token; param: the field that holds the tokens.
        """
        lengths = self._lengths
        is_known = min(tokens) >= 0 and max(tokens) < len(lengths)
        sizes = bytes(map(lengths.__getitem__, tokens)) if is_known else b"\0"
        if 0 in sizes:
            position = next(n for n, each in enumerate(tokens) if not (0 <= each < len(lengths) and lengths[each]))
            raise ApiError(
                "invalid_request",
                f"{param}.{position} must be a token of cl100k_base: 0 to 100,255, 100,257 to 100,260 or 100,276.",
                param=f"{param}.{position}",
            )
        return sum(sizes)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens that `size` accepts. Invalid UTF-8 becomes U+FFFD, as with OpenAI's decoder."""
        offsets = self._offsets
        return b"".join([self._bytes[offsets[each] : offsets[each + 1]] for each in tokens]).decode(errors="replace")


_loaded: list[TokenTable] = []


async def load(assets: Assets) -> TokenTable:
    """Return the table, read once per isolate. Raises ApiError `unavailable` if the deployment lacks the file."""
    if not _loaded:
        file = await assets.read(FILE)
        _loaded[:] = [TokenTable(file.read())]
    return _loaded[0]
