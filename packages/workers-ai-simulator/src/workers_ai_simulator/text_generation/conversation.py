"""What a text-generation model is asked: its inputs read and checked, in any of the three forms that models take."""

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from workers_ai_simulator import text
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.images import painting as images
from workers_ai_simulator.models import MODELS, Model
from workers_ai_simulator.validation import byte_input, choice_input, invalid, mismatch, number_input, text_input

Form = Literal["native", "openai", "responses"]

ROLES: dict[str, tuple[str, ...]] = {
    "native": ("system", "user", "assistant", "tool"),
    "openai": ("system", "developer", "user", "assistant", "tool", "function"),
    "responses": ("system", "developer", "user", "assistant"),
}
TAKES_INPUT = ("@cf/openai/gpt-oss-120b", "@cf/openai/gpt-oss-20b")
"""The models that take OpenAI's Responses form, `input`, as well."""
TAKES_PARTS = (
    "@cf/google/gemma-3-12b-it",
    "@cf/meta/llama-3.2-11b-vision-instruct",
    "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
    "@cf/meta/llama-4-scout-17b-16e-instruct",
    "@cf/mistralai/mistral-small-3.1-24b-instruct",
    "@cf/qwen/qwq-32b",
)
"""The native models whose messages may hold a list of parts (`@cloudflare/workers-types`); the others take strings."""
ALWAYS_REASONS = TAKES_INPUT
"""“Reasoning cannot be disabled”, as their types say."""

NATIVE_MAX_TOKENS = 256
OPEN_MAX_TOKENS = 2048
"""For models of which no default is known: more than this simulator says by itself."""
IMAGE_TOKENS = 729
"""Of one image, invented: as many as moondream's."""

ROLE_MARK = re.compile(
    r"<\|start_header_id\|>\s*(?P<llama>\w+)\s*<\|end_header_id\|>|<\|im_start\|>\s*(?P<chatml>\w+)"
    r"|<\|(?P<zephyr>system|user|assistant)\|>|<start_of_turn>\s*(?P<gemma>\w+)|(?P<inst>\[INST\])|(?P<end>\[/INST\])"
)
TEMPLATE_MARK = re.compile(r"<\|\w{1,40}\|>|</?s>|<bos>|<eos>|<end_of_turn>|<</?SYS>>")


@dataclass(frozen=True)
class ToolCall:
    id: str
    name: str
    arguments: dict[str, Any] | str
    """An object; a text where a client sent one that is none."""


@dataclass(frozen=True)
class Message:
    role: str
    text: str
    images: tuple[str, ...] = ()
    """Data URIs."""
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    """Of the call that a tool's message answers."""
    name: str | None = None


@dataclass(frozen=True)
class Tool:
    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Conversation:
    form: Form
    messages: list[Message]
    max_tokens: int
    tools: list[Tool] = field(default_factory=list[Tool])
    tool_choice: str = "auto"
    """auto, none, required; or the name of a tool."""
    parallel: bool = True
    schema: dict[str, Any] | None = None
    """The JSON Schema of JSON mode, `{"type": "object"}` for any object; None for a text."""
    stop: tuple[str, ...] = ()
    reasons: bool = False
    seed: int | None = None

    @property
    def prompt_tokens(self) -> int:
        said = text.count([{"content": each.text} for each in self.messages])
        seen = IMAGE_TOKENS * sum(len(each.images) for each in self.messages)
        called = [call.arguments for each in self.messages for call in each.calls]
        given = [vars(tool) for tool in self.tools] + called + ([self.schema] if self.schema is not None else [])
        return said + seen + text.count([{"content": json.dumps(each)} for each in given])

    @property
    def last_user(self) -> str:
        """What the user said last; empty if nothing."""
        return next((each.text for each in reversed(self.messages) if each.role == "user"), "")


def read(model: Model, inputs: dict[str, Any]) -> Conversation:
    """The inputs of a model for text.

    Raises UpstreamError 5006 if it does not take them, 5004 and 3030 for an image that cannot be read, 5025 for JSON
    mode that it has not, 5023 for JSON mode in a native stream.
    """
    form: Form = "responses" if model.id in TAKES_INPUT and "input" in inputs else model.dialect
    _check_parameters(model, inputs, form)
    tools = _tools(inputs)
    return Conversation(
        form,
        _messages(model, inputs, form),
        _max_tokens(model, inputs),
        tools if "tools" in model.abilities else [],
        _tool_choice(inputs, tools),
        inputs.get("parallel_tool_calls") is not False,
        _schema(model, inputs, form),
        _stop(inputs) if form == "openai" else (),
        "reasoning" in model.abilities and (model.id in ALWAYS_REASONS or _wants_reasoning(inputs)),
        inputs.get("seed"),
    )


