"""The recorded call that is most like one that is not on the tape, and where they differ first."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from workers_ai_simulator.tape.models import Question

SHOWN = 60
"""Maximum number of characters of a value that a sentence shows."""
BEFORE = 20
"""Number of characters shown before the first that differs."""
MISSING = object()


class Difference(NamedTuple):
    """A field whose values differ; MISSING where there is none."""

    field: str
    recorded: Any
    called: Any

    def sentence(self) -> str:
        start = max(_common(self.recorded, self.called) - BEFORE, 0)
        recorded, called = (_shown(each, start) for each in (self.recorded, self.called))
        return f"{self.field}: recorded {recorded}, called {called}"


def nearest(question: Question, calls: Iterable[tuple[Path, Question]]) -> tuple[Path, list[Difference]] | None:
    """The call with the fewest differences, and those differences; None if there are no calls."""
    compared = [(file, differences(each, question)) for file, each in calls]
    return min(compared, key=_distance, default=None)


def differences(recorded: Question, called: Question) -> list[Difference]:
    """Fields in which the questions differ, in the order of the one that is called."""
    old, new = dict(_fields(recorded.facts)), dict(_fields(called.facts))
    fields = dict.fromkeys((*new, *old))
    return [
        Difference(field, old.get(field, MISSING), new.get(field, MISSING))
        for field in fields
        if old.get(field, MISSING) != new.get(field, MISSING)
    ]


def _distance(compared: tuple[Path, list[Difference]]) -> tuple[bool, int, int]:
    """Sort key: whether the model differs, then the number of differences, then the length of the common beginning of
    the first text."""
    _, fields = compared
    first = fields[0] if fields else Difference("", "", "")
    return any(each.field == "model" for each in fields), len(fields), -_common(first.recorded, first.called)


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values at the ends of a JSON value, with their paths, such as `inputs/messages/0/content`."""
    if isinstance(value, dict) and value:
        parts = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list) and value:
        parts = [(str(number), each) for number, each in enumerate(cast("list[Any]", value))]
    else:
        yield path, value
        return
    for name, each in parts:
        yield from _fields(each, f"{path}/{name}" if path else name)


def _common(one: Any, other: Any) -> int:
    """Length of the common prefix of two texts, in characters."""
    if not isinstance(one, str) or not isinstance(other, str):
        return 0
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _shown(value: Any, start: int) -> str:
    if value is MISSING:
        return "nothing"
    if not isinstance(value, str):
        return f"{value}"[:SHOWN]
    part = value[start : start + SHOWN]
    before, after = "…" if start else "", "…" if len(value) > start + SHOWN else ""
    return f"“{before}{' '.join(part.split())}{after}”"
