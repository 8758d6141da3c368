"""Answers of the user's server: frames or a whole completion, read piece by piece."""

import json
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from workers_ai_simulator.text import shortened, tokens
from workers_ai_simulator.text_generation.conversation import Conversation
from workers_ai_simulator.text_generation.frames import Delta, Json, Usage

END_OF_LINE = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""End of a line. A carriage return at the end of a chunk may be the first half of one."""
OPEN_TAG, CLOSE_TAG = "<think>", "</think>"


class NoAnswerError(ValueError):
    """The server sent no answer, or one that cannot be read, for the reason in the message."""


async def events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[str]:
    """Data of the events of a `text/event-stream`, whose chunks may end anywhere.

    Lines are split as bytes: Python and httpx would split texts at U+2028 as well, which JSON may contain.
    """
    rest, data = b"", list[str]()
    async for chunk in chunks:
        *lines, rest = END_OF_LINE.split(rest + chunk)
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" ").decode(errors="replace"))
            elif not line and data:
                yield "\n".join(data)
                data = []
    if rest.startswith(b"data:"):
        data.append(rest[5:].strip().decode(errors="replace"))
    if data:
        yield "\n".join(data)


class CompletionReader:
    """Reads one answer: `read` takes its chunks, `end` comes after the last; both return the pieces to write."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._splitter = _ReasoningSplitter()
        self._calls = _Calls()
        self._generated = list[str]()
        """All pieces, also those of reasoning that is not shown."""
        self._reported_usage: Usage | None = None
        self._is_in_reasoning = False
        """Whether reasoning is being written into the text."""
        self._finish_reason = ""

    @property
    def has_ended(self) -> bool:
        """Whether the server has sent a finish reason."""
        return bool(self._finish_reason)

    @property
    def finish_reason(self) -> str:
        """`stop`, `length`, `tool_calls`, or another reason of the server."""
        reported = self._finish_reason or "stop"
        return "tool_calls" if self._calls.count and reported in ("stop", "function_call") else reported

    @property
    def usage(self) -> Usage:
        """Usage that the server reports, else counted as the simulator counts."""
        if self._reported_usage:
            return self._reported_usage
        prompt, completion = self._conversation.prompt_tokens, len(tokens("".join(self._generated)))
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def read(self, chunk: str | bytes, is_whole: bool = False) -> Iterator[Delta]:
        """Pieces in a chunk, or in a whole completion, which must have a message.

        Raises NoAnswerError if it is neither.
        """
        completion = json_object(chunk, "chat completion")
        if isinstance(completion.get("usage"), dict):
            self._reported_usage = _usage(completion["usage"]) or self._reported_usage
        match completion.get("choices"):
            case [{**choice}, *_]:
                pass
            case [] if not is_whole:  # only the usage
                return
            case _:
                raise NoAnswerError(f"this is no chat completion: {_excerpt(chunk)}")
        message = choice.get("delta") or choice.get("message")
        if is_whole and not message:
            raise NoAnswerError(f"this is no chat completion, since it has no message: {_excerpt(chunk)}")
        if isinstance(message, dict):
            yield from self._shown(self._pieces(cast("Json", message)))
        if isinstance(choice.get("finish_reason"), str):
            self._finish_reason = choice["finish_reason"]

    def end(self) -> Iterator[Delta]:
        yield from self._shown(self._splitter.end())
        if self._is_in_reasoning:
            self._is_in_reasoning = False
            yield Delta("text", f"\n{CLOSE_TAG}\n\n")

    def _pieces(self, message: Json) -> Iterator[Delta]:
        reasoning = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(reasoning, str):
            yield Delta("reasoning", reasoning)
        if isinstance(message.get("content"), str):
            yield from self._splitter.split(message["content"])
        calls = message.get("tool_calls")
        for each in cast("list[Any]", calls) if isinstance(calls, list) else []:
            yield from self._calls.read(each)

    def _shown(self, pieces: Iterator[Delta]) -> Iterator[Delta]:
        """The pieces as the called model has them: reasoning in the native text, else beside it, or not at all."""
        for each in pieces:
            self._generated.append(each.piece + each.name)
            if each.kind == "reasoning":
                yield from self._shown_reasoning(each.piece)
                continue
            if self._is_in_reasoning:
                self._is_in_reasoning = False
                yield Delta("text", f"\n{CLOSE_TAG}\n\n")
            yield each

    def _shown_reasoning(self, piece: str) -> Iterator[Delta]:
        if not self._conversation.reasons:
            return
        if self._conversation.dialect != "native":
            yield Delta("reasoning", piece)
            return
        if not self._is_in_reasoning:
            self._is_in_reasoning = True
            yield Delta("text", f"{OPEN_TAG}\n")
        yield Delta("text", piece)


