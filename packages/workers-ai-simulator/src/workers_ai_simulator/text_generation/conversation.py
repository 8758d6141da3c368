"""Conversations: the inputs of a text-generation model, read and checked in any of the three dialects."""

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from workers_ai_simulator.catalogue import MODELS, Model
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.images.painting import describe
from workers_ai_simulator.text import count_prompt_tokens
from workers_ai_simulator.validation import (
    byte_input,
    choice_input,
    invalid,
    mismatch,
    number_input,
    object_input,
    text_input,
)

Dialect = Literal["native", "openai", "responses"]
"""Shape of the inputs and the answer: Workers AI's own, OpenAI's chat completions, or OpenAI's Responses."""

ROLES: dict[str, tuple[str, ...]] = {
    "native": ("system", "user", "assistant", "tool"),
    "openai": ("system", "developer", "user", "assistant", "tool", "function"),
    "responses": ("system", "developer", "user", "assistant"),
}
RESPONSES_MODELS = ("@cf/openai/gpt-oss-120b", "@cf/openai/gpt-oss-20b")
"""Models that also take OpenAI's Responses dialect, `input`."""
PARTS_MODELS = (
    "@cf/google/gemma-3-12b-it",
    "@cf/meta/llama-3.2-11b-vision-instruct",
    "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
    "@cf/meta/llama-4-scout-17b-16e-instruct",
    "@cf/mistralai/mistral-small-3.1-24b-instruct",
    "@cf/qwen/qwq-32b",
)
"""Native models whose messages may be lists of parts (`@cloudflare/workers-types`); the others take only strings."""
ALWAYS_REASONING = RESPONSES_MODELS
"""Models whose “reasoning cannot be disabled”, as their types say."""

NATIVE_MAX_TOKENS = 256
OPENAI_MAX_TOKENS = 2048
"""Default of models whose own is not known: more than this simulator's longest answer."""
IMAGE_TOKENS = 729
"""Tokens of one image; invented after moondream."""

ROLE_TOKEN = re.compile(
    r"<\|start_header_id\|>\s*(?P<llama>\w+)\s*<\|end_header_id\|>|<\|im_start\|>\s*(?P<chatml>\w+)"
    r"|<\|(?P<zephyr>system|user|assistant)\|>|<start_of_turn>\s*(?P<gemma>\w+)|(?P<inst>\[INST\])|(?P<end>\[/INST\])"
)
TEMPLATE_TOKEN = re.compile(r"<\|\w{1,40}\|>|</?s>|<bos>|<eos>|<end_of_turn>|<</?SYS>>")


@dataclass(frozen=True)
class ToolCall:
    """Tool call in a conversation or a reply."""

    id: str
    name: str
    arguments: dict[str, Any] | str
    """An object, or the text that a client sent in its place."""


@dataclass(frozen=True)
class Message:
    """Message of a conversation."""

    role: str
    text: str
    images: tuple[str, ...] = ()
    """Data URIs."""
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    """Id of the tool call whose result the message is."""
    name: str | None = None


@dataclass(frozen=True)
class Tool:
    """Tool that the model may call; its parameters are a JSON Schema."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Conversation:
    """Inputs of a text-generation model, the same for every dialect."""

    dialect: Dialect
    messages: list[Message]
    max_tokens: int
    tools: list[Tool] = field(default_factory=list[Tool])
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of a tool."""
    parallel: bool = True
    """Whether the model may call several tools at once."""
    schema: dict[str, Any] | None = None
    """JSON Schema of JSON mode, `{"type": "object"}` for any object; None for a text."""
    stop: tuple[str, ...] = ()
    reasons: bool = False
    seed: int | None = None

    @property
    def prompt_tokens(self) -> int:
        texts = count_prompt_tokens([{"content": each.text} for each in self.messages])
        images = IMAGE_TOKENS * sum(len(each.images) for each in self.messages)
        arguments = [call.arguments for each in self.messages for call in each.calls]
        objects = [vars(tool) for tool in self.tools] + arguments + ([self.schema] if self.schema is not None else [])
        return texts + images + count_prompt_tokens([{"content": json.dumps(each)} for each in objects])

    @property
    def last_user(self) -> str:
        """Text of the last user message; empty if there is none."""
        return next((each.text for each in reversed(self.messages) if each.role == "user"), "")