# ---- messages ------------------------------------------------------------------------------------------------------


def _messages(model: Model, inputs: dict[str, Any], form: Form) -> list[Message]:
    if form == "responses":
        return _responses_messages(model, inputs)
    found: Any = inputs.get("messages")
    if isinstance(found, list):
        if not found:
            raise invalid("'/messages' must have at least 1 items")
        read_one = [_message(model, f"/messages/{at}", each) for at, each in enumerate(cast("list[Any]", found))]
    elif found is not None:
        raise mismatch("/messages", found, "array")
    elif "prompt" not in inputs:
        raise invalid(
            "oneOf at '/' not met, 0 matches: "
            "required properties at '/' are 'prompt', required properties at '/' are 'messages'"
        )
    else:
        read_one = _prompted(text_input(inputs, "prompt"), raw=inputs.get("raw") is True)
    return _with_image(model, read_one, inputs)


def _message(model: Model, at: str, message: Any) -> Message:
    if not isinstance(message, dict):
        raise mismatch(at, message, "object")
    given = cast("dict[str, Any]", message)
    native = model.dialect == "native"
    may_be_empty = not native and given.get("role") == "assistant"
    missing = [key for key in ("role", "content") if key not in given and not (key == "content" and may_be_empty)]
    if missing:
        raise invalid(f"required properties at '{at}' are '{','.join(missing)}'")
    roles = ROLES[model.dialect]
    if given["role"] not in roles:
        raise invalid(f"enum {given['role']} not in {','.join(roles)}")
    if not native and given["role"] == "tool" and not isinstance(given.get("tool_call_id"), str):
        raise invalid(f"required properties at '{at}' are 'tool_call_id'")
    content: Any = "" if may_be_empty and given.get("content") is None else given["content"]
    words, pictures = _content(model, f"{at}/content", content)
    calls = _calls(given.get("tool_calls"), f"{at}/tool_calls")
    return Message(given["role"], words, pictures, calls, given.get("tool_call_id"), given.get("name"))


def _content(model: Model, at: str, content: Any) -> tuple[str, tuple[str, ...]]:
    if isinstance(content, str):
        return content, ()
    found = cast("list[Any]", content) if isinstance(content, list) else None
    if found is None or (model.dialect == "native" and model.id not in TAKES_PARTS):
        raise mismatch(at, cast("object", content), "string")
    parts = [_part(model, f"{at}/{number}", each) for number, each in enumerate(found)]
    return "\n".join(words for words, _ in parts if words), tuple(picture for _, picture in parts if picture)


PART_TYPES = ("text", "input_text", "output_text", "reasoning_text", "refusal", "image_url", "input_image")


def _part(model: Model, at: str, part: Any) -> tuple[str, str]:
    """The text and the image of one part, of which one is empty."""
    if not isinstance(part, dict):
        raise mismatch(at, part, "object")
    given = cast("dict[str, Any]", part)
    kind = choice_input(given, "type", PART_TYPES) or "text"
    if kind not in ("image_url", "input_image"):
        words = given.get("refusal" if kind == "refusal" else "text")
        if not isinstance(words, str):
            raise mismatch(f"{at}/text", words, "string")
        return words, ""
    image: Any = given.get("image_url")
    url: Any = cast("dict[str, Any]", image).get("url") if isinstance(image, dict) else image
    if not isinstance(url, str):
        raise mismatch(f"{at}/image_url/url", url, "string")
    return "", _image(model, f"{at}/image_url/url", url)


def _image(model: Model, at: str, url: str) -> str:
    """The data URI, if the model takes it. What refuses says why in words of this simulator's own."""
    if "vision" not in model.abilities:
        raise invalid(f"'{at}' is an image, and {model.id} is not a multimodal model")
    if url.startswith(("http://", "https://")):
        raise invalid(f"'{at}' must be a data URI: an HTTP URL is not accepted")
    return url


def _with_image(model: Model, messages: list[Message], inputs: dict[str, Any]) -> list[Message]:
    """With the `image` input of the vision models, [bytes] or base64, in the last message."""
    image: Any = inputs.get("image")
    if image is None or "vision" not in model.abilities or model.dialect != "native":
        return messages
    described = _image(model, "/image", image) if isinstance(image, str) else _bytes_as_uri(image)
    last = messages[-1]
    return [*messages[:-1], Message(last.role, last.text, (*last.images, described), last.calls, last.call_id)]


def _bytes_as_uri(image: Any) -> str:
    return f"data:;base64,{b64encode(byte_input(image, '/image')).decode()}"


DESCRIBES = MODELS["@cf/llava-hf/llava-1.5-7b-hf"]


