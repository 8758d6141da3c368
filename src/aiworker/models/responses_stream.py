"""Encoding of a model's answer as an OpenAI `response`: the events of its stream, and the whole object."""

import json
from dataclasses import dataclass, field
from typing import Any

from aiworker.errors import ApiError
from aiworker.models.openai_writers import join_literals
from aiworker.models.tool_calls import Json


@dataclass
class _OutputItem:
    """An item of the output that is not complete yet."""

    index: int
    body: Json
    kind: str
    """Type of its deltas: output_text, reasoning_text or function_call_arguments."""
    literals: list[bytes] = field(default_factory=list[bytes])

    @property
    def place(self) -> Json:
        """Fields with which an event refers to the item, or to its only content part."""
        place: Json = {"item_id": self.body["id"], "output_index": self.index}
        return place if self.kind == "function_call_arguments" else {**place, "content_index": 0}


class ResponsesWriter:
    """Writer of `response.…` events."""

    def __init__(self, response: Json) -> None:
        """response: its fields that are known before the model answers."""
        self.response: Json = {**response, "status": "in_progress", "output": [], "usage": None}
        """The response as an object; complete after `end`."""
        self._name = str(response["id"]).removeprefix("resp_")
        self._output: dict[int, Json] = {}
        """Index → complete item."""
        self._item: _OutputItem | None = None
        """The open text or reasoning."""
        self._calls: dict[int, _OutputItem] = {}
        """Number of a tool call → its item, which is open until the end: pieces of several calls may come mixed."""
        self._count = 0
        self._sequence = -1

    @property
    def is_complete(self) -> bool:
        return self.response["status"] != "in_progress"

    def start(self) -> bytes:
        data = {"response": self.response}
        return self._event("response.created", data) + self._event("response.in_progress", data)

    def text(self, literal: bytes, logprobs: Json | None = None) -> bytes:  # noqa: ARG002 - they cannot be requested
        body: Json = {"type": "message", "role": "assistant", "content": []}
        return self._open("msg", body, "output_text") + self._delta(self._item, literal, {"logprobs": []})

    def reasoning(self, literal: bytes) -> bytes:
        body: Json = {"type": "reasoning", "summary": [], "content": []}
        return self._open("rs", body, "reasoning_text") + self._delta(self._item, literal, {})

    def call(self, index: int, call_id: str, name: str) -> bytes:
        body = {"type": "function_call", "call_id": call_id, "name": name, "arguments": ""}
        closed = self._close_item()
        self._calls[index], added = self._add("fc", body, "function_call_arguments")
        return closed + added

    def arguments(self, index: int, literal: bytes) -> bytes:
        return self._delta(self._calls[index], literal, {})

    def end(self, finish_reason: str, usage: Json, stop_sequence: str | None = None) -> bytes:  # noqa: ARG002
        status = "incomplete" if finish_reason == "length" else "completed"
        closed = self._close_item(status) + b"".join([self._end(call, status) for call in self._calls.values()])
        details = {"reason": "max_output_tokens"} if status == "incomplete" else None
        output = [self._output[index] for index in sorted(self._output)]
        self.response |= {
            "status": status, "output": output, "incomplete_details": details, "usage": _usage(usage),
        }  # fmt: skip
        return closed + self._event(f"response.{status}", {"response": self.response})

    def error(self, error: ApiError) -> bytes:
        # OpenAI's clients raise the inner `error`; the outer fields are those of OpenAI's reference
        body = error.to_openai()
        return self._event("error", {name: body["error"][name] for name in ("code", "message", "param")} | body)

    def _open(self, prefix: str, body: Json, kind: str) -> bytes:
        """Return the events that begin a text or a reasoning; none if one of this kind is open."""
        if self._item and self._item.kind == kind:
            return b""
        closed = self._close_item()
        self._item, added = self._add(prefix, body, kind)
        part = {**self._item.place, "part": _part(kind, "")}
        return closed + added + self._event("response.content_part.added", part)

    def _add(self, prefix: str, body: Json, kind: str) -> tuple[_OutputItem, bytes]:
        """Return a new item of the output, and the event that begins it."""
        index = self._count
        self._count += 1
        body = {"id": f"{prefix}_{self._name}{index}", **body}
        added = {"output_index": index, "item": {**body, "status": "in_progress"}}
        return _OutputItem(index, body, kind), self._event("response.output_item.added", added)

    def _delta(self, item: _OutputItem | None, literal: bytes, more: Json) -> bytes:
        assert item
        item.literals.append(literal)
        # the literal replaces the placeholder unparsed
        event = self._event(f"response.{item.kind}.delta", {**item.place, **more, "delta": None})
        return event[: -len(b"null}\n\n")] + literal + b"}\n\n"

    def _close_item(self, status: str = "completed") -> bytes:
        """Return the events that end the open text or reasoning; none if there is none."""
        item, self._item = self._item, None
        return self._end(item, status) if item else b""

    def _end(self, item: _OutputItem, status: str) -> bytes:
        """Return the events that end an item."""
        text = join_literals(item.literals)
        is_call = item.kind == "function_call_arguments"
        body: Json = {**item.body, "status": status}
        body |= {"arguments": text} if is_call else {"content": [_part(item.kind, text)]}
        self._output[item.index] = body
        done: Json = {"arguments": text, "name": body["name"]} if is_call else {"text": text}
        done |= {"logprobs": []} if item.kind == "output_text" else {}
        events = self._event(f"response.{item.kind}.done", {**item.place, **done})
        if not is_call:
            events += self._event("response.content_part.done", {**item.place, "part": body["content"][0]})
        return events + self._event("response.output_item.done", {"output_index": item.index, "item": body})

    def _event(self, kind: str, data: Json) -> bytes:
        self._sequence += 1
        text = json.dumps({"type": kind, "sequence_number": self._sequence, **data}, separators=(",", ":"))
        return f"event: {kind}\ndata: {text}\n\n".encode()


def _part(kind: str, text: str) -> Json:
    return {"type": kind, "text": text} | ({"annotations": [], "logprobs": []} if kind == "output_text" else {})


def _usage(usage: Json) -> Json:
    """Return the usage of a chat completion under the names of a response."""

    def details(name: str) -> dict[str, Any]:
        return usage.get(name) or {}

    return {
        "input_tokens": usage.get("prompt_tokens", 0),
        "input_tokens_details": {"cached_tokens": 0, **details("prompt_tokens_details")},
        "output_tokens": usage.get("completion_tokens", 0),
        "output_tokens_details": {"reasoning_tokens": 0, **details("completion_tokens_details")},
        "total_tokens": usage["total_tokens"],
    }
