"""A piece of a document that may answer a question."""

from collections.abc import Mapping
from dataclasses import dataclass

HEADING_SEPARATOR = " › "
"""Between a title and headings, and between headings."""


@dataclass(frozen=True)
class Passage:
    chunk_id: str
    document_id: str
    title: str
    url: str | None
    heading: str
    """The headings above it, outermost first, joined by HEADING_SEPARATOR."""
    text: str
    score: float
    """Score by the last stage; higher is better."""
    scores: Mapping[str, float]
    """Score by each stage that found it: vector, text, fusion, rerank."""
