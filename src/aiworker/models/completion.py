"""A model's answer, put together from either dialect, whole or in the frames of a stream."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from aiworker.errors import ApiError

DONE = "[DONE]"
TEXTS = ("content", "response", "text")
"""Fields that hold a text: in OpenAI's chat, in native answers, in OpenAI's completions (of raw prompts)."""


@dataclass
class ToolCall:
    """A model's call of a tool."""

    id: str
    name: str
    arguments: str = ""
    """A JSON object, as text."""

    def to_json(self) -> dict[str, Any]:
        """Return the call as an item of a message's `tool_calls`."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass
class Completion:
    """An answer, collected by `add` from the data of a stream's frames, or from a whole answer."""

    text: str = ""
    reasoning: str = ""
    """Reasoning of models that send it apart from the text."""
    tool_calls: dict[int, ToolCall] = field(default_factory=dict[int, ToolCall])
    """Index in the answer → tool call."""
    usage: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(self, data: dict[str, Any]) -> None:
        """Add a frame's data, or a whole answer; parts that have not the shape of an answer are skipped."""
        self.usage = _object(data.get("usage")) or self.usage
        for choice in objects(data.get("choices")) or [data]:
            message = _object(choice.get("delta")) or _object(choice.get("message")) or choice
            # in JSON mode, native models answer an object in place of a text; the object may be empty
            text = next((message[name] for name in TEXTS if message.get(name) not in (None, "")), "")
            self.text += text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
            reasoning = message.get("reasoning_content") or message.get("reasoning")
            self.reasoning += reasoning if isinstance(reasoning, str) else ""
            for number, call in enumerate(objects(message.get("tool_calls"))):
                self._add_call(number, call)

    def _add_call(self, number: int, call: dict[str, Any]) -> None:
        function = _object(call.get("function")) or call
        index: int = call["index"] if isinstance(call.get("index"), int) else number
        if index not in self.tool_calls and function.get("name"):
            self.tool_calls[index] = ToolCall(str(call.get("id") or f"call_{index}"), str(function["name"]))
        arguments = function.get("arguments")
        if arguments and index in self.tool_calls:
            # native models send an object where OpenAI's dialect has its JSON text
            self.tool_calls[index].arguments += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def message(self, *, with_reasoning: bool = False) -> dict[str, Any]:
        """Return the assistant's message for the next request; `content` is never null, which native models refuse.

        with_reasoning: put the reasoning before the text.
        """
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if with_reasoning and self.reasoning:
            message["content"] = f"{self.reasoning}\n\n{self.text}"
        if self.tool_calls:
            message["tool_calls"] = [call.to_json() for call in self.tool_calls.values()]
        return message


class Frames:
    """Splits a stream of server-sent events into frames; its chunks may begin and end within a frame."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """Add a chunk; return the frames that are complete now, without the empty line that ends each."""
        *whole, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        return [block.decode(errors="replace") for block in whole]


def frame_data(block: str) -> dict[str, Any] | None:
    """Return the JSON object that a frame holds; None for `[DONE]`, comments, and data of another type."""
    lines = [line[5:].strip() for line in block.split("\n") if line.startswith("data:")]
    try:
        data = json.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; none if the value is no list, as models may answer anything."""
    return (
        [_object(each) for each in cast("list[Any]", value) if isinstance(each, dict)]
        if isinstance(value, list)
        else []
    )


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def frame(data: dict[str, Any] | str, event: str | None = None) -> str:
    """Return a server-sent event. data: a JSON object, or a text as it is."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{f'event: {event}{chr(10)}' if event else ''}data: {text}\n\n"


def failure_formatter(request_id: str) -> Callable[[str], str]:
    """Return a function that returns the end of a stream that has broken off, an `event: error`, from the reason."""

    def format_failure(reason: str) -> str:
        error = ApiError("upstream_error", f"The model's answer broke off: {reason}")
        # the stream may have broken off within a frame
        return "\n\n" + frame(error.to_json(request_id), "error")

    return format_failure


def as_frames(whole: dict[str, Any]) -> Iterator[str]:
    """Yield a whole answer as the frames of a stream in its dialect."""
    if "choices" in whole:
        choices = [
            {
                "index": choice.get("index", 0),
                "delta": choice.get("message") or choice,
                "finish_reason": choice.get("finish_reason"),
            }
            for choice in whole["choices"]
        ]
        yield frame({**whole, "object": "chat.completion.chunk", "choices": choices})
    else:
        text = whole.get("response")
        response = text if isinstance(text, str) or text is None else json.dumps(text, ensure_ascii=False)
        yield frame({**whole, "response": response})
    yield frame(DONE)


def read_completion(body: bytes, filter_text: str = "") -> Completion:
    """Return the completion of a stream, or of its end; an incomplete first frame is skipped.

    filter_text: frames without this text are skipped.
    """
    completion = Completion()
    for block in Frames().feed(body):
        if filter_text in block:
            completion.add(frame_data(block) or {})
    return completion
