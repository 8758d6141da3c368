"""Selection of the passages of a ranking that are returned: a maximum for each document, with neighbours joined."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from aiworker.rag.passage import Passage

MAX_JOINED = 3
"""Maximum passages that are joined: more would fill a prompt with a single place."""
MAX_OVERLAP_CHARACTERS = 1_000
"""Characters in which the end of a passage and the start of the next one are compared; they share up to 40 tokens."""
MIN_OVERLAP_CHARACTERS = 16
"""Characters that two passages share by their overlap rather than by chance."""


@dataclass
class _Run:
    """Passages of one document that follow each other and share a place in the ranking."""

    best: Passage
    numbers: dict[int, Passage] = field(default_factory=dict[int, Passage])

    def takes(self, passage: Passage) -> bool:
        """Tell whether a passage is a neighbour of these on the same page, and there is room for it."""
        version, number = _place(passage)
        is_near = number - 1 in self.numbers or number + 1 in self.numbers
        is_together = _place(self.best)[0] == version and self.best.page == passage.page
        return is_near and is_together and len(self.numbers) < MAX_JOINED


def limit_per_document(passages: Iterable[Passage], maximum: int | None) -> Iterator[Passage]:
    """Yield the passages in their order, at most `maximum` of each document; all for None."""
    counts: dict[str, int] = {}
    for passage in passages:
        counts[passage.document_id] = counts.get(passage.document_id, 0) + 1
        if maximum is None or counts[passage.document_id] <= maximum:
            yield passage


def join_neighbours(passages: Iterable[Passage], count: int) -> list[Passage]:
    """Return the first `count` passages; neighbours on one page of a document are one, at the better one's place.

    A joined passage has the id and the scores of its best part, and heading and page of its first one. The text shared
    by the end of a passage and the start of the next one is in it once.
    """
    runs: list[_Run] = []
    for passage in passages:
        run = next((run for run in runs if run.takes(passage)), None)
        if run is None:
            if len(runs) == count:
                break
            run = _Run(passage)
            runs.append(run)
        run.numbers[_place(passage)[1]] = passage
    return [_joined(run) for run in runs]


def _joined(run: _Run) -> Passage:
    parts = [run.numbers[number] for number in sorted(run.numbers)]
    text = parts[0].text
    for part in parts[1:]:
        text = _append(text, part.text)
    first, last = parts[0], parts[-1]
    whole = (first.range[0], last.range[1]) if first.range and last.range else None
    return replace(run.best, heading=first.heading, page=first.page, range=whole, text=text)


def _append(text: str, following: str) -> str:
    """Return both texts joined. The text shared by the end of the first and the start of the second is in it once."""
    longest = min(MAX_OVERLAP_CHARACTERS, len(text), len(following))
    for size in range(longest, MIN_OVERLAP_CHARACTERS - 1, -1):
        if text.endswith(following[:size]):
            return text + following[size:]
    return f"{text}\n\n{following}"


def _place(passage: Passage) -> tuple[str, int]:
    """Return the version of a passage's document, and the passage's number in it."""
    version, _, number = passage.chunk_id.rpartition("-")
    return version, int(number)
