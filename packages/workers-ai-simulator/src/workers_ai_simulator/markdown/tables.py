"""Tables: CSV files, and rows of cells as Markdown."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from workers_ai_simulator.markdown.source import SentFile, Unconvertible, decoded

MOST_CELLS = 500_000
"""Of a file; this simulator's own bound. Upstream documents none."""

DELIMITERS = ",;\t|"
SNIFFED_LINES = 20


def convert_csv(file: SentFile, _: dict[str, Any]) -> str:
    """One table; its first row is the header. The delimiter is found out: comma, semicolon, tab or bar.

    Raises Unconvertible for too many cells, csv.Error for quotes that go wrong.
    """
    text = decoded(file)
    return table(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))


def table(rows: Iterable[Sequence[object]], cells_before: int = 0) -> str:
    """Rows as a table in Markdown, the first as its header; rows and ends of rows without a value are left out.

    Raises Unconvertible if these cells and `cells_before` are more than MOST_CELLS.
    """
    kept: list[list[str]] = []
    cells = cells_before
    for row in rows:
        texts = [_cell(value) for value in row]
        cells += len(texts)
        if cells > MOST_CELLS:
            raise Unconvertible(f"The file has more than {MOST_CELLS:,} cells")
        while texts and not texts[-1]:
            texts.pop()
        if texts:
            kept.append(texts)
    if not kept:
        return ""
    width = max(len(texts) for texts in kept)
    if width * len(kept) > MOST_CELLS:  # one wide row makes all others as wide
        raise Unconvertible(f"The file has more than {MOST_CELLS:,} cells")
    lines = [f"| {' | '.join(texts + [''] * (width - len(texts)))} |" for texts in kept]
    lines.insert(1, f"|{' --- |' * width}")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return " ".join(str(value).split()).replace("|", "\\|")


def _delimiter(text: str) -> str:
    """The sign that splits the first lines alike into most cells.

    `csv.Sniffer` finds delimiters among the letters of files that have one column.
    """
    head = "".join(islice(io.StringIO(text[:100_000], newline=""), SNIFFED_LINES))

    def rating(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter) if row]
        commonest = max(set(widths), key=lambda width: (widths.count(width), width), default=1)
        return (widths.count(commonest) if commonest > 1 else 0, commonest)

    return max(DELIMITERS, key=rating)