def read(model: Model, inputs: dict[str, Any]) -> Conversation:
    """Read the inputs of a text-generation model.

    Raises UpstreamError 5006 if the model does not take them, 5004 and 3030 for an image that cannot be decoded, 5025
    if the model has no JSON mode, 5023 for JSON mode in a native stream.
    """
    takes_input = model.id in RESPONSES_MODELS or "responses" in model.abilities
    dialect: Dialect = "responses" if takes_input and "input" in inputs else model.dialect
    _check_parameters(model, inputs, dialect)
    tools = _tools(inputs)
    return Conversation(
        dialect,
        _messages(model, inputs, dialect),
        _max_tokens(model, inputs),
        tools if "tools" in model.abilities else [],
        _tool_choice(inputs, tools),
        inputs.get("parallel_tool_calls") is not False,
        _schema(model, inputs, dialect),
        _stop(inputs) if dialect == "openai" else (),
        "reasoning" in model.abilities and (model.id in ALWAYS_REASONING or _wants_reasoning(inputs)),
        inputs.get("seed"),
    )


# ---- messages ------------------------------------------------------------------------------------------------------


def _messages(model: Model, inputs: dict[str, Any], dialect: Dialect) -> list[Message]:
    if dialect == "responses":
        return _responses_messages(model, inputs)
    value: Any = inputs.get("messages")
    if isinstance(value, list):
        if not value:
            raise invalid("'/messages' must have at least 1 items")
        messages = [_message(model, f"/messages/{at}", each) for at, each in enumerate(cast("list[Any]", value))]
    elif value is not None:
        raise mismatch("/messages", value, "array")
    elif "prompt" not in inputs:
        raise invalid(
            "oneOf at '/' not met, 0 matches: "
            "required properties at '/' are 'prompt', required properties at '/' are 'messages'"
        )
    else:
        messages = _prompt_messages(text_input(inputs, "prompt"), raw=inputs.get("raw") is True)
    return _with_image(model, messages, inputs)


def _message(model: Model, at: str, message: Any) -> Message:
    if not isinstance(message, dict):
        raise mismatch(at, message, "object")
    fields = cast("dict[str, Any]", message)
    is_native = model.dialect == "native"
    may_be_empty = not is_native and fields.get("role") == "assistant"
    missing = [key for key in ("role", "content") if key not in fields and not (key == "content" and may_be_empty)]
    if missing:
        raise invalid(f"required properties at '{at}' are '{','.join(missing)}'")
    roles = ROLES[model.dialect]
    if fields["role"] not in roles:
        raise invalid(f"enum {fields['role']} not in {','.join(roles)}")
    if not is_native and fields["role"] == "tool" and not isinstance(fields.get("tool_call_id"), str):
        raise invalid(f"required properties at '{at}' are 'tool_call_id'")
    content: Any = "" if may_be_empty and fields.get("content") is None else fields["content"]
    text, images = _content(model, f"{at}/content", content)
    calls = _calls(fields.get("tool_calls"), f"{at}/tool_calls")
    return Message(fields["role"], text, images, calls, fields.get("tool_call_id"), fields.get("name"))


def _content(model: Model, at: str, content: Any) -> tuple[str, tuple[str, ...]]:
    """Text of a message's content, and its images as data URIs."""
    if isinstance(content, str):
        return content, ()
    values = cast("list[Any]", content) if isinstance(content, list) else None
    if values is None or (model.dialect == "native" and model.id not in PARTS_MODELS):
        raise mismatch(at, cast("object", content), "string")
    parts = [_part(model, f"{at}/{number}", each) for number, each in enumerate(values)]
    return "\n".join(text for text, _ in parts if text), tuple(image for _, image in parts if image)


