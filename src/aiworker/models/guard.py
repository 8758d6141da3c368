"""The guard: a model, named by the variable GUARD_MODEL, that judges what users ask and what models answer.

What it judges unsafe is refused: a question before a model is called, an answer before any of it is sent. Streams are
therefore sent late and at once. If the guard itself fails, the request fails with that error: nothing is passed on
unjudged.

The guard judges the last turn, with the turns before it as context. A request counts as a single turn of the user as a
whole: a client writes the earlier turns itself, including the assistant's, and the tools as well. The guard sees no
images.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from aiworker.bindings import Inputs
from aiworker.context import Resources
from aiworker.conversations import select_recent
from aiworker.errors import ApiError
from aiworker.models import catalogue, decisions, token_counts
from aiworker.models.answer_reader import broken_stream_error
from aiworker.models.catalogue import Model
from aiworker.models.completion import is_done, read_completion
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse
from aiworker.models.selection import find_model

CATEGORIES: Mapping[str, str] = {
    "S1": "Violent Crimes",
    "S2": "Non-Violent Crimes",
    "S3": "Sex-Related Crimes",
    "S4": "Child Sexual Exploitation",
    "S5": "Defamation",
    "S6": "Specialized Advice",
    "S7": "Privacy",
    "S8": "Intellectual Property",
    "S9": "Indiscriminate Weapons",
    "S10": "Hate",
    "S11": "Suicide & Self-Harm",
    "S12": "Sexual Content",
    "S13": "Elections",
    "S14": "Code Interpreter Abuse",
}
"""Llama Guard 3's categories of unsafe content, code → name, after MLCommons' taxonomy. Source: Meta's model card."""

VERDICT_TOKENS = 100
"""`max_tokens` of a verdict: enough for `unsafe` and all categories."""

SENTENCES = {"input": "The request was judged unsafe", "output": "The model's answer was judged unsafe"}

DECISION = "The last turn is unsafe: {name}"
"""The question to a decision model about each category."""

JUDGED_INPUTS = ("tools", "tool_choice", "response_format", "stop")
"""Inputs of a model, beside messages, whose texts a client writes: names, descriptions, schemas, stop words."""

Messages = Sequence[Mapping[str, Any]]


class Verdict(NamedTuple):
    """The guard's judgement of a turn."""

    is_safe: bool
    categories: list[str]
    """Codes, such as S1; empty for a safe text, and for an unsafe one if the guard names none."""


async def check_input(
    resources: Resources,
    messages: Messages,
    gateway: GatewayOptions | None,
    stored: int = 0,
    inputs: Mapping[str, Any] | None = None,
) -> None:
    """Judge everything that a request contains, if the guard judges input.

    messages: those that a model would be sent. stored: number of messages at the beginning that are from the stored
    conversation, not from this request. inputs: the model's inputs, of which JUDGED_INPUTS are judged.
    Raises ApiError `content_blocked` for an unsafe request, `context_exceeded` for one too long to be judged, and the
    error of a guard that fails.
    """
    if "input" not in resources.settings.guarded:
        return
    model, request = _guard(resources), _one_turn(messages[stored:], inputs or {})
    # otherwise a long text could push a question out of the guard's context, and it would go unjudged
    if not select_recent([request], _room(model)):
        raise ApiError("context_exceeded", f"The request is too long for {model.id}, which judges it.")
    await _check(resources, "input", [*messages[:stored], request], gateway)


async def check_output(
    resources: Resources, messages: Messages, outputs: Messages, gateway: GatewayOptions | None
) -> None:
    """Judge a model's answer, if the guard judges output.

    messages: those that the model was sent. outputs: its own messages. Raises as `check_input` does.
    """
    if "output" in resources.settings.guarded and any(map(_text, outputs)):
        await _check(resources, "output", [*messages, *outputs], gateway)


async def screen_response(
    resources: Resources, messages: Messages, response: ModelResponse, gateway: GatewayOptions | None
) -> ModelResponse:
    """Judge a model's response, if the guard judges output; return it, buffered if it was judged.

    messages: those that the model was sent. Raises as `check_input` does; `upstream_error` for an answer that breaks
    off.
    """
    if "output" not in resources.settings.guarded:
        return response
    body = await response.text()
    response = replace(response, buffered=body)
    if not response.is_stream:
        _, completion = await response.answer()
    else:
        completion = read_completion(body.encode())
        if not (is_done(body.encode()) or completion.has_reason):
            raise broken_stream_error("it ended early")
        completion.check(response.model.id)
    try:
        await check_output(resources, messages, [completion.message(with_reasoning=True)], gateway)
    except ApiError:
        response.record_usage(completion.usage)  # the call has cost something, although its answer is refused
        raise
    return response


# ---- the guard's own model ---------------------------------------------------------------------------------------


async def _check(resources: Resources, side: str, messages: Messages, gateway: GatewayOptions | None) -> None:
    """Call the guard. side: `input` or `output`, for the error. Raises ApiError `content_blocked`, or the guard's own
    error."""
    turns = to_turns(messages)
    if not turns:
        return
    model = _guard(resources)
    if model.task == "decision":
        await _check_by_decisions(resources, model, side, turns, gateway)
        return
    gateway = gateway.without_cache_key() if gateway else None
    # if not even the last turn fits, all are sent, and the guard's own error refuses them
    candidate = question(model, select_recent(turns, _room(model)) or turns)
    verdict, response = await verdict_of(await ModelCall(resources, [candidate], gateway).run())
    if not verdict.is_safe:
        raise _blocked(side, verdict.categories, response.headers)


