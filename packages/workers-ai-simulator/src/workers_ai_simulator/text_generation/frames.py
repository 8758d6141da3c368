"""Frames of a stream in each dialect, written piece by piece as an answer arrives."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from workers_ai_simulator.catalogue import Model

PADDING = "abcdefghijklmnopqrstuvwxyz0123456789"
"""Padding of native frames (`p`), of varying length, so that the sizes of frames do not reveal the tokens."""

Json = dict[str, Any]
Usage = dict[str, int]
"""`{prompt_tokens, completion_tokens, total_tokens}`."""


@dataclass(frozen=True)
class Delta:
    """Piece of an answer."""

    kind: Literal["reasoning", "text", "call", "arguments"]
    """`call` starts a tool call, with its `id` and `name`; pieces of its `arguments` follow."""
    piece: str = ""
    call: int = 0
    """Number of the tool call, from 0."""
    id: str = ""
    name: str = ""


class Writer(Protocol):
    """Writes the frames of one answer: those of `start`, of `write` for each piece, and of `end`."""

    def __init__(self, model: Model, answer_id: str) -> None: ...

    def start(self) -> Iterator[str]: ...

    def write(self, delta: Delta) -> Iterator[str]: ...

    def end(self, finish_reason: str, usage: Usage) -> Iterator[str]: ...


DONE = "data: [DONE]\n\n"


class NativeWriter:
    """Frames `{response, p}` and `{tool_calls}`, and at the end `{response: "", usage}`, without reasoning."""

    def __init__(self, model: Model, answer_id: str) -> None:  # noqa: ARG002 - the dialect names neither
        self._frames = 0
        self._open_call: int | None = None

    def start(self) -> Iterator[str]:
        yield from ()

    def write(self, delta: Delta) -> Iterator[str]:
        if delta.kind == "text":
            padding = PADDING[: 4 + self._frames * 7 % (len(PADDING) - 4)]
            self._frames += 1
            yield _frame({"response": delta.piece, "p": padding})
        elif delta.kind in ("call", "arguments"):
            if delta.kind == "call":
                yield from self._close()
                self._open_call = delta.call
            yield _frame({"tool_calls": [_call_part(delta)]})

    def end(self, finish_reason: str, usage: Usage) -> Iterator[str]:  # noqa: ARG002
        yield from self._close()
        yield _frame({"response": "", "usage": usage})
        yield DONE

    def _close(self) -> Iterator[str]:
        """End the open tool call with a frame of nulls."""
        if self._open_call is not None:
            function = {"name": None, "arguments": None}
            yield _frame({"tool_calls": [{"id": None, "type": None, "index": self._open_call, "function": function}]})


class OpenAIWriter:
    """Frames with a `chat.completion.chunk` each."""

    def __init__(self, model: Model, answer_id: str) -> None:
        self._head = completion_head(model, answer_id, "chat.completion.chunk")
        self._role: Json = {"role": "assistant"}
        """Role, which only the first delta has."""

    def start(self) -> Iterator[str]:
        yield from ()

    def write(self, delta: Delta) -> Iterator[str]:
        contents: dict[str, Json] = {
            "reasoning": {"reasoning_content": delta.piece},
            "text": {"content": delta.piece},
        }
        role, self._role = self._role, {}
        yield self._chunk({**role, **contents.get(delta.kind, {"tool_calls": [_call_part(delta)]})}, None)

    def end(self, finish_reason: str, usage: Usage) -> Iterator[str]:
        # the usage is always sent, whatever `stream_options.include_usage` is
        yield self._chunk({}, finish_reason, usage=usage)
        yield DONE

    def _chunk(self, delta: Json, finish_reason: str | None, **more: Usage) -> str:
        return _frame({**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more})


@dataclass
class _Item:
    """Open item of a Responses answer."""

    index: int
    kind: str
    """Kind of its deltas, as the types of their events name it."""
    body: Json
    pieces: list[str] = field(default_factory=list[str])

    @property
    def place(self) -> Json:
        place: Json = {"output_index": self.index, "item_id": self.body["id"]}
        return place if self.kind == "function_call_arguments" else {**place, "content_index": 0}


ITEM_KINDS = {"reasoning": "reasoning_text", "text": "output_text", "call": "function_call_arguments"}


class ResponsesWriter:
    """Frames with OpenAI's typed events. Cloudflare documents only the answer without streaming."""

    def __init__(self, model: Model, answer_id: str) -> None:
        self._model = model
        self._id = answer_id
        self._created = int(time.time())
        self._output: list[Json] = []
        """Items that are complete."""
        self._item: _Item | None = None
        self._sequence = 0
        self.response: Json = self._head("in_progress", None)
        """The `response` object so far; complete after `end`."""

    def start(self) -> Iterator[str]:
        yield self._event({"type": "response.created", "response": self.response})

    def write(self, delta: Delta) -> Iterator[str]:
        if self._item is None or delta.kind == "call" or ITEM_KINDS.get(delta.kind, self._item.kind) != self._item.kind:
            yield from self._close("completed")
            yield from self._open(delta)
        if self._item and delta.kind != "call":
            self._item.pieces.append(delta.piece)
            event = {"type": f"response.{self._item.kind}.delta", **self._item.place, "delta": delta.piece}
            yield self._event({**event, **_logprobs(self._item)})

    def end(self, finish_reason: str, usage: Usage) -> Iterator[str]:
        status = "incomplete" if finish_reason == "length" else "completed"
        yield from self._close(status)
        self.response = self._head(status, usage)
        yield self._event({"type": f"response.{status}", "response": self.response})

    def _open(self, delta: Delta) -> Iterator[str]:
        index = len(self._output)
        name = f"{self._id}{index}"
        bodies: dict[str, Json] = {
            "reasoning": {"id": f"rs_{name}", "type": "reasoning", "summary": [], "content": []},
            "text": {"id": f"msg_{name}", "type": "message", "role": "assistant", "content": []},
            "call": {
                "id": f"fc_{delta.id}", "type": "function_call", "call_id": delta.id, "name": delta.name,
                "arguments": "",
            },
        }  # fmt: skip
        body = bodies[delta.kind]
        item = self._item = _Item(index, ITEM_KINDS[delta.kind], body)
        added = {**body, "status": "in_progress"}
        yield self._event({"type": "response.output_item.added", "output_index": index, "item": added})
        if "content" in body:
            yield self._event({"type": "response.content_part.added", **item.place, "part": _part(item.kind, "")})

    def _close(self, status: str) -> Iterator[str]:
        """End the open item, and add it to the output."""
        item = self._item
        if item is None:
            return
        whole = "".join(item.pieces)
        content: Json = {"content": [_part(item.kind, whole)]} if "content" in item.body else {"arguments": whole}
        body = {**item.body, **content} if item.kind == "reasoning_text" else {**item.body, "status": status, **content}
        done = {"text": whole} if "content" in body else {"name": body["name"], "arguments": whole}
        yield self._event({"type": f"response.{item.kind}.done", **item.place, **done, **_logprobs(item)})
        if "content" in body:
            yield self._event({"type": "response.content_part.done", **item.place, "part": body["content"][0]})
        yield self._event({"type": "response.output_item.done", "output_index": item.index, "item": body})
        self._output.append(body)
        self._item = None

    def _head(self, status: str, usage: Usage | None) -> Json:
        return {
            "id": f"resp_{self._id}",
            "object": "response",
            "created_at": self._created,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "model": self._model.id,
            "output": self._output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage and {
                "input_tokens": usage["prompt_tokens"],
                "output_tokens": usage["completion_tokens"],
                "total_tokens": usage["total_tokens"],
            },
        }  # fmt: skip

    def _event(self, event: Json) -> str:
        numbered = {**event, "sequence_number": self._sequence}
        self._sequence += 1
        return f"event: {event['type']}\n{_frame(numbered)}"


