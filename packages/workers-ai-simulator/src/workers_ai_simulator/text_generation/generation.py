"""Text generation: an answer of a model, and the dialects in which models write one.

What is answered is decided in reply.py. A Generation may hold what another model has said as well.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from workers_ai_simulator import text
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.models import Model, check_window
from workers_ai_simulator.text_generation.conversation import Form, ToolCall, read
from workers_ai_simulator.text_generation.frames import (
    WRITERS,
    Delta,
    Json,
    ResponsesWriter,
    Usage,
    Writer,
    completion_head,
)
from workers_ai_simulator.text_generation.reply import reply

NESTED_CALLS = ("@cf/meta/llama-4-scout-17b-16e-instruct",)
"""Native models that write whole tool calls as `{id, type, function}`, in `@cloudflare/workers-types`."""


@dataclass(frozen=True)
class Call:
    """A tool call, its arguments a JSON text in pieces."""

    id: str
    name: str
    pieces: list[str]

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


@dataclass
class Generation:
    """One answer: its pieces, a token each, cut at `max_tokens`; and its usage."""

    model: Model
    pieces: list[str]
    """Of the text."""
    prompt_tokens: int
    finish_reason: str
    """stop, length or tool_calls."""
    reasoning: list[str] = field(default_factory=list[str])
    """The pieces of what was thought before the text; the native dialect has it in the text."""
    calls: list[Call] = field(default_factory=list[Call])
    is_json: bool = False
    """Whether the text is the answer of JSON mode, which the native dialect writes as an object."""
    dialect: Form | None = None
    """The one that was asked in; the model's by default."""
    reported: Usage | None = None
    """The usage as another server has counted it."""

    @property
    def usage(self) -> Usage:
        if self.reported:
            return self.reported
        completion = len(self.pieces) + len(self.reasoning) + sum(len(call.pieces) for call in self.calls)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
        }

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def answer(self, dialect: Form | None = None) -> Json:
        """The whole answer.

        native: `{response, usage}`, where JSON mode's response is an object and that beside `tool_calls` is null.
        openai: a `chat.completion`. responses: a `response` object.
        """
        writers = {"native": self._native, "openai": self._openai, "responses": self._response}
        return writers[dialect or self.dialect or self.model.dialect]()

    def frames(self, dialect: Form | None = None) -> Iterator[str]:
        """The answer as frames of a `text/event-stream`, one a piece, and `data: [DONE]` after native and openai.

        responses: OpenAI's typed events.
        """
        writer = WRITERS[dialect or self.dialect or self.model.dialect]
        return self._written(writer(self.model, self._digest()))

    def deltas(self) -> Iterator[Delta]:
        """The answer in pieces: what was thought, the text, the tool calls."""
        yield from (Delta("reasoning", piece) for piece in self.reasoning)
        yield from (Delta("text", piece) for piece in self.pieces)
        for number, call in enumerate(self.calls):
            yield Delta("call", call=number, id=call.id, name=call.name)
            yield from (Delta("arguments", piece, number) for piece in call.pieces)

    def _written(self, writer: Writer) -> Iterator[str]:
        yield from writer.begin()
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

    def _native_call(self, call: Call) -> Json:
        named = {"name": call.name, "arguments": _object_or_text(call.arguments)}
        if self.model.id in NESTED_CALLS:
            return {"id": call.id, "type": "function", "function": named}
        return named

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
        head = completion_head(self.model, self._digest(), "chat.completion")
        return {**head, "choices": [choice], "usage": self.usage}

    def _digest(self) -> str:
        said = repr((self.reasoning, self.pieces, [vars(call) for call in self.calls]))
        return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:32]

    # ---- responses ---------------------------------------------------------------------------------------------------

    def _response(self) -> Json:
        writer = ResponsesWriter(self.model, self._digest())
        for _ in self._written(writer):
            pass
        return writer.response


def generate(model: Model, inputs: dict[str, Any]) -> Generation:
    """Answer the inputs of a text-generation model: `prompt`, `messages`, or `input` for the models that take it.

    Raises UpstreamError 5006 if the model does not take them, 5021 if they exceed its context window, 5023 to 5025 for
    JSON mode that is not to be had, 5004 and 3030 for an image that cannot be read.
    """
    conversation = read(model, inputs)
    prompt_tokens, most = conversation.prompt_tokens, conversation.max_tokens
    check_window(model, prompt_tokens + most)
    said = reply(model, conversation)
    thought, whole = said.reasoning, _stopped(said.text, conversation.stop)
    if thought and conversation.form == "native":
        thought, whole = "", whole if said.is_json else f"<think>\n{thought}\n</think>\n\n{whole}"
    reasoning, pieces = text.tokens(thought), text.tokens(whole)
    calls = [Call(call.id, call.name, text.tokens(_written(call))) for call in said.calls]
    generation = Generation(
        model,
        pieces,
        prompt_tokens,
        "tool_calls" if calls else "stop",
        reasoning,
        calls,
        said.is_json,
        conversation.form,
    )
    return _cut(generation, most)


def _cut(generation: Generation, most: int) -> Generation:
    """The first so many tokens of an answer.

    Raises UpstreamError 5024 if half of a JSON object would be left for the native dialect to answer.
    """
    if generation.usage["completion_tokens"] <= most:
        return generation
    if generation.is_json and generation.dialect == "native":
        raise UpstreamError(400, 5024, "JSON Mode couldn't be met")
    reasoning = generation.reasoning[:most]
    pieces = generation.pieces[: most - len(reasoning)]
    left = most - len(reasoning) - len(pieces)
    calls: list[Call] = []
    for call in generation.calls:
        if left > 0:
            calls.append(Call(call.id, call.name, call.pieces[:left]))
            left -= len(calls[-1].pieces)
    return Generation(
        generation.model, pieces, generation.prompt_tokens, "length", reasoning, calls, False, generation.dialect
    )


def _stopped(whole: str, stop: tuple[str, ...]) -> str:
    """The text before the first of the sequences that stop it."""
    return whole[: min((at for each in stop if (at := whole.find(each)) >= 0), default=len(whole))]


def _written(call: ToolCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)


def _object_or_text(arguments: str) -> Any:
    """The arguments as they are in the native dialect: a text only if they were cut."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
