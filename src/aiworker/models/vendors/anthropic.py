"""Anthropic's Messages API, the dialect of models `anthropic/…`.

Source: the wire types of the npm package @anthropic-ai/sdk, and developers.cloudflare.com/ai/models.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from aiworker.models.vendors.messages import (
    Image,
    Json,
    as_text,
    calls_of,
    chosen_tool,
    content_parts,
    count,
    json_schema,
    objects,
    split_system,
    text_of,
)

MAX_TOKENS = 4_096
"""`max_tokens` where the request has none: the API requires it."""
JSON_OBJECT = "Answer with one JSON object and nothing else."
CHOICES = {"auto": "auto", "none": "none", "required": "any"}
"""OpenAI's `tool_choice` → Anthropic's."""


def to_inputs(fields: Mapping[str, Any]) -> Json:
    """Return inputs in OpenAI's dialect as a request for a message."""
    system, messages = split_system(fields["messages"])
    if fields.get("response_format") == {"type": "json_object"}:
        system = f"{system}\n\n{JSON_OBJECT}".strip()
    inputs: Json = {
        "max_tokens": fields.get("max_tokens") or MAX_TOKENS,
        "messages": _merged(messages),
        **{name: fields[name] for name in ("temperature", "top_p", "top_k", "stream") if fields.get(name)},
    }
    if fields.get("temperature") == 0:
        inputs["temperature"] = 0
    if system:
        inputs["system"] = system
    if stop := fields.get("stop"):
        inputs["stop_sequences"] = stop
    if schema := json_schema(fields):
        inputs["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    if fields.get("tools"):
        inputs |= {"tools": [_tool(tool["function"]) for tool in fields["tools"]], "tool_choice": _choice(fields)}
    return inputs


def _tool(function: Mapping[str, Any]) -> Json:
    described = {"description": function["description"]} if function.get("description") else {}
    return {"name": function["name"], **described, "input_schema": function["parameters"]}


def _choice(fields: Mapping[str, Any]) -> Json:
    name = chosen_tool(fields)
    choice: Json = {"type": "tool", "name": name} if name else {"type": CHOICES[fields.get("tool_choice") or "auto"]}
    is_single = fields.get("parallel_tool_calls") is False and choice["type"] != "none"
    return {**choice, **({"disable_parallel_tool_use": True} if is_single else {})}


def _merged(messages: list[Json]) -> list[Json]:
    """Return the messages with those of one role joined: results of tools are the user's here."""
    merged: list[Json] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = list(_blocks(message))
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += blocks
        elif blocks:
            merged.append({"role": role, "content": blocks})
    return merged


def _blocks(message: Mapping[str, Any]) -> Iterator[Json]:
    if message["role"] == "tool":
        yield {"type": "tool_result", "tool_use_id": message.get("tool_call_id", ""), "content": text_of(message)}
        return
    for part in content_parts(message.get("content")):
        if isinstance(part, Image):
            source = {"type": "base64", "media_type": part.media_type, "data": part.data}
            yield {"type": "image", "source": source}
        else:
            yield {"type": "text", "text": part}
    for call_id, name, arguments in calls_of(message):
        yield {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


# ---- answers -----------------------------------------------------------------------------------------------------


def read_answer(data: Json) -> Json | None:
    """Return an answer, or the data of a stream's event, in OpenAI's dialect; None for data of another shape."""
    match data:
        case {"type": "message", "content": [*blocks]}:
            message = _message(objects(blocks))
            return _completion("message", message, data.get("stop_reason"), data.get("usage"))
        case {"type": "message_start", "message": {**message}}:
            return _completion("delta", {}, None, message.get("usage"))
        case {"type": "content_block_start", "index": int(index), "content_block": {**block}}:
            return _completion("delta", _block_start(index, block))
        case {"type": "content_block_delta", "index": int(index), "delta": {**delta}}:
            return _completion("delta", _block_delta(index, delta))
        case {"type": "message_delta", "delta": {**delta}}:
            return _completion("delta", {}, delta.get("stop_reason"), data.get("usage"))
        case {"type": "content_block_stop" | "message_stop" | "ping"}:
            return {}
        case _:
            return None


def _completion(shape: str, message: Json, reason: Any = None, usage: Any = None) -> Json:
    choice = {"index": 0, shape: message, "finish_reason": reason}
    counts = _usage(usage)
    return {"choices": [choice], **({"usage": counts} if counts else {})}


def _usage(usage: Any) -> Json:
    match usage:
        case {"input_tokens": int(inputs), "output_tokens": int(outputs)}:
            cached = count(usage, "cache_read_input_tokens")
            written = count(usage, "cache_creation_input_tokens")
            details = {"prompt_tokens_details": {"cached_tokens": cached}} if cached else {}
            return {"prompt_tokens": inputs + cached + written, "completion_tokens": outputs, **details}
        case {"output_tokens": int(outputs)}:
            return {"completion_tokens": outputs}
        case _:
            return {}


def _message(blocks: list[Json]) -> Json:
    text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    thinking = "".join(str(block.get("thinking", "")) for block in blocks if block.get("type") == "thinking")
    calls = [
        _call(index, block, as_text(block.get("input") or {}))
        for index, block in enumerate(blocks)
        if block.get("type") == "tool_use"
    ]
    return {
        "role": "assistant",
        "content": text,
        **({"reasoning_content": thinking} if thinking else {}),
        **({"tool_calls": calls} if calls else {}),
    }


def _block_start(index: int, block: Json) -> Json:
    if block.get("type") == "tool_use":
        return {"tool_calls": [_call(index, block, "")]}
    return {"content": block["text"]} if block.get("text") else {}


def _block_delta(index: int, delta: Json) -> Json:
    match delta:
        case {"type": "text_delta", "text": str(text)}:
            return {"content": text}
        case {"type": "thinking_delta", "thinking": str(thinking)}:
            return {"reasoning_content": thinking}
        case {"type": "input_json_delta", "partial_json": str(piece)}:
            return {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
        case _:
            return {}


def _call(index: int, block: Json, arguments: str) -> Json:
    function = {"name": block.get("name"), "arguments": arguments}
    return {"index": index, "id": block.get("id"), "type": "function", "function": function}
