"""Writers of answers in the forms of OpenAI's chat completions and completions: streams' chunks, and whole objects."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiworker.errors import ApiError
from aiworker.models.answer_reader import objects
from aiworker.models.tool_calls import Json


class Writer(Protocol):
    """Encodes the parts of an answer for one kind of client; each method returns the bytes to send.

    literal: a text as a JSON string, with its quotation marks.
    """

    def start(self) -> bytes: ...

    def text(self, literal: bytes, logprobs: Json | None = None) -> bytes:
        """Add a piece of text. logprobs: the `logprobs` of its choice, if the model has sent any."""
        ...

    def reasoning(self, literal: bytes) -> bytes: ...

    def call(self, index: int, call_id: str, name: str) -> bytes:
        """Begin a tool call; its arguments follow. index: number of the call in the answer, from 0."""
        ...

    def arguments(self, index: int, literal: bytes) -> bytes:
        """Add a part of the arguments of the tool call `index`: a part of a JSON object as text."""
        ...

    def end(self, finish_reason: str, usage: Json, stop_sequence: str | None = None) -> bytes:
        """Complete the answer. stop_sequence: the one that the Worker has cut the text at, if it has."""
        ...

    def error(self, error: ApiError) -> bytes:
        """End an incomplete answer, so that clients raise the error."""
        ...


def join_literals(literals: Sequence[bytes]) -> str:
    """Return the text of several JSON strings, one after the other."""
    return json.loads(b'"' + b"".join([literal[1:-1] for literal in literals]) + b'"')


# ---- chunks ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """The fields that every chunk of an answer repeats."""

    id: str
    created: int
    """Seconds since 1970."""
    model: str

    def to_json(self, kind: str) -> Json:
        """Return the fields with `kind`, the `object` of OpenAI's chunks and answers."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def error_frame(error: ApiError) -> bytes:
    """Return the frame at which OpenAI's clients raise an APIError."""
    return b"data: " + _dump(error.to_openai()) + b"\n\n"


class ChatWriter:
    """Writer of `chat.completion.chunk` frames."""

    def __init__(self, head: Head, *, include_usage: bool = False, is_legacy: bool = False) -> None:
        """is_legacy: write a tool call as `function_call`, for requests with `functions`."""
        self._head = head.to_json("chat.completion.chunk")
        self._include_usage = include_usage
        self._is_legacy = is_legacy
        usage = b',"usage":null' if include_usage else b""
        self._open = b"data: " + _dump(self._head)[:-1] + b',"choices":[{"index":0,"delta":'
        self._close = b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self._before_text, self._behind_text = self._open + b'{"content":', b"}" + self._close

    def start(self) -> bytes:
        return self._delta(b'{"role":"assistant","content":"","refusal":null}')

    def text(self, literal: bytes, logprobs: Json | None = None) -> bytes:
        chunk = self._before_text + literal + self._behind_text
        return chunk.replace(b'"logprobs":null', b'"logprobs":' + _dump(logprobs), 1) if logprobs else chunk

    def reasoning(self, literal: bytes) -> bytes:
        return self._delta(b'{"reasoning_content":' + literal + b"}")

    def call(self, index: int, call_id: str, name: str) -> bytes:
        function = {"name": name, "arguments": ""}
        if self._is_legacy:
            return self._delta(_dump({"function_call": function}))
        return self._delta(
            _dump({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})
        )

    def arguments(self, index: int, literal: bytes) -> bytes:
        if self._is_legacy:
            return self._delta(b'{"function_call":{"arguments":' + literal + b"}}")
        return self._delta(b'{"tool_calls":[{"index":%d,"function":{"arguments":' % index + literal + b"}}]}")

    def end(self, finish_reason: str, usage: Json, stop_sequence: str | None = None) -> bytes:  # noqa: ARG002
        if self._is_legacy and finish_reason == "tool_calls":
            finish_reason = "function_call"
        last = self._delta(b"{}").replace(b'"finish_reason":null', b'"finish_reason":' + _dump(finish_reason))
        counted = b"data: " + _dump({**self._head, "choices": [], "usage": usage}) + b"\n\n"
        return last + (counted if self._include_usage else b"") + b"data: [DONE]\n\n"

    def error(self, error: ApiError) -> bytes:
        return error_frame(error)

    def _delta(self, delta: bytes) -> bytes:
        return self._open + delta + self._close


