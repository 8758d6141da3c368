"""Catalogue of the models of Workers AI, read from models.json."""

import json
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

from workers_ai_simulator.errors import UpstreamError

Bounds = list[float | None]
"""`[minimum, maximum]`, None where there is no bound."""


@dataclass(frozen=True)
class Model:
    """A model of Workers AI, with the facts that Cloudflare publishes of it."""

    id: str
    task: str
    rate_limit_per_minute: int
    dialect: Literal["native", "openai"]
    """Dialect of its answers: native, `{"response": …}`, or OpenAI's, `{"choices": …}`."""
    deprecated: bool
    context_window: int | None = None
    """Tokens of prompt and answer together; None if Cloudflare publishes no limit."""
    dimensions: int | None = None
    max_input_tokens: int | None = None
    price: dict[str, float | None] = field(default_factory=dict[str, float | None])
    """Unit → price of one unit, in neurons."""
    abilities: list[str] = field(default_factory=list[str])
    parameters: dict[str, Bounds | int | None] = field(default_factory=dict[str, Bounds | int | None])
    """Sampling parameter → its bounds, None if the model does not take it; and `max_tokens_default`."""


def _load() -> dict[str, Model]:
    rows = json.loads(files("workers_ai_simulator").joinpath("models.json").read_text())
    return {row["id"]: Model(**row) for row in rows}


MODELS = _load()

ALIASES = {"@cf/moonshotai/kimi-k2.5": "@cf/moonshotai/kimi-k2.6"}
"""Retired model → the model that answers in its place."""
RETIRED_ON = "2026-05-30"
"""Day on which all models marked `deprecated` were retired (Cloudflare's changelog of 2026-05-08)."""


def find(model_id: str) -> Model:
    """The model of that id, or the one that answers in its place.

    Raises UpstreamError 5007 if there is none, 5028 if it is retired. The sentence of 5028 is recorded; its status 400
    is a guess.
    """
    model = MODELS.get(ALIASES.get(model_id, model_id))
    if model is None:
        raise UpstreamError(400, 5007, f"No such model {model_id} or task")
    if model.deprecated:
        raise UpstreamError(400, 5028, f"This model was deprecated on {RETIRED_ON}. Please use an alternative model.")
    return model


def check_window(model: Model, tokens: int) -> None:
    """Check that the tokens fit in the model's context window, if it is known. Raises UpstreamError 5021 otherwise."""
    if model.context_window and tokens > model.context_window:
        raise UpstreamError(
            413,
            5021,
            f"The estimated number of input and maximum output tokens ({tokens}) "
            f"exceeded this model context window limit ({model.context_window})",
        )
