"""Decision models (Clef): typed questions about a state, each answered with the probabilities of its possible answers.

Source: developers.cloudflare.com/workers-ai/models/clef (the wire is called System One).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from aiworker.bindings import Inputs
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.models.answer_reader import valid_number, valid_usage
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_call import Candidate, run_all
from aiworker.models.model_response import ModelResponse, record_cost

MAX_QUESTIONS = 64
"""Questions of one call."""
MAX_IMAGES = 4
YES = 0.5
"""Probability from which a yes-or-no question counts as answered with yes."""
REFUSAL: Mapping[str, str] = {"type": "refusal"}
"""The answer to a question for which the model has given none that can be read."""

Question = Mapping[str, Any]
"""`{"type": "noul" | "choice" | "score", "instructions", "criteria"}`, as the model takes it."""


@dataclass(frozen=True)
class Decisions:
    responses: list[ModelResponse]
    answers: dict[str, dict[str, Any]]
    """Id of each question → its answer, or a refusal."""
    input_tokens: int
    output_tokens: int
    neurons: float | None
    """Cost of all calls; None if it is unknown."""


def selector(model: Model) -> str:
    """Return the model's name in its own inputs: `clef`, `clef-flash` or `clef-omni`."""
    return model.id.rpartition("/")[2]


async def decide(
    resources: Resources,
    model: Model,
    state: Any,
    questions: Mapping[str, Question],
    images: Sequence[Any] = (),
    gateway: GatewayOptions | None = None,
) -> Decisions:
    """Answer the questions, in several calls if there are more than MAX_QUESTIONS.

    state: a text or JSON. images: data URIs, or `{"content_type", "base64"}`.
    Raises ApiError `upstream_error` for a response without answers; an invalid answer to one question becomes a
    refusal.
    """
    names = list(questions)
    shared = {"model": selector(model), "state": state, **({"images": list(images)} if images else {})}
    calls = [
        Candidate(
            model, Inputs({**shared, "questions": {name: questions[name] for name in names[at : at + MAX_QUESTIONS]}})
        )
        for at in range(0, len(names), MAX_QUESTIONS)
    ]
    results = await run_all(resources, calls, _read, gateway)
    replies = {name: answer for _, answers, _ in results for name, answer in answers.items()}
    counts = [usage for _, _, usage in results]
    tokens = [sum(int(each.get(name) or 0) for each in counts) for name in ("input_tokens", "output_tokens")]
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]} if any(counts) else {}
    responses = [response for response, _, _ in results]
    neurons = record_cost(responses, usage)
    answers = {name: _answer(questions[name], replies.get(name)) for name in names}
    return Decisions(responses, answers, tokens[0], tokens[1], neurons)


async def probability(
    resources: Resources, model: Model, state: Any, instructions: str, gateway: GatewayOptions | None = None
) -> float | None:
    """Return the probability of a yes to a question; None if the model refuses it."""
    decisions = await decide(
        resources, model, state, {"q": {"type": "noul", "instructions": instructions}}, (), gateway
    )
    return decisions.answers["q"].get("noul")


async def _read(response: ModelResponse) -> tuple[ModelResponse, dict[str, Any], dict[str, Any]]:
    """Return the response with its answers and its usage."""
    data = await response.object()
    answers: Any = data.get("answers")
    if not isinstance(answers, dict):
        raise ApiError("upstream_error", f"{response.model.id} returned no answers.", headers=response.headers)
    return response, cast("dict[str, Any]", answers), valid_usage(data.get("usage"))


def _answer(question: Question, answer: Any) -> dict[str, Any]:
    """Return an answer of the question's type with all that it must have, or a refusal."""
    if not isinstance(answer, dict):
        return dict(REFUSAL)
    values = cast("dict[str, Any]", answer)
    kind, criteria = question["type"], question.get("criteria") or ()
    if kind == "noul":
        noul = _probability(values.get("noul"))
        return dict(REFUSAL) if noul is None else {"type": kind, "noul": noul}
    options = list(criteria) if kind == "choice" else [str(level) for level in range(len(criteria))]
    probabilities = _probabilities(values.get("probabilities"), options)
    if probabilities is None:
        return dict(REFUSAL)
    spread = {"probabilities": probabilities, "confidence": _probability(values.get("confidence"))}
    if kind == "choice":
        choice = values.get("choice")
        return {"type": kind, "choice": choice, **spread} if choice in options else dict(REFUSAL)
    score = valid_number(values.get("score"))
    if score is None:
        return dict(REFUSAL)
    return {"type": kind, "score": score, "legend": dict(zip(options, criteria, strict=True)), **spread}


def _probabilities(value: Any, options: Sequence[str]) -> dict[str, float] | None:
    """Return the probability of each option; None if one is missing or no probability."""
    known = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    matches = {option: number for option in options if (number := _probability(known.get(option))) is not None}
    return matches if len(matches) == len(options) else None


def _probability(value: Any) -> float | None:
    number = valid_number(value)
    return number if number is not None and number <= 1 else None
