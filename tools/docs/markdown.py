"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

Row = tuple[str | int, ...]


def table(head: Sequence[str], rows: Iterable[Row]) -> str:
    """A table, without the columns that are empty in every row. It ends with a line break.

    Cells are as wide as the widest of their column, as the formatter of scripts/check has them.
    """
    cells = [[_escaped(str(cell)) for cell in row] for row in rows]
    shown = [index for index in range(len(head)) if any(row[index] for row in cells)]
    widths = {index: max(3, *(len(row[index]) for row in (head, *cells))) for index in shown}
    lines = [[line[index].ljust(widths[index]) for index in shown] for line in (head, *cells)]
    lines.insert(1, ["-" * widths[index] for index in shown])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def number(value: float | None) -> str:
    """With commas between thousands; empty for None."""
    return "" if value is None else f"{value:,}"


def _escaped(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())
