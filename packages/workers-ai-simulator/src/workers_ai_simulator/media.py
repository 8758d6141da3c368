"""Answers that are not JSON."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Media:
    """An image or a sound that a model answers."""

    content: bytes
    content_type: str
