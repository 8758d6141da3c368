"""The request and the response of `POST /chat`."""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.models import catalogue
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.reasoning import reasoning_inputs

MAX_PROMPT_LENGTH = 131_072
"""Characters of `prompt`. Source: the input schemas of Workers AI's text-generation models, which do not limit
messages."""
MAX_TOOLS = 128
MAX_SEED = 9_999_999_999
"""Source: the same schemas."""

Text = Annotated[str, Field(max_length=MAX_PROMPT_LENGTH)]
NAME = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
"""Name of a tool, or id of a conversation."""
Name = Annotated[str, StringConstraints(pattern=NAME.pattern)]


def _finite(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(schema, allow_nan=False)
    except ValueError:
        raise ValueError("has a number that is too large") from None
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(_finite)]
"""A JSON Schema, unread. Numbers such as 1e999, which Python reads as infinite, cannot be written as JSON again."""


class TextPart(Schema):
    type: Literal["text"]
    text: str


def _none_if(default: Any) -> AfterValidator:
    """Return a validator that replaces a default by None, as if the field were left out."""
    return AfterValidator(lambda value: None if value == default else value)


Strict = Annotated[bool | None, _none_if(False)]
"""OpenAI's `strict`, false by default."""


ADDRESS = re.compile(r"https?://", re.IGNORECASE)


def check_image_url(url: str) -> str:
    """Return the URL of an image. Raises ValueError for any but a data URI and an address."""
    if not (re.match(r"data:image/[a-z+.-]+;base64,", url[:50]) or ADDRESS.match(url)):
        raise ValueError(
            "must be a data URI with the image itself (data:image/png;base64,…), or its address (https://…)"
        )
    return url


class ImageUrl(Schema):
    url: str
    detail: Annotated[Literal["auto", "low", "high"] | None, _none_if("auto")] = None

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        return check_image_url(url)

    @property
    def is_address(self) -> bool:
        return ADDRESS.match(self.url) is not None


class ImagePart(Schema):
    type: Literal["image_url"]
    image_url: ImageUrl


class AttachedFile(Schema):
    filename: Annotated[str | None, Field(max_length=500)] = None
    file_data: Annotated[str, Field(min_length=1)]
    """The file as a data URI (data:application/pdf;base64,…), or its address."""


class FilePart(Schema):
    """A document. Models get its text."""

    type: Literal["file"]
    file: AttachedFile


Part = TextPart | ImagePart | FilePart
Parts = Annotated[list[Annotated[Part, Field(discriminator="type")]], Field(min_length=1, fail_fast=True)]


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class CalledFunction(Schema):
    name: Name
    arguments: str
    """A JSON object, as text."""


class MessageToolCall(Schema):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(Schema):
    role: Literal["system", "user", "assistant", "tool"]
    name: str | None = None
    tool_calls: Annotated[list[MessageToolCall] | None, Field(min_length=1, fail_fast=True)] = None
    """The assistant's calls of tools."""
    tool_call_id: str | None = None
    """The id of the call whose result a message of role `tool` holds."""
    content: Annotated[str | Parts | None, Field(validate_default=True)] = None
    """Required unless there are `tool_calls`."""

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: Any, fields: ValidationInfo) -> Any:
        if content is None and fields.data.get("tool_calls") is None:
            raise ValueError("is required")
        return content

    def to_json(self) -> dict[str, Any]:
        """Return the message for a model's inputs."""
        if isinstance(self.content, str) and self.model_fields_set <= {"role", "content"}:  # most: without model_dump
            return {"content": self.content, "role": self.role}
        # native models refuse null
        return {"content": "", **self.model_dump(exclude_none=True)}

    @property
    def texts(self) -> list[str]:
        if isinstance(self.content, list):
            return [part.text for part in self.content if isinstance(part, TextPart)]
        return [self.content or ""]

    @property
    def has_image(self) -> bool:
        return isinstance(self.content, list) and any(isinstance(part, ImagePart) for part in self.content)

    @property
    def attachments(self) -> list[ImagePart | FilePart]:
        """Parts that models take only in another form: files, and images by address."""
        parts = self.content if isinstance(self.content, list) else []
        files = [part for part in parts if not isinstance(part, TextPart)]
        return [part for part in files if isinstance(part, FilePart) or part.image_url.is_address]


NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


class Function(Schema):
    name: Name
    description: str | None = None
    parameters: JsonSchema | None = None
    """A JSON Schema of the arguments; without one, there are none."""
    strict: Strict = None

    def to_tool(self) -> dict[str, Any]:
        return {"type": "function", "function": {"parameters": NO_PARAMETERS, **self.model_dump(exclude_none=True)}}


class Tool(Schema):
    type: Literal["function"]
    function: Function


class ChosenName(Schema):
    name: Name


class ChosenTool(Schema):
    type: Literal["function"]
    function: ChosenName


