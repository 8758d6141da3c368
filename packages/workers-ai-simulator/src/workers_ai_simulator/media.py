"""Answers and inputs that are no JSON."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Media:
    """An image or a sound, as a model answers it."""

    content: bytes
    content_type: str
