"""Reads a model's answer, whole or in the frames of a stream, in any dialect, into parts of one shape.

Answers are not trusted: a field of an unexpected type counts as missing.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from aiworker.errors import ApiError
from aiworker.models.tool_calls import CallPart, Json, ToolCallReader
from aiworker.models.vendors.dialects import to_openai

TEXTS = ("content", "response", "text", "refusal")
"""Fields that hold a text: in OpenAI's chat, in native answers, in OpenAI's completions (of raw prompts), and in
refusals of OpenAI's models."""
REASONING = ("reasoning_content", "reasoning")
CALLS = ("tool_calls", "function_call")

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]

FINISH_REASONS: Mapping[str, FinishReason] = {
    **dict.fromkeys(("length", "max_tokens", "max_length", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("content_filter", "content-filter", "safety"), "content_filter"),
}  # fmt: skip
"""A model's reason for the end → the one that OpenAI's clients know; all others are `stop`."""

MAX_COUNT = 2**53
"""Bound of a valid count, beyond which numbers of JSON are not exact."""


@dataclass
class Parts:
    """Parts of an answer that one frame adds."""

    text: str = ""
    reasoning: str = ""
    calls: list[CallPart] = field(default_factory=list[CallPart])
    logprobs: Json = field(default_factory=dict[str, Any])


class AnswerReader:
    """Reads one answer, in any dialect: OpenAI's, Workers AI's own, Anthropic's, Gemini's.

    Frames with OpenAI's `choices`, native ones, and those that are both may follow each other.
    """

    def __init__(self, answer_id: str = "", *, is_single_call: bool = False, known_ids: Collection[str] = ()) -> None:
        """The parameters are those of ToolCallReader."""
        self._calls = ToolCallReader(answer_id, is_single=is_single_call, known_ids=known_ids)
        self._reason = ""
        self.usage: Json = {}
        """Usage of the answer so far; entries that are no counts are left out."""
        self.is_answer = False
        """True once a part of an answer, or its end, has come."""

    def read(self, data: Json) -> Parts:
        """Read a frame's data, or a whole answer. Raises ApiError `upstream_error` if it is an error's object."""
        if reason := _error_reason(data):
            raise broken_stream_error(reason)
        data = to_openai(data)
        self.add_usage(data.get("usage"))
        choice = next(iter(objects(data.get("choices"))), dict[str, Any]())
        message = _message(data, choice)
        reason = choice.get("finish_reason") or data.get("finish_reason")
        self._reason = reason if isinstance(reason, str) and reason else self._reason
        parts = Parts(
            _text(message),
            next((each for name in REASONING if isinstance(each := message.get(name), str) and each), ""),
            list(self._calls.read(_calls(message))),
            _object(choice.get("logprobs")),
        )
        has_tokens = self.usage.get("completion_tokens", 0) > 0
        self.is_answer |= bool(parts.text or parts.reasoning or parts.calls or self._reason or has_tokens)
        return parts

    def read_calls(self, items: list[Json]) -> list[CallPart]:
        """Read tool calls that stand elsewhere in the answer."""
        return list(self._calls.read(items))

    def add_usage(self, usage: object) -> None:
        """Add the usage of a frame. Models send that of the answer so far, or that of the frame alone."""
        counts = valid_usage(usage)
        if counts and "prompt_tokens" not in counts:  # Anthropic's streams begin with those of the prompt
            counts = {**self.usage, **counts}
        if counts and _total(counts) >= _total(self.usage):
            self.usage = counts

    def finish(self) -> list[CallPart]:
        """Return what completes the tool calls."""
        return list(self._calls.finish())

    @property
    def has_calls(self) -> bool:
        return self._calls.has_calls

    @property
    def has_reason(self) -> bool:
        """True if the model has said why the answer ends, as its last frames do."""
        return bool(self._reason)

    @property
    def finish_reason(self) -> FinishReason | None:
        """Reason for the end; None if the model has given none. For an answer with tool calls, it is never `stop`."""
        if not self._reason:
            return None
        reason = FINISH_REASONS.get(self._reason.lower(), "stop")
        if reason in ("stop", "tool_calls"):
            return "tool_calls" if self.has_calls else "stop"
        return reason


def broken_stream_error(reason: str) -> ApiError:
    """Return the error for an answer that is incomplete."""
    return ApiError("upstream_error", f"The model's answer broke off: {reason}")


def no_answer_error(model: str = "The model") -> ApiError:
    """Return the error for what has arrived in place of an answer."""
    return ApiError("upstream_error", f"{model} returned something other than an answer.")


# ---- parts -------------------------------------------------------------------------------------------------------


def objects(value: Any) -> list[Json]:
    """Return the objects of a list; none if the value is no list."""
    return (
        [_object(each) for each in cast("list[Any]", value) if isinstance(each, dict)]
        if isinstance(value, list)
        else []
    )


def _object(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _error_reason(data: Json) -> str:
    """Return the message of an error object, in any of the forms that Workers AI and its backends send; else ""."""
    match data:
        case {"error": error} | {"errors": [error, *_]} if error:
            words = _object(error).get("message") or _object(error).get("description") or error
            return words if isinstance(words, str) else json.dumps(words, ensure_ascii=False)
        case {"internalCode": code} if code:
            return str(data.get("description") or code)
        case {"object": "error"} | {"success": False}:
            return str(data.get("message") or "the model reports an error")
        case _:
            return ""


def _message(data: Json, choice: Json) -> Json:
    """Return the object that has the text, the reasoning or the tool calls of a frame."""
    message = _object(choice.get("delta")) or _object(choice.get("message")) or choice
    has_parts = any(message.get(name) not in (None, "", []) for name in (*TEXTS, *REASONING, *CALLS))
    return message if has_parts else data


def _text(message: Json) -> str:
    # in JSON mode, native models answer an object or a list in place of a text; both may be empty
    names = (name for name in TEXTS if message.get(name) not in (None, ""))
    value = next((message[name] for name in names if name != "content" or message[name]), "")
    if isinstance(value, str):
        return value
    parts = objects(value)
    if parts and all(isinstance(part.get("text"), str) and "type" in part for part in parts):
        return "".join(part["text"] for part in parts)
    return json.dumps(value, ensure_ascii=False)


def _calls(message: Json) -> list[Json]:
    calls = message.get("tool_calls") or message.get("function_call")
    return [cast("Json", calls)] if isinstance(calls, dict) else objects(calls)


# ---- usage -------------------------------------------------------------------------------------------------------


def valid_usage(usage: object) -> Json:
    """Return the entries of a model's usage that are numbers from 0, and `…_details` of such; tokens are whole."""
    return dict(_valid_entries(_object(usage)))


def _valid_entries(usage: Json) -> Iterator[tuple[str, Any]]:
    for name, value in usage.items():
        if name.endswith("_details"):
            if details := valid_usage(value):
                yield name, details
        elif (number := valid_number(value)) is not None:
            yield name, int(number) if name.endswith("_tokens") else number


def valid_number(value: Any) -> float | None:
    """Return a number from 0, also one that is written as a text; None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= MAX_COUNT else None


def _total(usage: Json) -> float:
    return usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0)
