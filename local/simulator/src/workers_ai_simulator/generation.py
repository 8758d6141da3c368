"""Text generation: an answer of a model, and the dialects in which models write one.

What is answered is decided in reply.py. A Generation may hold what another model has said as well.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from workers_ai_simulator import text
from workers_ai_simulator.conversation import Form, ToolCall, read
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.models import Model, check_window
from workers_ai_simulator.reply import reply

PADDING = "abcdefghijklmnopqrstuvwxyz0123456789"
"""Native frames carry up to this much padding (`p`), so that their sizes do not tell the tokens apart."""
NESTED_CALLS = ("@cf/meta/llama-4-scout-17b-16e-instruct",)
"""Native models that write whole tool calls as `{id, type, function}`, in `@cloudflare/workers-types`."""

Json = dict[str, Any]


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

    @property
    def usage(self) -> dict[str, int]:
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

        responses: OpenAI's typed events. Cloudflare documents that form without streaming only.
        """
        writers = {"native": self._native_frames, "openai": self._openai_frames, "responses": self._events}
        wanted = dialect or self.dialect or self.model.dialect
        yield from writers[wanted]()
        if wanted != "responses":
            yield "data: [DONE]\n\n"

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

    def _native_frames(self) -> Iterator[str]:
        for number, piece in enumerate(self.pieces):
            padding = PADDING[: 4 + number * 7 % (len(PADDING) - 4)]
            yield _frame({"response": piece, "p": padding})
        for index, call in enumerate(self.calls):
            for part in _call_deltas(index, call):
                yield _frame({"tool_calls": [part]})
            end = {"id": None, "type": None, "index": index, "function": {"name": None, "arguments": None}}
            yield _frame({"tool_calls": [end]})
        yield _frame({"response": "", "usage": self.usage})

    # ---- openai ------------------------------------------------------------------------------------------------------

    def _openai(self) -> Json:
        message: Json = {"role": "assistant", "content": None if self.calls and not self.pieces else self.text}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.calls
            ]
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage}

    def _openai_frames(self) -> Iterator[str]:
        head = self._head("chat.completion.chunk")
        deltas: list[Json] = [{"reasoning_content": piece} for piece in self.reasoning]
        deltas += [{"content": piece} for piece in self.pieces]
        deltas += [
            {"tool_calls": [part]} for index, call in enumerate(self.calls) for part in _call_deltas(index, call)
        ]
        for number, delta in enumerate(deltas):
            role = {"role": "assistant"} if number == 0 else {}
            yield _frame({**head, "choices": [_choice({**role, **delta}, None)]})
        # the usage comes unasked: `stream_options.include_usage` changes nothing
        yield _frame({**head, "choices": [_choice({}, self.finish_reason)], "usage": self.usage})

    def _head(self, kind: str) -> Json:
        return {
            "id": f"chatcmpl-{self._digest()}",
            "object": kind,
            "created": int(time.time()),
            "model": self.model.id,
        }

    def _digest(self) -> str:
        said = repr((self.reasoning, self.pieces, [vars(call) for call in self.calls]))
        return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:32]

    # ---- responses ---------------------------------------------------------------------------------------------------

    def _response(self) -> Json:
        return self._response_head(self._status(), [item for item, _, _ in self._items()], self._response_usage())

    def _status(self) -> str:
        return "incomplete" if self.finish_reason == "length" else "completed"

    def _response_usage(self) -> dict[str, int]:
        used = self.usage
        return {
            "input_tokens": used["prompt_tokens"],
            "output_tokens": used["completion_tokens"],
            "total_tokens": used["total_tokens"],
        }

    def _response_head(self, status: str, output: list[Json], usage: dict[str, int] | None) -> Json:
        return {
            "id": f"resp_{self._digest()}",
            "object": "response",
            "created_at": int(time.time()),
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "model": self.model.id,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
        }

    def _items(self) -> list[tuple[Json, list[str], str]]:
        """The items of a response, the pieces of each, and the name of the events that bring them."""
        digest, status = self._digest(), self._status()
        items: list[tuple[Json, list[str], str]] = []
        if self.reasoning:
            part = {"type": "reasoning_text", "text": "".join(self.reasoning)}
            thought: Json = {"id": f"rs_{digest}", "type": "reasoning", "summary": [], "content": [part]}
            items.append((thought, self.reasoning, "reasoning_text"))
        if self.pieces:
            said: Json = {"type": "output_text", "text": self.text, "annotations": []}
            message: Json = {"id": f"msg_{digest}", "type": "message", "role": "assistant", "status": status}
            items.append(({**message, "content": [said]}, self.pieces, "output_text"))
        for call in self.calls:
            called: Json = {"id": f"fc_{call.id}", "type": "function_call", "call_id": call.id, "status": status}
            items.append(
                ({**called, "name": call.name, "arguments": call.arguments}, call.pieces, "function_call_arguments")
            )
        return items

    def _events(self) -> Iterator[str]:
        events = [{"type": "response.created", "response": self._response_head("in_progress", [], None)}]
        for index, (item, pieces, kind) in enumerate(self._items()):
            events += _item_events(index, item, pieces, kind)
        events.append({"type": f"response.{self._status()}", "response": self._response()})
        for number, event in enumerate(events):
            yield f"event: {event['type']}\n{_frame({**event, 'sequence_number': number})}"


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


def _call_deltas(index: int, call: Call) -> Iterator[Json]:
    yield {"id": call.id, "type": "function", "index": index, "function": {"name": call.name, "arguments": ""}}
    for piece in call.pieces:
        yield {"index": index, "function": {"arguments": piece}}


def _item_events(index: int, item: Json, pieces: list[str], kind: str) -> Iterator[Json]:
    """What a Responses stream says of one item, from its start to its end."""
    place: Json = {"output_index": index, "item_id": item["id"]}
    empty: Json = {"arguments": ""} if kind == "function_call_arguments" else {"content": []}
    yield {
        "type": "response.output_item.added",
        "output_index": index,
        "item": {**item, "status": "in_progress", **empty},
    }
    if kind == "function_call_arguments":
        done: Json = {**place, "name": item["name"], "arguments": item["arguments"]}
    else:
        place["content_index"] = 0
        part: Json = item["content"][0]
        done = {**place, "text": part["text"]}
        yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
    extra: Json = {"logprobs": []} if kind == "output_text" else {}
    for piece in pieces:
        yield {"type": f"response.{kind}.delta", **place, "delta": piece, **extra}
    yield {"type": f"response.{kind}.done", **done, **extra}
    if "content" in item:
        yield {"type": "response.content_part.done", **place, "part": item["content"][0]}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _choice(delta: Json, finish_reason: str | None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _frame(data: Json) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"
