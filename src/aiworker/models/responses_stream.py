"""Encoding of a model's answer as an OpenAI `response`: the events of its stream, and the whole object."""

import json
from dataclasses import dataclass, field
from typing import Any

from aiworker.errors import ApiError
from aiworker.models.openai_stream import Json, join_literals


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
        self._output: list[Json] = []
        self._item: _OutputItem | None = None
        self._sequence = -1

    @property
    def is_complete(self) -> bool:
        return self.response["status"] != "in_progress"

    def start(self) -> bytes:
        data = {"response": self.response}
        return self._event("response.created", data) + self._event("response.in_progress", data)

    def text(self, literal: bytes) -> bytes:
        body: Json = {"type": "message", "role": "assistant", "content": []}
        return self._open("msg", body, "output_text") + self._delta(literal, {"logprobs": []})

    def reasoning(self, literal: bytes) -> bytes:
        body: Json = {"type": "reasoning", "summary": [], "content": []}
        return self._open("rs", body, "reasoning_text") + self._delta(literal, {})

    def call(self, index: int, call_id: str, name: str) -> bytes:  # noqa: ARG002 - calls come one after another
        body = {"type": "function_call", "call_id": call_id, "name": name, "arguments": ""}
        return self._close() + self._open("fc", body, "function_call_arguments")

    def arguments(self, index: int, literal: bytes) -> bytes:  # noqa: ARG002
        return self._delta(literal, {})

    def end(self, finish_reason: str, usage: Json) -> bytes:
        status = "incomplete" if finish_reason == "length" else "completed"
        closed = self._close(status)
        details = {"reason": "max_output_tokens"} if status == "incomplete" else None
        self.response |= {
            "status": status, "output": self._output, "incomplete_details": details, "usage": _usage(usage),
        }  # fmt: skip
        return closed + self._event(f"response.{status}", {"response": self.response})

    def error(self, error: ApiError) -> bytes:
        # OpenAI's clients raise the inner `error`; the outer fields are those of OpenAI's reference
        body = error.to_openai()
        return self._event("error", {name: body["error"][name] for name in ("code", "message", "param")} | body)

    def _open(self, prefix: str, body: Json, kind: str) -> bytes:
        """Return the events that begin an item; none if an item of this kind is open, unless it is a tool call."""
        if self._item and self._item.kind == kind and kind != "function_call_arguments":
            return b""
        closed = self._close()
        index = len(self._output)
        body = {"id": f"{prefix}_{self._name}{index}", **body}
        item = self._item = _OutputItem(index, body, kind)
        added = {"output_index": index, "item": {**body, "status": "in_progress"}}
        opened = closed + self._event("response.output_item.added", added)
        if "content" not in body:
            return opened
        return opened + self._event("response.content_part.added", {**item.place, "part": _part(kind, "")})

    def _delta(self, literal: bytes, more: Json) -> bytes:
        assert self._item
        self._item.literals.append(literal)
        # the literal replaces the placeholder unparsed
        event = self._event(f"response.{self._item.kind}.delta", {**self._item.place, **more, "delta": None})
        return event[: -len(b"null}\n\n")] + literal + b"}\n\n"

    def _close(self, status: str = "completed") -> bytes:
        """Return the events that end the open item; none if there is none."""
        item, self._item = self._item, None
        if item is None:
            return b""
        text = join_literals(item.literals)
        is_call = item.kind == "function_call_arguments"
        body: Json = {**item.body, "status": status}
        body |= {"arguments": text} if is_call else {"content": [_part(item.kind, text)]}
        self._output.append(body)
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