def description(image: str) -> str:
    """What can be seen in an image, after `[simulated]`.

    Raises UpstreamError 5004 for bad base64, 3030 for what is no image.
    """
    return images.describe(DESCRIBES, {"image": image})["description"]


def _calls(calls: Any, at: str) -> tuple[ToolCall, ...]:
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise mismatch(at, calls, "array")
    return tuple(_call(each, f"{at}/{number}") for number, each in enumerate(cast("list[Any]", calls)))


def _call(call: Any, at: str) -> ToolCall:
    """A call that an assistant made before, flat or in OpenAI's shape."""
    if not isinstance(call, dict):
        raise mismatch(at, call, "object")
    given = cast("dict[str, Any]", call)
    inner: dict[str, Any] = given["function"] if isinstance(given.get("function"), dict) else given
    if not isinstance(inner.get("name"), str):
        raise invalid(f"required properties at '{at}' are 'name'")
    return ToolCall(str(given.get("id", "")), inner["name"], inner.get("arguments") or {})


def _responses_messages(model: Model, inputs: dict[str, Any]) -> list[Message]:
    given: Any = inputs["input"]
    first = [Message("system", text_input(inputs, "instructions"))] if inputs.get("instructions") else []
    if isinstance(given, str):
        return [*first, Message("user", text_input(inputs, "input"))]
    if not isinstance(given, list):
        raise mismatch("/input", given, "string,array")
    if not given:
        raise invalid("'/input' must have at least 1 items")
    items = [_responses_item(model, f"/input/{at}", each) for at, each in enumerate(cast("list[Any]", given))]
    return first + [each for each in items if each]


def _responses_item(model: Model, at: str, item: Any) -> Message | None:
    if not isinstance(item, dict):
        raise mismatch(at, item, "object")
    given = cast("dict[str, Any]", item)
    match given.get("type", "message"):
        case "function_call":
            call = {"id": given.get("call_id", ""), "name": given.get("name"), "arguments": given.get("arguments")}
            return Message("assistant", "", calls=(_call(call, at),))
        case "function_call_output":
            words, _ = _content(model, f"{at}/output", given.get("output"))
            return Message("tool", words, call_id=given.get("call_id"))
        case "reasoning":
            return None
        case _:
            choice_input(given, "role", ROLES["responses"])
            return _message(model, at, given)