class ResponseFormat(Schema):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    """A JSON Schema, bare or in OpenAI's envelope (`name`, `schema`, `strict`)."""

    @model_validator(mode="after")
    def _check_schema(self) -> "ResponseFormat":
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema is required for the type json_schema and not allowed for others")
        return self

    def inputs(self, model: Model) -> dict[str, Any]:
        """Return the model's input: the bare schema for native models, OpenAI's envelope for the others."""
        if self.json_schema is None:
            return {"type": self.type}
        enveloped = "schema" in self.json_schema and "name" in self.json_schema
        schema = self.json_schema["schema"] if enveloped else self.json_schema
        if model.dialect == "native":
            return {"type": self.type, "json_schema": schema}
        return {
            "type": self.type,
            "json_schema": self.json_schema if enveloped else {"name": "answer", "schema": schema},
        }


class Sampling(Schema):
    """Ranges are the widest of any model; the catalogue has each model's own."""

    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    """Randomness of the choice of tokens; 0 for the least."""
    top_p: Annotated[float | None, Field(ge=0, le=2)] = None
    """Choose among the most likely tokens whose probabilities add up to this."""
    top_k: Annotated[int | None, Field(ge=1, le=50)] = None
    """Choose among this number of the most likely tokens."""
    seed: Annotated[int | None, Field(ge=1, le=MAX_SEED)] = None
    """Makes a repeated request likelier to have the same completion."""
    repetition_penalty: Annotated[float | None, Field(ge=0, le=2)] = None
    """Above 1: tokens that occurred become less likely."""
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    """Above 0: tokens become less likely with each occurrence."""
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    """Above 0: tokens that occurred at all become less likely."""
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    """Maximum length of the completion in tokens; the model's default if left out."""

    def sampling(self) -> dict[str, float]:
        """Return the sampling parameters that are present."""
        # without model_dump, which takes a fiftieth of a short request
        values = {name: getattr(self, name) for name in SAMPLING}
        return {name: value for name, value in values.items() if value is not None}


SAMPLING = tuple(Sampling.model_fields)
"""Names of the sampling parameters."""

NO_CHOICES = (None, "auto", "none")
"""Values of `tool_choice` that have no effect without tools."""


