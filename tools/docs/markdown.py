"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

Row = tuple[str | int, ...]


def table(head: Sequence[str], rows: Iterable[Row]) -> str:
    """A table, without the columns that are empty in every row. It ends with a line break."""
    cells = [[str(cell) for cell in row] for row in rows]
    shown = [index for index in range(len(head)) if any(row[index] for row in cells)]
    lines = [list(head), ["---"] * len(head), *cells]
    return "".join(f"| {' | '.join(_escaped(line[index]) for index in shown)} |\n" for line in lines)


def number(value: float | None) -> str:
    """With commas between thousands; empty for None."""
    return "" if value is None else f"{value:,}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
