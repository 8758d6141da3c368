"""Encoding of a model's answer as the UI message stream of Vercel's AI SDK: server-sent events with one chunk each.

Source: `uiMessageChunkSchema` and `processUIMessageStream` of the npm package `ai`, version 7.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiworker.errors import ApiError
from aiworker.models.completion import DONE, Completion, ToolCall, frame
from aiworker.models.openai_writers import join_literals
from aiworker.models.tool_calls import Json

FINISH_REASONS = {
    "stop": "stop", "length": "length", "tool_calls": "tool-calls", "content_filter": "content-filter",
}  # fmt: skip
"""`finish_reason` of OpenAI's dialect → the client's; it refuses a chunk with any other value."""
OTHER = "other"
INTERRUPTED = "The answer was interrupted: the server has been restarted. Ask again."

BOUNDARY = re.compile(rb'","id":"\w+"\}\n\ndata: \{"type":"(?:text|reasoning)-delta","delta":"')
"""The text between two pieces of the same part. Only a delta's frame ends so, and no JSON string holds a line feed."""
STARTED = re.compile(r'^data: \{"id":"(\w+)","type":"(text|reasoning)-start"\}$', re.MULTILINE)

NEUTRAL_FIELDS = ("prompt_tokens", "completion_tokens", "total_tokens")
USAGE_NAMES = dict(zip(NEUTRAL_FIELDS, ("inputTokens", "outputTokens", "totalTokens"), strict=True))


class UiMessageWriter:
    """Writer of one assistant's message, which has a step for each model call.

    `start_step` … `end_step` write a step; `start_message` comes before the first, `finish`, `fail` or `abort` after
    the last. A client fails at a delta whose part has not been started: at most one part is open at a time.
    """

    failure: ApiError | None = None
    """The error that has broken off the model's answer. `error` writes nothing, so that the caller may decide what
    follows."""

    def __init__(self, *, runs_tools: bool) -> None:
        """runs_tools: the Worker runs the tools that the model calls; else the client does."""
        self._runs_tools = runs_tools
        self._parts = 0
        self._kind = ""
        """Kind of the open part, `text` or `reasoning`; empty without one."""
        self._prefix, self._suffix = b"", b""
        self._literals: dict[str, list[bytes]] = {"text": [], "reasoning": []}
        self._calls: dict[int, ToolCall] = {}
        self._finish_reason = OTHER

    # ---- the message ---------------------------------------------------------------------------------------------

    def start_message(self, message_id: str, metadata: Mapping[str, Any]) -> bytes:
        """Begin the message. metadata: the client merges it with that of `finish`."""
        return _chunk({"type": "start", "messageId": message_id, "messageMetadata": metadata})

    def sources(self, sources: Iterable[Mapping[str, Any]]) -> bytes:
        """Write sources, as `POST /rag` has them, into the step that has begun."""
        return b"".join([_chunk(_source(source)) for source in sources])

    def finish(self, metadata: Mapping[str, Any]) -> bytes:
        return _chunk({"type": "finish", "finishReason": self._finish_reason, "messageMetadata": metadata}) + END

    def fail(self, error: ApiError) -> bytes:
        """End an incomplete message: the client raises the error."""
        return self._close() + _chunk({"type": "error", "errorText": error.message}) + END

    def abort(self, reason: str) -> bytes:
        """End a message that somebody has stopped: the client keeps what it has."""
        return self._close() + _chunk({"type": "abort", "reason": reason}) + END

    # ---- a step: aiworker.models.openai_writers.Writer -----------------------------------------------------------

    def start(self) -> bytes:
        return b""  # the step begins with the model call, before its sources

    def start_step(self) -> bytes:
        return _chunk({"type": "start-step"})

    def text(self, literal: bytes, logprobs: Json | None = None) -> bytes:  # noqa: ARG002 - there is no field for them
        return self._piece("text", literal)

    def reasoning(self, literal: bytes) -> bytes:
        return self._piece("reasoning", literal)

    def call(self, index: int, call_id: str, name: str) -> bytes:
        self._calls[index] = ToolCall(call_id, name)
        return self._close() + self._tool({"type": "tool-input-start", "toolCallId": call_id, "toolName": name})

    def arguments(self, index: int, literal: bytes) -> bytes:
        self._calls[index].pieces.append(json.loads(literal))
        return b""

    def end(self, finish_reason: str, usage: Json, stop_sequence: str | None = None) -> bytes:  # noqa: ARG002
        self._finish_reason = FINISH_REASONS.get(finish_reason, OTHER)
        return self._close() + b"".join([self._tool(_input(call)) for call in self._calls.values()])

    def error(self, error: ApiError) -> bytes:
        self.failure = error
        return b""

    def results(self, results: Iterable[Mapping[str, str]]) -> bytes:
        """Write the results of tools that the Worker has run: `id`, and `result` as JSON text.

        A result with `url` and `media_type` is a file, which the message shows, too.
        """
        return b"".join([chunk for each in results for chunk in self._result(each["id"], each["result"])])

    def _result(self, call_id: str, result: str) -> Iterator[bytes]:
        output = _output(call_id, result)
        yield self._tool(output)
        match output.get("output"):
            case {"url": str(url), "media_type": str(media_type)}:
                yield _chunk({"type": "file", "url": url, "mediaType": media_type})
            case _:
                pass

    def end_step(self) -> bytes:
        return self._close() + _chunk({"type": "finish-step"})

    def take_completion(self) -> Completion:
        """Return what the model has written in this step so far; the next step begins without it."""
        completion = Completion()
        completion.text, completion.reasoning = (join_literals(each) for each in self._literals.values())
        completion.tool_calls = self._calls
        self._literals = {kind: [] for kind in self._literals}
        self._calls = {}
        return completion

    def _piece(self, kind: str, literal: bytes) -> bytes:
        self._literals[kind].append(literal)
        if kind == self._kind:
            return self._prefix + literal + self._suffix
        return self._close() + self._open(kind) + self._prefix + literal + self._suffix

    def _open(self, kind: str) -> bytes:
        part_id = f"p{self._parts}"
        self._parts += 1
        self._kind = kind
        self._prefix = b'data: {"type":"%s-delta","delta":' % kind.encode()
        self._suffix = b',"id":"%s"}\n\n' % part_id.encode()
        return _chunk({"id": part_id, "type": f"{kind}-start"})  # in another order than a delta, for BOUNDARY

    def _close(self) -> bytes:
        if not self._kind:
            return b""
        kind, self._kind = self._kind, ""
        return _end_of(kind, f"p{self._parts - 1}")

    def _tool(self, chunk: Json) -> bytes:
        # the client hands calls of other tools to its own functions
        return _chunk({**chunk, "providerExecuted": True} if self._runs_tools else chunk)


