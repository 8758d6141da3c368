"""Reading order of a page that is set in columns, from its text as it is laid out with spaces."""

from collections import Counter
from collections.abc import Sequence

MIN_GAP = 3
"""Spaces before a column."""
MIN_LINES = 3
"""Least number of lines in a row that form columns, and in which a column begins at the same place."""
MIN_CHARACTERS = 18
"""Characters of the lines of a column, on average. Shorter ones are the cells of a table, which is read by rows."""
MAX_EMPTY_LINES = 1
"""Empty lines within columns: below more of them, something else begins."""


def has_columns(lines: Sequence[str]) -> bool:
    """Tell whether some of the lines are set in columns."""
    return any(_is_in_columns(block, gutter) for gutter in _gutters(lines) for block in _blocks(lines, gutter))


def in_reading_order(lines: Sequence[str]) -> list[str]:
    """Return the lines of a page with its columns one after the other, and without spaces for the layout."""
    for gutter in _gutters(lines):
        blocks = _blocks(lines, gutter)
        if any(_is_in_columns(block, gutter) for block in blocks):
            return [line for block in blocks for line in _ordered(block, gutter)]
    return [" ".join(line.split()) for line in lines]


def _ordered(block: Sequence[str], gutter: int) -> list[str]:
    if not _is_in_columns(block, gutter):
        return in_reading_order(block) if len(block) > 1 else [" ".join(line.split()) for line in block]
    left = in_reading_order([line[:gutter].rstrip() for line in block])
    while not left[-1]:  # a sentence may go on in the next column
        left.pop()
    return [*left, *in_reading_order([line[gutter:].rstrip() for line in block])]


def _gutters(lines: Sequence[str]) -> list[int]:
    """Return places before which several lines have a gap, from left to right."""
    starts = Counter(
        place
        for line in lines
        for place in range(MIN_GAP + 1, len(line))
        if line[place] != " " and not line[place - MIN_GAP : place].strip() and line[:place].strip()
    )
    # the layout is exact to a space
    return [place for place in sorted(starts) if starts[place] + starts[place + 1] >= MIN_LINES]


def _blocks(lines: Sequence[str], gutter: int) -> list[list[str]]:
    """Group the lines: runs of lines with a gap at the gutter, and each other line by itself."""
    blocks: list[list[str]] = []
    is_open, empty = False, 0
    for line in lines:
        empty = 0 if line.strip() else empty + 1
        is_split = not line[gutter - 2 : gutter].strip() and empty <= MAX_EMPTY_LINES
        if is_split and is_open:
            blocks[-1].append(line)
        else:
            blocks.append([line])
        is_open = is_split
    return blocks


def _is_in_columns(block: Sequence[str], gutter: int) -> bool:
    both = [(line[:gutter].strip(), line[gutter:].strip()) for line in block]
    both = [(left, right) for left, right in both if left and right]
    if len(both) < MIN_LINES:
        return False
    return all(sum(map(len, side)) / len(both) >= MIN_CHARACTERS for side in zip(*both, strict=True))
