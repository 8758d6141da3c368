"""A model's answer → what OpenAI's clients read: chunks of chat completions, or of the older completions.

Plain Python on bytes, called once for each piece that the network brings. Nearly every frame of a native stream holds a
bit of text and nothing else; its JSON string is put between two constants as it is, without being parsed.
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
"""A native frame with text only; `p` is padding."""
SINGLE_TEXT_FRAME = re.compile(TEXT_FRAME.pattern + rb"\n\n")
READ_ERRORS = (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError)
"""What reading raises if a frame is no JSON, of endless depth, or of another shape than an answer."""

Json = dict[str, Any]


class Writer(Protocol):
    """Writes an answer down as it comes. Texts are JSON strings, with their quotation marks."""

    def begin(self) -> bytes: ...

    def text(self, literal: bytes) -> bytes: ...

    def reasoning(self, literal: bytes) -> bytes: ...

    def call(self, index: int, call_id: str, name: str) -> bytes:
        """A tool call, from 0; its arguments follow."""
        ...

    def arguments(self, index: int, literal: bytes) -> bytes: ...

    def end(self, finish_reason: str, usage: Json) -> bytes: ...

    def error(self, error: ApiError) -> bytes:
        """The end of an answer that is not whole, such that clients raise it."""
        ...


@dataclass(frozen=True)
class Limits:
    """What the model itself does not keep to, or does not tell of."""

    stop: Sequence[str] = ()
    """The answer ends before the first of these."""
    max_tokens: int | None = None
    """As the model was told: an answer of so many has been cut."""
    is_single_call: bool = False
    """Leave out all tool calls but the first."""
    prompt_tokens: int = 0
    """An estimate, for models that do not count."""


class OpenAITransform:
    """One answer on its way from a model of either dialect to a Writer."""

    on_usage: Callable[[Json], object] | None = None
    """Is called with the tokens of the whole answer."""

    def __init__(self, writer: Writer, limits: Limits = Limits(), answer_id: str = "") -> None:
        """answer_id: makes ids for tool calls that the model gives none."""
        self._writer = writer
        self._answer_id = answer_id
        self._limits = limits
        self._rest = b""
        self._has_begun = False
        self._is_over = False
        self._stop_filter = StopFilter(limits.stop) if limits.stop else None
        self._calls: set[int] = set()
        self._pieces = 0
        """Of text, reasoning and arguments: about one a token."""
        self._finish_reason: str | None = None
        self._usage: Json = {}

    def transform(self, chunk: bytes) -> bytes:
        """What becomes of the next piece of the model's stream, however the network has cut it."""
        # a model at its pace writes frame by frame, and so the network brings them
        if self._takes_plain and not self._rest and (plain := SINGLE_TEXT_FRAME.fullmatch(chunk)) and chunk.isascii():
            return self._counted(self._writer.text(plain[1]))
        *blocks, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        return b"".join([self._frame(block) for block in blocks])

    def finish(self) -> bytes:
        """What follows when the stream has ended: nothing, if it has come to its end."""
        return b"" if self._is_over else self._broken("it ended early")

    def fail(self, reason: str) -> str:
        """What follows when the stream has broken off."""
        return self._broken(reason).decode()

    def transform_whole(self, answer: Json) -> bytes:
        """What becomes of an answer that has come at once."""
        return b"".join(self._said(answer)) + self._end()

    @property
    def _takes_plain(self) -> bool:
        return self._has_begun and self._stop_filter is None and not self._is_over

    def _frame(self, block: bytes) -> bytes:
        plain = TEXT_FRAME.fullmatch(block)
        if plain and self._takes_plain and _is_utf8(plain[1]):
            return self._counted(self._writer.text(plain[1]))
        lines = [line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
        if self._is_over or not lines:
            return b""
        return self._data(b"\n".join(lines))

    def _data(self, text: bytes) -> bytes:
        if text == b"[DONE]":
            return self._end()
        try:
            return self._read(json.loads(text))
        except READ_ERRORS:
            return self._broken("a frame of it cannot be read")

    def _read(self, data: Any) -> bytes:
        match data:
            case {"error": error} | {"errors": [error, *_]} if error:
                return self._broken(error["message"] if isinstance(error, dict) and "message" in error else str(error))  # pyright: ignore[reportUnknownArgumentType]
            case dict():
                return b"".join(self._said(cast("Json", data)))
            case _:
                raise TypeError

    def _said(self, data: Json) -> Iterator[bytes]:
        """What a frame or a whole answer says, in either dialect."""
        self._usage = _counts(data.get("usage")) or self._usage
        choices: list[Json] = data.get("choices", [data])
        for choice in choices[:1]:
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            said: Json = choice.get("delta") or choice.get("message") or choice
            if reasoning := said.get("reasoning_content") or said.get("reasoning"):
                yield self._begun() + self._counted(self._writer.reasoning(_literal(_text(reasoning))))
            text = next((said[name] for name in TEXTS if said.get(name) not in (None, "")), "")
            # JSON mode of native models answers the object itself, and some write a token that is a number as one
            yield self._text(_text(text))
            for number, call in enumerate(cast("list[Json]", said.get("tool_calls") or [])):
                yield from self._call(number, call)

    def _text(self, text: str) -> bytes:
        if self._stop_filter and not self._stop_filter.has_stopped:
            text = self._stop_filter.feed(text)
        elif self._stop_filter:
            text = ""
        return self._begun() + self._counted(self._writer.text(_literal(text))) if text else b""

    def _call(self, number: int, call: Json) -> Iterator[bytes]:
        function: Json = call.get("function") or call
        index: int = call["index"] if isinstance(call.get("index"), int) else number
        if self._limits.is_single_call and index > 0:
            return
        if index not in self._calls and function.get("name"):
            self._calls.add(index)
            yield self._begun() + self._writer.call(index, self._call_id(call, index), function["name"])
        arguments = function.get("arguments")
        if arguments not in (None, "") and index in self._calls:
            # native models answer an object where OpenAI's dialect has its text
            yield self._counted(self._writer.arguments(index, _literal(_text(arguments))))

    def _call_id(self, call: Json, index: int) -> str:
        return call.get("id") or f"call_{self._answer_id.rpartition('-')[2].rpartition('_')[2]}{index}"

    def _begun(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        return self._writer.begin()

    def _counted(self, written: bytes) -> bytes:
        self._pieces += 1
        return written

    def _end(self) -> bytes:
        held = self._stop_filter.flush() if self._stop_filter else ""
        written = self._begun() + (self._writer.text(_literal(held)) if held else b"")
        self._is_over = True
        usage = self._whole_usage()
        if self.on_usage:
            self.on_usage(usage)
        return written + self._writer.end(self._reason(usage), usage)

    def _whole_usage(self) -> Json:
        given, answered = self._limits.prompt_tokens, self._pieces
        counted = self._usage or {"prompt_tokens": given, "completion_tokens": answered}
        return {"total_tokens": counted.get("prompt_tokens", 0) + counted.get("completion_tokens", 0), **counted}

    def _reason(self, usage: Json) -> str:
        if self._stop_filter and self._stop_filter.has_stopped:
            return "stop"
        if self._finish_reason:
            return self._finish_reason
        most = self._limits.max_tokens
        if most is not None and usage.get("completion_tokens", 0) >= most:
            return "length"
        return "tool_calls" if self._calls else "stop"

    def _broken(self, reason: str) -> bytes:
        if self._is_over:
            return b""
        self._is_over = True
        return self._writer.error(broken_stream_error(reason))


def broken_stream_error(reason: str) -> ApiError:
    return ApiError("upstream_error", f"The model's answer broke off: {reason}")


class StopFilter:
    """A text up to the first of some sequences, which may be spread over several pieces of it."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = sequences
        self._held = ""
        self.has_stopped = False

    def feed(self, piece: str) -> str:
        """What is certain to come before any of the sequences."""
        text = self._held + piece
        found = [at for each in self._sequences if (at := text.find(each)) >= 0]
        if found:
            self.has_stopped, self._held = True, ""
            return text[: min(found)]
        held = max(_overlap(text, each) for each in self._sequences)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> str:
        """What was held back and turned out to be no such sequence."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, sequence: str) -> int:
    """How many letters at the end of the text may begin the sequence."""
    longest = min(len(text), len(sequence) - 1)
    return next((size for size in range(longest, 0, -1) if sequence.startswith(text[-size:])), 0)


def _text(said: Any) -> str:
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


def _is_utf8(literal: bytes) -> bool:
    if literal.isascii():
        return True
    try:
        literal.decode()
    except UnicodeDecodeError:
        return False
    return True


def _counts(usage: Any) -> Json:
    """Of what a model says of its tokens, what has the type that clients expect."""
    given = cast("Json", usage) if isinstance(usage, dict) else {}
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, dict if name.endswith("_details") else int | float)
    }


