"""What answers each task: a function of the model and its inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workers_ai_simulator.models import Model


@dataclass(frozen=True)
class Media:
    """An answer that is no JSON: an image or a sound."""

    content: bytes
    content_type: str


Answer = dict[str, Any] | list[Any] | Media

ANSWERS: dict[str, Callable[[Model, dict[str, Any]], Answer]] = {}
"""Task → its function, which raises UpstreamError for inputs that the model refuses. Text generation, which streams, is
in generation.py."""
