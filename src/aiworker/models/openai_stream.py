"""Transformation of a model's answer, in any dialect, into what OpenAI's clients read.

Plain Python on bytes, called once for each chunk of the network. Nearly every frame holds only a bit of text; its JSON
string is put between two constants as it is, without being parsed.
"""

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import cast

from aiworker.errors import ApiError
from aiworker.models.answer_reader import AnswerReader, Parts, broken_stream_error, no_answer_error
from aiworker.models.completion import DONE, Frames, frame_payloads
from aiworker.models.forced_call import WrittenCalls
from aiworker.models.openai_writers import Writer
from aiworker.models.tool_calls import CallPart, Json

STRING = rb'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
PLAIN = rb'"[^"\\\x00-\x1f]*+"'
NULLS = rb'(?:, ?"\w++": ?(?:null|\[\]))*+'
TEXT_FRAME = re.compile(
    rb"data: ?\{(?:(?:"
    rb'"response": ?(?P<response>' + STRING + rb")|"
    rb'"choices": ?\[\{(?:"index": ?0, ?)?"delta": ?\{(?:"role": ?"assistant", ?)?"content": ?(?P<content>'
    + STRING + rb")" + NULLS + rb'(?:, ?"role": ?"assistant")?\}(?:, ?"(?:index": ?0|\w++": ?null))*+\}\]|'
    rb'"usage": ?(?P<usage>null|\{[^{}]*+(?:\{[^{}]*+\}[^{}]*+)*+\})|'
    rb'"(?:p|id|object|model|created|system_fingerprint|service_tier|tool_calls)": ?'
    rb"(?:" + PLAIN + rb"|\d++|null|\[\])"
    rb")(?:, ?|(?=\})))++\}"
)  # fmt: skip
"""A frame with nothing but text, in either dialect or both: `response` and `content` are its text as a JSON string."""
SINGLE_TEXT_FRAME = re.compile(TEXT_FRAME.pattern + rb"\n\n")
READ_ERRORS = (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError)
"""Exceptions that reading a frame raises if it is not JSON, or is nested too deeply."""
EMPTY = b'""'


@dataclass(frozen=True)
class Limits:
    """Parameters of the request that the Worker applies where the model does not."""

    stop: Sequence[str] = ()
    """Stop sequences: the answer ends before the first of them."""
    max_tokens: int | None = None
    """The `max_tokens` that the model was sent: an answer with that many was cut."""
    is_single_call: bool = False
    """All tool calls but the first are left out."""
    required_tools: Collection[str] = ()
    """Names of the tools one of which `tool_choice` requires. A text that has the form of such a call becomes the
    call."""
    known_call_ids: Collection[str] = ()
    """Ids of the tool calls in the request's messages."""
    prompt_tokens: int = 0
    """An estimate, for models that report no usage."""


