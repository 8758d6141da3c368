"""Catalogue of the models of Workers AI, read from models.json."""

import json
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Literal

from workers_ai_simulator.errors import UpstreamError

Bounds = list[float | None]
"""`[minimum, maximum]`, None where there is no bound."""


@dataclass(frozen=True)
class Model:
    """A model of Workers AI, with the facts that Cloudflare publishes about it."""

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


@dataclass(frozen=True)
class Retirement:
    """A model that Cloudflare has retired."""

    id: str
    retired_on: str
    """Day, as YYYY-MM-DD."""
    successor: str | None
    """Model that answers in its place; None where Cloudflare names none."""
    like: str | None = None
    """Model whose facts are used for it, if it is not in models.json."""


def _load_retired() -> dict[str, Retirement]:
    rows = json.loads(files("workers_ai_simulator").joinpath("retired.json").read_text())
    return {row["id"]: Retirement(**row) for row in rows}


RETIRED = _load_retired()
"""Retired models: those of Cloudflare's changelog of 2026-05-08, and the 19 of its announcement of September 2025."""

ALIASES = {each.id: each.successor for each in RETIRED.values() if each.successor}
"""Retired model → the model that answers in its place."""

Plan = Literal["paid", "free"]
PAID_PLAN_ONLY = ("@cf/moonshotai/kimi-k2.6", "@cf/moonshotai/kimi-k2.7", "@cf/zai-org/glm-5.2")
"""Beginnings of the ids of models that the free plan does not have (Cloudflare's changelog of July 2026)."""


@dataclass(frozen=True)
class Account:
    """The simulated account."""

    plan: Plan = "paid"
    serves_retired: bool = False
    """Whether retired models answer. Upstream, they do not."""


PAID_ACCOUNT = Account()


def find(model_id: str, account: Account = PAID_ACCOUNT) -> Model:
    """The model of that id, or the one that answers in its place.

    Raises UpstreamError 5007 if there is none, 5028 if it is retired, 5035 if the account's plan does not have it. The
    sentences of 5028 and 5035 are recorded; the status 400 of 5028 is a guess.
    """
    model = known(ALIASES.get(model_id, model_id))
    if model.deprecated and not account.serves_retired:
        retired_on = RETIRED[model_id].retired_on
        raise UpstreamError(400, 5028, f"This model was deprecated on {retired_on}. Please use an alternative model.")
    if account.plan == "free" and model.id.startswith(PAID_PLAN_ONLY):
        raise UpstreamError(
            403,
            5035,
            f"Model {model.id} is not available on the Workers Free plan: This model requires a Workers Paid plan. "
            "See https://developers.cloudflare.com/workers-ai/platform/pricing/ for details.",
        )
    return model


def known(model_id: str) -> Model:
    """The model of that id, retired or not. Raises UpstreamError 5007 if there is none."""
    if model_id in MODELS:
        return MODELS[model_id]
    retirement = RETIRED.get(model_id)
    if retirement and retirement.like:
        return replace(MODELS[retirement.like], id=model_id, deprecated=True)
    raise UpstreamError(400, 5007, f"No such model {model_id} or task")


def check_window(model: Model, tokens: int) -> None:
    """Check that the tokens fit in the model's context window, if it is known. Raises UpstreamError 5021 otherwise."""
    if model.context_window and tokens > model.context_window:
        raise UpstreamError(
            413,
            5021,
            f"The estimated number of input and maximum output tokens ({tokens}) "
            f"exceeded this model context window limit ({model.context_window})",
        )