PART_TYPES = ("text", "input_text", "output_text", "reasoning_text", "refusal", "image_url", "input_image")


def _part(model: Model, at: str, part: Any) -> tuple[str, str]:
    """Text and image of one part, of which one is empty."""
    if not isinstance(part, dict):
        raise mismatch(at, part, "object")
    fields = cast("dict[str, Any]", part)
    kind = choice_input(fields, "type", PART_TYPES) or "text"
    if kind not in ("image_url", "input_image"):
        text = fields.get("refusal" if kind == "refusal" else "text")
        if not isinstance(text, str):
            raise mismatch(f"{at}/text", text, "string")
        return text, ""
    image: Any = fields.get("image_url")
    url: Any = cast("dict[str, Any]", image).get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        raise mismatch(f"{at}/image_url/url", url, "string")
    return "", _image(model, f"{at}/image_url/url", url)


def _image(model: Model, at: str, url: str) -> str:
    """The data URI, if the model takes it. Raises UpstreamError 5006, in words of this simulator's own, otherwise."""
    if "vision" not in model.abilities:
        raise invalid(f"'{at}' is an image, and {model.id} is not a multimodal model")
    if url.startswith(("http://", "https://")):
        raise invalid(f"'{at}' must be a data URI: an HTTP URL is not accepted")
    return url


def _with_image(model: Model, messages: list[Message], inputs: dict[str, Any]) -> list[Message]:
    """The messages, with the `image` input of vision models, [bytes] or base64, added to the last."""
    image: Any = inputs.get("image")
    if image is None or "vision" not in model.abilities or model.dialect != "native":
        return messages
    uri = _image(model, "/image", image) if isinstance(image, str) else _bytes_as_uri(image)
    last = messages[-1]
    return [*messages[:-1], Message(last.role, last.text, (*last.images, uri), last.calls, last.call_id)]


def _bytes_as_uri(image: Any) -> str:
    return f"data:;base64,{b64encode(byte_input(image, '/image')).decode()}"


DESCRIBER = MODELS["@cf/llava-hf/llava-1.5-7b-hf"]


def description(image: str) -> str:
    """Description of an image, which begins with `[simulated]`.

    Raises UpstreamError 5004 for bad base64, 3030 for an image that cannot be decoded.
    """
    return describe(DESCRIBER, {"image": image})["description"]


def _calls(calls: Any, at: str) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise mismatch(at, calls, "array")
    return tuple(_call(each, f"{at}/{number}") for number, each in enumerate(cast("list[Any]", calls)))


def _call(call: Any, at: str) -> ToolCall:
    """Tool call of an earlier assistant message, `{name, arguments}` or in OpenAI's shape."""
    if not isinstance(call, dict):
        raise mismatch(at, call, "object")
    fields = cast("dict[str, Any]", call)
    function: dict[str, Any] = fields["function"] if isinstance(fields.get("function"), dict) else fields
    if not isinstance(function.get("name"), str):
        raise invalid(f"required properties at '{at}' are 'name'")
    return ToolCall(str(fields.get("id", "")), function["name"], function.get("arguments") or {})


def _responses_messages(model: Model, inputs: dict[str, Any]) -> list[Message]:
    value: Any = inputs["input"]
    instructions = [Message("system", text_input(inputs, "instructions"))] if inputs.get("instructions") else []
    if isinstance(value, str):
        return [*instructions, Message("user", text_input(inputs, "input"))]
    if not isinstance(value, list):
        raise mismatch("/input", value, "string,array")
    if not value:
        raise invalid("'/input' must have at least 1 items")
    items = [_responses_item(model, f"/input/{at}", each) for at, each in enumerate(cast("list[Any]", value))]
    return instructions + [each for each in items if each]