# ---- stored frames -----------------------------------------------------------------------------------------------


def join_deltas(frames: bytes) -> bytes:
    """Return the same message with one delta in place of pieces that follow each other."""
    return BOUNDARY.sub(b"", frames)


def interruption(frames: str) -> str:
    """Return the end of a message whose writing was interrupted. frames: the frames that were written, each
    complete."""
    end = b""
    for part in list(STARTED.finditer(frames))[-1:]:
        end = _end_of(part[2], part[1])
        end = b"" if end.decode() in frames[part.end() :] else end
    return (end + _chunk({"type": "error", "errorText": INTERRUPTED}) + END).decode()


# ---- chunks ------------------------------------------------------------------------------------------------------


def message_usage(usage: Mapping[str, Any]) -> dict[str, int]:
    """Return the usage for a message's metadata, under the names of the AI SDK."""
    return {name: usage[ours] for ours, name in USAGE_NAMES.items() if ours in usage}


def _chunk(data: Mapping[str, Any]) -> bytes:
    # in ASCII: half of a surrogate pair, which a model may send, has no UTF-8
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


END = frame(DONE).encode()


def _end_of(kind: str, part_id: str) -> bytes:
    return _chunk({"type": f"{kind}-end", "id": part_id})


def _input(call: ToolCall) -> Json:
    """Return the chunk with a call's whole arguments; a text if they are no JSON."""
    head = {"toolCallId": call.id, "toolName": call.name}
    try:
        return {"type": "tool-input-available", **head, "input": _value(call.arguments)}
    except ValueError:
        reason = "The model has sent arguments that are not JSON."
        return {"type": "tool-input-error", **head, "input": call.arguments, "errorText": reason}


def _output(call_id: str, result: str) -> Json:
    try:
        value = _value(result)
    except ValueError:
        value = {"error": "The tool's result is not JSON."}
    match value:
        case {"error": str(reason)}:
            return {"type": "tool-output-error", "toolCallId": call_id, "errorText": reason}
        case _:
            return {"type": "tool-output-available", "toolCallId": call_id, "output": value}


def _value(text: str) -> Any:
    """Parse JSON. Raises ValueError for anything else, numbers such as NaN included, and for deep nesting."""
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _source(source: Mapping[str, Any]) -> Json:
    """Return the chunk of a source: of a web page if it has an address, else of a document."""
    details = ("number", "document", "heading", "page", "range", "original", "snippet", "score")
    metadata = {"aiworker": {name: source[name] for name in details}}
    head = {"sourceId": source["id"], "title": source["title"], "providerMetadata": metadata}
    if source["url"] is not None:
        return {"type": "source-url", "url": source["url"], **head}
    return {"type": "source-document", "mediaType": "text/plain", **head}
