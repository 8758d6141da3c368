"""A model's answer, put together from either dialect, whole or in the frames of a stream."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from aiworker.errors import ApiError
from aiworker.models.answer_reader import AnswerReader, broken_stream_error, no_answer_error, objects
from aiworker.models.forced_call import read_calls
from aiworker.models.tool_calls import CallPart

DONE = "[DONE]"

EventName = Literal["sources", "tool", "error"]
EVENTS: Mapping[EventName, tuple[str, str, str]] = {
    "sources": (
        "`POST /rag`",
        '`{"sources": [{"number", "id", "document", "title", "url", "heading", "page", "range", "original", "snippet", '
        '"score", "scores"}, …]}`',
        "The first event: what the answer may cite. The list is empty if nothing was found.",
    ),
    "tool": (
        "`POST /chat` with `worker_tools`",
        '`{"id", "name", "arguments", "result"}`, the last two as JSON text',
        "A tool that the Worker runs was called.",
    ),
    "error": (
        "`POST /chat`, `POST /rag`",
        '`{"error": {…}}`, as in an error response',
        "The answer broke off. It is the last event.",
    ),
}
"""Name of an event → routes, data and meaning, in Markdown. Frames of the model have no name."""


@dataclass
class ToolCall:
    """A model's call of a tool."""

    id: str
    name: str
    pieces: list[str] = field(default_factory=list[str])
    """The arguments, in the pieces in which they came."""

    @property
    def arguments(self) -> str:
        """The arguments, a JSON object as text."""
        return "".join(self.pieces).strip() or "{}"

    def to_json(self) -> dict[str, Any]:
        """Return the call as an item of a message's `tool_calls`."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


class Completion:
    """An answer, collected by `add` from the data of a stream's frames, or from a whole answer."""

    def __init__(self, answer_id: str = "", known_ids: Collection[str] = ()) -> None:
        """The parameters are those of AnswerReader."""
        self._reader = AnswerReader(answer_id, known_ids=known_ids)
        self.text = ""
        self.reasoning = ""
        """Reasoning of models that send it apart from the text."""
        self.tool_calls: dict[int, ToolCall] = {}
        """Index in the answer → tool call."""

    def add(self, data: dict[str, Any]) -> None:
        """Add a frame's data, or a whole answer; parts without the shape of an answer are skipped.

        Raises ApiError `upstream_error` for an error's object.
        """
        parts = self._reader.read(data)
        self.text += parts.text
        self.reasoning += parts.reasoning
        for part in parts.calls:
            self._add_call(part)

    def take_written_calls(self, names: Collection[str]) -> None:
        """Turn the text into tool calls, if it consists of calls of these tools and the answer has no other calls."""
        calls = [] if self.tool_calls else read_calls(self.text, names)
        for part in self._reader.read_calls(calls):
            self._add_call(part)
        self.text = "" if calls else self.text

    def _add_call(self, part: CallPart) -> None:
        if part.name:
            self.tool_calls[part.index] = ToolCall(part.id, part.name)
        else:
            self.tool_calls[part.index].pieces.append(part.arguments)

    @property
    def usage(self) -> dict[str, Any]:
        """Tokens by OpenAI's names, without entries that are no counts; empty if the model reports none."""
        return self._reader.usage

    @property
    def has_reason(self) -> bool:
        """True if the model has said why the answer ends."""
        return self._reader.has_reason

    @property
    def is_answer(self) -> bool:
        """True if there is any part of an answer, or its end."""
        return self._reader.is_answer

    def check(self, model: str = "The model") -> None:
        """Raise ApiError `upstream_error` if nothing of an answer has come."""
        if not self.is_answer:
            raise no_answer_error(model)

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


