"""Records in a message: “Alice is 30, Bob is 41” has two, each for one object of a list."""

import re

from workers_ai_simulator.text_generation.facts import Facts
from workers_ai_simulator.text_generation.segments import segments

CONTINUATION = re.compile(r"(?:she|he|they|it|her|his|their|its|who|which|whose|and|also)\b", re.IGNORECASE)
"""Start of a part that goes on with the record before it."""


def records(text: str, by_name: bool, numbers: int) -> list[str]:
    """The records of a text, one after the other; empty if it has not at least two.

    by_name: whether each has a name. numbers: how many numbers each has, if it has none.
    """
    by_name = by_name and bool(Facts(text).names)  # those in lower case are not recognised
    search = _Records(by_name, numbers)
    parts = segments(text, search.are_equal) or (segments(text, search.have_one_name) if by_name else [])
    return search.grouped(parts)


class _Records:
    """Search for the records of one text."""

    def __init__(self, by_name: bool, numbers: int) -> None:
        self._by_name = by_name
        self._numbers = numbers
        self._profiles: dict[str, tuple[int, int]] = {}

    def grouped(self, parts: list[str]) -> list[str]:
        """The parts that begin a record, each with those that go on with it; parts before the first are left out."""
        groups: list[str] = []
        for part in parts:
            if self._begins(part) and not (groups and self._continues(part)):
                groups.append(part)
            elif groups:
                groups[-1] = f"{groups[-1]}\n{part}"
        return groups

    def are_equal(self, parts: list[str]) -> bool:
        """Whether the parts are records with as many names and numbers each."""
        profiles = [self._profile(group) for group in self.grouped(parts)]
        return len(profiles) > 1 and len(set(profiles)) == 1 and (self._by_name or profiles[0][1] == self._numbers)

    def have_one_name(self, parts: list[str]) -> bool:
        """Whether the parts are records with a name each."""
        groups = self.grouped(parts)
        return len(groups) > 1 and all(self._profile(group)[0] == 1 for group in groups)

    def _begins(self, part: str) -> bool:
        names, numbers = self._profile(part)
        return names > 0 if self._by_name else numbers > 0

    def _continues(self, part: str) -> bool:
        return bool(CONTINUATION.match(part)) and self._profile(part)[1] == 0

    def _profile(self, part: str) -> tuple[int, int]:
        """Number of names and of numbers in a part."""
        if part not in self._profiles:
            values = Facts(part)
            self._profiles[part] = len(values.names), sum(1 for _ in values.numbers([]))
        return self._profiles[part]
