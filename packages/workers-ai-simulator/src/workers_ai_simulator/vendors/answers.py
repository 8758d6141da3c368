"""Answers in a vendor's dialect, whole and as the frames of a stream, made of a Generation."""

import json
from collections.abc import Iterator
from typing import Any

from workers_ai_simulator.text_generation.conversation import Dialect
from workers_ai_simulator.text_generation.generation import GeneratedCall, Generation
from workers_ai_simulator.vendors.models import VendorModel

Json = dict[str, Any]

STOP_REASONS = {"length": "max_tokens", "tool_calls": "tool_use"}
"""Reason of OpenAI's dialect → Anthropic's; `end_turn` for others."""
SIGNATURE = "c2ltdWxhdGVk"
"""Signature of Gemini's tool calls: any text in base64."""


def whole_answer(model: VendorModel, generation: Generation) -> Json:
    """The whole answer."""
    match model.vendor:
        case "anthropic":
            return _message(model, generation)
        case "google":
            parts = [{"text": generation.text}] if generation.pieces else []
            return _content(model, generation, [*parts, *map(_gemini_call, generation.calls)], is_last=True)
        case _:
            return generation.answer(_dialect(generation))


def frames(model: VendorModel, generation: Generation) -> Iterator[str]:
    """The frames of a stream, one for each piece."""
    match model.vendor:
        case "anthropic":
            return _anthropic_frames(model, generation)
        case "google":
            return _gemini_frames(model, generation)
        case _:
            return generation.frames(_dialect(generation))


def _dialect(generation: Generation) -> Dialect:
    """OpenAI's dialect in which the request was."""
    return "responses" if generation.dialect == "responses" else "openai"


def _name(model: VendorModel) -> str:
    """Name of a model in its own answers: a vendor's without the vendor."""
    return model.id if model.id.startswith("@") else model.id.partition("/")[2]


# ---- Anthropic's Messages --------------------------------------------------------------------------------------------


def _message(model: VendorModel, generation: Generation) -> Json:
    text = [{"type": "text", "text": generation.text}] if generation.pieces else []
    calls = [{**_tool_use(call), "input": _object(call)} for call in generation.calls]
    usage = generation.usage
    return {
        **_message_head(model, generation),
        "content": [*text, *calls],
        "stop_reason": STOP_REASONS.get(generation.finish_reason, "end_turn"),
        "usage": {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]},
    }


def _message_head(model: VendorModel, generation: Generation) -> Json:
    name = _name(model)
    return {
        "id": f"msg_{generation.digest}", "type": "message", "role": "assistant", "model": name, "content": [],
        "stop_reason": None, "stop_sequence": None,
    }  # fmt: skip


def _tool_use(call: GeneratedCall) -> Json:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}


def _anthropic_frames(model: VendorModel, generation: Generation) -> Iterator[str]:
    usage = generation.usage
    head = {**_message_head(model, generation), "usage": {"input_tokens": usage["prompt_tokens"], "output_tokens": 1}}
    yield _event("message_start", message=head)
    blocks: list[tuple[Json, list[Json]]] = []
    if generation.pieces:
        deltas: list[Json] = [{"type": "text_delta", "text": piece} for piece in generation.pieces]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for call in generation.calls:
        pieces: list[Json] = [{"type": "input_json_delta", "partial_json": piece} for piece in call.pieces]
        blocks.append((_tool_use(call), pieces))
    for index, (block, deltas) in enumerate(blocks):
        yield _event("content_block_start", index=index, content_block=block)
        if index == 0:
            yield _event("ping")
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    reason = STOP_REASONS.get(generation.finish_reason, "end_turn")
    # the counts of this event are those of the whole answer; older versions have the output's alone
    counts = {"output_tokens": usage["completion_tokens"]}
    yield _event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=counts)
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {_dump({'type': kind, **fields})}\n\n"


# ---- Gemini's generateContent ----------------------------------------------------------------------------------------


def _content(model: VendorModel, generation: Generation, parts: list[Json], *, is_last: bool) -> Json:
    usage = generation.usage
    reason = "MAX_TOKENS" if generation.finish_reason == "length" else "STOP"
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    counts: Json = {"promptTokenCount": usage["prompt_tokens"]}
    if is_last:
        candidate["finishReason"] = reason
        counts |= {"candidatesTokenCount": usage["completion_tokens"], "totalTokenCount": usage["total_tokens"]}
    name = _name(model)
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": name, "responseId": generation.digest}


def _gemini_call(call: GeneratedCall) -> Json:
    return {"functionCall": {"name": call.name, "args": _object(call)}, "thoughtSignature": SIGNATURE}


def _gemini_frames(model: VendorModel, generation: Generation) -> Iterator[str]:
    """Frames as Google writes them: a call of a tool in one piece, lines that end with CRLF, no `[DONE]`."""
    parts = [*({"text": piece} for piece in generation.pieces), *map(_gemini_call, generation.calls)]
    for part in parts:
        yield f"data: {_dump(_content(model, generation, [part], is_last=False))}\r\n\r\n"
    yield f"data: {_dump(_content(model, generation, [{'text': ''}], is_last=True))}\r\n\r\n"


def _object(call: GeneratedCall) -> Json:
    """Arguments of a call; empty if they were cut."""
    try:
        return json.loads(call.arguments)
    except ValueError:
        return {}


def _dump(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