def _responses_item(model: Model, at: str, item: Any) -> Message | None:
    if not isinstance(item, dict):
        raise mismatch(at, item, "object")
    fields = cast("dict[str, Any]", item)
    match fields.get("type", "message"):
        case "function_call":
            call = {"id": fields.get("call_id", ""), "name": fields.get("name"), "arguments": fields.get("arguments")}
            return Message("assistant", "", calls=(_call(call, at),))
        case "function_call_output":
            result, _ = _content(model, f"{at}/output", fields.get("output"))
            return Message("tool", result, call_id=fields.get("call_id"))
        case "reasoning":
            return None
        case _:
            choice_input(fields, "role", ROLES["responses"])
            return _message(model, at, fields)


def _prompt_messages(prompt: str, raw: bool) -> list[Message]:
    """Messages in a prompt: the ones of its chat template if it is `raw`, else one of the user."""
    role_tokens = list(ROLE_TOKEN.finditer(prompt)) if raw else []
    if not role_tokens:
        return [Message("user", TEMPLATE_TOKEN.sub(" ", prompt).strip() if raw else prompt)]
    ends = [*(token.start() for token in role_tokens[1:]), len(prompt)]
    turns = [(_role(token), prompt[token.end() : end]) for token, end in zip(role_tokens, ends, strict=True)]
    messages = [Message(role, TEMPLATE_TOKEN.sub(" ", words).strip()) for role, words in turns]
    return [each for each in messages if each.text] or [Message("user", "")]


def _role(token: re.Match[str]) -> str:
    """Role that begins after a token of a chat template."""
    groups = {name: value for name, value in token.groupdict().items() if value}
    role = "user" if "inst" in groups else "assistant" if "end" in groups else next(iter(groups.values())).lower()
    return {"model": "assistant"}.get(role, role if role in ROLES["native"] else "user")


# ---- tools and JSON mode -------------------------------------------------------------------------------------------


def _tools(inputs: dict[str, Any]) -> list[Tool]:
    """Tools in `tools` and `functions`: the latter are OpenAI's older tools, or code, which is ignored."""
    tools: list[Tool] = []
    for name in ("tools", "functions"):
        value: Any = inputs.get(name)
        if value is None:
            continue
        if not isinstance(value, list):
            raise mismatch(f"/{name}", value, "array")
        read_tools = [_tool(each, f"/{name}/{at}") for at, each in enumerate(cast("list[Any]", value))]
        tools += [each for each in read_tools if each]
    return tools


def _tool(tool: Any, at: str) -> Tool | None:
    """The tool, flat or in OpenAI's shape; None for code."""
    if not isinstance(tool, dict):
        raise mismatch(at, tool, "object")
    fields = cast("dict[str, Any]", tool)
    value: Any = fields.get("function", fields)
    if not isinstance(value, dict):
        raise mismatch(f"{at}/function", value, "object")
    function = cast("dict[str, Any]", value)
    if not isinstance(function.get("name"), str):
        raise invalid(f"required properties at '{at}{'/function' if value is not fields else ''}' are 'name'")
    if "code" in function:
        return None
    parameters = object_input(function, "parameters", at)
    object_input(parameters, "properties", f"{at}/parameters")
    return Tool(function["name"], str(function.get("description") or ""), parameters)


def _tool_choice(inputs: dict[str, Any], tools: list[Tool]) -> str:
    """The choice of a tool. Raises UpstreamError 5006; the sentences for a missing tool are this simulator's own."""
    value: Any = inputs.get("tool_choice", inputs.get("function_call"))
    if value is None:
        return "auto"
    if isinstance(value, dict):
        choice = cast("dict[str, Any]", value)
        function: Any = choice.get("function", choice)
        name: Any = cast("dict[str, Any]", function).get("name") if isinstance(function, dict) else None
        if not isinstance(name, str):
            raise invalid("required properties at '/tool_choice/function' are 'name'")
        if name not in [tool.name for tool in tools]:
            raise invalid(f"'/tool_choice' names {name}, which is not in '/tools'")
        return name
    chosen = choice_input({"tool_choice": value}, "tool_choice", ("none", "auto", "required", "any")) or "auto"
    if chosen in ("required", "any") and not tools:
        raise invalid("'/tool_choice' needs '/tools'")
    return "required" if chosen == "any" else chosen


