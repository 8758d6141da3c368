"""Transformation of a model's answer, native or OpenAI's, into the chunks that OpenAI's clients read.

Plain Python on bytes, called once for each chunk of the network. Nearly every frame of a native stream holds only a bit
of text; its JSON string is put between two constants as it is, without being parsed.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from aiworker.errors import ApiError
from aiworker.models.completion import TEXTS

TEXT_FRAME = re.compile(
    rb'data: ?\{"response": ?("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    rb'(?:, ?"p": ?"[^"\\\x00-\x1f]*+")?\}'
)
"""A native frame with nothing but text, and padding (`p`). The first group is the text as a JSON string."""
SINGLE_TEXT_FRAME = re.compile(TEXT_FRAME.pattern + rb"\n\n")
READ_ERRORS = (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError)
"""Exceptions that reading a frame raises if it is not JSON, is nested too deeply, or has not the shape of an answer."""

Json = dict[str, Any]


class Writer(Protocol):
    """Encodes the parts of an answer for one kind of client; each method returns the bytes to send.

    literal: a text as a JSON string, with its quotation marks.
    """

    def start(self) -> bytes: ...

    def text(self, literal: bytes) -> bytes: ...

    def reasoning(self, literal: bytes) -> bytes: ...

    def call(self, index: int, call_id: str, name: str) -> bytes:
        """Begin a tool call; its arguments follow. index: number of the call in the answer, from 0."""
        ...

    def arguments(self, index: int, literal: bytes) -> bytes:
        """Add a part of the arguments of the tool call `index`: a part of a JSON object as text."""
        ...

    def end(self, finish_reason: str, usage: Json) -> bytes: ...

    def error(self, error: ApiError) -> bytes:
        """End an incomplete answer, so that clients raise the error."""
        ...


@dataclass(frozen=True)
class Limits:
    """Parameters of the request that the Worker applies where the model does not."""

    stop: Sequence[str] = ()
    """Stop sequences: the answer ends before the first of them."""
    max_tokens: int | None = None
    """The `max_tokens` that the model was sent: an answer with that many was cut."""
    is_single_call: bool = False
    """All tool calls but the first are left out."""
    prompt_tokens: int = 0
    """An estimate, for models that report no usage."""


class OpenAITransform:
    """aiworker.bindings.StreamTransform of one answer, in either dialect, into a Writer's bytes."""

    on_usage: Callable[[Json], object] | None = None
    """Called with the usage of the whole answer."""

    def __init__(self, writer: Writer, limits: Limits = Limits(), answer_id: str = "") -> None:
        """answer_id: id of the answer, from which ids are made for tool calls to which the model gives none."""
        self._writer = writer
        self._answer_id = answer_id
        self._limits = limits
        self._partial = b""
        self._has_begun = False
        self._is_over = False
        self._stop_filter = StopFilter(limits.stop) if limits.stop else None
        self._calls: set[int] = set()
        self._pieces = 0
        """Number of pieces of text, reasoning and arguments: about one a token."""
        self._finish_reason: str | None = None
        self._usage: Json = {}

    def transform(self, chunk: bytes) -> bytes:
        """Transform the next chunk of the model's stream, which may begin and end within a frame."""
        # a model usually writes more slowly than the network sends: each chunk is one frame
        is_ready = self._accepts_text_frame and not self._partial
        if is_ready and (match := SINGLE_TEXT_FRAME.fullmatch(chunk)) and chunk.isascii():
            return self._count(self._writer.text(match[1]))
        *blocks, self._partial = (self._partial + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        return b"".join([self._transform_frame(block) for block in blocks])

    def finish(self) -> bytes:
        """Return what follows when the stream has closed: nothing, or an error if the answer is incomplete."""
        return b"" if self._is_over else self._break_off("it ended early")

    def fail(self, reason: str) -> str:
        """Return the error that follows a stream that has broken off."""
        return self._break_off(reason).decode()

    def transform_whole(self, answer: Json) -> bytes:
        """Transform an answer that is not a stream."""
        return b"".join(self._transform_completion(answer)) + self._finish()

    @property
    def _accepts_text_frame(self) -> bool:
        """True if the next frame's text can be sent unparsed."""
        return self._has_begun and self._stop_filter is None and not self._is_over

    def _transform_frame(self, block: bytes) -> bytes:
        text_frame = TEXT_FRAME.fullmatch(block)
        if text_frame and self._accepts_text_frame and _is_utf8(text_frame[1]):
            return self._count(self._writer.text(text_frame[1]))
        lines = [line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
        if self._is_over or not lines:
            return b""
        return self._transform_data(b"\n".join(lines))

    def _transform_data(self, text: bytes) -> bytes:
        if text == b"[DONE]":
            return self._finish()
        try:
            return self._transform_json(json.loads(text))
        except READ_ERRORS:
            return self._break_off("a frame of it cannot be read")

    def _transform_json(self, data: Any) -> bytes:
        match data:
            case {"error": error} | {"errors": [error, *_]} if error:
                message = error["message"] if isinstance(error, dict) and "message" in error else str(error)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
                return self._break_off(cast("str", message))
            case dict():
                return b"".join(self._transform_completion(cast("Json", data)))
            case _:
                raise TypeError

    def _transform_completion(self, data: Json) -> Iterator[bytes]:
        """Yield the transformed parts of a frame's data, or of a whole answer, in either dialect."""
        self._usage = _valid_counts(data.get("usage")) or self._usage
        choices: list[Json] = data.get("choices", [data])
        for choice in choices[:1]:
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            message: Json = choice.get("delta") or choice.get("message") or choice
            if reasoning := message.get("reasoning_content") or message.get("reasoning"):
                yield self._start() + self._count(self._writer.reasoning(_literal(_to_text(reasoning))))
            text = next((message[name] for name in TEXTS if message.get(name) not in (None, "")), "")
            # native models answer an object in JSON mode, and some of them send a token that is a number as a number
            yield self._transform_text(_to_text(text))
            for number, call in enumerate(cast("list[Json]", message.get("tool_calls") or [])):
                yield from self._transform_call(number, call)

    def _transform_text(self, text: str) -> bytes:
        if self._stop_filter and not self._stop_filter.has_stopped:
            text = self._stop_filter.feed(text)
        elif self._stop_filter:
            text = ""
        return self._start() + self._count(self._writer.text(_literal(text))) if text else b""

    def _transform_call(self, number: int, call: Json) -> Iterator[bytes]:
        function: Json = call.get("function") or call
        index: int = call["index"] if isinstance(call.get("index"), int) else number
        if self._limits.is_single_call and index > 0:
            return
        if index not in self._calls and function.get("name"):
            self._calls.add(index)
            yield self._start() + self._writer.call(index, self._call_id(call, index), function["name"])
        arguments = function.get("arguments")
        if arguments not in (None, "") and index in self._calls:
            # native models send an object where OpenAI's dialect has its JSON text
            yield self._count(self._writer.arguments(index, _literal(_to_text(arguments))))

    def _call_id(self, call: Json, index: int) -> str:
        return call.get("id") or f"call_{self._answer_id.rpartition('-')[2].rpartition('_')[2]}{index}"

    def _start(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        return self._writer.start()

    def _count(self, encoded: bytes) -> bytes:
        """Count a piece of the answer, and return its bytes."""
        self._pieces += 1
        return encoded

    def _finish(self) -> bytes:
        last = self._stop_filter.flush() if self._stop_filter else ""
        encoded = self._start() + (self._writer.text(_literal(last)) if last else b"")
        self._is_over = True
        usage = self._total_usage()
        if self.on_usage:
            self.on_usage(usage)
        return encoded + self._writer.end(self._choose_finish_reason(usage), usage)

    def _total_usage(self) -> Json:
        """Return the usage that the model reports, else an estimate, with the total."""
        estimate = {"prompt_tokens": self._limits.prompt_tokens, "completion_tokens": self._pieces}
        usage = self._usage or estimate
        return {"total_tokens": usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0), **usage}

    def _choose_finish_reason(self, usage: Json) -> str:
        if self._stop_filter and self._stop_filter.has_stopped:
            return "stop"
        if self._finish_reason:
            return self._finish_reason
        maximum = self._limits.max_tokens
        if maximum is not None and usage.get("completion_tokens", 0) >= maximum:
            return "length"
        return "tool_calls" if self._calls else "stop"

    def _break_off(self, reason: str) -> bytes:
        if self._is_over:
            return b""
        self._is_over = True
        return self._writer.error(broken_stream_error(reason))


def broken_stream_error(reason: str) -> ApiError:
    """Return the error for an answer that is incomplete."""
    return ApiError("upstream_error", f"The model's answer broke off: {reason}")


class StopFilter:
    """Cuts a text, which comes in pieces, before the first stop sequence; a sequence may span several pieces."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = sequences
        self._buffered = ""
        self.has_stopped = False

    def feed(self, piece: str) -> str:
        """Add a piece; return the text that can be sent now. What may begin a stop sequence is buffered."""
        text = self._buffered + piece
        positions = [position for each in self._sequences if (position := text.find(each)) >= 0]
        if positions:
            self.has_stopped, self._buffered = True, ""
            return text[: min(positions)]
        overlap = max(_overlap(text, each) for each in self._sequences)
        self._buffered = text[len(text) - overlap :]
        return text[: len(text) - overlap]

    def flush(self) -> str:
        """Return the buffered text, which has turned out to be no stop sequence."""
        text, self._buffered = self._buffered, ""
        return text


def _overlap(text: str, sequence: str) -> int:
    """Return the number of characters at the end of the text that the sequence begins with."""
    longest = min(len(text), len(sequence) - 1)
    return next((size for size in range(longest, 0, -1) if sequence.startswith(text[-size:])), 0)


def _to_text(value: Any) -> str:
    """Return a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_utf8(literal: bytes) -> bool:
    if literal.isascii():
        return True
    try:
        literal.decode()
    except UnicodeDecodeError:
        return False
    return True


def _valid_counts(usage: Any) -> Json:
    """Return the entries of a model's usage that have the types that clients expect."""
    entries = cast("Json", usage) if isinstance(usage, dict) else {}
    return {
        name: value
        for name, value in entries.items()
        if isinstance(value, dict if name.endswith("_details") else int | float)
    }


def _literal(text: str) -> bytes:
    # in ASCII: half of a surrogate pair, which a model may send, has no UTF-8
    return json.dumps(text).encode()


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

    def text(self, literal: bytes) -> bytes:
        return self._before_text + literal + self._behind_text

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

    def end(self, finish_reason: str, usage: Json) -> bytes:
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

    def text(self, literal: bytes) -> bytes:
        return self._open + literal + self._close

    def reasoning(self, literal: bytes) -> bytes:  # noqa: ARG002 - these chunks have no field for it
        return b""

    def call(self, index: int, call_id: str, name: str) -> bytes:  # noqa: ARG002
        return b""

    def arguments(self, index: int, literal: bytes) -> bytes:  # noqa: ARG002
        return b""

    def end(self, finish_reason: str, usage: Json) -> bytes:
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
    usage: Json = field(default_factory=dict[str, Any])

    def start(self) -> bytes:
        return b""

    def text(self, literal: bytes) -> bytes:
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

    def end(self, finish_reason: str, usage: Json) -> bytes:
        self.finish_reason, self.usage = finish_reason, usage
        return b""

    def error(self, error: ApiError) -> bytes:
        raise error


def chat_completion(answer: CollectingWriter, head: Head, *, is_legacy: bool = False) -> Json:
    """Return the `chat.completion` of a whole answer. is_legacy: as for ChatWriter."""
    text = join_literals(answer.text_literals)
    message: Json = {"role": "assistant", "content": text or None if answer.calls else text, "refusal": None}
    if answer.reasoning_literals:
        message["reasoning_content"] = join_literals(answer.reasoning_literals)
    finish_reason = answer.finish_reason
    if answer.calls and is_legacy:
        message["function_call"] = answer.calls[min(answer.calls)]["function"]
        finish_reason = "function_call"
    elif answer.calls:
        message["tool_calls"] = list(answer.calls.values())
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    return {**head.to_json("chat.completion"), "choices": [choice], "usage": answer.usage}


def text_completion(answer: CollectingWriter, head: Head) -> Json:
    """Return the `text_completion` of a whole answer."""
    text = join_literals(answer.text_literals)
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": answer.finish_reason}
    return {**head.to_json("text_completion"), "choices": [choice], "usage": answer.usage}


def _dump(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