def _literal(text: str) -> bytes:
    # in ASCII: half of a surrogate pair, as a cut in its JSON leaves it, has no UTF-8
    return json.dumps(text).encode()


def join_literals(literals: Sequence[bytes]) -> str:
    """The text of several JSON strings in a row."""
    return json.loads(b'"' + b"".join([literal[1:-1] for literal in literals]) + b'"')


# ---- chunks ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Head:
    """What every chunk of an answer repeats."""

    id: str
    created: int
    """Seconds since 1970."""
    model: str

    def to_json(self, kind: str) -> Json:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def error_frame(error: ApiError) -> bytes:
    """The frame at which OpenAI's clients raise an APIError."""
    return b"data: " + _dumped(error.to_openai()) + b"\n\n"


class ChatWriter:
    """`chat.completion.chunk`s."""

    def __init__(self, head: Head, *, include_usage: bool = False, is_legacy: bool = False) -> None:
        """is_legacy: a tool call is written as `function_call`, for requests with `functions`."""
        self._head = head.to_json("chat.completion.chunk")
        self._include_usage = include_usage
        self._is_legacy = is_legacy
        usage = b',"usage":null' if include_usage else b""
        self._open = b"data: " + _dumped(self._head)[:-1] + b',"choices":[{"index":0,"delta":'
        self._close = b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self._before_text, self._behind_text = self._open + b'{"content":', b"}" + self._close

    def begin(self) -> bytes:
        return self._delta(b'{"role":"assistant","content":"","refusal":null}')

    def text(self, literal: bytes) -> bytes:
        return self._before_text + literal + self._behind_text

    def reasoning(self, literal: bytes) -> bytes:
        return self._delta(b'{"reasoning_content":' + literal + b"}")

    def call(self, index: int, call_id: str, name: str) -> bytes:
        function = {"name": name, "arguments": ""}
        if self._is_legacy:
            return self._delta(_dumped({"function_call": function}))
        return self._delta(
            _dumped({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})
        )

    def arguments(self, index: int, literal: bytes) -> bytes:
        if self._is_legacy:
            return self._delta(b'{"function_call":{"arguments":' + literal + b"}}")
        return self._delta(b'{"tool_calls":[{"index":%d,"function":{"arguments":' % index + literal + b"}}]}")

    def end(self, finish_reason: str, usage: Json) -> bytes:
        if self._is_legacy and finish_reason == "tool_calls":
            finish_reason = "function_call"
        last = self._delta(b"{}").replace(b'"finish_reason":null', b'"finish_reason":' + _dumped(finish_reason))
        counted = b"data: " + _dumped({**self._head, "choices": [], "usage": usage}) + b"\n\n"
        return last + (counted if self._include_usage else b"") + b"data: [DONE]\n\n"

    def error(self, error: ApiError) -> bytes:
        return error_frame(error)

    def _delta(self, delta: bytes) -> bytes:
        return self._open + delta + self._close


