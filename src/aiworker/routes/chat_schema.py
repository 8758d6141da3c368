"""The body of `POST /chat`."""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from aiworker.http.body import Reply, Schema
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions

MAX_PROMPT_LENGTH = 131_072
"""Characters. Source: the input schemas of Workers AI's text-generation models."""
MAX_TOOLS = 128

Text = Annotated[str, Field(max_length=MAX_PROMPT_LENGTH)]
NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""Of a tool, or of a conversation."""
Name = Annotated[str, StringConstraints(pattern=NAME)]


def _finite(schema: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(schema, allow_nan=False)
    except ValueError:
        raise ValueError("has a number that is too large") from None
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(_finite)]
"""JSON Schema, as it came; only written down again, it must be JSON: 1e999 would not be."""


class TextPart(Schema):
    type: Literal["text"]
    text: Text


class ImageUrl(Schema):
    url: str
    detail: Literal["auto", "low", "high"] | None = None

    @field_validator("url")
    @classmethod
    def _has_the_image_in_it(cls, url: str) -> str:
        if not re.match(r"data:image/[a-z+.-]+;base64,", url[:50]):
            raise ValueError("must be a data URI with the image itself (data:image/png;base64,…), not an address")
        return url


class ImagePart(Schema):
    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]
Parts = Annotated[list[Part], Field(min_length=1, fail_fast=True)]


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
    """What the assistant has called."""
    tool_call_id: str | None = None
    """The call that a message of role `tool` answers."""
    content: Annotated[Text | Parts | None, Field(validate_default=True)] = None
    """Missing or null only beside `tool_calls`."""

    @field_validator("content")
    @classmethod
    def _says_something(cls, content: Any, fields: ValidationInfo) -> Any:
        if content is None and fields.data.get("tool_calls") is None:
            raise ValueError("is required")
        return content

    def to_json(self) -> dict[str, Any]:
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


class Function(Schema):
    name: Name
    description: str | None = None
    parameters: JsonSchema = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None

    def to_tool(self) -> dict[str, Any]:
        return {"type": "function", "function": self.model_dump(exclude_none=True)}


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
    def _has_its_schema(self) -> "ResponseFormat":
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema is required for the type json_schema and not allowed for others")
        return self

    def inputs(self, model: Model) -> dict[str, Any]:
        """As the model takes it: native ones want the schema bare, the others in its envelope."""
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
    """The widest ranges that any model takes; the catalogue knows each model's own."""

    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    top_p: Annotated[float | None, Field(ge=0, le=2)] = None
    top_k: Annotated[int | None, Field(ge=1, le=50)] = None
    seed: Annotated[int | None, Field(ge=1, le=9_999_999_999)] = None
    repetition_penalty: Annotated[float | None, Field(ge=0, le=2)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None

    def sampling(self) -> dict[str, float]:
        """The sampling parameters that were given."""
        return self.model_dump(include=set(Sampling.model_fields), exclude_none=True)


class ChatRequest(Sampling):
    messages: Annotated[list[Message] | None, Field(min_length=1, fail_fast=True)] = None
    prompt: Annotated[Text | None, Field(min_length=1)] = None
    raw: bool = False
    """Do not put the prompt into the model's chat template."""
    model: str | None = None
    """Any text-generation model of GET /models. CHAT_MODEL, or one of CHAT_FALLBACKS, if it is left out."""
    stream: bool = True
    tools: Annotated[list[Tool] | None, Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] = None
    """Functions of the client's, which the model may ask it to call."""
    functions: Annotated[list[Function] | None, Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] = None
    """The older form of `tools`."""
    tool_choice: Literal["auto", "none", "required"] | ChosenTool | None = None
    worker_tools: Literal[True] | Annotated[list[Name], Field(min_length=1, fail_fast=True)] | None = None
    """Functions of the Worker's own that it calls itself when the model asks: their names, or true for all."""
    response_format: ResponseFormat | None = None
    conversation: Name | None = None
    """An id of the client's choice: what was said under it before comes before `messages`, and is kept."""
    gateway: GatewayOptions | None = None

    @model_validator(mode="after")
    def _one_input(self) -> "ChatRequest":
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("Give either messages or prompt")
        if self.raw and self.prompt is None:
            raise ValueError("raw needs a prompt: messages are always put into the model's template")
        if self.raw and (self.conversation or self.worker_tools):
            raise ValueError("raw cannot be combined with conversation or worker_tools: they need the model's template")
        return self

    @model_validator(mode="after")
    def _one_kind_of_tools(self) -> "ChatRequest":
        if sum(each is not None for each in (self.tools, self.functions, self.worker_tools)) > 1:
            raise ValueError("Give only one of tools, functions and worker_tools")
        if self.tool_choice is not None and not (self.tools or self.functions):
            raise ValueError("tool_choice needs tools")
        return self

    def texts(self) -> list[str]:
        """All that the model has to read, but for the history of a conversation."""
        return [self.prompt or "", *(text for message in self.messages or [] for text in message.texts)]

    def turn(self) -> list[dict[str, Any]]:
        """What the client says, as messages."""
        if self.messages is None:
            return [{"role": "user", "content": self.prompt}]
        return [message.to_json() for message in self.messages]

    def abilities(self) -> dict[str, str]:
        """What the model must be able to do → the field that asks for it."""
        tools = next((name for name in ("tools", "functions", "worker_tools") if getattr(self, name)), "")
        has_image = any(message.has_image for message in self.messages or [])
        wants_json = self.response_format is not None and self.response_format.type != "text"
        body = {
            "raw": "raw" if self.raw else "",
            "tools": tools,
            "json": "response_format" if wants_json else "",
            "vision": "messages" if has_image else "",
        }
        return {ability: field for ability, field in body.items() if field}

    def inputs(self, model: Model, messages: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """What that model is sent: only what was given; `messages` in place of the client's own."""
        inputs: dict[str, Any] = {**self.sampling(), "stream": self.stream}
        if self.raw or (self.prompt is not None and messages is None and model.dialect == "native"):
            inputs |= {"prompt": self.prompt, **({"raw": True} if self.raw else {})}
        else:
            inputs["messages"] = self.turn() if messages is None else messages
        if self.tools:
            inputs["tools"] = [tool.function.to_tool() for tool in self.tools]
        if self.functions:
            inputs["tools"] = [function.to_tool() for function in self.functions]
        if self.tool_choice is not None:
            chosen = self.tool_choice
            inputs["tool_choice"] = chosen if isinstance(chosen, str) else chosen.model_dump()
        if self.response_format:
            inputs["response_format"] = self.response_format.inputs(model)
            # JSON mode of native models does not stream: their whole answer is streamed by the route
            inputs["stream"] = self.stream and model.dialect == "openai"
        return inputs


class Usage(Reply):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatReply(Reply):
    """Either `response` and `tool_calls`, or `choices` as in OpenAI's chat completions."""

    response: Any = None
    """The text; in JSON mode of native models the object itself."""
    tool_calls: list[dict[str, Any]] | None = None
    choices: list[dict[str, Any]] | None = None
    usage: Usage | None = None
