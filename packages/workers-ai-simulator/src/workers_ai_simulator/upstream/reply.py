"""What the user's server answers: its frames or its whole answer, read piece by piece."""

import json
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from workers_ai_simulator import text
from workers_ai_simulator.text_generation.conversation import Conversation
from workers_ai_simulator.text_generation.frames import Delta, Json, Usage

END_OF_LINE = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""A carriage return at the very end may be half of one."""
OPEN, CLOSE = "<think>", "</think>"


class NoAnswer(ValueError):  # noqa: N818 - what the server says instead of one
    """The server's answer cannot be read, or says that there is none."""


async def events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[str]:
    """The data of the events of a `text/event-stream`, in whatever pieces it comes.

    Lines are split here, as bytes: of a text, Python and httpx split them at U+2028 too, which JSON may hold as it is.
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


class Reply:
    """One answer on its way. `read` what comes, then `end`; both give the pieces that are to be written."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._thoughts = _Thoughts()
        self._calls = _Calls()
        self._said = list[str]()
        """All that was generated, whether it is shown or not."""
        self._used: Usage | None = None
        self._is_inside = False
        """Whether a thought is being written into the text."""
        self._finish_reason = ""

    @property
    def has_ended(self) -> bool:
        """Whether the server has said why it stopped."""
        return bool(self._finish_reason)

    @property
    def finish_reason(self) -> str:
        """stop, length, tool_calls, or what else the server says."""
        said = self._finish_reason or "stop"
        return "tool_calls" if self._calls.count and said in ("stop", "function_call") else said

    @property
    def usage(self) -> Usage:
        """As the server reports it; if it does not, counted as the simulator counts."""
        if self._used:
            return self._used
        prompt, completion = self._conversation.prompt_tokens, len(text.tokens("".join(self._said)))
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def read(self, sent: str | bytes) -> Iterator[Delta]:
        """The pieces in a chunk, or in a whole completion.

        Raises NoAnswer if it is neither.
        """
        found = _object(sent)
        if isinstance(found.get("usage"), dict):
            self._used = _usage(found["usage"]) or self._used
        match found.get("choices"):
            case [{**choice}, *_]:
                pass
            case []:  # the usage alone
                return
            case _:
                raise NoAnswer(f"this is no chat completion: {_excerpt(sent)}")
        message = choice.get("delta") or choice.get("message")
        if isinstance(message, dict):
            yield from self._shown(self._pieces(cast("Json", message)))
        if isinstance(choice.get("finish_reason"), str):
            self._finish_reason = choice["finish_reason"]

    def end(self) -> Iterator[Delta]:
        yield from self._shown(self._thoughts.end())
        if self._is_inside:
            self._is_inside = False
            yield Delta("text", f"\n{CLOSE}\n\n")

    def _pieces(self, message: Json) -> Iterator[Delta]:
        thought = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thought, str):
            yield Delta("reasoning", thought)
        if isinstance(message.get("content"), str):
            yield from self._thoughts.split(message["content"])
        calls = message.get("tool_calls")
        for each in cast("list[Any]", calls) if isinstance(calls, list) else []:
            yield from self._calls.read(each)

    def _shown(self, pieces: Iterator[Delta]) -> Iterator[Delta]:
        """What was thought is shown if the model asked for is one that thinks: natively in the text, else beside it."""
        for each in pieces:
            self._said.append(each.piece + each.name)
            if each.kind == "reasoning":
                yield from self._shown_thought(each.piece)
                continue
            if self._is_inside:
                self._is_inside = False
                yield Delta("text", f"\n{CLOSE}\n\n")
            yield each

    def _shown_thought(self, piece: str) -> Iterator[Delta]:
        if not self._conversation.reasons:
            return
        if self._conversation.form != "native":
            yield Delta("reasoning", piece)
            return
        if not self._is_inside:
            self._is_inside = True
            yield Delta("text", f"{OPEN}\n")
        yield Delta("text", piece)


