"""Data of scripted answers: the calls that an answer applies to, and its content."""

import base64
import binascii
import json
import re
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match  # pyright: ignore[reportUnknownVariableType] - its types are partial

from workers_ai_simulator.media import Media
from workers_ai_simulator.scripted.errors import AnswersError
from workers_ai_simulator.traffic.journal import is_model

WRITTEN = ("text", "stream", "json", "tool_calls")
"""Kinds of answers that a model of text writes; `tool_calls` may stand beside `text` or `stream`."""
WHOLE = ("frames", "answer", "media", "error", "simulated")
"""Kinds of answers that stand alone."""
DETAILS = ("reasoning", "finish_reason", "usage")
"""Parts that are only allowed with what a model of text writes."""
GENERATING = "text-generation"
TEXT_TASKS = (GENERATING, "translation", "summarization", "image-to-text", "speech-to-text")
"""Tasks whose answers are a text, which `text` sets."""


@dataclass(frozen=True)
class PromptedCall:
    """The facts about a call by which a scripted answer is chosen."""

    model: str
    task: str
    prompt: str
    streams: bool


@dataclass(kw_only=True)
class ScriptedAnswer:
    """An answer and the calls that it applies to; answers.schema.json describes the parts. None: not set."""

    model: str | None = None
    prompt: str | None = None
    pattern: str | None = None
    count: int | None = 1
    text: str | None = None
    stream: list[str] | None = None
    json: Any = None
    tool_calls: list[dict[str, Any]] | None = None
    reasoning: str | None = None
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    tokens_per_second: float | None = None
    frames: list[str | dict[str, Any]] | None = None
    answer: dict[str, Any] | list[Any] | None = None
    media: dict[str, str] | None = None
    error: dict[str, Any] | None = None
    simulated: bool | None = None

    def __post_init__(self) -> None:
        self.parts: dict[str, Any] = {}
        """The parts as they were set, so that `json` may be null."""
        self.id = 0
        self.applied = 0
        """Number of calls that it has answered."""

    @property
    def remaining(self) -> int | None:
        """Number of calls that it will still answer; None for all."""
        return None if self.count is None else self.count - self.applied

    @property
    def is_pending(self) -> bool:
        """Whether the answer has calls left that it must answer; a rule never has."""
        return bool(self.remaining)

    def fits(self, call: PromptedCall) -> bool:
        """Whether the answer applies to that call, and is not used up."""
        return self.remaining != 0 and self._can_answer(call) and self._selects(call)

    def _selects(self, call: PromptedCall) -> bool:
        return (
            (self.model is None or is_model(call.model, self.model))
            and (self.prompt is None or self.prompt in call.prompt)
            and (self.pattern is None or re.search(self.pattern, call.prompt) is not None)
        )

    def _can_answer(self, call: PromptedCall) -> bool:
        """Whether the model's answers are of that kind: a model of embeddings, for instance, cannot answer a text."""
        if "frames" in self.parts:
            return call.task == GENERATING and call.streams
        if self.parts.keys() & {"stream", "json", "tool_calls"}:
            return call.task == GENERATING
        return "text" not in self.parts or call.task in TEXT_TASKS

    def decoded_media(self) -> Media | None:
        if self.media is None:
            return None
        return Media(base64.b64decode(self.media["base64"], validate=True), self.media["content_type"])

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "applied": self.applied, "remaining": self.remaining, **self.parts}


@dataclass(frozen=True)
class Script:
    """Answers, and whether any other call is refused; None: as before."""

    answers: list[ScriptedAnswer]
    strict: bool | None = None


def read(value: Any) -> Script:
    """Read one answer, a list of answers, or `{strict, answers}` from JSON. Raises AnswersError."""
    if isinstance(value, dict) and "answers" in value:
        holder = cast("dict[str, Any]", value)
        _check("script", holder)
        return Script(_answers(holder["answers"]), holder.get("strict"))
    return Script(_answers(cast("list[Any]", value) if isinstance(value, list) else [value]))


def _answers(values: list[Any]) -> list[ScriptedAnswer]:
    return [_answer(each, f"{number}" if len(values) > 1 else "") for number, each in enumerate(values)]


def _answer(value: Any, at: str) -> ScriptedAnswer:
    _check("answer", value, at)
    parts = cast("dict[str, Any]", value)
    _check_kinds(parts, at)
    answer = ScriptedAnswer(**parts)
    answer.parts = parts
    try:
        re.compile(answer.pattern or "")
        answer.decoded_media()
    except re.error as error:
        raise AnswersError(_place(at, "pattern"), f"no regular expression: {error}") from None
    except binascii.Error as error:
        raise AnswersError(_place(at, "media/base64"), str(error)) from None
    return answer


def _check_kinds(parts: dict[str, Any], at: str) -> None:
    """Check that the parts are one answer. Raises AnswersError."""
    whole = [name for name in WHOLE if name in parts]
    written = [name for name in WRITTEN if name in parts]
    texts = [name for name in written if name != "tool_calls"]
    kinds = whole + (texts or written)
    if len(kinds) != 1 or (texts == ["json"] and len(written) > 1) or (whole and written):
        raise AnswersError(
            at, f"an answer has one of {', '.join((*WRITTEN, *WHOLE))}, or tool_calls beside text or stream; "
            f"this one has {' and '.join(whole + written) or 'none'}",
        )  # fmt: skip
    misplaced = next((name for name in DETAILS if name in parts and whole), None)
    if misplaced:
        raise AnswersError(_place(at, misplaced), f"goes with {', '.join(WRITTEN)} only")


def _check(kind: str, value: Any, at: str = "") -> None:
    """Check a value against answers.schema.json. Raises AnswersError, which names the place at fault."""
    error = _first_error(_validators()[kind], value)
    if error is not None:
        raise AnswersError(_place(at, *map(str, error.absolute_path)), error.message[:300])


def _first_error(validator: Any, value: Any) -> Any:
    return cast("Any", best_match(validator.iter_errors(value)))


def _place(*steps: str) -> str:
    return "/".join(filter(None, steps))


@cache
def _validators() -> dict[str, Draft202012Validator]:
    schema = json.loads(
        files("workers_ai_simulator.scripted").joinpath("answers.schema.json").read_text(encoding="utf-8")
    )
    answer = schema["$defs"]["answer"]
    assert {field.name for field in fields(ScriptedAnswer)} == answer["properties"].keys()
    script = {**schema["oneOf"][2]}
    script["properties"] = {**script["properties"], "answers": {"type": "array"}}
    return {"answer": Draft202012Validator(answer), "script": Draft202012Validator(script)}