class OpenAITransform:
    """aiworker.bindings.StreamTransform of one answer, in either dialect, into a Writer's bytes."""

    on_usage: Callable[[Json], object] | None = None
    """Called with the usage of the whole answer."""

    def __init__(self, writer: Writer, limits: Limits = Limits(), answer_id: str = "") -> None:
        """answer_id: id of the answer, from which ids are made for tool calls to which the model gives none."""
        self._writer = writer
        self._limits = limits
        self._reader = AnswerReader(
            answer_id, is_single_call=limits.is_single_call, known_ids=limits.known_call_ids
        )  # fmt: skip
        self._frames = Frames()
        self._has_begun = False
        self._is_over = False
        self._stop_filter = StopFilter(limits.stop) if limits.stop else None
        self._written_calls = WrittenCalls(limits.required_tools) if limits.required_tools else None
        self._pieces = 0
        """Number of pieces of text, reasoning and arguments: about one a token."""

    def transform(self, chunk: bytes) -> bytes:
        """Transform the next chunk of the model's stream, which may begin and end within a frame."""
        # a model usually writes more slowly than the network sends, so that each chunk is one frame
        is_ready = self._accepts_text_frame and not self._frames.has_rest
        if is_ready and (match := SINGLE_TEXT_FRAME.fullmatch(chunk)) and chunk.isascii():
            encoded = self._transform_text_frame(match)
            if encoded is not None:
                return encoded
        try:
            blocks = self._frames.feed(chunk)
        except ApiError as error:
            return self._end_with(error)
        return b"".join([self._transform_frame(block) for block in blocks])

    def finish(self) -> bytes:
        """Return what follows when the stream has closed: nothing, or an error if the answer is incomplete."""
        encoded = self._transform_frame(self._frames.rest())
        if self._is_over:
            return encoded
        # some servers give the reason for the end, and leave out `[DONE]`
        return encoded + (self._finish() if self._reader.has_reason else self._break_off("it ended early"))

    def fail(self, reason: str) -> str:
        """Return the error that follows a stream that has broken off."""
        return self._break_off(reason).decode()

    def transform_whole(self, answer: Json) -> bytes:
        """Transform an answer that is not a stream."""
        encoded = self._transform_json(answer)
        return encoded if self._is_over else encoded + self._finish()

    @property
    def _accepts_text_frame(self) -> bool:
        """True if the next frame's text can be sent unparsed."""
        return self._has_begun and not (self._stop_filter or self._written_calls or self._is_over)

    def _transform_frame(self, block: bytes) -> bytes:
        if self._accepts_text_frame and (match := TEXT_FRAME.fullmatch(block)) and _is_utf8(block):
            encoded = self._transform_text_frame(match)
            if encoded is not None:
                return encoded
        return b"".join([self._transform_data(payload) for payload in frame_payloads(block)])

    def _transform_text_frame(self, match: re.Match[bytes]) -> bytes | None:
        """Transform a frame that is only text, without parsing it; None if it must be parsed."""
        response, content, usage = match["response"], match["content"], match["usage"]
        literal = response if content in (None, EMPTY) else content
        if literal is None or response not in (None, EMPTY, literal):
            return None
        if usage is not None:
            try:
                self._reader.add_usage(json.loads(usage))
            except READ_ERRORS:
                return None
        return b"" if literal == EMPTY else self._count(self._writer.text(literal))

    def _transform_data(self, payload: bytes) -> bytes:
        if self._is_over:
            return b""
        if payload == DONE.encode():
            return self._finish()
        try:
            data = json.loads(payload)
        except READ_ERRORS:
            return self._break_off("a frame of it cannot be read")
        if not isinstance(data, dict):
            return self._break_off("a frame of it is no object")
        return self._transform_json(cast("Json", data))

    def _transform_json(self, data: Json) -> bytes:
        """Transform a frame's data, or a whole answer, in either dialect."""
        try:
            parts = self._reader.read(data)
        except ApiError as error:
            return self._end_with(error)
        reasoning = self._write_reasoning(parts.reasoning) if parts.reasoning else b""
        return reasoning + self._transform_text(parts) + self._transform_calls(parts.calls)

    def _write_reasoning(self, text: str) -> bytes:
        return self._start() + self._count(self._writer.reasoning(_literal(text)))

    def _transform_text(self, parts: Parts) -> bytes:
        text = parts.text
        if self._stop_filter:
            text = "" if self._stop_filter.has_stopped else self._stop_filter.feed(text)
        if self._written_calls:
            text = self._written_calls.feed(text)
        return self._write_text(text, parts.logprobs) if text else b""

    def _write_text(self, text: str, logprobs: Json | None = None) -> bytes:
        return self._start() + self._count(self._writer.text(_literal(text), logprobs))

    def _transform_calls(self, parts: list[CallPart]) -> bytes:
        encoded = b""
        for part in parts:
            if part.name:
                encoded += self._start() + self._writer.call(part.index, part.id, part.name)
            else:
                encoded += self._count(self._writer.arguments(part.index, _literal(part.arguments)))
        return encoded

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
        if not self._reader.is_answer:
            return self._end_with(no_answer_error())
        encoded = self._flush() + self._transform_calls(self._reader.finish()) + self._start()
        self._is_over = True
        usage = self._total_usage()
        if self.on_usage:
            self.on_usage(usage)
        stop_sequence = self._stop_filter.matched if self._stop_filter else None
        return encoded + self._writer.end(self._choose_finish_reason(usage), usage, stop_sequence)

    def _flush(self) -> bytes:
        """Return what the filters have held back."""
        text = self._stop_filter.flush() if self._stop_filter else ""
        calls: list[Json] = []
        if self._written_calls:
            text = self._written_calls.feed(text)
            calls, rest = self._written_calls.finish()
            text += rest
        return (self._write_text(text) if text else b"") + self._transform_calls(self._reader.read_calls(calls))

    def _total_usage(self) -> Json:
        """Return the usage that the model reports, else an estimate, with the total."""
        estimate = {"prompt_tokens": self._limits.prompt_tokens, "completion_tokens": self._pieces}
        usage = {**estimate, **self._reader.usage}
        return {"total_tokens": usage["prompt_tokens"] + usage["completion_tokens"], **usage}

    def _choose_finish_reason(self, usage: Json) -> str:
        if self._stop_filter and self._stop_filter.has_stopped:
            return "tool_calls" if self._reader.has_calls else "stop"
        if reason := self._reader.finish_reason:
            return reason
        maximum = self._limits.max_tokens
        if maximum is not None and usage["completion_tokens"] >= maximum:
            return "length"
        return "tool_calls" if self._reader.has_calls else "stop"

    def _break_off(self, reason: str) -> bytes:
        return self._end_with(broken_stream_error(reason))

    def _end_with(self, error: ApiError) -> bytes:
        if self._is_over:
            return b""
        self._is_over = True
        return self._writer.error(error)


class StopFilter:
    """Cuts a text, which comes in pieces, before the first stop sequence; a sequence may span several pieces."""

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = sequences
        self._buffered = ""
        self.matched: str | None = None
        """The stop sequence that has ended the text; None before that."""

    @property
    def has_stopped(self) -> bool:
        return self.matched is not None

    def feed(self, piece: str) -> str:
        """Add a piece; return the text that can be sent now. What may begin a stop sequence is buffered."""
        text = self._buffered + piece
        positions = [(position, each) for each in self._sequences if (position := text.find(each)) >= 0]
        if positions:
            end, self.matched = min(positions)
            self._buffered = ""
            return text[:end]
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


def _is_utf8(literal: bytes) -> bool:
    if literal.isascii():
        return True
    try:
        literal.decode()
    except UnicodeDecodeError:
        return False
    return True


def _literal(text: str) -> bytes:
    # in ASCII: half of a surrogate pair, which a model may send, has no UTF-8
    return json.dumps(text).encode()
