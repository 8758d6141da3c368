"""Data of Workers AI's calls, the same for every API through which they come: a model call and its result."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request

from workers_ai_simulator.media import Media
from workers_ai_simulator.text_generation.conversation import Dialect

CallDialect = Dialect | Literal["messages"]
"""Dialect of a call: one of text generation's own, or Anthropic's Messages."""
Answer = dict[str, Any] | list[Any] | Media
"""Whole answer of a model: a JSON object or array, or the bytes of an image or a sound."""


@dataclass(frozen=True)
class ModelCall:
    """One call of a model: its id, its inputs, and the options of `env.AI.run`."""

    model: str
    inputs: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    dialect: CallDialect | None = None
    """Dialect in which text generation answers; None for the model's own."""
    content_type: str = ""
    """Media type of the request's body, without parameters."""


@dataclass(frozen=True)
class Result:
    """Answer of a model call, with the headers of its response."""

    answer: Answer | AsyncIterator[str]
    """The whole answer, or the frames of a stream."""
    headers: dict[str, str]
    """`cf-ai-req-id`, and what a gateway adds."""
    status: int = 200
    body: bytes | None = None
    """Body of the REST API's answer as a real service sent it; None: it is written from the answer."""


RunModel = Callable[[Request, ModelCall], Awaitable[Result]]
"""Answers a model call; raises UpstreamError, which carries the headers of a Result."""
