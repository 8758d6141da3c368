"""What the user's server is asked: a conversation of Workers AI's in OpenAI's chat completions."""

import json
from typing import Any

from PIL import Image

from workers_ai_simulator.images import painting as images
from workers_ai_simulator.models import Model
from workers_ai_simulator.text_generation.conversation import Conversation, Message, ToolCall

Json = dict[str, Any]

ROLES = {"developer": "system", "function": "tool"}
"""Roles that local servers' templates often do not know → those that they do."""

SAMPLING = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "frequency_penalty": ("frequency_penalty",),
    "presence_penalty": ("presence_penalty",),
    "top_k": ("top_k",),
    "repetition_penalty": ("repetition_penalty", "repeat_penalty"),
    "seed": ("seed",),
}
"""Inputs → the names that servers have for them: `repetition_penalty` is vLLM's, `repeat_penalty` llama.cpp's."""

NO_PARAMETERS: Json = {"type": "object", "properties": {}}
REASONING = ("reasoning_effort", "chat_template_kwargs", "reasoning")
NO_REASONING: Json = {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False}}
"""For Ollama, and for vLLM and llama.cpp: a model that thinks by itself might spend all of its tokens on what a model
of Workers AI that does not think would never say."""


def body(model: Model, conversation: Conversation, inputs: Json, name: str) -> Json:
    """The request's body: the conversation for the server's model of that name.

    Raises UpstreamError 5004 and 3030 for an image that cannot be read.
    """
    streamed = {"stream": True, "stream_options": {"include_usage": True}} if inputs.get("stream") else {}
    return {
        "model": name,
        "messages": _messages(conversation.messages),
        "max_tokens": conversation.max_tokens,
        **({"stop": list(conversation.stop)} if conversation.stop else {}),
        **_sampling(model, inputs),
        **_tools(conversation),
        **_format(conversation),
        **_reasoning(conversation, inputs),
        **streamed,
    }


def _sampling(model: Model, inputs: Json) -> Json:
    """Those given that the model takes."""
    taken = {name: value for name, value in inputs.items() if name in SAMPLING and isinstance(value, int | float)}
    return {
        known: value
        for name, value in taken.items()
        if model.parameters.get(name, []) is not None
        for known in SAMPLING[name]
    }


def _tools(conversation: Conversation) -> Json:
    # `none` is not obeyed by every server; without tools there is nothing to obey
    if not conversation.tools or conversation.tool_choice == "none":
        return {}
    asked: Json = {"tools": [_tool(vars(tool)) for tool in conversation.tools]}
    choice = conversation.tool_choice
    if choice == "required":
        asked["tool_choice"] = choice
    elif choice != "auto":
        asked["tool_choice"] = {"type": "function", "function": {"name": choice}}
    return asked if conversation.parallel else {**asked, "parallel_tool_calls": False}


def _tool(tool: Json) -> Json:
    return {"type": "function", "function": {**tool, "parameters": tool["parameters"] or NO_PARAMETERS}}


def _format(conversation: Conversation) -> Json:
    """JSON mode in OpenAI's envelope."""
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
    """The messages, in which each result names its call: natively, calls and results need no ids."""
    written: list[Json] = []
    waiting: list[tuple[str, str]] = []
    """The ids and names of the calls that have no result yet."""
    for message in messages:
        role = ROLES.get(message.role, message.role)
        if message.calls:
            calls = [_call(call, f"call_{len(written)}_{number}") for number, call in enumerate(message.calls)]
            waiting += [(call["id"], call["function"]["name"]) for call in calls]
            _add_calls(written, message, calls)
        elif role == "tool":
            call_id = message.call_id or _waiting_call(waiting, message.name) or f"call_{len(written)}"
            waiting = [each for each in waiting if each[0] != call_id]
            written.append({"role": role, "tool_call_id": call_id, "content": message.text})
        else:
            written.append({"role": role, "content": _content(message)})
    return written


def _add_calls(written: list[Json], message: Message, calls: list[Json]) -> None:
    """To the message before, if that called tools as well: OpenAI's Responses have an item for each call."""
    if written and "tool_calls" in written[-1] and not message.text:
        written[-1]["tool_calls"] += calls
    else:
        written.append({"role": "assistant", "content": message.text, "tool_calls": calls})


def _waiting_call(waiting: list[tuple[str, str]], name: str | None) -> str | None:
    """The first call of that name; of any, if the result does not say of which tool it is."""
    return next((call_id for call_id, called in waiting if name in (None, called)), None)


def _call(call: ToolCall, new_id: str) -> Json:
    arguments = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id or new_id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _content(message: Message) -> str | list[Json]:
    if not message.images:
        return message.text
    shown: list[Json] = [{"type": "image_url", "image_url": {"url": _uri(image)}} for image in message.images]
    return [{"type": "text", "text": message.text}, *shown] if message.text else shown


def _uri(image: str) -> str:
    """With the type that the image really has: Workers AI takes base64 and data URIs that name none."""
    kind = images.given_image({"image": image}).format or ""
    content = image.partition(",")[2] if image.startswith("data:") else image
    return f"data:{Image.MIME.get(kind, 'image/png')};base64,{content}"
