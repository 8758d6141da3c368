"""Text generation: an answer of a model, and the dialects in which models write it.

reply.py decides the content of a simulated answer; a Generation may also hold the answer of a real model.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from workers_ai_simulator import text
from workers_ai_simulator.catalogue import Model, check_window
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.text_generation.conversation import Dialect, ToolCall, read
from workers_ai_simulator.text_generation.frames import (
    Delta,
    Json,
    ResponsesWriter,
    Usage,
    Writer,
    completion_head,
    writer,
)
from workers_ai_simulator.text_generation.reply import reply

NESTED_CALLS = ("@cf/meta/llama-4-scout-17b-16e-instruct",)
"""Native models whose tool calls are `{id, type, function}` by `@cloudflare/workers-types`, not `{name, arguments}`."""


@dataclass(frozen=True)
class GeneratedCall:
    """Tool call of an answer, with its arguments as JSON in pieces."""

    id: str
    name: str
    pieces: list[str]

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


@dataclass
class Generation:
    """One answer in pieces of one token each, cut at `max_tokens`, with its usage."""

    model: Model
    pieces: list[str]
    """Pieces of the text."""
    prompt_tokens: int
    finish_reason: str
    """`stop`, `length` or `tool_calls`; a real model may have others."""
    reasoning: list[str] = field(default_factory=list[str])
    """Pieces of the reasoning before the text; empty in the native dialect, whose text contains it."""
    calls: list[GeneratedCall] = field(default_factory=list[GeneratedCall])
    is_json: bool = False
    """Whether the text is JSON of JSON mode, which the native dialect answers as an object."""
    dialect: Dialect | None = None
    """Dialect of the request; None for the model's own."""
    reported_usage: Usage | None = None
    """Usage that a real model's server reports."""

    @property
    def usage(self) -> Usage:
        if self.reported_usage:
            return self.reported_usage
        completion = len(self.pieces) + len(self.reasoning) + sum(len(call.pieces) for call in self.calls)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        }

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def answer(self, dialect: Dialect | None = None) -> Json:
        """The whole answer in a dialect.

        native: `{response, usage}`, with an object as `response` in JSON mode and null beside `tool_calls`. openai: a
        `chat.completion`. responses: a `response` object.
        """
        writers = {"native": self._native, "openai": self._openai, "responses": self._response}
        return writers[dialect or self.dialect or self.model.dialect]()

    def frames(self, dialect: Dialect | None = None) -> Iterator[str]:
        """The answer as frames of a `text/event-stream`, one for each piece.

        `data: [DONE]` is the last frame in the dialects native and openai. responses: OpenAI's typed events.
        """
        return self._written_frames(writer(self.model, dialect or self.dialect or self.model.dialect, self.digest))

    def deltas(self) -> Iterator[Delta]:
        """The answer in pieces: reasoning, text, tool calls."""
        yield from (Delta("reasoning", piece) for piece in self.reasoning)
        yield from (Delta("text", piece) for piece in self.pieces)
        for number, call in enumerate(self.calls):
            yield Delta("call", call=number, id=call.id, name=call.name)
            yield from (Delta("arguments", piece, number) for piece in call.pieces)

    def _written_frames(self, writer: Writer) -> Iterator[str]:
        yield from writer.start()
        for delta in self.deltas():
            yield from writer.write(delta)
        yield from writer.end(self.finish_reason, self.usage)

    # ---- native ------------------------------------------------------------------------------------------------------

    def _native(self) -> Json:
        if self.calls:
            return {
                "response": None,
                "tool_calls": [self._native_call(call) for call in self.calls],
                "usage": self.usage,
            }
        return {"response": json.loads(self.text) if self.is_json else self.text, "usage": self.usage}

    def _native_call(self, call: GeneratedCall) -> Json:
        function = {"name": call.name, "arguments": _object_or_text(call.arguments)}
        if self.model.id in NESTED_CALLS:
            return {"id": call.id, "type": "function", "function": function}
        return function

    # ---- openai ------------------------------------------------------------------------------------------------------

    def _openai(self) -> Json:
        content = None if self.calls and not self.pieces else self.text
        message: Json = {"role": "assistant", "content": content, "refusal": None}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason, "logprobs": None}
        head = completion_head(self.model, self.digest, "chat.completion")
        return {**head, "choices": [choice], "usage": self.usage}

    @property
    def digest(self) -> str:
        """32 hexadecimal digits of the content, for ids."""
        content = repr((self.reasoning, self.pieces, [vars(call) for call in self.calls]))
        return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:32]

    # ---- responses ---------------------------------------------------------------------------------------------------

    def _response(self) -> Json:
        writer = ResponsesWriter(self.model, self.digest)
        for _ in self._written_frames(writer):
            pass
        return writer.response


def generate(model: Model, inputs: dict[str, Any]) -> Generation:
    """Answer the inputs of a text-generation model: `prompt`, `messages`, or `input` for the models that take it.

    Raises UpstreamError 5006 if the model does not take them, 5021 if they exceed its context window, 5023 to 5025 if
    JSON mode is not possible, 5004 and 3030 for an image that cannot be decoded.
    """
    conversation = read(model, inputs)
    prompt_tokens, max_tokens = conversation.prompt_tokens, conversation.max_tokens
    check_window(model, prompt_tokens + max_tokens)
    answer = reply(model, conversation)
    reasoning, content = answer.reasoning, _before_stop(answer.text, conversation.stop)
    if reasoning and conversation.dialect == "native":
        content = content if answer.is_json else f"<think>\n{reasoning}\n</think>\n\n{content}"
        reasoning = ""
    calls = [GeneratedCall(call.id, call.name, text.tokens(_arguments_json(call))) for call in answer.calls]
    generation = Generation(
        model,
        text.tokens(content),
        prompt_tokens,
        "tool_calls" if calls else "stop",
        text.tokens(reasoning),
        calls,
        answer.is_json,
        conversation.dialect,
    )
    return _cut(generation, max_tokens)


def _cut(generation: Generation, max_tokens: int) -> Generation:
    """The first `max_tokens` tokens of an answer.

    Raises UpstreamError 5024 if that cuts JSON, which the native dialect could not answer as an object.
    """
    if generation.usage["completion_tokens"] <= max_tokens:
        return generation
    if generation.is_json and generation.dialect == "native":
        raise UpstreamError(400, 5024, "JSON Mode couldn't be met")
    reasoning = generation.reasoning[:max_tokens]
    pieces = generation.pieces[: max_tokens - len(reasoning)]
    left = max_tokens - len(reasoning) - len(pieces)
    calls: list[GeneratedCall] = []
    for call in generation.calls:
        if left > 0:
            calls.append(GeneratedCall(call.id, call.name, call.pieces[:left]))
            left -= len(calls[-1].pieces)
    return Generation(
        generation.model, pieces, generation.prompt_tokens, "length", reasoning, calls, False, generation.dialect
    )


def _before_stop(whole: str, stop: tuple[str, ...]) -> str:
    """The text before the first stop sequence in it."""
    return whole[: min((at for each in stop if (at := whole.find(each)) >= 0), default=len(whole))]


def _arguments_json(call: ToolCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)


def _object_or_text(arguments: str) -> Any:
    """Arguments in the native dialect: an object, or a text if they were cut."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
