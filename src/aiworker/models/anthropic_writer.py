"""Encoding of a model's answer as a message of Anthropic's API: the events of its stream, and the whole object."""

import json
from dataclasses import dataclass, field
from typing import cast

from aiworker.anthropic_errors import anthropic_error
from aiworker.errors import ApiError
from aiworker.models.openai_writers import CollectingWriter, join_literals
from aiworker.models.tool_calls import Json

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
"""`finish_reason` of OpenAI's dialect → `stop_reason`; `end_turn` for others."""


@dataclass
class _Block:
    """A content block that has not been sent completely."""

    start: Json
    """The block for the event `content_block_start`, without its content."""
    prefix: bytes
    """The beginning of its deltas, up to the piece itself: a JSON string."""
    index: int
    pieces: list[bytes] = field(default_factory=list[bytes])
    """Pieces held back until the blocks before this one are complete."""
    is_complete: bool = False


class MessagesWriter:
    """Writer of the events `message_start` to `message_stop`.

    Clients expect one block after the other, and models may mix the pieces of several tool calls: pieces of a block are
    held back until the blocks before it are complete. A tool call is complete at the end of the answer, any other block
    when the next one begins.
    """

    def __init__(self, message: Json, *, input_tokens: int, has_thinking: bool) -> None:
        """
        message: `id` and `model`.
        input_tokens: an estimate, which `message_start` has; `message_delta` has the model's count.
        has_thinking: write the model's reasoning as blocks of thinking; else it is left out.
        """
        self._message = message
        self._input_tokens = input_tokens
        self._has_thinking = has_thinking
        self._open: list[_Block] = []
        """Blocks that are not sent completely, in order. Pieces of the first are sent as they come."""
        self._calls: dict[int, _Block] = {}
        self._count = 0

    def start(self) -> bytes:
        usage = {"input_tokens": self._input_tokens, "output_tokens": 0}
        return _event("message_start", {"message": _message(self._message, [], None, None, usage)})

    def text(self, literal: bytes, logprobs: Json | None = None) -> bytes:  # noqa: ARG002 - there is no field for them
        return self._add_to("text", "text_delta", {"text": ""}, literal)

    def reasoning(self, literal: bytes) -> bytes:
        if not self._has_thinking:
            return b""
        return self._add_to("thinking", "thinking_delta", {"thinking": "", "signature": ""}, literal)

    def call(self, index: int, call_id: str, name: str) -> bytes:
        start: Json = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        encoded, self._calls[index] = self._append(start, "input_json_delta", "partial_json")
        return encoded

    def arguments(self, index: int, literal: bytes) -> bytes:
        return self._piece(self._calls[index], literal)

    def end(self, finish_reason: str, usage: Json, stop_sequence: str | None = None) -> bytes:
        for block in self._open:
            block.is_complete = True
        reason = _stop_reason(finish_reason, stop_sequence)
        delta: Json = {"stop_reason": reason, "stop_sequence": stop_sequence}
        return (
            self._advance()
            + _event("message_delta", {"delta": delta, "usage": _usage(usage)})
            + _event("message_stop", {})
        )

    def error(self, error: ApiError) -> bytes:
        return _event("error", anthropic_error(error, ""))

    def _add_to(self, kind: str, delta: str, empty: Json, literal: bytes) -> bytes:
        """Add a piece to the last block if it is of this kind, else to a new one."""
        encoded = b""
        if not (self._open and self._open[-1].start["type"] == kind):
            encoded, _ = self._append({"type": kind, **empty}, delta, kind)
        return encoded + self._piece(self._open[-1], literal)

    def _append(self, start: Json, delta: str, name: str) -> tuple[bytes, _Block]:
        """Return the events with which a new block begins, and the block."""
        prefix = _event_start("content_block_delta", {"index": self._count, "delta": {"type": delta, name: None}})
        block = _Block(start, prefix.removesuffix(b"null}}"), self._count)
        self._count += 1
        if self._open and self._open[-1].start["type"] != "tool_use":
            self._open[-1].is_complete = True
        is_first = not self._open
        self._open.append(block)
        return (self._start_block(block) if is_first else self._advance()), block

    def _piece(self, block: _Block, literal: bytes) -> bytes:
        if block is self._open[0]:
            return block.prefix + literal + b"}}\n\n"
        block.pieces.append(literal)
        return b""

    def _advance(self) -> bytes:
        """Return the events that end complete blocks and begin the blocks after them."""
        encoded = b""
        while self._open and self._open[0].is_complete:
            encoded += _event("content_block_stop", {"index": self._open.pop(0).index})
            if self._open:
                encoded += self._start_block(self._open[0])
        return encoded

    def _start_block(self, block: _Block) -> bytes:
        start = _event("content_block_start", {"index": block.index, "content_block": block.start})
        return start + b"".join([block.prefix + piece + b"}}\n\n" for piece in block.pieces])


def whole_message(message: Json, answer: CollectingWriter, *, has_thinking: bool) -> Json:
    """Return a whole answer as a message.

    message: `id` and `model`. has_thinking: as for MessagesWriter.
    Raises ApiError `upstream_error` for a tool call whose arguments are no JSON object.
    """
    content: list[Json] = []
    if has_thinking and answer.reasoning_literals:
        content.append({"type": "thinking", "thinking": join_literals(answer.reasoning_literals), "signature": ""})
    if text := join_literals(answer.text_literals):
        content.append({"type": "text", "text": text})
    for call in answer.calls.values():
        function = call["function"]
        tool = {
            "id": call["id"],
            "name": function["name"],
            "input": _arguments(function["name"], function["arguments"]),
        }
        content.append({"type": "tool_use", **tool})
    reason = _stop_reason(answer.finish_reason, answer.stop_sequence)
    return _message(message, content, reason, answer.stop_sequence, _usage(answer.usage))


def _arguments(name: str, text: str) -> Json:
    try:
        arguments: object = json.loads(text or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ApiError("upstream_error", f"The model called the tool {name} with arguments that are no JSON object.")
    return cast("Json", arguments)


def _message(message: Json, content: list[Json], reason: str | None, stop_sequence: str | None, usage: Json) -> Json:
    return {
        "id": message["id"], "type": "message", "role": "assistant", "model": message["model"], "content": content,
        "stop_reason": reason, "stop_sequence": stop_sequence, "usage": usage,
    }  # fmt: skip


def _stop_reason(finish_reason: str, stop_sequence: str | None) -> str:
    return "stop_sequence" if stop_sequence is not None else STOP_REASONS.get(finish_reason, "end_turn")


def _usage(usage: Json) -> Json:
    """Return the usage of a chat completion under Anthropic's names: cached tokens are not among `input_tokens`."""
    prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    details: Json = usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or 0
    return {
        "input_tokens": prompt - cached, "output_tokens": completion,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached,
    }  # fmt: skip


def _event(kind: str, data: Json) -> bytes:
    return _event_start(kind, data) + b"\n\n"


def _event_start(kind: str, data: Json) -> bytes:
    # an error has a type of its own, the same as the event's
    text = json.dumps({"type": kind, **data}, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}".encode()