FORMATS = ("text", "json_object", "json_schema")


def _schema(model: Model, inputs: dict[str, Any], dialect: Dialect) -> dict[str, Any] | None:
    """Schema of JSON mode; None for a text.

    The native dialect takes the bare schema; OpenAI's envelope `{name, schema}` is a schema without keywords to it.
    """
    schema = object_input(inputs, "guided_json") or None
    at = "/text/format" if dialect == "responses" else "/response_format"
    holder = object_input(inputs, "text") if dialect == "responses" else inputs
    if response_format := object_input(holder, "format" if dialect == "responses" else "response_format"):
        schema = _format_schema(response_format, at, dialect)
    if schema is None:
        return None
    if "json" not in model.abilities:
        raise UpstreamError(400, 5025, "This model doesn't support JSON Schema.")
    if dialect == "native" and inputs.get("stream"):
        raise UpstreamError(400, 5023, "JSON Schema mode is not supported with stream mode")
    return schema


def _format_schema(response_format: dict[str, Any], at: str, dialect: Dialect) -> dict[str, Any] | None:
    kind = choice_input(response_format, "type", FORMATS)
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return {"type": "object"}
    name = "schema" if dialect == "responses" else "json_schema"
    if response_format.get(name) is None:
        raise invalid(f"required properties at '{at}' are '{name}'")
    schema = object_input(response_format, name)
    return object_input(schema, "schema") if dialect == "openai" and isinstance(schema.get("name"), str) else schema


# ---- parameters ----------------------------------------------------------------------------------------------------

FLAGS = ("stream", "raw", "parallel_tool_calls")
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
OBJECTS = ("stream_options", "chat_template_kwargs", "reasoning")
"""Objects among the inputs of OpenAI's dialects."""


def _check_parameters(model: Model, inputs: dict[str, Any], dialect: Dialect) -> None:
    for name, bounds in model.parameters.items():
        if isinstance(bounds, list):
            number_input(inputs, name, None, *bounds)
    for name in LIMITS:
        limit = number_input(inputs, name, None, 1)
        if limit is not None and not float(limit).is_integer():
            raise mismatch(f"/{name}", limit, "integer")
    for name in FLAGS:
        if inputs.get(name) is not None and not isinstance(inputs[name], bool):
            raise mismatch(f"/{name}", inputs[name], "boolean")
    for name in OBJECTS if dialect != "native" else ():
        object_input(inputs, name)


def _max_tokens(model: Model, inputs: dict[str, Any]) -> int:
    limit = next((inputs[name] for name in LIMITS if inputs.get(name) is not None), None)
    default = model.parameters.get("max_tokens_default")
    if limit is None and isinstance(default, int):
        limit = default
    return int(limit if limit is not None else NATIVE_MAX_TOKENS if model.dialect == "native" else OPENAI_MAX_TOKENS)


def _stop(inputs: dict[str, Any]) -> tuple[str, ...]:
    value: Any = inputs.get("stop")
    if value is None:
        return ()
    sequences = cast("list[Any]", value if isinstance(value, list) else [value])
    wrong = next((each for each in sequences if not isinstance(each, str)), None)
    if wrong is not None or None in sequences:
        raise mismatch("/stop", wrong, "string,array")
    return tuple(each for each in sequences if each)


def _wants_reasoning(inputs: dict[str, Any]) -> bool:
    template = cast("dict[str, Any]", inputs.get("chat_template_kwargs") or {})
    return template.get("enable_thinking") is not False and inputs.get("reasoning_effort") != "none"
