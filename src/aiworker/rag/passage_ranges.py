"""The places of passages in their document's text.

A passage is not a copy of the text: empty lines are shortened, and the header of a table, the fence of code and the
heading of a page are written anew. The letters and their order stay, so that they locate a passage.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from aiworker.rag.passage import Range

MAX_ADDED_LINES = 4
"""Lines at the start of a passage that may stand elsewhere in the text: the header of a table, below a heading."""
MAX_REPEATED_LETTERS = 600
"""Letters that a passage may repeat of the one before: more than chunk.OVERLAP tokens have."""
MAX_SKIPPED_LETTERS = 4_000
"""Letters between two passages that may belong to neither: the metadata of a PDF."""
WORD = re.compile(r"\S+")


def passage_ranges(text: str, passages: Iterable[str], offset: int = 0) -> Iterator[Range | None]:
    """Yield the range of each passage of a segment; None for one that cannot be located.

    text: the segment as it stands in the document. passages: in the order of the text. offset: bytes of the document
        before it.
    """
    letters = Letters(text)
    end = 0
    for passage in passages:
        located = _locate(letters.joined, passage, end)
        if located is None:
            yield None
            continue
        start, end = located
        yield offset + letters.byte_at(start), offset + letters.byte_behind(end - 1)


class Letters:
    """The characters of a text without spaces, with their places in its UTF-8."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        self._numbers: list[int] = []
        """Number of each word's first character."""
        self._bytes: list[int] = []
        """Place of each word's first byte."""
        number = byte = end = 0
        for match in WORD.finditer(text):
            word = match[0]
            byte += len(text[end : match.start()].encode())
            self._words.append(word)
            self._numbers.append(number)
            self._bytes.append(byte)
            number += len(word)
            byte += len(word.encode())
            end = match.end()
        self.joined = "".join(self._words)

    def byte_at(self, number: int) -> int:
        """Return the place of a character's first byte."""
        at = bisect_right(self._numbers, number) - 1
        return self._bytes[at] + len(self._words[at][: number - self._numbers[at]].encode())

    def byte_behind(self, number: int) -> int:
        """Return the place after a character's last byte."""
        return self.byte_at(number) + len(self.joined[number].encode())


def _locate(letters: str, passage: str, end: int) -> tuple[int, int] | None:
    """Return the number of a passage's first letter, and the number after its last. end: the latter of the passage
    before."""
    lines = passage.split("\n")
    for first in range(min(MAX_ADDED_LINES + 1, len(lines))):
        for last in (len(lines), len(lines) - 1):
            part = "".join("".join(lines[first:last]).split())
            start = _find(letters, part, end) if part else -1
            if start >= 0:
                return start, start + len(part)
    return None


def _find(letters: str, part: str, end: int) -> int:
    """Return the place of a part that follows the end of the passage before, or that repeats its last letters."""
    if letters.startswith(part, end):
        return end
    first = max(0, end - min(len(part) - 1, MAX_REPEATED_LETTERS))
    return letters.find(part, first, end + len(part) + MAX_SKIPPED_LETTERS)