class CompletionWriter:
    """Chunks of the older completions, `text_completion`: text only."""

    def __init__(self, head: Head, *, include_usage: bool = False) -> None:
        self._head = head.to_json("text_completion")
        self._include_usage = include_usage
        self._open = b"data: " + _dumped(self._head)[:-1] + b',"choices":[{"index":0,"text":'
        self._close = b',"logprobs":null,"finish_reason":null}]' + (b',"usage":null' if include_usage else b"")
        self._close += b"}\n\n"

    def begin(self) -> bytes:
        return b""

    def text(self, literal: bytes) -> bytes:
        return self._open + literal + self._close

    def reasoning(self, literal: bytes) -> bytes:  # noqa: ARG002 - it has no place there
        return b""

    def call(self, index: int, call_id: str, name: str) -> bytes:  # noqa: ARG002
        return b""

    def arguments(self, index: int, literal: bytes) -> bytes:  # noqa: ARG002
        return b""

    def end(self, finish_reason: str, usage: Json) -> bytes:
        last = self.text(b'""').replace(b'"finish_reason":null', b'"finish_reason":' + _dumped(finish_reason))
        counted = b"data: " + _dumped({**self._head, "choices": [], "usage": usage}) + b"\n\n"
        return last + (counted if self._include_usage else b"") + b"data: [DONE]\n\n"

    def error(self, error: ApiError) -> bytes:
        return error_frame(error)


# ---- a whole answer ----------------------------------------------------------------------------------------------


@dataclass
class CollectingWriter:
    """A Writer that keeps the answer instead of writing it."""

    texts: list[bytes] = field(default_factory=list[bytes])
    thoughts: list[bytes] = field(default_factory=list[bytes])
    calls: dict[int, Json] = field(default_factory=dict[int, Json])
    """Index → a tool call as a message has it."""
    finish_reason: str = "stop"
    usage: Json = field(default_factory=dict[str, Any])

    def begin(self) -> bytes:
        return b""

    def text(self, literal: bytes) -> bytes:
        self.texts.append(literal)
        return b""

    def reasoning(self, literal: bytes) -> bytes:
        self.thoughts.append(literal)
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


def chat_completion(said: CollectingWriter, head: Head, *, is_legacy: bool = False) -> Json:
    text = join_literals(said.texts)
    message: Json = {"role": "assistant", "content": text or None if said.calls else text, "refusal": None}
    if said.thoughts:
        message["reasoning_content"] = join_literals(said.thoughts)
    finish_reason = said.finish_reason
    if said.calls and is_legacy:
        message["function_call"] = said.calls[min(said.calls)]["function"]
        finish_reason = "function_call"
    elif said.calls:
        message["tool_calls"] = list(said.calls.values())
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    return {**head.to_json("chat.completion"), "choices": [choice], "usage": said.usage}


def text_completion(said: CollectingWriter, head: Head) -> Json:
    choice = {"index": 0, "text": join_literals(said.texts), "logprobs": None, "finish_reason": said.finish_reason}
    return {**head.to_json("text_completion"), "choices": [choice], "usage": said.usage}


def _dumped(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
