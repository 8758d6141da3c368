"""Cuts a long text into segments, so that Python holds and works on one of them at a time.

A segment ends before a heading, else at an empty line. Longer code continues in the next segment, after a copy of its
opening fence.
"""

import re
from typing import NamedTuple

SEGMENT_BYTES = 32_768
"""Bytes that are read for one segment. Cutting them into passages takes about 10 ms on CPython, several times that in a
Worker, in which no other request runs."""

HEADING = re.compile(rb"^ {0,3}#{1,6}[ \t]", re.MULTILINE)
EMPTY_LINE = re.compile(rb"\n[ \t\r]*\n")
FENCE = re.compile(rb"^[ \t]*(?P<marks>`{3,}(?=[^`\n]*$)|~{3,})[^\n]*$", re.MULTILINE)


class Segment(NamedTuple):
    """The text from the beginning of what was read to a good place to cut."""

    text: str
    size: int
    """Bytes that it takes of what was read."""
    fence: str
    """Opening fence of the code that continues after the segment; empty if it ends outside of code."""


def next_segment(content: bytes, fence: str, *, is_last: bool) -> Segment:
    """Return the segment at the beginning of a text in UTF-8.

    content: at most SEGMENT_BYTES. fence: that of the segment before. is_last: nothing follows the content.
    """
    if is_last:
        end, open_fence = len(content), b""
    else:
        end, open_fence = _cut(content, fence.encode())
    text = content[:end].decode(errors="replace")
    return Segment(f"{fence}\n{text}" if fence else text, end, open_fence.decode(errors="replace"))


def _cut(content: bytes, fence: bytes) -> tuple[int, bytes]:
    """Return the end of a segment in bytes, and the opening fence of the code that continues after it."""
    half = len(content) // 2
    codes, open_code = _codes(content, fence)
    if open_code:
        start, opening = open_code
        if start > half:
            return start, b""
        return _last_line(content), opening

    def last(places: list[int]) -> int:
        outside = (each for each in reversed(places) if not any(start < each < end for start, end in codes))
        return next((each for each in outside if each > half), 0)

    end = last([each.start() for each in HEADING.finditer(content)])
    end = end or last([each.end() for each in EMPTY_LINE.finditer(content)])
    return end or _last_line(content), b""


def _codes(content: bytes, fence: bytes) -> tuple[list[tuple[int, int]], tuple[int, bytes] | None]:
    """Return start and end of each block of code, and start and opening fence of one that has no end here."""
    codes: list[tuple[int, int]] = []
    opening = FENCE.match(fence)
    start = 0
    for line in FENCE.finditer(content):
        if opening is None:
            opening, start = line, line.start()
        elif line[0].strip().startswith(opening["marks"]) and not line[0].strip().strip(opening["marks"][:1]):
            codes.append((start, line.end()))
            opening = None
    return codes, (start, opening[0]) if opening else None


def _last_line(content: bytes) -> int:
    """Return the place after the end of the last line, or, without a line's end, after the last complete character."""
    end = content.rfind(b"\n") + 1
    if end:
        return end
    end = len(content)
    while end > len(content) - 4 and content[end - 1 : end] >= b"\x80":  # a character has up to four bytes
        end -= 1
        if content[end] >= 0xC0:
            break
    return end or len(content)
