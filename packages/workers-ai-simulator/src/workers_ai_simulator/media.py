"""Answers that are not JSON."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Media:
    """An image or a sound that is a model's answer."""

    content: bytes
    content_type: str
