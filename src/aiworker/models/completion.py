"""What a model has answered, put together from whatever it came in: both dialects, whole or in frames."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from aiworker.errors import ApiError

DONE = "[DONE]"
EVENT_STREAM = "text/event-stream"
TEXTS = ("content", "response", "text")
"""Where a text stands: in OpenAI's chat, in native answers, in OpenAI's completions (of raw prompts)."""


@dataclass
class ToolCall:
    id: str
    name: str
    arguments: str = ""
    """A JSON object, as text."""

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass
class Completion:
    """Fed with the data of a stream's frames, or once with a whole answer."""

    text: str = ""
    reasoning: str = ""
    """What the model has thought, where it says so apart."""
    tool_calls: dict[int, ToolCall] = field(default_factory=dict[int, ToolCall])
    """By their index in the answer."""
    usage: dict[str, Any] = field(default_factory=dict[str, Any])

    def add(self, data: dict[str, Any]) -> None:
        """What is of another shape than an answer's is passed over."""
        self.usage = _object(data.get("usage")) or self.usage
        for choice in objects(data.get("choices")) or [data]:
            said = _object(choice.get("delta")) or _object(choice.get("message")) or choice
            # in JSON mode, native models answer an object in place of a text, which may be an empty one
            text = next((said[name] for name in TEXTS if said.get(name) not in (None, "")), "")
            self.text += text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
            reasoning = said.get("reasoning_content") or said.get("reasoning")
            self.reasoning += reasoning if isinstance(reasoning, str) else ""
            for number, call in enumerate(objects(said.get("tool_calls"))):
                self._add_call(number, call)

    def _add_call(self, number: int, call: dict[str, Any]) -> None:
        function = _object(call.get("function")) or call
        index: int = call["index"] if isinstance(call.get("index"), int) else number
        if index not in self.tool_calls and function.get("name"):
            self.tool_calls[index] = ToolCall(str(call.get("id") or f"call_{index}"), str(function["name"]))
        arguments = function.get("arguments")
        if arguments and index in self.tool_calls:
            # native models answer an object where OpenAI's dialect has its text
            self.tool_calls[index].arguments += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def message(self, *, with_reasoning: bool = False) -> dict[str, Any]:
        """As the assistant's message in what is sent next; `content` is never null, which native models refuse."""
        said: dict[str, Any] = {"role": "assistant", "content": self.text}
        if with_reasoning and self.reasoning:
            said["content"] = f"{self.reasoning}\n\n{self.text}"
        if self.tool_calls:
            said["tool_calls"] = [call.to_json() for call in self.tool_calls.values()]
        return said


class Frames:
    """Cuts a stream into frames, wherever the network has cut it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """The frames that are whole now, without the empty line that ends each."""
        *whole, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        return [block.decode(errors="replace") for block in whole]


def frame_data(block: str) -> dict[str, Any] | None:
    """The JSON object that a frame holds; None for `[DONE]`, comments, and what is no object."""
    lines = [line[5:].strip() for line in block.split("\n") if line.startswith("data:")]
    try:
        data = json.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def objects(given: Any) -> list[dict[str, Any]]:
    """Those of a list, if it is one: what models answer may be anything."""
    return (
        [_object(each) for each in cast("list[Any]", given) if isinstance(each, dict)]
        if isinstance(given, list)
        else []
    )


def _object(given: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}


def frame(data: dict[str, Any] | str, event: str | None = None) -> str:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{f'event: {event}{chr(10)}' if event else ''}data: {text}\n\n"


def failure_formatter(request_id: str) -> Callable[[str], str]:
    """What makes the end of a stream that has broken off, of the reason."""

    def end(reason: str) -> str:
        error = ApiError("upstream_error", f"The model's answer broke off: {reason}")
        # what came before may end in the middle of a frame
        return "\n\n" + frame(error.to_json(request_id), "error")

    return end


def as_frames(whole: dict[str, Any]) -> Iterator[str]:
    """A whole answer as the stream in which its model would have sent it."""
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
