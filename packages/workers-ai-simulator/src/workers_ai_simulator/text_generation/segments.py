"""Division of a message into parts with the same number of values: “2 + 3 and 10 + 20” has two pairs of numbers, to be
used one by one."""

import re
from collections.abc import Callable, Iterator

LIST_MARK = re.compile(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+", re.MULTILINE)
"""Mark of an item of a list at the start of a line."""

CONJUNCTION = r"\b(?:and then|as well as|and also|and|then|und|et|y|e)\b"
SEPARATORS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\n+",
        r";|\n+",
        r"(?<=[^\d\s][.!?])\s+|(?<=\d[.!?])\s+|[;:\n]+",
        CONJUNCTION,
        r",(?!\d)|[;:?!\n]+|(?<=[.!?])\s+",
        rf",(?!\d)|[;:?!\n]+|(?<=[.!?])\s+|{CONJUNCTION}",
    )
)
"""Ways to divide a message, those that keep the most together first."""

MAX_PARTS = 64
"""Parts of a division; finer ones are not tried."""

Count = Callable[[str], int]
"""Number of values in a part of a message."""


def without_list_marks(text: str) -> str:
    """The text with blanks in place of the marks of lists, so that their numbers are no values."""
    return LIST_MARK.sub(lambda mark: " " * len(mark.group()), text)


def segments(text: str, accepts: Callable[[list[str]], bool]) -> list[str]:
    """The parts of the first division that `accepts` takes; empty if it takes none."""
    plain = without_list_marks(text)
    accepted = (parts for parts in _divisions(plain) if 1 < len(parts) <= MAX_PARTS and accepts(parts))
    return next(accepted, list[str]())


def messages_with(text: str, count: Count, wanted: int) -> list[str]:
    """The text once for each of its parts with `wanted` values: without the other such parts.

    Empty unless at least two parts have that many. Parts with fewer values are kept; none may have more.
    """

    def accepts(parts: list[str]) -> bool:
        counts = [count(part) for part in parts]
        return max(counts) == wanted and counts.count(wanted) > 1

    parts = segments(text, accepts)
    shared = [part for part in parts if count(part) != wanted]
    return ["\n".join([part, *shared]) for part in parts if count(part) == wanted]


def _divisions(text: str) -> Iterator[list[str]]:
    for separator in SEPARATORS:
        yield [part.strip() for part in separator.split(text) if part.strip()]
