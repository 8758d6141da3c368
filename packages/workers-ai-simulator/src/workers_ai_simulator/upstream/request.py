"""Requests to the user's server: a conversation as OpenAI's chat completions have it."""

import json
from typing import Any

from PIL import Image

from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.images.painting import input_image
from workers_ai_simulator.text_generation.conversation import Conversation, Message, ToolCall

Json = dict[str, Any]

ROLES = {"developer": "system", "function": "tool"}
"""Role that templates of local servers often do not know → the role sent in its place."""

SAMPLING = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "frequency_penalty": ("frequency_penalty",),
    "presence_penalty": ("presence_penalty",),
    "top_k": ("top_k",),
    "repetition_penalty": ("repetition_penalty", "repeat_penalty"),
    "seed": ("seed",),
}
"""Input → its names at servers: `repetition_penalty` is vLLM's, `repeat_penalty` llama.cpp's."""

NO_PARAMETERS: Json = {"type": "object", "properties": {}}
REASONING = ("reasoning_effort", "chat_template_kwargs", "reasoning")
NO_REASONING: Json = {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False}}
"""Parameters that turn reasoning off, in Ollama, and in vLLM and llama.cpp. Otherwise a model that reasons could spend
all of its tokens on that, in place of a model of Workers AI that does not reason."""


def body(model: Model, conversation: Conversation, inputs: Json, name: str) -> Json:
    """Body of the request for the server's model of that name.

    Raises UpstreamError 5004 and 3030 for an image that cannot be decoded.
    """
    stream = {"stream": True, "stream_options": {"include_usage": True}} if inputs.get("stream") else {}
    return {
        "model": name,
        "messages": _messages(conversation.messages),
        "max_tokens": conversation.max_tokens,
        **({"stop": list(conversation.stop)} if conversation.stop else {}),
        **_sampling(model, inputs),
        **_tools(conversation),
        **_format(conversation),
        **_reasoning(conversation, inputs),
        **stream,
    }


def _sampling(model: Model, inputs: Json) -> Json:
    """Sampling parameters among the inputs that the model of Workers AI takes."""
    numbers = {name: value for name, value in inputs.items() if name in SAMPLING and isinstance(value, int | float)}
    return {
        server_name: value
        for name, value in numbers.items()
        if model.parameters.get(name, []) is not None
        for server_name in SAMPLING[name]
    }


def _tools(conversation: Conversation) -> Json:
    # not every server obeys `none`, so the tools are left out
    if not conversation.tools or conversation.tool_choice == "none":
        return {}
    parameters: Json = {"tools": [_tool(vars(tool)) for tool in conversation.tools]}
    choice = conversation.tool_choice
    if choice == "required":
        parameters["tool_choice"] = choice
    elif choice != "auto":
        parameters["tool_choice"] = {"type": "function", "function": {"name": choice}}
    return parameters if conversation.parallel else {**parameters, "parallel_tool_calls": False}


def _tool(tool: Json) -> Json:
    return {"type": "function", "function": {**tool, "parameters": tool["parameters"] or NO_PARAMETERS}}


def _format(conversation: Conversation) -> Json:
    """JSON mode as OpenAI has it."""
    schema = conversation.schema
    if schema is None:
        return {}
    if schema == {"type": "object"}:
        return {"response_format": {"type": "json_object"}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}


def _reasoning(conversation: Conversation, inputs: Json) -> Json:
    if not conversation.reasons:
        return NO_REASONING
    return {name: inputs[name] for name in REASONING if inputs.get(name) is not None}


# ---- messages ------------------------------------------------------------------------------------------------------


def _messages(messages: list[Message]) -> list[Json]:
    """The messages; each result of a tool gets the id of its call, which the native dialect may leave out."""
    written: list[Json] = []
    pending: list[tuple[str, str]] = []
    """Ids and names of the calls without a result so far."""
    for message in messages:
        role = ROLES.get(message.role, message.role)
        if message.calls:
            calls = [_call(call, f"call_{len(written)}_{number}") for number, call in enumerate(message.calls)]
            pending += [(call["id"], call["function"]["name"]) for call in calls]
            _add_calls(written, message, calls)
        elif role == "tool":
            call_id = message.call_id or _pending_call(pending, message.name) or f"call_{len(written)}"
            pending = [each for each in pending if each[0] != call_id]
            written.append({"role": role, "tool_call_id": call_id, "content": message.text})
        else:
            written.append({"role": role, "content": _content(message)})
    return written


def _add_calls(written: list[Json], message: Message, calls: list[Json]) -> None:
    """Add tool calls: to the last message if it has calls as well, since Responses have an item for each call."""
    if written and "tool_calls" in written[-1] and not message.text:
        written[-1]["tool_calls"] += calls
    else:
        written.append({"role": "assistant", "content": message.text, "tool_calls": calls})


def _pending_call(pending: list[tuple[str, str]], name: str | None) -> str | None:
    """Id of the first call of the tool of that name; of any tool if the name is None."""
    return next((call_id for call_id, called in pending if name in (None, called)), None)


def _call(call: ToolCall, new_id: str) -> Json:
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id or new_id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _content(message: Message) -> str | list[Json]:
    if not message.images:
        return message.text
    parts: list[Json] = [{"type": "image_url", "image_url": {"url": _uri(image)}} for image in message.images]
    return [{"type": "text", "text": message.text}, *parts] if message.text else parts


def _uri(image: str) -> str:
    """Data URI with the image's real media type: Workers AI also takes base64, and data URIs without a type."""
    kind = input_image({"image": image}).format or ""
    content = image.partition(",")[2] if image.startswith("data:") else image
    return f"data:{Image.MIME.get(kind, 'image/png')};base64,{content}"