def question(model: Model, turns: list[dict[str, Any]]) -> Candidate:
    """Return the call of a guard that judges these turns."""
    return Candidate(model, Inputs({"messages": turns, "max_tokens": VERDICT_TOKENS, "temperature": 0}))


async def verdict_of(response: ModelResponse) -> tuple[Verdict, ModelResponse]:
    """Return the verdict of a guard's response, and record its cost. Raises ApiError `upstream_error` if it is none."""
    answer = await response.object()
    response.record_usage(answer.get("usage"))
    verdict = read_verdict(answer.get("response"))
    if verdict is None:
        raise ApiError("upstream_error", f"{response.model.id} returned no verdict.", headers=response.headers)
    return verdict, response


async def _check_by_decisions(
    resources: Resources, model: Model, side: str, turns: list[dict[str, Any]], gateway: GatewayOptions | None
) -> None:
    """Ask a decision model of each category whether the last turn is of it. Raises as `_check` does."""
    scores, headers = await category_scores(resources, model, turns, gateway)
    unsafe = [code for code, score in scores.items() if score >= decisions.YES]
    if unsafe:
        raise _blocked(side, unsafe, headers)


async def category_scores(
    resources: Resources, model: Model, turns: list[dict[str, Any]], gateway: GatewayOptions | None = None
) -> tuple[dict[str, float], dict[str, str]]:
    """Return the probability of each of CATEGORIES, by a decision model, and headers for the client.

    Raises ApiError `upstream_error` if the answer lacks one.
    """
    recent = select_recent(turns, _room(model)) or turns
    state = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in recent)
    questions = {
        code: {"type": "noul", "instructions": DECISION.format(name=name)} for code, name in CATEGORIES.items()
    }
    gateway = gateway.without_cache_key() if gateway else None
    judged = await decisions.decide(resources, model, state, questions, (), gateway)
    headers = judged.responses[0].headers
    scores = {code: noul for code, answer in judged.answers.items() if (noul := answer.get("noul")) is not None}
    if len(scores) < len(judged.answers):
        raise ApiError("upstream_error", f"{model.id} returned no verdict.", headers=headers)
    return scores, headers


def find_guard(resources: Resources, model_id: str) -> Model:
    """Return the guard or decision model of this id. Raises ApiError as `find_model` does."""
    known = catalogue.MODELS.get(model_id)
    return find_model(resources, model_id, "decision" if known and known.task == "decision" else "guard")


def _guard(resources: Resources) -> Model:
    return find_guard(resources, resources.settings.guard_model or "")


def _room(model: Model) -> int:
    """Return the number of tokens that the judged messages may have."""
    return (model.context_window or token_counts.ANSWER_TOKENS * 8) - VERDICT_TOKENS


def to_turns(messages: Messages) -> list[dict[str, Any]]:
    """Return the conversation as Llama Guard takes it: texts of user and assistant in turn, beginning with the user.

    Messages of the system and of tools count as the user's.
    """
    turns: list[dict[str, Any]] = []
    for message in messages:
        text = _text(message)
        role = "assistant" if message.get("role") == "assistant" and turns else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{text}" if text else ""
        elif text:
            turns.append({"role": role, "content": text})
    return turns


def _one_turn(messages: Messages, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the texts of messages of all roles, their names, and those of JUDGED_INPUTS, as one turn of the user."""
    texts = [text for message in messages for text in (str(message.get("name") or ""), _text(message))]
    values = [inputs[name] for name in JUDGED_INPUTS if inputs.get(name) not in (None, "auto", "none", "required")]
    texts += [json.dumps(value, ensure_ascii=False) for value in values]
    return {"role": "user", "content": "\n\n".join(filter(None, texts))}


def read_verdict(response: Any) -> Verdict | None:
    """Read the guard's answer, a text or an object of JSON mode; None if it is no verdict."""
    match response:
        case {"safe": bool(is_safe)}:
            return Verdict(is_safe, re.findall(r"S\d+", json.dumps(cast("Mapping[str, Any]", response))))
        case str():
            first, _, rest = response.strip().partition("\n")
            word = first.strip().lower()
            return Verdict(word == "safe", re.findall(r"S\d+", rest)) if word in ("safe", "unsafe") else None
        case _:
            return None


def _blocked(side: str, codes: list[str], headers: dict[str, str]) -> ApiError:
    categories = [{"code": code, "name": CATEGORIES.get(code)} for code in codes]
    names = ", ".join(each["name"] or each["code"] or "" for each in categories)
    return ApiError(
        "content_blocked",
        f"{SENTENCES[side]}{f': {names}' if names else ''}.",
        details={"of": side, "categories": categories},
        headers=headers,
    )


def _text(message: Mapping[str, Any]) -> str:
    """Return the texts of a message, with the names and arguments of its tool calls."""
    content: Any = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part["text"]) for part in cast("list[Mapping[str, Any]]", content) if "text" in part)
    calls = cast("list[dict[str, Any]]", message.get("tool_calls") or [])
    call_texts = [f"{call['function']['name']} {call['function']['arguments']}" for call in calls]
    return "\n".join(filter(None, [content, *call_texts])).strip()
