"""The body of `POST /v1/responses`."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from aiworker.http.body import Schema, parse_object
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.routes.chat_schema import MAX_TOOLS, ChatRequest, Effort, JsonSchema, Name, Strict, check_image_url
from aiworker.routes.openai.chat_schema import Json
from aiworker.routes.openai.fields import Ignored, IgnoredUnless, Only, OpenAIRequest

NOT_STORED = "only the items of responses are stored here: send the conversation in input"


class InputPart(Schema):
    """Base of the parts of `input`, which may be those of an earlier response: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


# ---- input -------------------------------------------------------------------------------------------------------


class InputText(InputPart):
    type: Literal["input_text", "output_text", "text"]
    text: str

    def to_chat(self) -> Json:
        return {"type": "text", "text": self.text}


class InputRefusal(InputPart):
    type: Literal["refusal"]
    refusal: str

    def to_chat(self) -> Json:
        return {"type": "text", "text": self.refusal}


class InputImage(InputPart):
    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto", "low", "high", "original"] | None = None

    @field_validator("image_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        return check_image_url(url)

    def to_chat(self) -> Json:
        return {"type": "image_url", "image_url": {"url": self.image_url}}


class InputFile(InputPart):
    type: Literal["input_file"]
    filename: str | None = None
    file_url: str | None = None
    file_data: Annotated[str | None, Field(validate_default=True)] = None

    @field_validator("file_data")
    @classmethod
    def _check_source(cls, data: str | None, fields: ValidationInfo) -> str | None:
        if bool(data) == bool(fields.data.get("file_url")):
            raise ValueError("or file_url is required, and not both: no files are stored here")
        return data

    def to_chat(self) -> Json:
        return {"type": "file", "file": {"filename": self.filename, "file_data": self.file_data or self.file_url}}


Part = Annotated[InputText | InputRefusal | InputImage | InputFile, Field(discriminator="type")]
Parts = Annotated[list[Part], Field(min_length=1, fail_fast=True)]


def _content(content: str | list[Any]) -> str | list[Json]:
    if isinstance(content, str):
        return content
    parts: list[Json] = [part.to_chat() for part in content]
    if any(part["type"] != "text" for part in parts):
        return parts
    return "\n".join(part["text"] for part in parts)  # most native models take no parts


class InputMessage(InputPart):
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Parts

    def to_chat(self) -> Json:
        return {"role": "system" if self.role == "developer" else self.role, "content": _content(self.content)}


class FunctionCall(InputPart):
    type: Literal["function_call"]
    call_id: str
    name: Name
    arguments: str

    def to_chat(self) -> Json:
        function = {"name": self.name, "arguments": self.arguments}
        call = {"id": self.call_id, "type": "function", "function": function}
        return {"role": "assistant", "content": "", "tool_calls": [call]}


class FunctionCallOutput(InputPart):
    type: Literal["function_call_output"]
    call_id: str
    output: str | Parts

    def to_chat(self) -> Json:
        return {"role": "tool", "tool_call_id": self.call_id, "content": _content(self.output)}


class Reasoning(InputPart):
    """A model's reasoning, which is not sent to it again."""

    type: Literal["reasoning"]


class ItemReference(InputPart):
    """An item of an earlier response, by its id."""

    type: Literal["item_reference"] | None = None
    id: Annotated[str, Field(min_length=1, max_length=200)]

    @property
    def is_reasoning(self) -> bool:
        """Whether the item is a model's reasoning, which is not sent to it again."""
        return self.id.startswith("rs_")


ITEMS = ("message", "function_call", "function_call_output", "reasoning", "item_reference")


def _item(item: object) -> str:
    """Return the tag of an item. Without a type, it is a message, or a reference if it has nothing but an id."""
    if not isinstance(item, dict):
        return f"item-{getattr(item, 'type', None) or 'item_reference'}"
    fields = cast("Json", item)
    default = "item_reference" if "id" in fields and "role" not in fields else "message"
    return f"item-{fields.get('type') or default}"


# errors leave out tags of this form, as they do the names that pydantic gives to the branches of a union
Item = Annotated[
    Annotated[InputMessage, Tag("item-message")]
    | Annotated[FunctionCall, Tag("item-function_call")]
    | Annotated[FunctionCallOutput, Tag("item-function_call_output")]
    | Annotated[Reasoning, Tag("item-reasoning")]
    | Annotated[ItemReference, Tag("item-item_reference")],
    Discriminator(
        _item, custom_error_type="item_type", custom_error_message=f"must have one of the types {', '.join(ITEMS)}"
    ),
]


def _is_reasoning(item: object) -> bool:
    return isinstance(item, Reasoning) or (isinstance(item, ItemReference) and item.is_reasoning)


# ---- the request -------------------------------------------------------------------------------------------------


class FunctionTool(Schema):
    type: Literal["function"]
    """The only type: this Worker neither searches the web nor runs code."""
    name: Name
    description: str | None = None
    parameters: JsonSchema | None = None
    strict: Strict = None
    defer_loading: Ignored = None

    def to_chat(self) -> Json:
        function = self.model_dump(include={"name", "description", "parameters", "strict"}, exclude_none=True)
        return {"type": "function", "function": function}


class ChosenFunction(Schema):
    type: Literal["function"]
    name: Name


class TextFormat(Schema):
    type: Literal["text", "json_object", "json_schema"]
    name: Name | None = None
    schema_: Annotated[JsonSchema | None, Field(alias="schema")] = None
    description: str | None = None
    strict: Strict = None

    @model_validator(mode="after")
    def _check_schema(self) -> "TextFormat":
        if (self.type == "json_schema") != (self.schema_ is not None and self.name is not None):
            raise ValueError("name and schema are required for the type json_schema and not allowed for others")
        return self

    def to_chat(self) -> Json:
        envelope = self.model_dump(by_alias=True, exclude_none=True)
        kind = envelope.pop("type")
        return {"type": kind, "json_schema": envelope} if envelope else {"type": kind}


class TextOptions(Schema):
    format: TextFormat | None = None
    verbosity: Ignored = None


class ReasoningOptions(Schema):
    effort: Effort | None = None
    summary: Ignored = None
    generate_summary: Ignored = None


class ConversationReference(InputPart):
    id: str


class ResponsesRequest(OpenAIRequest):
    model: Annotated[str, Field(min_length=1)]
    input: Annotated[str, Field(min_length=1)] | Annotated[list[Item], Field(min_length=1, fail_fast=True)]
    instructions: str | None = None
    tools: Annotated[list[FunctionTool] | None, Field(max_length=MAX_TOOLS, fail_fast=True)] = None
    tool_choice: Literal["auto", "none", "required"] | ChosenFunction | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    max_output_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    stream: bool | None = None
    metadata: dict[str, str] | None = None
    """Repeated in the response."""
    conversation: str | ConversationReference | None = None
    """A conversation of `POST /v1/conversations`: its items come before `input`, and new ones are stored."""
    gateway: GatewayOptions | None = None
    """This Worker's own parameter, as in `POST /chat`; so is `chat_template_kwargs`."""
    chat_template_kwargs: Annotated[dict[str, bool | int | str] | None, Field(max_length=20)] = None

    background: Annotated[Any, Only(False)] = None
    previous_response_id: Annotated[Any, Only(because=NOT_STORED)] = None
    prompt: Annotated[Any, Only(because="there are no stored prompts here")] = None
    max_tool_calls: Annotated[Any, IgnoredUnless()] = None
    top_logprobs: Annotated[Any, IgnoredUnless(0)] = None
    context_management: Annotated[Any, IgnoredUnless([])] = None
    image: Annotated[Any, Only()] = None
    access_programs: Ignored = None
    include: Ignored = None
    moderation: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    safety_identifier: Ignored = None
    service_tier: Ignored = None
    store: bool | None = None
    """Keep the items of the response, so that later requests may refer to them: true if left out."""
    stream_options: Ignored = None
    truncation: Ignored = None
    user: Ignored = None

    @model_validator(mode="after")
    def _check_tools_and_input(self) -> "ResponsesRequest":
        if self.tool_choice not in (None, "auto", "none") and not self.tools:
            raise ValueError("tool_choice needs tools")
        if isinstance(self.input, list) and all(map(_is_reasoning, self.input)):
            raise ValueError("input must have an item other than reasoning")
        return self

    @property
    def conversation_id(self) -> str | None:
        reference = self.conversation
        return reference.id if isinstance(reference, ConversationReference) else reference

    @property
    def stops(self) -> list[str]:
        return []

    def to_chat(self) -> ChatRequest:
        """Return the equivalent request to `POST /chat`."""
        choice = self.tool_choice
        fields: Json = {
            "messages": list(self._messages()),
            "stream": bool(self.stream),
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_output_tokens,
            "reasoning_effort": self.reasoning and self.reasoning.effort,
            "chat_template_kwargs": self.chat_template_kwargs,
            "gateway": self.gateway,
        }
        if self.tools:
            fields["tools"] = [tool.to_chat() for tool in self.tools]
            is_named = isinstance(choice, ChosenFunction)
            fields["tool_choice"] = {"type": "function", "function": {"name": choice.name}} if is_named else choice
        if self.text and self.text.format:
            fields["response_format"] = self.text.format.to_chat()
        return parse_object(ChatRequest, fields)

    def _messages(self) -> Iterator[Json]:
        if self.instructions:
            yield {"role": "system", "content": self.instructions}
        if isinstance(self.input, str):
            yield {"role": "user", "content": self.input}
            return
        calls: list[Json] = []
        for item in self.input:
            if isinstance(item, FunctionCall):  # consecutive calls belong to one message
                calls += item.to_chat()["tool_calls"]
                continue
            if calls:
                yield {"role": "assistant", "content": "", "tool_calls": calls}
                calls = []
            if not isinstance(item, Reasoning | ItemReference):  # the only references left are those to reasoning
                yield item.to_chat()
        if calls:
            yield {"role": "assistant", "content": "", "tool_calls": calls}

    def extra_inputs(self, model: Model) -> Json:
        """Return inputs for models of OpenAI's dialect that `POST /chat` has no parameters for."""
        if model.dialect == "openai" and self.parallel_tool_calls is False and self.tools:
            return {"parallel_tool_calls": False}
        return {}

    def repeated(self) -> Json:
        """Return the request's fields that the response repeats."""
        text = self.text and self.text.format
        return {
            "instructions": self.instructions,
            "metadata": self.metadata or {},
            "tools": [tool.model_dump(exclude={"defer_loading"}) for tool in self.tools or []],
            "tool_choice": self.tool_choice.model_dump() if isinstance(self.tool_choice, ChosenFunction)
            else self.tool_choice or "auto",
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "text": {"format": text.model_dump(by_alias=True, exclude_none=True) if text else {"type": "text"}},
            "reasoning": {"effort": self.reasoning.effort if self.reasoning else None, "summary": None},
            "max_output_tokens": self.max_output_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "previous_response_id": None,
            "background": False,
            "truncation": "disabled",
        }  # fmt: skip