class ChatRequest(Sampling):
    messages: Annotated[list[Message] | None, Field(min_length=1, fail_fast=True)] = None
    """The conversation, oldest message first."""
    prompt: Annotated[Text | None, Field(min_length=1)] = None
    """One message of the user, in place of `messages`."""
    raw: bool = False
    """Send the prompt without the model's chat template."""
    model: str | None = None
    """Any text-generation model of GET /models; CHAT_MODEL, or one of CHAT_FALLBACKS, if left out."""
    stream: bool = True
    """Send the completion as server-sent events while the model writes it; false: as JSON once it is complete."""
    tools: Annotated[list[Tool] | None, Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] = None
    """The client's functions. The model may ask the client to call them."""
    functions: Annotated[list[Function] | None, Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] = None
    """The older form of `tools`."""
    tool_choice: Literal["auto", "none", "required"] | ChosenTool | None = None
    """Let the model choose, forbid or require a call, or name the tool to call."""
    worker_tools: Literal[True] | Annotated[list[Name], Field(min_length=1, fail_fast=True)] | None = None
    """Functions that the Worker calls when the model asks for them, its own and those of MCP_SERVERS: their names, or
    true for all."""
    response_format: ResponseFormat | None = None
    """Text, any JSON object, or JSON that fits a schema."""
    reasoning_effort: Effort | None = None
    """How much a model with the ability reasoning reasons: the nearest of its levels."""
    chat_template_kwargs: Annotated[dict[str, bool | int | str] | None, Field(max_length=20)] = None
    """Arguments of the model's chat template, such as `enable_thinking`: false for an answer without reasoning."""
    conversation: Name | None = None
    """An id that the client chooses. The messages stored under it come before `messages`, and new ones are stored."""
    gateway: GatewayOptions | None = None

    @model_validator(mode="after")
    def _check_input(self) -> "ChatRequest":
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("Give either messages or prompt")
        if self.raw and self.prompt is None:
            raise ValueError("raw needs a prompt: messages are always put into the model's template")
        if self.raw and (self.conversation or self.worker_tools):
            raise ValueError("raw cannot be combined with conversation or worker_tools: they need the model's template")
        return self

    @model_validator(mode="after")
    def _check_tools(self) -> "ChatRequest":
        if sum(bool(each) for each in (self.tools, self.functions, self.worker_tools)) > 1:
            raise ValueError("Give only one of tools, functions and worker_tools")
        if self.tool_choice not in NO_CHOICES and not (self.tools or self.functions):
            raise ValueError("tool_choice needs tools")
        return self

    def texts(self) -> list[str]:
        """Return every text the client gives the model to read; the history of a conversation is not included."""
        return [self.prompt or "", *(text for message in self.messages or [] for text in message.texts)]

    def turn(self) -> list[dict[str, Any]]:
        """Return the client's input as messages."""
        if self.messages is None:
            return [{"role": "user", "content": self.prompt}]
        return [message.to_json() for message in self.messages]

    def call_ids(self) -> set[str]:
        """Return the ids of the tool calls in the messages."""
        return {call.id for message in self.messages or () for call in message.tool_calls or () if call.id}

    @property
    def has_attachments(self) -> bool:
        """True if there are parts that models take only in another form: files, and images by address."""
        return any(message.attachments for message in self.messages or [])

    def required_tools(self) -> list[str]:
        """Return the names of the tools one of which the model must call; none if it need not."""
        if isinstance(self.tool_choice, ChosenTool):
            return [self.tool_choice.function.name]
        functions = self.functions or [tool.function for tool in self.tools or ()]
        return [function.name for function in functions] if self.tool_choice == "required" else []

    def abilities(self) -> dict[str, str]:
        """Return the abilities the model needs → the field that needs each."""
        tools = next((name for name in ("tools", "functions", "worker_tools") if getattr(self, name)), "")
        has_image = any(message.has_image for message in self.messages or [])
        wants_json = self.response_format is not None and self.response_format.type != "text"
        fields = {
            "raw": "raw" if self.raw else "",
            "tools": tools,
            "json": "response_format" if wants_json else "",
            "vision": "messages" if has_image else "",
        }
        return {ability: field for ability, field in fields.items() if field}

    @property
    def input_field(self) -> str:
        """Name of the field that holds the input."""
        return "prompt" if self.messages is None else "messages"

    def check(self, model: Model) -> None:
        """Raises ApiError for a request that the model does not take, before it is called."""
        catalogue.check_sampling(model, self.sampling())
        for name in self.reasoning_inputs(model)[1]:
            raise ApiError("invalid_request", f"{model.id} does not take {name}.", param=name)
        for ability, field in self.abilities().items():
            catalogue.check_ability(model, ability, field)
        catalogue.check_window(model, self.texts(), self.max_tokens or 0, self.input_field)

    def fit(self, model: Model) -> tuple["ChatRequest", list[str]]:
        """Return the request with the parameters that the model takes, and the names of those that it does not.

        Each parameter has the nearest value that the model takes.
        """
        sampling, reasons = self.sampling(), self.reasoning_inputs(model)[1]
        fitted = catalogue.fit_sampling(model, sampling)
        arguments = self.chat_template_kwargs or {}
        update: dict[str, Any] = {
            **{name: fitted.get(name) for name in sampling},
            "reasoning_effort": None if "reasoning_effort" in reasons else self.reasoning_effort,
            "chat_template_kwargs": {
                name: value for name, value in arguments.items() if f"chat_template_kwargs.{name}" not in reasons
            },
        }
        return self.model_copy(update=update), [*(name for name in sampling if name not in fitted), *reasons]

    def reasoning_inputs(self, model: Model) -> tuple[dict[str, Any], list[str]]:
        """Return the model's inputs for its reasoning, and the names of parameters that it does not take."""
        return reasoning_inputs(model, self.reasoning_effort, self.chat_template_kwargs)

    def inputs(self, model: Model, messages: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """Return the model's inputs: the parameters that are present.

        messages: used in place of the client's own.
        """
        inputs: dict[str, Any] = {**self.sampling(), **self.reasoning_inputs(model)[0], "stream": self.stream}
        if self.raw or (self.prompt is not None and messages is None and model.dialect == "native"):
            inputs |= {"prompt": self.prompt, **({"raw": True} if self.raw else {})}
        else:
            inputs["messages"] = self.turn() if messages is None else messages
        if self.tools:
            inputs["tools"] = [tool.function.to_tool() for tool in self.tools]
        if self.functions:
            inputs["tools"] = [function.to_tool() for function in self.functions]
        if self.tool_choice not in (None, "auto") and "tools" in inputs:
            chosen = self.tool_choice
            inputs["tool_choice"] = chosen if isinstance(chosen, str) else chosen.model_dump()
        if self.response_format and self.response_format.type != "text":
            inputs["response_format"] = self.response_format.inputs(model)
            # JSON mode of native models does not stream: the route sends their whole completion as a stream
            inputs["stream"] = self.stream and model.dialect == "openai"
        return inputs


class Usage(Reply):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatReply(Reply):
    """Has either `response` and `tool_calls`, or `choices` as in OpenAI's chat completions."""

    response: Any = None
    """The text; in JSON mode of native models, the object itself."""
    tool_calls: list[dict[str, Any]] | None = None
    choices: list[dict[str, Any]] | None = None
    usage: Usage | None = None