def _prompted(prompt: str, raw: bool) -> list[Message]:
    """The prompt as the messages that its template, if it is `raw`, makes of it."""
    marks = list(ROLE_MARK.finditer(prompt)) if raw else []
    if not marks:
        return [Message("user", TEMPLATE_MARK.sub(" ", prompt).strip() if raw else prompt)]
    ends = [*(mark.start() for mark in marks[1:]), len(prompt)]
    said = [(_marked(mark), prompt[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]
    plain = [Message(role, TEMPLATE_MARK.sub(" ", words).strip()) for role, words in said]
    return [each for each in plain if each.text] or [Message("user", "")]


def _marked(mark: re.Match[str]) -> str:
    found = {name: value for name, value in mark.groupdict().items() if value}
    role = "user" if "inst" in found else "assistant" if "end" in found else next(iter(found.values())).lower()
    return {"model": "assistant"}.get(role, role if role in ROLES["native"] else "user")


# ---- tools and JSON mode -------------------------------------------------------------------------------------------


def _tools(inputs: dict[str, Any]) -> list[Tool]:
    """`tools`, and `functions` of both kinds that are called so: OpenAI's older tools, and code that is not run."""
    found: list[Tool] = []
    for name in ("tools", "functions"):
        given: Any = inputs.get(name)
        if given is None:
            continue
        if not isinstance(given, list):
            raise mismatch(f"/{name}", given, "array")
        tools = [_tool(each, f"/{name}/{at}") for at, each in enumerate(cast("list[Any]", given))]
        found += [each for each in tools if each]
    return found


def _tool(tool: Any, at: str) -> Tool | None:
    if not isinstance(tool, dict):
        raise mismatch(at, tool, "object")
    given = cast("dict[str, Any]", tool)
    inner: Any = given.get("function", given)
    if not isinstance(inner, dict):
        raise mismatch(f"{at}/function", inner, "object")
    function = cast("dict[str, Any]", inner)
    if not isinstance(function.get("name"), str):
        raise invalid(f"required properties at '{at}{'/function' if inner is not given else ''}' are 'name'")
    if "code" in function:
        return None
    parameters = _object(function, "parameters", at)
    _object(parameters, "properties", f"{at}/parameters")
    return Tool(function["name"], str(function.get("description") or ""), parameters)


def _tool_choice(inputs: dict[str, Any], tools: list[Tool]) -> str:
    """Raises UpstreamError 5006, in words of this simulator's own where a tool is wanted that is not there."""
    given: Any = inputs.get("tool_choice", inputs.get("function_call"))
    if given is None:
        return "auto"
    if isinstance(given, dict):
        choice = cast("dict[str, Any]", given)
        function: Any = choice.get("function", choice)
        name: Any = cast("dict[str, Any]", function).get("name") if isinstance(function, dict) else None
        if not isinstance(name, str):
            raise invalid("required properties at '/tool_choice/function' are 'name'")
        if name not in [tool.name for tool in tools]:
            raise invalid(f"'/tool_choice' names {name}, which is not in '/tools'")
        return name
    chosen = choice_input({"tool_choice": given}, "tool_choice", ("none", "auto", "required", "any")) or "auto"
    if chosen in ("required", "any") and not tools:
        raise invalid("'/tool_choice' needs '/tools'")
    return "required" if chosen == "any" else chosen


FORMATS = ("text", "json_object", "json_schema")


def _schema(model: Model, inputs: dict[str, Any], form: Form) -> dict[str, Any] | None:
    """The schema of JSON mode. The native dialect takes it bare: the envelope `{name, schema}` is to it a schema that
    asks for nothing."""
    schema = _object(inputs, "guided_json") or None
    at = "/text/format" if form == "responses" else "/response_format"
    holder = _object(inputs, "text") if form == "responses" else inputs
    if wanted := _object(holder, "format" if form == "responses" else "response_format"):
        schema = _of_format(wanted, at, form)
    if schema is None:
        return None
    if "json" not in model.abilities:
        raise UpstreamError(400, 5025, "This model doesn't support JSON Schema.")
    if form == "native" and inputs.get("stream"):
        raise UpstreamError(400, 5023, "JSON Schema mode is not supported with stream mode")
    return schema


def _of_format(wanted: dict[str, Any], at: str, form: Form) -> dict[str, Any] | None:
    kind = choice_input(wanted, "type", FORMATS)
    if kind in (None, "text"):
        return None
    if kind == "json_object":
        return {"type": "object"}
    name = "schema" if form == "responses" else "json_schema"
    if wanted.get(name) is None:
        raise invalid(f"required properties at '{at}' are '{name}'")
    schema = _object(wanted, name)
    return _object(schema, "schema") if form == "openai" and isinstance(schema.get("name"), str) else schema


# ---- parameters ----------------------------------------------------------------------------------------------------

FLAGS = ("stream", "raw", "parallel_tool_calls")
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
OBJECTS = ("stream_options", "chat_template_kwargs", "reasoning")
"""Of OpenAI's dialect."""


def _check_parameters(model: Model, inputs: dict[str, Any], form: Form) -> None:
    for name, bounds in model.parameters.items():
        if isinstance(bounds, list):
            number_input(inputs, name, None, *bounds)
    for name in LIMITS:
        most = number_input(inputs, name, None, 1)
        if most is not None and not float(most).is_integer():
            raise mismatch(f"/{name}", most, "integer")
    for name in FLAGS:
        if inputs.get(name) is not None and not isinstance(inputs[name], bool):
            raise mismatch(f"/{name}", inputs[name], "boolean")
    for name in OBJECTS if form != "native" else ():
        _object(inputs, name)


def _object(inputs: dict[str, Any], name: str, at: str = "") -> dict[str, Any]:
    """The object of that name; an empty one if it is missing.

    Raises UpstreamError 5006 for anything else.
    """
    value: Any = inputs.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise mismatch(f"{at}/{name}", value, "object")
    return cast("dict[str, Any]", value)


def _max_tokens(model: Model, inputs: dict[str, Any]) -> int:
    asked = next((inputs[name] for name in LIMITS if inputs.get(name) is not None), None)
    default = model.parameters.get("max_tokens_default")
    if asked is None and isinstance(default, int):
        asked = default
    return int(asked if asked is not None else NATIVE_MAX_TOKENS if model.dialect == "native" else OPEN_MAX_TOKENS)


def _stop(inputs: dict[str, Any]) -> tuple[str, ...]:
    given: Any = inputs.get("stop")
    if given is None:
        return ()
    found = cast("list[Any]", given if isinstance(given, list) else [given])
    wrong = next((each for each in found if not isinstance(each, str)), None)
    if wrong is not None or None in found:
        raise mismatch("/stop", wrong, "string,array")
    return tuple(each for each in found if each)


def _wants_reasoning(inputs: dict[str, Any]) -> bool:
    template = cast("dict[str, Any]", inputs.get("chat_template_kwargs") or {})
    return template.get("enable_thinking") is not False and inputs.get("reasoning_effort") != "none"
