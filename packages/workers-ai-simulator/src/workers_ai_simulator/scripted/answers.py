"""Scripted answers in the shapes of the models that are called, whole and as frames of a stream."""

import json
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator import text
from workers_ai_simulator.catalogue import Model, check_window
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.inference.answers import ANSWERS
from workers_ai_simulator.inference.models import Answer
from workers_ai_simulator.scripted.models import ScriptedAnswer
from workers_ai_simulator.speech.simulated import transcribe
from workers_ai_simulator.text_generation.conversation import read
from workers_ai_simulator.text_generation.frames import Usage
from workers_ai_simulator.text_generation.generation import GeneratedCall, Generation


@dataclass(frozen=True)
class Frames:
    """Frames of a stream, sent as they are."""

    frames: list[str]


TEXT_FIELDS = ("translated_text", "summary", "description", "caption", "answer")
"""Fields of the answers of other tasks that are their text."""


def whole(answer: ScriptedAnswer) -> Answer | Frames | None:
    """The answer if it is the same for every model: a JSON value, media, or the frames of a stream; else None.

    Raises UpstreamError if the answer is an error.
    """
    if answer.error is not None:
        status, code = answer.error["status"], answer.error.get("code", 0)
        raise UpstreamError(status, code, answer.error.get("description", "Scripted error"))
    if answer.frames is not None:
        return Frames([each if isinstance(each, str) else f"data: {_dump(each)}\n\n" for each in answer.frames])
    return answer.decoded_media() or answer.answer


def generation(model: Model, inputs: dict[str, Any], answer: ScriptedAnswer) -> Generation:
    """The answer as one of a model of text, in no dialect yet. It is never cut, whatever `max_tokens` and `stop` are.

    Raises UpstreamError if the model does not take the inputs: a scripted answer does not hide a wrong request.
    """
    conversation = read(model, inputs)
    check_window(model, conversation.prompt_tokens + conversation.max_tokens)
    pieces, reasoning = _pieces(answer), text.tokens(answer.reasoning or "")
    if reasoning and conversation.dialect == "native":
        pieces = [*text.tokens(f"<think>\n{answer.reasoning}\n</think>\n\n"), *pieces]
        reasoning = []
    calls = [_call(each, f"call_{answer.id}_{answer.applied}_{n}") for n, each in enumerate(answer.tool_calls or [])]
    return Generation(
        model,
        pieces,
        conversation.prompt_tokens,
        answer.finish_reason or ("tool_calls" if calls else "stop"),
        reasoning,
        calls,
        conversation.schema is not None and _is_json("".join(pieces)),
        conversation.dialect,
        _usage(answer),
    )


def text_of_task(model: Model, inputs: dict[str, Any], answer: ScriptedAnswer) -> Answer:
    """The text as the answer of a model of another task: translation, summary, description, transcript.

    Raises UpstreamError for inputs that the model does not take.
    """
    scripted = answer.text or ""
    if model.task == "speech-to-text":
        return transcribe(model, inputs, dictated=scripted)
    simulated = ANSWERS[model.task](model, inputs)
    if not isinstance(simulated, dict):
        return simulated
    if isinstance(translations := simulated.get("translations"), list):
        return {**simulated, "translations": [scripted] * len(cast("list[str]", translations))}
    return {name: scripted if name in TEXT_FIELDS else value for name, value in simulated.items()}


def _pieces(answer: ScriptedAnswer) -> list[str]:
    if answer.stream is not None:
        return answer.stream
    return text.tokens(_dump(answer.json) if "json" in answer.parts else answer.text or "")


def _call(call: dict[str, Any], new_id: str) -> GeneratedCall:
    arguments: Any = call.get("arguments", {})
    written = arguments if isinstance(arguments, str) else _dump(arguments)
    return GeneratedCall(call.get("id", new_id), call["name"], text.tokens(written))


def _usage(answer: ScriptedAnswer) -> Usage | None:
    if answer.usage is None:
        return None
    prompt, completion = answer.usage["prompt_tokens"], answer.usage["completion_tokens"]
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _is_json(written: str) -> bool:
    try:
        json.loads(written)
    except ValueError:
        return False
    return True


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
