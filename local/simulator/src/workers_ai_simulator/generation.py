"""Text generation: what the models take, and the two shapes in which they answer."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator import text
from workers_ai_simulator.models import Model, check_window
from workers_ai_simulator.validation import invalid, mismatch, number_input, text_input

ROLES = ("system", "user", "assistant", "tool")
DEFAULT_MAX_TOKENS = 256
PADDING = "abcdefghijklmnopqrstuvwxyz0123456789"
"""Native frames carry up to this much padding (`p`), so that their sizes do not tell the tokens apart."""


@dataclass
class Generation:
    """One answer: its pieces, cut at `max_tokens`, and its usage."""

    model: Model
    pieces: list[str]
    prompt_tokens: int
    finish_reason: str

    @property
    def usage(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": len(self.pieces),
            "total_tokens": self.prompt_tokens + len(self.pieces),
        }

    def answer(self) -> dict[str, Any]:
        """The whole answer, in the model's dialect."""
        response = "".join(self.pieces)
        if self.model.dialect == "native":
            return {"response": response, "usage": self.usage}
        message = {"role": "assistant", "content": response}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage}

    def frames(self) -> Iterator[str]:
        """The answer as frames of a `text/event-stream`, one a piece, in the model's dialect."""
        native = self.model.dialect == "native"
        yield from self._native_frames() if native else self._openai_frames()
        yield "data: [DONE]\n\n"

    def _native_frames(self) -> Iterator[str]:
        for number, piece in enumerate(self.pieces):
            padding = PADDING[: 4 + number * 7 % (len(PADDING) - 4)]
            yield _frame({"response": piece, "p": padding})
        yield _frame({"response": "", "usage": self.usage})

    def _openai_frames(self) -> Iterator[str]:
        head = self._head("chat.completion.chunk")
        for number, piece in enumerate(self.pieces):
            delta = {"role": "assistant", "content": piece} if number == 0 else {"content": piece}
            yield _frame({**head, "choices": [_choice(delta, None)]})
        yield _frame({**head, "choices": [_choice({}, self.finish_reason)], "usage": self.usage})

    def _head(self, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256("".join(self.pieces).encode()).hexdigest()
        return {
            "id": f"chatcmpl-{digest[:32]}",
            "object": kind,
            "created": int(time.time()),
            "model": self.model.id,
        }


def generate(model: Model, inputs: dict[str, Any]) -> Generation:
    """Answer the inputs of a text-generation model.

    Raises UpstreamError 5006 if the model does not take them, 5021 if they exceed its context window.
    """
    _check_parameters(model, inputs)
    messages = _messages(inputs)
    prompt_tokens = text.count(messages)
    most: int = inputs.get("max_tokens") or DEFAULT_MAX_TOKENS
    check_window(model, prompt_tokens + most)
    pieces = list(text.answer(model.id, messages, inputs.get("seed")))
    reason = "length" if len(pieces) > most else "stop"
    return Generation(model, pieces[:most], prompt_tokens, reason)


def _messages(inputs: dict[str, Any]) -> list[dict[str, str]]:
    messages: Any = inputs.get("messages")
    if isinstance(messages, list):
        if not messages:
            raise invalid("'/messages' must have at least 1 items")
        return [_message(number, each) for number, each in enumerate(cast("list[Any]", messages))]
    if messages is not None:
        raise mismatch("/messages", messages, "array")
    if "prompt" not in inputs:
        raise invalid(
            "oneOf at '/' not met, 0 matches: "
            "required properties at '/' are 'prompt', required properties at '/' are 'messages'"
        )
    return [{"role": "user", "content": text_input(inputs, "prompt")}]


def _message(number: int, message: dict[str, Any]) -> dict[str, str]:
    if not isinstance(message, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - it comes from the wire
        raise mismatch(f"/messages/{number}", message, "object")
    missing = [key for key in ("role", "content") if key not in message]
    if missing:
        raise invalid(f"required properties at '/messages/{number}' are '{','.join(missing)}'")
    if message["role"] not in ROLES:
        raise invalid(f"enum {message['role']} not in {','.join(ROLES)}")
    content = message["content"]
    if not isinstance(content, str):
        raise mismatch(f"/messages/{number}/content", content, "string")
    return {"role": message["role"], "content": content}


def _check_parameters(model: Model, inputs: dict[str, Any]) -> None:
    for name, bounds in model.parameters.items():
        if isinstance(bounds, list):
            number_input(inputs, name, None, *bounds)
    number_input(inputs, "max_tokens", None)


def _choice(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _frame(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"
