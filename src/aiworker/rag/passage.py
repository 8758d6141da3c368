"""A piece of a document that may answer a question."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Passage:
    chunk_id: str
    document_id: str
    title: str
    url: str | None
    heading: str
    """The headings above it, from the outermost, with " › " between them."""
    text: str
    score: float
    """Of the stage that decided last; higher is better."""
    scores: Mapping[str, float]
    """Of every stage that has seen it: vector, text, fusion, rerank."""
