"""Tables in Markdown, from CSV files and from rows of cells."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from workers_ai_simulator.markdown.encoding import decoded
from workers_ai_simulator.markdown.errors import UnconvertibleError
from workers_ai_simulator.markdown.models import InputFile

MAX_CELLS = 500_000
"""Cells of a file: this simulator's own limit, since upstream documents none."""

DELIMITERS = ",;\t|"
SNIFFED_LINES = 20


def convert_csv(file: InputFile, _: dict[str, Any]) -> str:
    """Convert to one table, whose first row is the header. The delimiter is detected: comma, semicolon, tab or bar.

    Raises UnconvertibleError for too many cells, csv.Error for malformed quotes.
    """
    text = decoded(file)
    return table(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))


def table(rows: Iterable[Sequence[object]], cells_before: int = 0) -> str:
    """Rows as a table in Markdown, the first as its header. Empty rows and empty ends of rows are left out.

    Raises UnconvertibleError if these cells and `cells_before` are more than `MAX_CELLS`.
    """
    filled: list[list[str]] = []
    cells = cells_before
    for row in rows:
        texts = [_cell(value) for value in row]
        cells += len(texts)
        if cells > MAX_CELLS:
            raise UnconvertibleError(f"The file has more than {MAX_CELLS:,} cells")
        while texts and not texts[-1]:
            texts.pop()
        if texts:
            filled.append(texts)
    if not filled:
        return ""
    width = max(len(texts) for texts in filled)
    if width * len(filled) > MAX_CELLS:  # one wide row makes all other rows as wide
        raise UnconvertibleError(f"The file has more than {MAX_CELLS:,} cells")
    lines = [f"| {' | '.join(texts + [''] * (width - len(texts)))} |" for texts in filled]
    lines.insert(1, f"|{' --- |' * width}")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return " ".join(str(value).split()).replace("|", "\\|")


def _delimiter(text: str) -> str:
    """The delimiter that splits most of the first lines into the same number of cells, the more cells the better.

    `csv.Sniffer` would take letters for delimiters in files with one column.
    """
    head = "".join(islice(io.StringIO(text[:100_000], newline=""), SNIFFED_LINES))

    def score(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter) if row]
        commonest = max(set(widths), key=lambda width: (widths.count(width), width), default=1)
        return (widths.count(commonest) if commonest > 1 else 0, commonest)

    return max(DELIMITERS, key=score)
