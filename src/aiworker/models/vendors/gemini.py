"""Gemini's generateContent, the dialect of models `google/…`.

Source: ai.google.dev/api/generate-content, and developers.cloudflare.com/ai/models.
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

CONFIG = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "max_tokens": "maxOutputTokens",
    "stop": "stopSequences",
}
"""OpenAI's parameter → that of `generationConfig`."""
MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
"""OpenAI's `tool_choice` → the mode of `functionCallingConfig`."""
NO_SIGNATURE = "skip_thought_signature_validator"
"""Replaces the signature of a tool call, which OpenAI's dialect has no place for and Gemini 3 requires. Source:
ai.google.dev/gemini-api/docs/thought-signatures."""

FINISH_REASONS = {"MAX_TOKENS": "length", "STOP": "stop"}
"""Gemini's reason for the end → OpenAI's; others, such as SAFETY, are `content_filter`."""


def to_inputs(fields: Mapping[str, Any]) -> Json:
    """Return inputs in OpenAI's dialect as a request for content."""
    system, messages = split_system(fields["messages"])
    config: Json = {theirs: fields[ours] for ours, theirs in CONFIG.items() if fields.get(ours) is not None}
    if fields.get("response_format"):
        config["responseMimeType"] = "application/json"
    if schema := json_schema(fields):
        config["responseJsonSchema"] = schema
    inputs: Json = {"contents": _contents(messages)}
    if config:
        inputs["generationConfig"] = config
    if system:
        inputs["systemInstruction"] = {"parts": [{"text": system}]}
    if fields.get("tools"):
        inputs["tools"] = [{"functionDeclarations": [_declaration(tool["function"]) for tool in fields["tools"]]}]
        inputs["toolConfig"] = {"functionCallingConfig": _calling(fields)}
    return {**inputs, **({"stream": True} if fields.get("stream") else {})}


def _declaration(function: Mapping[str, Any]) -> Json:
    described = {"description": function["description"]} if function.get("description") else {}
    return {"name": function["name"], **described, "parametersJsonSchema": function["parameters"]}


def _calling(fields: Mapping[str, Any]) -> Json:
    if name := chosen_tool(fields):
        return {"mode": "ANY", "allowedFunctionNames": [name]}
    return {"mode": MODES[fields.get("tool_choice") or "auto"]}


def _contents(messages: list[Json]) -> list[Json]:
    """Return the messages with those of one role joined: results of tools are the user's here."""
    names = {call_id: name for message in messages for call_id, name, _ in calls_of(message)}
    contents: list[Json] = []
    for message in messages:
        role = "model" if message["role"] == "assistant" else "user"
        parts = list(_parts(message, names))
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    return contents


def _parts(message: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Json]:
    """Yield the parts of a message. names: tool call's id → the tool's name."""
    if message["role"] == "tool":
        name = message.get("name") or names.get(message.get("tool_call_id", ""), "")
        yield {"functionResponse": {"name": name, "response": {"result": text_of(message)}}}
        return
    for part in content_parts(message.get("content")):
        is_image = isinstance(part, Image)
        yield {"inlineData": {"mimeType": part.media_type, "data": part.data}} if is_image else {"text": part}
    for _, name, arguments in calls_of(message):
        yield {"functionCall": {"name": name, "args": arguments}, "thoughtSignature": NO_SIGNATURE}


# ---- answers -----------------------------------------------------------------------------------------------------


def read_answer(data: Json) -> Json | None:
    """Return an answer, or a frame of a stream, in OpenAI's dialect; None for data of another shape."""
    match data:
        case {"candidates": [{**candidate}, *_]}:
            return _completion(_message(_parts_of(candidate)), _reason(candidate.get("finishReason")), data)
        case {"promptFeedback": {"blockReason": str()}}:  # refused before a word was written
            return _completion({"content": ""}, "content_filter", data)
        case {"usageMetadata": {}}:
            return _completion({}, None, data)
        case _:
            return None


def _completion(message: Json, reason: str | None, data: Json) -> Json:
    usage = _usage(data.get("usageMetadata"))
    # frames and whole answers look alike: the message stands for both
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return {"choices": [choice], **({"usage": usage} if usage else {})}


def _parts_of(candidate: Json) -> list[Json]:
    match candidate:
        case {"content": {"parts": [*parts]}}:
            return objects(parts)
        case _:
            return []


def _reason(reason: Any) -> str | None:
    return FINISH_REASONS.get(reason, "content_filter") if isinstance(reason, str) else None


def _message(parts: list[Json]) -> Json:
    texts = [(str(part["text"]), part.get("thought") is True) for part in parts if isinstance(part.get("text"), str)]
    thoughts = "".join(text for text, is_thought in texts if is_thought)
    calls = objects([part.get("functionCall") for part in parts])
    return {
        "content": "".join(text for text, is_thought in texts if not is_thought),
        **({"reasoning_content": thoughts} if thoughts else {}),
        **({"tool_calls": list(map(_call, calls))} if calls else {}),
    }


def _call(call: Json) -> Json:
    function = {"name": call.get("name"), "arguments": as_text(call.get("args") or {})}
    return {"id": call.get("id") or "", "type": "function", "function": function}


def _usage(usage: Any) -> Json:
    match usage:
        case {"promptTokenCount": int(prompt)}:
            # thoughts are billed as output, and are no part of candidatesTokenCount
            outputs = count(usage, "candidatesTokenCount") + count(usage, "thoughtsTokenCount")
            cached = count(usage, "cachedContentTokenCount")
            details = {"prompt_tokens_details": {"cached_tokens": cached}} if cached else {}
            return {"prompt_tokens": prompt, "completion_tokens": outputs, **details}
        case _:
            return {}
