"""Floors of relevance, below which `POST /rag` finds nothing for a question."""

from collections.abc import Sequence

from aiworker.rag.passage import Passage, text_with_path
from aiworker.rag.search_text import STOP_WORDS, index_text

MIN_KNOWN_SHARE = 0.75
"""Share of a question's words in a passage from which on the question counts as being about it, whatever its cosine.

docs/rag.md has the measurements.
"""
PREFIX = 5
"""First letters by which words are compared: a passage with `climbed` also contains `climbing`."""


def is_relevant(passages: Sequence[Passage], floor: float | None) -> bool:
    """Tell whether the reranker gave any of the passages `floor` or more; True without a floor."""
    return floor is None or any(each.scores.get("rerank", 1.0) >= floor for each in passages)


def is_off_topic(question: str, passages: Sequence[Passage], floor: float | None) -> bool:
    """Tell whether a question has nothing to do with the passages: its vector is far from all, and its words are
    missing.

    floor: cosine that the nearest passage must have; None for none. False if vector search found none of the passages.
    The words are looked at only below the floor: normalising the passages takes time.
    """
    cosines = [each.scores["vector"] for each in passages if "vector" in each.scores]
    if floor is None or not cosines or max(cosines) >= floor:
        return False
    texts = [text_with_path(each.title, each.heading, each.text) for each in passages]
    return known_share(question, texts) < MIN_KNOWN_SHARE


def known_share(question: str, texts: Sequence[str]) -> float:
    """Return the share of a question's words, stop words aside, in the text that has the most; 1.0 without words."""
    words = set(index_text(question).split())
    wanted = {word[:PREFIX] for word in words - STOP_WORDS or words}
    if not wanted:
        return 1.0
    rows = ({word[:PREFIX] for word in index_text(text).split()} for text in texts)
    return max((len(wanted & each) for each in rows), default=0) / len(wanted)