class _ReasoningSplitter:
    """Separates reasoning between `<think>` and `</think>`, at the beginning of a text, from the text."""

    def __init__(self) -> None:
        self._state: Literal["start", "reasoning", "text"] = "start"
        self._buffered = ""
        """End of the text so far, which may be part of a tag."""
        self._is_after_tag = False
        """Whether the next white space belongs to a tag."""

    def split(self, piece: str) -> Iterator[Delta]:
        self._buffered += piece
        if self._state == "start":
            start = self._buffered.lstrip()
            if start != OPEN_TAG and OPEN_TAG.startswith(start):
                return
            self._state = "reasoning" if start.startswith(OPEN_TAG) else "text"
            if self._state == "reasoning":
                self._buffered, self._is_after_tag = start[len(OPEN_TAG) :], True
        if self._state == "reasoning":
            reasoning, tag, rest = self._buffered.partition(CLOSE_TAG)
            if tag:
                yield from self._piece("reasoning", reasoning.rstrip())
                self._state, self._buffered, self._is_after_tag = "text", rest, True
            else:
                end = len(reasoning) - _partial_tag_length(reasoning)
                self._buffered = reasoning[end:]
                yield from self._piece("reasoning", reasoning[:end])
        if self._state == "text":
            text, self._buffered = self._buffered, ""
            yield from self._piece("text", text)

    def end(self) -> Iterator[Delta]:
        rest, self._buffered = self._buffered, ""
        yield from self._piece("reasoning" if self._state == "reasoning" else "text", rest)

    def _piece(self, kind: Literal["reasoning", "text"], piece: str) -> Iterator[Delta]:
        piece = piece.lstrip() if self._is_after_tag else piece
        if piece:
            self._is_after_tag = False
            yield Delta(kind, piece)


def _partial_tag_length(reasoning: str) -> int:
    """Number of characters at the end that may be the beginning of the closing tag."""
    return next((size for size in range(len(CLOSE_TAG) - 1, 0, -1) if reasoning.endswith(CLOSE_TAG[:size])), 0)


@dataclass
class _Calls:
    """Numbers the tool calls, whose parts some servers send without an index or an id, or all at once."""

    count: int = 0
    _known: dict[int, tuple[int, object]] = field(default_factory=dict[int, tuple[int, object]])
    """Index at the server → number here, and the id if the server sent one."""

    def read(self, part: object) -> Iterator[Delta]:
        if not isinstance(part, dict):
            raise NoAnswerError(f"this is no tool call: {_excerpt(str(part))}")
        fields = cast("Json", part)
        function: Json = fields["function"] if isinstance(fields.get("function"), dict) else {}
        name = function.get("name")
        number = self._number(fields, name)
        if number == self.count:
            if not isinstance(name, str):
                raise NoAnswerError("a tool call begins without a name")
            self.count += 1
            yield Delta("call", call=number, id=str(fields.get("id") or f"call_{uuid.uuid4().hex[:24]}"), name=name)
        arguments: Any = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments, ensure_ascii=False)
        if isinstance(arguments, str) and arguments:
            yield Delta("arguments", arguments, number)

    def _number(self, fields: Json, name: object) -> int:
        """Number of the call that the part belongs to; `count` for a new call."""
        index, call_id = fields.get("index"), fields.get("id")
        if not isinstance(index, int):
            index = self.count if name else self.count - 1
        number, known_id = self._known.get(index, (None, None))
        if number is None or (call_id and known_id and call_id != known_id):
            number = self.count
            self._known[index] = (number, call_id)
        return number


def json_object(body: str | bytes, kind: str) -> Json:
    """Parse an answer, or an event of one. Raises NoAnswerError if it is no object, or reports an error.

    kind: what it should be, for the message.
    """
    try:
        value: Any = json.loads(body)
    except ValueError:
        raise NoAnswerError(f"this is no JSON: {_excerpt(body)}") from None
    if not isinstance(value, dict):
        raise NoAnswerError(f"this is no {kind}: {_excerpt(body)}")
    if cast("Json", value).get("error"):
        raise NoAnswerError(reason(body))
    return cast("Json", value)


def reason(body: str | bytes) -> str:
    """Reason in an error of a server, in any of the shapes that servers have for errors."""
    try:
        value: Any = json.loads(body)
    except ValueError:
        return _excerpt(body)
    match value:
        case {"error": {"message": str(message)}} | {"error": str(message)} | {"message": str(message)}:
            return message
        case {"errors": [{"message": str(message)}, *_]} | {"detail": str(message)}:
            return message
        case _:
            return _excerpt(body)


def _excerpt(body: str | bytes) -> str:
    decoded = body.decode(errors="replace") if isinstance(body, bytes) else body
    return shortened(decoded) or "nothing"


def _usage(reported: Json) -> Usage | None:
    counts = [reported.get("prompt_tokens"), reported.get("completion_tokens")]
    if not all(isinstance(count, int) for count in counts):
        return None
    prompt, completion = cast("list[int]", counts)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