def with_calls(whole: dict[str, Any], completion: Completion) -> dict[str, Any]:
    """Return a whole answer, in its dialect, with the tool calls of the completion that was read from it."""
    calls = [call.to_json() for call in completion.tool_calls.values()]
    if not calls:
        return whole
    choices = objects(whole.get("choices"))
    if not choices:
        native = [
            {"name": call["function"]["name"], "arguments": _json_or_text(call["function"]["arguments"])}
            for call in calls
        ]
        # kept as the model wrote them, if they are complete
        has_all = all(item.get("arguments") or item.get("function") for item in objects(whole.get("tool_calls")))
        return (
            whole
            if whole.get("tool_calls") and has_all
            else {**whole, "response": completion.text, "tool_calls": native}
        )
    message = cast("dict[str, Any]", choices[0].get("message") or {})
    content = message.get("content") if objects(message.get("tool_calls")) else completion.text or None
    message = {**message, "content": content, "tool_calls": calls}
    reason = choices[0].get("finish_reason")
    choice = {**choices[0], "message": message, "finish_reason": "length" if reason == "length" else "tool_calls"}
    native_fields = {"response": completion.text, "tool_calls": calls} if "response" in whole else {}
    return {**whole, "choices": [choice, *choices[1:]], **native_fields}


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def call_ids(messages: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the ids of the tool calls in a request's messages."""
    return {str(call["id"]) for message in messages for call in objects(message.get("tool_calls")) if call.get("id")}


# ---- frames ------------------------------------------------------------------------------------------------------


MAX_FRAME_BYTES = 2_097_152
"""Bytes of one frame, which Python holds, and copies with each chunk: far more than models write."""


class Frames:
    """Splits a stream of server-sent events into frames; its chunks may begin and end within a frame."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def has_rest(self) -> bool:
        """True if a frame is incomplete."""
        return bool(self._rest)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add a chunk; return the frames that are complete now, without the empty line that ends each.

        Raises ApiError `upstream_error` for a frame of more than MAX_FRAME_BYTES.
        """
        data = self._rest + chunk
        if b"\r" in data:
            data = LINE_END.sub(b"\n", data)
        *whole, self._rest = data.split(b"\n\n")
        if len(self._rest) > MAX_FRAME_BYTES:
            self._rest = b""
            raise broken_stream_error(f"a frame of it has more than {MAX_FRAME_BYTES:,} bytes")
        return whole

    def rest(self) -> bytes:
        """Return the last frame of a stream that has ended without an empty line."""
        rest, self._rest = self._rest, b""
        return rest.strip()


LINE_END = re.compile(rb"\r\n|\r(?!\Z)")
"""Ends of lines other than a line feed. At the end of a chunk, what kind it is depends on the next chunk."""


def frame_payloads(block: bytes) -> list[bytes]:
    """Return the data of a frame; several, if it has a complete object in each of its lines, as some servers write."""
    lines = [line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:")]
    if len(lines) < 2 or all(line == DONE.encode() or (line[:1] + line[-1:]) == b"{}" for line in lines):
        return lines
    return [b"\n".join(lines)]


def frame_data(payload: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a frame's data holds; None for `[DONE]`, and for data of another type."""
    try:
        data = json.loads(payload.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def frame(data: dict[str, Any] | str, event: EventName | None = None) -> str:
    """Return a server-sent event. data: a JSON object, or a text as it is."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"{f'event: {event}{chr(10)}' if event else ''}data: {text}\n\n"


def failure_formatter(request_id: str) -> Callable[[ApiError], str]:
    """Return a function that returns the end of an incomplete stream: an `event: error`."""

    def format_failure(error: ApiError) -> str:
        # the stream may have broken off within a frame
        return "\n\n" + frame(error.to_json(request_id), "error")

    return format_failure


def as_frames(whole: dict[str, Any]) -> Iterator[str]:
    """Yield a whole answer as the frames of a stream in its dialect."""
    choices = [
        {
            "index": choice.get("index", 0),
            "delta": _delta(choice.get("message") or choice),
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in objects(whole.get("choices"))
    ]
    data = {**whole, "object": "chat.completion.chunk", "choices": choices} if choices else whole
    text = whole.get("response")
    if text is not None and not isinstance(text, str):
        data = {**data, "response": json.dumps(text, ensure_ascii=False)}
    yield frame(data)
    yield frame(DONE)


def _delta(message: Any) -> Any:
    """Return a whole message as a delta, whose tool calls have an index."""
    if not isinstance(message, dict):
        return message
    fields = cast("dict[str, Any]", message)
    calls = objects(fields.get("tool_calls"))
    return (
        {**fields, "tool_calls": [{"index": number, **call} for number, call in enumerate(calls)]} if calls else fields
    )


DONE_AT_END = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\]\Z")
MAX_DONE_BYTES = 13
"""Maximum bytes that DONE_AT_END matches."""


def is_done(body: bytes) -> bool:
    """Tell whether a stream, or its end, says that it is complete."""
    end = body.rstrip()
    # a search of the whole end would try each of its hundreds of lines
    return DONE_AT_END.search(end, max(0, len(end) - MAX_DONE_BYTES)) is not None


def ends_within_frame(body: bytes) -> bool:
    """Tell whether a stream has been cut in its last frame; an empty line behind that may be missing."""
    frames = Frames()
    frames.feed(body)
    rest = frames.rest()
    payloads = frame_payloads(rest)
    return bool(rest) and not (payloads and all(each == DONE.encode() or frame_data(each) for each in payloads))


def _from_frame_with(text: bytes, body: bytes) -> bytes:
    """Return the body from the first frame on that contains a text: of hundreds of frames, only the last has the
    usage."""
    first = body.find(text)
    if first < 0:
        return b""
    return body if b"\r" in body else body[max(0, body.rfind(b"\n\n", 0, first)) :]


def read_completion(body: bytes, filter_text: bytes = b"", answer_id: str = "") -> Completion:
    """Return the completion of a stream, or of its end; an incomplete first frame is skipped.

    filter_text: frames without this text are skipped. answer_id: as for Completion.
    Raises ApiError `upstream_error` for a frame with an error's object.
    """
    completion, frames = Completion(answer_id), Frames()
    for block in [*frames.feed(_from_frame_with(filter_text, body)), frames.rest()]:
        if filter_text in block:
            for payload in frame_payloads(block):
                completion.add(frame_data(payload) or {})
    return completion
