"""Requests in a vendor's dialect, read as inputs in OpenAI's.

Inputs that a dialect does not have are refused with 5006. The sentences follow Workers AI's own validator: how AI
Gateway words a vendor's refusal to the binding is not known.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

from workers_ai_simulator.validation import (
    choice_input,
    invalid,
    list_input,
    mismatch,
    number_input,
    object_input,
    required,
)
from workers_ai_simulator.vendors.models import VendorModel

Json = dict[str, Any]

OPENAI_FIELDS_ELSEWHERE = ("max_tokens",)
"""Parameters that OpenAI's reasoning models have under another name, and refuse."""
REASONING_MODELS = ("openai/gpt-5", "openai/o")
"""Beginnings of the names of those models."""


def read_inputs(model: VendorModel, inputs: Json) -> Json:
    """Inputs of that model in OpenAI's dialect. Raises UpstreamError 5006 for inputs of another dialect."""
    return READERS.get(model.vendor, _openai)(model, inputs)


def _openai(model: VendorModel, inputs: Json) -> Json:
    if "input" not in inputs:
        required(inputs, "messages")
    wrong = [name for name in OPENAI_FIELDS_ELSEWHERE if name in inputs and model.id.startswith(REASONING_MODELS)]
    if wrong:
        raise invalid(f"'/{wrong[0]}' is not supported with this model: use 'max_completion_tokens'")
    return inputs


def _objects(value: Any, at: str) -> list[Json]:
    """The objects of a list. Raises UpstreamError 5006 for anything else."""
    if not isinstance(value, list):
        raise mismatch(at, value, "array")
    for number, each in enumerate(cast("list[Any]", value)):
        if not isinstance(each, dict):
            raise mismatch(f"{at}/{number}", each, "object")
    return cast("list[Json]", value)


# ---- Anthropic's Messages --------------------------------------------------------------------------------------------