class DualWriter:
    """Frames in both dialects at once: `{response, p}` beside a `chat.completion.chunk`, as measured in 2026.

    It is a guess that tool calls are in the chunk alone: workers-ai-provider reads both places and doubles the text
    (cloudflare/ai#615), but nobody has reported doubled arguments, which would not be JSON. Upstream, a piece that is a
    number has been seen as a JSON number in `response`; here it is a string, as the types say.
    """

    def __init__(self, model: Model, answer_id: str) -> None:
        self._head = completion_head(model, answer_id, "chat.completion.chunk")
        self._frames = 0

    def start(self) -> Iterator[str]:
        yield self._frame({"role": "assistant", "content": ""}, {"response": ""})

    def write(self, delta: Delta) -> Iterator[str]:
        if delta.kind == "text":
            yield self._frame({"content": delta.piece}, {"response": delta.piece})
        elif delta.kind in ("call", "arguments"):
            yield self._frame({"tool_calls": [_call_part(delta)]}, {"response": ""})

    def end(self, finish_reason: str, usage: Usage) -> Iterator[str]:
        yield self._frame({}, {"response": "", "usage": usage}, finish_reason)
        yield DONE

    def _frame(self, delta: Json, native: Json, finish_reason: str | None = None) -> str:
        padding = PADDING[: 4 + self._frames * 7 % (len(PADDING) - 4)]
        self._frames += 1
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _frame({**self._head, "choices": [choice], **native, "p": padding})


def completion_head(model: Model, answer_id: str, kind: str) -> Json:
    """Fields that every object of OpenAI's chat completions begins with. `kind`: value of `object`."""
    return {"id": f"chatcmpl-{answer_id}", "object": kind, "created": int(time.time()), "model": model.id}


def _call_part(delta: Delta) -> Json:
    if delta.kind == "call":
        function = {"name": delta.name, "arguments": ""}
        return {"id": delta.id, "type": "function", "index": delta.call, "function": function}
    return {"index": delta.call, "function": {"arguments": delta.piece}}


def _part(kind: str, content: str) -> Json:
    return {"type": kind, "text": content} | ({"annotations": []} if kind == "output_text" else {})


def _logprobs(item: _Item) -> Json:
    return {"logprobs": []} if item.kind == "output_text" else {}


def _frame(data: Json) -> str:
    return f"data: {_to_json(data)}\n\n"


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


WRITERS: dict[str, type[Writer]] = {"native": NativeWriter, "openai": OpenAIWriter, "responses": ResponsesWriter}
DUAL_STREAMS = ("@cf/meta/llama-3.3-70b-instruct-fp8-fast", "@cf/meta/llama-4-scout-17b-16e-instruct")
"""Native models whose streams are in both dialects at once.

Source: cloudflare/ai#615, cloudflare/agents-starter#157.
"""


def writer(model: Model, dialect: str, answer_id: str) -> Writer:
    """Writer of a stream of the model in a dialect."""
    is_dual = dialect == "native" and model.id in DUAL_STREAMS
    return (DualWriter if is_dual else WRITERS[dialect])(model, answer_id)
