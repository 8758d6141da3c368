"""How many passages a text becomes, at least and at most, before any is made.

A text of which it is certain that it has too many is refused before it is stored; one that may have too many is cut
once to count them (ingest.py), before the first is stored or paid for.
"""

import asyncio
import codecs

from aiworker.errors import ApiError
from aiworker.http.messages import Payload
from aiworker.http.payload_checks import windows
from aiworker.rag import file_kinds
from aiworker.rag.chunk import SIZE
from aiworker.rag.text_pieces import tokens

MAX_CHUNKS = 20_000
"""Passages of one document: 200 steps that embed 100 each. A workflow may have 1,024 steps."""
MIN_PASSAGE_BYTES = 6
"""Bytes of the shortest passage, a heading and its text: `# a`, `b`, and the ends of both lines."""
BYTES_A_PASSAGE = 70
"""Bytes of a section for each of its passages, at least.

Two passages in a row have more than 280 tokens that are not repeated of the one before; half of them may be the header
of a table, which each part of it has; and a token has a byte."""
CHARACTERS_AT_A_STRETCH = 4_096
"""Characters whose tokens are counted before others get their turn: on CPython a quarter of a millisecond."""
SECTION_MARKS = (b"#", b"---", b"===")
"""Marks of which each heading has one."""
UTF8 = ("", "utf-8", "utf8", "us-ascii", "ascii")
"""Character encodings that an upload declares, whose bytes can be counted."""


def may_be_too_many(size: int) -> bool:
    """Tell whether a text of so many bytes can have too many passages at all."""
    return size > MAX_CHUNKS * MIN_PASSAGE_BYTES


def most(size: int, marks: int) -> int:
    """Return a number of passages that a text does not exceed. marks: number of SECTION_MARKS in it."""
    return size // BYTES_A_PASSAGE + marks + 1


def marks(content: bytes) -> int:
    """Return the number of SECTION_MARKS in a part of a text."""
    return sum(map(content.count, SECTION_MARKS))


async def has_too_many(text: Payload) -> bool:
    """Tell whether it is certain that a text in UTF-8 has too many passages: each has at most SIZE tokens."""
    limit = MAX_CHUNKS * SIZE
    if text.size <= limit:  # a token has a byte
        return False
    count, decoder = 0, codecs.getincrementaldecoder("utf-8")("ignore")
    async for _, window in windows(text):
        part = decoder.decode(window)
        for start in range(0, len(part), CHARACTERS_AT_A_STRETCH):
            # a word of which two stretches have a part counts twice: one token less for each makes up for it
            count += max(0, tokens(part[start : start + CHARACTERS_AT_A_STRETCH]) - 1)
            if count > limit:
                return True
            await asyncio.sleep(0)  # other requests get their turn
    return False


async def check_upload(kind: str, charset: str, file: Payload, sample: bytes) -> None:
    """Raise ApiError `payload_too_large` for a file of text of which it is certain that it has too many passages.

    sample: its first bytes. A file that may be in an encoding whose characters are not those of its bytes is left to
    the ingestion, which knows it.
    """
    if kind not in file_kinds.TEXTUAL or file_kinds.is_converted(kind):
        return
    is_wide = b"\0" in sample or sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if charset.lower() in UTF8 and not is_wide and await has_too_many(file):
        raise ApiError("payload_too_large", f"{too_many()} Split it.", param="file")


def too_many() -> str:
    """Return a sentence about a document with too many passages."""
    return f"The document has more than {MAX_CHUNKS:,} passages; at most {MAX_CHUNKS:,} are indexed."