class _Thoughts:
    """Tells what stands between `<think>` and `</think>`, at a text's beginning, from the text."""

    def __init__(self) -> None:
        self._where: Literal["start", "thought", "text"] = "start"
        self._held = ""
        """What may turn out to be half a mark."""
        self._at_edge = False
        """Whether white space that comes now belongs to the mark."""

    def split(self, piece: str) -> Iterator[Delta]:
        self._held += piece
        if self._where == "start":
            begun = self._held.lstrip()
            if begun != OPEN and OPEN.startswith(begun):
                return
            self._where = "thought" if begun.startswith(OPEN) else "text"
            if self._where == "thought":
                self._held, self._at_edge = begun[len(OPEN) :], True
        if self._where == "thought":
            thought, closing, rest = self._held.partition(CLOSE)
            if closing:
                yield from self._piece("reasoning", thought.rstrip())
                self._where, self._held, self._at_edge = "text", rest, True
            else:
                half = _half(thought)
                self._held = thought[len(thought) - half :]
                yield from self._piece("reasoning", thought[: len(thought) - half])
        if self._where == "text":
            said, self._held = self._held, ""
            yield from self._piece("text", said)

    def end(self) -> Iterator[Delta]:
        said, self._held = self._held, ""
        yield from self._piece("reasoning" if self._where == "thought" else "text", said)

    def _piece(self, kind: Literal["reasoning", "text"], said: str) -> Iterator[Delta]:
        said = said.lstrip() if self._at_edge else said
        if said:
            self._at_edge = False
            yield Delta(kind, said)


def _half(thought: str) -> int:
    """How many of the last characters may be the beginning of the closing mark."""
    return next((size for size in range(len(CLOSE) - 1, 0, -1) if thought.endswith(CLOSE[:size])), 0)


@dataclass
class _Calls:
    """Numbers the tool calls, whose parts some servers send without an index, without an id, or whole."""

    count: int = 0
    _known: dict[int, tuple[int, object]] = field(default_factory=dict[int, tuple[int, object]])
    """By the server's index: the number here, and the id if the server has given one."""

    def read(self, part: object) -> Iterator[Delta]:
        if not isinstance(part, dict):
            raise NoAnswer(f"this is no tool call: {_excerpt(str(part))}")
        given = cast("Json", part)
        function: Json = given["function"] if isinstance(given.get("function"), dict) else {}
        name = function.get("name")
        number = self._number(given, name)
        if number == self.count:
            if not isinstance(name, str):
                raise NoAnswer("a tool call begins without a name")
            self.count += 1
            yield Delta("call", call=number, id=str(given.get("id") or f"call_{uuid.uuid4().hex[:24]}"), name=name)
        arguments: Any = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments, ensure_ascii=False)
        if isinstance(arguments, str) and arguments:
            yield Delta("arguments", arguments, number)

    def _number(self, given: Json, name: object) -> int:
        """Of the call that the part belongs to: one more than there are for a new one."""
        index, call_id = given.get("index"), given.get("id")
        if not isinstance(index, int):
            index = self.count if name else self.count - 1
        number, known_id = self._known.get(index, (None, None))
        if number is None or (call_id and known_id and call_id != known_id):
            number = self.count
            self._known[index] = (number, call_id)
        return number


def _object(sent: str | bytes) -> Json:
    try:
        found: Any = json.loads(sent)
    except ValueError:
        raise NoAnswer(f"this is no JSON: {_excerpt(sent)}") from None
    if not isinstance(found, dict):
        raise NoAnswer(f"this is no chat completion: {_excerpt(sent)}")
    if cast("Json", found).get("error"):
        raise NoAnswer(reason(sent))
    return cast("Json", found)


def reason(sent: str | bytes) -> str:
    """What a refusal says, in any of the forms in which servers write one."""
    try:
        found: Any = json.loads(sent)
    except ValueError:
        return _excerpt(sent)
    match found:
        case {"error": {"message": str(message)}} | {"error": str(message)} | {"message": str(message)}:
            return message
        case {"errors": [{"message": str(message)}, *_]} | {"detail": str(message)}:
            return message
        case _:
            return _excerpt(sent)


def _excerpt(sent: str | bytes) -> str:
    said = sent.decode(errors="replace") if isinstance(sent, bytes) else sent
    return text.shortened(said) or "nothing"


def _usage(said: Json) -> Usage | None:
    counts = [said.get("prompt_tokens"), said.get("completion_tokens")]
    if not all(isinstance(count, int) for count in counts):
        return None
    prompt, completion = cast("list[int]", counts)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