class CompletionWriter:
    """Writer of `text_completion` frames, the chunks of the older completions, which hold only text."""

    def __init__(self, head: Head, *, include_usage: bool = False) -> None:
        self._head = head.to_json("text_completion")
        self._include_usage = include_usage
        self._open = b"data: " + _dump(self._head)[:-1] + b',"choices":[{"index":0,"text":'
        self._close = b',"logprobs":null,"finish_reason":null}]' + (b',"usage":null' if include_usage else b"")
        self._close += b"}\n\n"

    def start(self) -> bytes:
        return b""

    def text(self, literal: bytes, logprobs: Json | None = None) -> bytes:  # noqa: ARG002
        return self._open + literal + self._close

    def reasoning(self, literal: bytes) -> bytes:  # noqa: ARG002 - these chunks have no field for it
        return b""

    def call(self, index: int, call_id: str, name: str) -> bytes:  # noqa: ARG002
        return b""

    def arguments(self, index: int, literal: bytes) -> bytes:  # noqa: ARG002
        return b""

    def end(self, finish_reason: str, usage: Json, stop_sequence: str | None = None) -> bytes:  # noqa: ARG002
        last = self.text(b'""').replace(b'"finish_reason":null', b'"finish_reason":' + _dump(finish_reason))
        counted = b"data: " + _dump({**self._head, "choices": [], "usage": usage}) + b"\n\n"
        return last + (counted if self._include_usage else b"") + b"data: [DONE]\n\n"

    def error(self, error: ApiError) -> bytes:
        return error_frame(error)


# ---- a whole answer ----------------------------------------------------------------------------------------------


@dataclass
class CollectingWriter:
    """A Writer that collects the answer and returns no bytes. Its `error` raises."""

    text_literals: list[bytes] = field(default_factory=list[bytes])
    reasoning_literals: list[bytes] = field(default_factory=list[bytes])
    calls: dict[int, Json] = field(default_factory=dict[int, Json])
    """Index → tool call, as in a message's `tool_calls`."""
    finish_reason: str = "stop"
    stop_sequence: str | None = None
    usage: Json = field(default_factory=dict[str, Any])

    def start(self) -> bytes:
        return b""

    def text(self, literal: bytes, logprobs: Json | None = None) -> bytes:  # noqa: ARG002 - the whole object has them
        self.text_literals.append(literal)
        return b""

    def reasoning(self, literal: bytes) -> bytes:
        self.reasoning_literals.append(literal)
        return b""

    def call(self, index: int, call_id: str, name: str) -> bytes:
        self.calls[index] = {"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        return b""

    def arguments(self, index: int, literal: bytes) -> bytes:
        self.calls[index]["function"]["arguments"] += json.loads(literal)
        return b""

    def end(self, finish_reason: str, usage: Json, stop_sequence: str | None = None) -> bytes:
        self.finish_reason, self.usage, self.stop_sequence = finish_reason, usage, stop_sequence
        return b""

    def error(self, error: ApiError) -> bytes:
        raise error


def chat_completion(answer: CollectingWriter, head: Head, data: Json, *, is_legacy: bool = False) -> Json:
    """Return the `chat.completion` of a whole answer.

    data: the model's answer; what a model of OpenAI's dialect has added to it is kept, such as `logprobs`.
    is_legacy: as for ChatWriter.
    """
    choice = next(iter(objects(data.get("choices"))), None)
    envelope = {} if choice is None else {name: value for name, value in data.items() if name not in NATIVE_FIELDS}
    message = _message(answer, choice, is_legacy=is_legacy)
    is_call = answer.finish_reason == "tool_calls" and is_legacy
    finish_reason = "function_call" if is_call else answer.finish_reason
    whole = {"logprobs": None, **(choice or {}), "index": 0, "message": message, "finish_reason": finish_reason}
    return {**envelope, **head.to_json("chat.completion"), "choices": [whole], "usage": answer.usage}


NATIVE_FIELDS = ("response", "tool_calls", "p")
"""Fields of native answers, which some models put beside OpenAI's."""


def _message(answer: CollectingWriter, choice: Json | None, *, is_legacy: bool) -> Json:
    text = join_literals(answer.text_literals)
    original = (choice or {}).get("message")
    message: Json = {"refusal": None, **original} if isinstance(original, dict) else {"refusal": None}
    message |= {"role": "assistant", "content": text or None if answer.calls else text}
    for name in ("tool_calls", "function_call", "reasoning", "reasoning_content"):
        message.pop(name, None)
    if answer.reasoning_literals:
        message["reasoning_content"] = join_literals(answer.reasoning_literals)
    if answer.calls and is_legacy:
        message["function_call"] = answer.calls[min(answer.calls)]["function"]
    elif answer.calls:
        message["tool_calls"] = list(answer.calls.values())
    return message


def text_completion(answer: CollectingWriter, head: Head) -> Json:
    """Return the `text_completion` of a whole answer."""
    text = join_literals(answer.text_literals)
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": answer.finish_reason}
    return {**head.to_json("text_completion"), "choices": [choice], "usage": answer.usage}


def _dump(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
