"""A call of a model, and what comes back, whichever API it came by."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

from workers_ai_simulator.inference.answers import Answer

Dialect = Literal["native", "openai", "responses"]


@dataclass(frozen=True)
class ModelCall:
    model: str
    inputs: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    dialect: Dialect | None = None
    """The shape in which text generation answers; None for the model's own."""


@dataclass(frozen=True)
class Result:
    answer: Answer | AsyncIterator[str]
    """The whole answer, or the frames of its stream."""
    headers: dict[str, str]
    """`cf-ai-req-id` and what a gateway adds."""