ANTHROPIC_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def _anthropic(_: VendorModel, inputs: Json) -> Json:
    required(inputs, "max_tokens")
    number_input(inputs, "temperature", None, 0, 1)
    read: Json = {"max_tokens": inputs["max_tokens"], "stream": inputs.get("stream", False), "messages": []}
    if system := inputs.get("system"):
        texts = [system] if isinstance(system, str) else [each.get("text", "") for each in _objects(system, "/system")]
        read["messages"].append({"role": "system", "content": "\n".join(texts)})
    for number, message in enumerate(_objects(list_input(inputs, "messages"), "/messages")):
        read["messages"] += _anthropic_messages(message, f"/messages/{number}")
    if tools := inputs.get("tools"):
        read["tools"] = [_anthropic_tool(tool, f"/tools/{n}") for n, tool in enumerate(_objects(tools, "/tools"))]
        choice = object_input(inputs, "tool_choice") or {"type": "auto"}
        name = {"type": "function", "function": {"name": choice.get("name")}}
        read["tool_choice"] = name if choice.get("type") == "tool" else ANTHROPIC_CHOICES[str(choice.get("type"))]
        read["parallel_tool_calls"] = choice.get("disable_parallel_tool_use") is not True
    if schema := object_input(object_input(inputs, "output_config"), "format").get("schema"):
        read["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return {**read, "stop": inputs.get("stop_sequences") or []}


def _anthropic_tool(tool: Json, at: str) -> Json:
    required(tool, "name", "input_schema", at=at)
    function = {"name": tool["name"], "description": tool.get("description", ""), "parameters": tool["input_schema"]}
    return {"type": "function", "function": function}


def _anthropic_messages(message: Json, at: str) -> Iterator[Json]:
    """Messages of OpenAI's dialect: the results of tools are messages of their own there."""
    required(message, "role", "content", at=at)
    role = choice_input(message, "role", ("user", "assistant"))
    content: Any = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else _objects(content, f"{at}/content")
    if not blocks:
        raise invalid(f"'{at}/content' must have at least 1 items")
    for block in (each for each in blocks if each.get("type") == "tool_result"):
        result: Any = block.get("content")
        text = result if isinstance(result, str) else json.dumps(result)
        yield {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text}
    parts = [part for block in blocks if (part := _anthropic_part(block))]
    calls = [_anthropic_call(block) for block in blocks if block.get("type") == "tool_use"]
    if parts or calls:
        yield {"role": role, "content": parts or "", **({"tool_calls": calls} if calls else {})}


def _anthropic_part(block: Json) -> Json | None:
    match block:
        case {"type": "text", "text": str(text)}:
            if not text:
                raise invalid("messages: text content blocks must be non-empty")
            return {"type": "text", "text": text}
        case {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}:
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
        case {"type": "tool_use" | "tool_result" | "thinking" | "redacted_thinking"}:
            return None
        case _:
            raise invalid(f"enum {block.get('type')} not in text,image,tool_use,tool_result,thinking")


def _anthropic_call(block: Json) -> Json:
    function = {"name": block.get("name"), "arguments": json.dumps(block.get("input"))}
    return {"id": block.get("id"), "type": "function", "function": function}


# ---- Gemini's generateContent ----------------------------------------------------------------------------------------

GEMINI_CONFIG = {"maxOutputTokens": "max_tokens", "stopSequences": "stop", "seed": "seed", "topK": "top_k"}
"""Parameter of `generationConfig` → that of OpenAI's dialect, for those that have an effect here."""
GEMINI_MODES = {"AUTO": "auto", "ANY": "required", "NONE": "none"}


def _gemini(_: VendorModel, inputs: Json) -> Json:
    config = object_input(inputs, "generationConfig")
    number_input(config, "temperature", None, 0, 2)
    read: Json = {theirs: config[name] for name, theirs in GEMINI_CONFIG.items() if name in config}
    read |= {"stream": inputs.get("stream", False), "messages": []}
    if system := inputs.get("systemInstruction"):
        read["messages"].append({"role": "system", "content": _gemini_text(system)})
    for number, content in enumerate(_objects(list_input(inputs, "contents"), "/contents")):
        read["messages"] += _gemini_messages(content, f"/contents/{number}")
    if config.get("responseMimeType") == "application/json":
        schema = config.get("responseJsonSchema")
        enveloped = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        read["response_format"] = enveloped if schema else {"type": "json_object"}
    return {**read, **_gemini_tools(inputs)}


def _gemini_tools(inputs: Json) -> Json:
    tools = _objects(inputs.get("tools") or [], "/tools")
    declarations = [each for tool in tools for each in _objects(tool.get("functionDeclarations") or [], "/tools")]
    if not declarations:
        return {}
    calling = object_input(object_input(inputs, "toolConfig"), "functionCallingConfig") or {"mode": "AUTO"}
    names = calling.get("allowedFunctionNames")
    chosen = {"type": "function", "function": {"name": names[0]}} if names else GEMINI_MODES[str(calling.get("mode"))]
    return {"tools": [_gemini_tool(each) for each in declarations], "tool_choice": chosen}


def _gemini_tool(declaration: Json) -> Json:
    required(declaration, "name", at="/tools/0/functionDeclarations")
    function: Json = {
        "name": declaration["name"],
        "description": declaration.get("description", ""),
        "parameters": declaration.get("parametersJsonSchema") or declaration.get("parameters") or {},
    }
    return {"type": "function", "function": function}


def _gemini_text(content: Json) -> str:
    return "\n".join(str(part.get("text", "")) for part in _objects(content.get("parts"), "/systemInstruction/parts"))


def _gemini_messages(content: Json, at: str) -> Iterator[Json]:
    required(content, "parts", at=at)
    role = choice_input(content, "role", ("user", "model")) or "user"
    parts = _objects(content["parts"], f"{at}/parts")
    for part in (each["functionResponse"] for each in parts if "functionResponse" in each):
        result = json.dumps(part.get("response"))
        yield {"role": "tool", "tool_call_id": part.get("name"), "name": part.get("name"), "content": result}
    read = [each for part in parts if (each := _gemini_part(part))]
    calls = [_gemini_call(part) for part in parts if "functionCall" in part]
    if read or calls:
        name = "assistant" if role == "model" else "user"
        yield {"role": name, "content": read or "", **({"tool_calls": calls} if calls else {})}


def _gemini_part(part: Json) -> Json | None:
    match part:
        case {"text": str(text)}:
            return {"type": "text", "text": text}
        case {"inlineData": {"mimeType": kind, "data": data}}:
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
        case {"functionCall": _} | {"functionResponse": _}:
            return None
        case _:
            raise invalid(f"required properties at '/contents' are 'text', not {','.join(part)}")


def _gemini_call(part: Json) -> Json:
    if not part.get("thoughtSignature"):
        raise invalid("Function call is missing a thought_signature in functionCall parts")
    call = part["functionCall"]
    function = {"name": call.get("name"), "arguments": json.dumps(call.get("args") or {})}
    return {"id": call.get("name"), "type": "function", "function": function}


READERS: dict[str, Callable[[VendorModel, Json], Json]] = {"anthropic": _anthropic, "google": _gemini}
