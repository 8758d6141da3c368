"""A model that judges what users ask and what models answer, where the variable GUARD_MODEL names one.

What it calls unsafe is refused: a question before a model is asked, an answer before anything of it is sent, streams
too, which come late and at once then. If the guard itself fails, its error is the answer's: nothing goes past it.

It judges the last turn, with those before as its context; of images it sees nothing.
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
from aiworker.models import catalogue, token_counts
from aiworker.models.catalogue import Model
from aiworker.models.completion import DONE, Completion
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse
from aiworker.models.openai_stream import broken_stream_error
from aiworker.models.stream_epilogue import read_completion

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
"""What Llama Guard 3 calls unsafe, after MLCommons' taxonomy. Source: Meta's model card."""

VERDICT_TOKENS = 100
"""Enough for `unsafe` and all categories."""

SENTENCES = {"input": "The request was judged unsafe", "output": "The model's answer was judged unsafe"}

Messages = Sequence[Mapping[str, Any]]


class Verdict(NamedTuple):
    is_safe: bool
    categories: list[str]
    """Codes, which an unsafe text need not have."""


async def check_input(
    resources: Resources, messages: Messages, gateway: GatewayOptions | None, stored: int = 0
) -> None:
    """messages: as a model would be sent them; the last is judged. stored: so many are not from this request.

    Raises ApiError `content_blocked`, `context_exceeded` for a request too long to be judged, or whatever the guard
    fails with. Nothing happens if it judges no input.
    """
    if "input" not in resources.settings.guarded:
        return
    model, sent = _guard(resources), to_turns(messages[stored:])
    if len(select_recent(sent, _room(model))) < len(sent):  # else what pushes a question out of its sight goes unjudged
        raise ApiError("context_exceeded", f"The request is too long for {model.id}, which judges it.")
    await _check(resources, "input", messages, gateway)


async def check_output(
    resources: Resources, messages: Messages, said: Messages, gateway: GatewayOptions | None
) -> None:
    """said: what has been answered to the messages. Raises as `check_input` does."""
    if "output" in resources.settings.guarded and any(map(_words, said)):
        await _check(resources, "output", [*messages, *said], gateway)


async def screen_response(
    resources: Resources, messages: Messages, given: ModelResponse, gateway: GatewayOptions | None
) -> ModelResponse:
    """The answer given to the messages: as it is if the guard judges no output, else read to its end, and judged.

    Raises as `check_input` does; `upstream_error` for an answer that breaks off.
    """
    if "output" not in resources.settings.guarded:
        return given
    body = await given.raw.text()
    given = replace(given, buffered=body)
    if not given.is_stream:
        said = Completion()
        said.add(await given.object())
    elif body.rstrip().endswith(DONE):
        said = read_completion(body.encode())
    else:
        raise broken_stream_error("it ended early")
    try:
        await check_output(resources, messages, [said.message(with_reasoning=True)], gateway)
    except ApiError:
        given.record_usage(said.usage)  # it has cost what it has cost
        raise
    return given


# ---- the guard's own model ---------------------------------------------------------------------------------------


async def _check(resources: Resources, side: str, messages: Messages, gateway: GatewayOptions | None) -> None:
    judged = to_turns(messages)
    if not judged:
        return
    model = _guard(resources)
    # an answer that is too long even so is refused upstream
    inputs = {"messages": select_recent(judged, _room(model)) or judged, "max_tokens": VERDICT_TOKENS, "temperature": 0}
    gateway = gateway.without_cache_key() if gateway else None
    given = await ModelCall(resources, [Candidate(model, Inputs(inputs))], gateway).run()
    whole = await given.object()
    given.record_usage(whole.get("usage") or {})
    verdict = read_verdict(whole.get("response"))
    if verdict is None:
        raise ApiError("upstream_error", f"{model.id} returned no verdict.", headers=given.headers)
    if not verdict.is_safe:
        raise _blocked(side, verdict.categories, given.headers)


def _guard(resources: Resources) -> Model:
    return catalogue.find(resources.settings.guard_model or "", "guard")


def _room(model: Model) -> int:
    """Tokens."""
    return (model.context_window or token_counts.ANSWER_TOKENS * 8) - VERDICT_TOKENS


def to_turns(messages: Messages) -> list[dict[str, Any]]:
    """The conversation as Llama Guard takes it: texts, of user and assistant in turn, of the user first.

    What the system and tools say counts as the user's.
    """
    found: list[dict[str, Any]] = []
    for message in messages:
        words = _words(message)
        role = "assistant" if message.get("role") == "assistant" and found else "user"
        if found and found[-1]["role"] == role:
            found[-1]["content"] += f"\n\n{words}" if words else ""
        elif words:
            found.append({"role": role, "content": words})
    return found


def read_verdict(response: Any) -> Verdict | None:
    """What the guard has answered, as text or in JSON mode; None for what is no verdict."""
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


def _words(message: Mapping[str, Any]) -> str:
    """Of a message: its texts, and what it has tools called with."""
    content: Any = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part["text"]) for part in cast("list[Mapping[str, Any]]", content) if "text" in part)
    calls = cast("list[dict[str, Any]]", message.get("tool_calls") or [])
    called = [f"{call['function']['name']} {call['function']['arguments']}" for call in calls]
    return "\n".join(filter(None, [content, *called])).strip()
