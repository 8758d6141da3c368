"""The requests of `POST /v1/chat/completions` and of the older `POST /v1/completions`."""

from typing import Annotated, Any, Literal, cast

from pydantic import (
    AliasChoices,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aiworker.errors import ApiError
from aiworker.http.body import Schema, parse_object
from aiworker.models import catalogue, token_counts
from aiworker.models.catalogue import Model
from aiworker.models.cl100k import TokenTable
from aiworker.models.gateway_options import GatewayOptions
from aiworker.routes.chat_schema import (
    MAX_PROMPT_LENGTH,
    MAX_SEED,
    MAX_TOOLS,
    NO_CHOICES,
    AttachedFile,
    CalledFunction,
    ChatRequest,
    ChosenName,
    ChosenTool,
    Effort,
    Function,
    ImagePart,
    JsonSchema,
    MessageToolCall,
    Name,
    Strict,
    Text,
    TextPart,
    Tool,
)
from aiworker.routes.openai.embeddings import Tokens
from aiworker.routes.openai.fields import Ignored, IgnoredUnless, Only, OpenAIRequest

DEFAULT_MAX_TOKENS = 4096
"""Limit of a completion whose request sets none, for models with a default of 256 or 2,000: clients expect none, as
with OpenAI's models."""

Json = dict[str, Any]


class Lenient(Schema):
    """Base of the parts of a request. Unknown fields are ignored: clients send answers of other servers again."""

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


REPETITION_PENALTIES = ("repetition_penalty", "repeat_penalty")


class StreamOptions(Lenient):
    include_usage: bool | None = None
    include_obfuscation: Ignored = None


class CompletionOptions(OpenAIRequest):
    """Fields of both routes."""

    model: Annotated[str, Field(min_length=1)]
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    seed: int | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    stop: str | Annotated[list[str], Field(fail_fast=True)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[Any, IgnoredUnless(1)] = None
    """The answer has one choice."""
    user: Ignored = None

    top_k: int | None = None
    """A parameter of models here; 0 and less is no limit."""
    repetition_penalty: Annotated[float | None, Field(validation_alias=AliasChoices(*REPETITION_PENALTIES))] = None
    """A parameter of models here; also accepted as `repeat_penalty`, its name in other servers."""
    gateway: GatewayOptions | None = None

    @field_validator("stop")
    @classmethod
    def _check_stop(cls, stop: str | list[str] | None) -> str | list[str] | None:
        sequences = [stop] if isinstance(stop, str) else stop or []
        if len(sequences) > 4 or "" in sequences:
            raise ValueError("must be one to four texts that are not empty")
        return stop

    def ignored_parameters(self) -> list[str]:
        needs_stream = ["stream_options"] if self.wants_usage and not self.stream else []
        return [*super().ignored_parameters(), *needs_stream]

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def sampling(self) -> Json:
        """Return the sampling parameters that are present, in the ranges of `POST /chat`."""
        names = {"temperature", "top_p", "frequency_penalty", "presence_penalty"}
        sampling = self.model_dump(include={*names, "max_tokens"}, exclude_none=True)
        if self.seed is not None:
            # OpenAI takes any whole number; the same one always becomes the same seed here
            sampling["seed"] = self.seed if 1 <= self.seed <= MAX_SEED else self.seed % MAX_SEED + 1
        if self.top_k is not None and self.top_k > 0:
            sampling["top_k"] = min(self.top_k, int(catalogue.CLASSIC["top_k"][1]))
        if self.repetition_penalty is not None:
            low, high = catalogue.CLASSIC["repetition_penalty"]
            sampling["repetition_penalty"] = min(max(self.repetition_penalty, low), high)
        return sampling


# ---- messages ----------------------------------------------------------------------------------------------------


class LenientTextPart(TextPart, Lenient):
    pass


class LenientImagePart(ImagePart, Lenient):
    pass


class LenientFile(AttachedFile, Lenient):
    pass


class LenientFilePart(Lenient):
    type: Literal["file"]
    file: LenientFile


class RefusalPart(Lenient):
    type: Literal["refusal"]
    refusal: str


Part = Annotated[LenientTextPart | LenientImagePart | LenientFilePart | RefusalPart, Field(discriminator="type")]


class OpenAIToolCall(MessageToolCall, Lenient):
    index: Ignored = None


class OpenAIMessage(Lenient):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    name: str | None = None
    tool_calls: Annotated[list[OpenAIToolCall] | None, Field(fail_fast=True)] = None
    function_call: CalledFunction | None = None
    """The older form of `tool_calls`."""
    tool_call_id: Annotated[str | None, Field(validate_default=True)] = None
    refusal: str | None = None
    reasoning_content: Ignored = None
    """Accepted without effect: models do not get their reasoning again."""
    audio: Annotated[Any, Only(because="no model here takes audio in a conversation")] = None
    content: Annotated[
        str | Annotated[list[Part], Field(min_length=1, fail_fast=True)] | None, Field(validate_default=True)
    ] = None

    @field_validator("content")
    @classmethod
    def _check_content(cls, content: Any, fields: ValidationInfo) -> Any:
        others = fields.data
        is_optional = others.get("role") == "assistant" and any(
            others.get(name) for name in ("tool_calls", "function_call", "refusal")
        )
        if content is None and not is_optional:
            raise ValueError("is required")
        return content

    @field_validator("tool_call_id")
    @classmethod
    def _check_tool_call_id(cls, call_id: str | None, fields: ValidationInfo) -> str | None:
        if call_id is None and fields.data.get("role") == "tool":
            raise ValueError("is required")
        return call_id

    def to_chat(self) -> Json:
        """Return the equivalent message of `POST /chat`."""
        message: Json = {"role": ROLES.get(self.role, self.role), "content": self._content()}
        if self.name is not None:
            message["name"] = self.name
        if self.role == "function":
            message["tool_call_id"] = _call_id(self.name or "")
        elif self.role == "tool":
            message["tool_call_id"] = self.tool_call_id
        if self.tool_calls:
            message["tool_calls"] = [call.model_dump(exclude={"index"}) for call in self.tool_calls]
        elif self.function_call:
            function = self.function_call.model_dump()
            message["tool_calls"] = [
                {"id": _call_id(self.function_call.name), "type": "function", "function": function}
            ]
        return message

    def _content(self) -> str | list[Json]:
        if not isinstance(self.content, list):
            return self.content or self.refusal or ""
        if any(isinstance(part, ImagePart | LenientFilePart) for part in self.content):
            return [
                {"type": "text", "text": part.refusal} if isinstance(part, RefusalPart) else part.model_dump()
                for part in self.content
            ]
        # most native models take no parts
        return "\n".join(
            part.refusal if isinstance(part, RefusalPart) else part.text
            for part in self.content
            if not isinstance(part, ImagePart | LenientFilePart)
        )


ROLES = {"developer": "system", "function": "tool"}


def _call_id(name: str) -> str:
    """Return the id of a call in the older form, which has none."""
    return f"call_{name}"


# ---- chat completions --------------------------------------------------------------------------------------------


class SchemaEnvelope(Schema):
    name: Name
    schema_: Annotated[JsonSchema, Field(alias="schema")]
    description: str | None = None
    strict: Strict = None


class JsonFormat(Schema):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaEnvelope | None = None

    @model_validator(mode="after")
    def _check_schema(self) -> "JsonFormat":
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema is required for the type json_schema and not allowed for others")
        return self


class ChatCompletionRequest(CompletionOptions):
    messages: Annotated[list[OpenAIMessage], Field(min_length=1, fail_fast=True)]
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    tools: Annotated[list[Tool] | None, Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] = None
    tool_choice: Literal["auto", "none", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[Function] | None, Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] = None
    function_call: Literal["auto", "none"] | ChosenName | None = None
    response_format: JsonFormat | None = None
    reasoning_effort: Effort | None = None
    """For models with the ability reasoning: the nearest level of the model. Ignored by others."""
    chat_template_kwargs: Annotated[dict[str, bool | int | str] | None, Field(max_length=20)] = None
    """This Worker's own parameter, as in `POST /chat`; others are ignored if the model does not have them."""
    logit_bias: dict[str, float] | None = None
    """For models with OpenAI's schema of chat completions; so are `logprobs` and `top_logprobs`. Ignored by others."""
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None

    modalities: Annotated[Any, Only(["text"])] = None
    audio: Annotated[Any, Only()] = None
    web_search_options: Annotated[Any, IgnoredUnless()] = None
    verbosity: Annotated[Any, IgnoredUnless()] = None
    metadata: Ignored = None
    moderation: Ignored = None
    prediction: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    safety_identifier: Ignored = None
    service_tier: Ignored = None
    store: Ignored = None

    @model_validator(mode="after")
    def _check_combinations(self) -> "ChatCompletionRequest":
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("Give only one of max_tokens and max_completion_tokens")
        if self.tools and self.functions:
            raise ValueError("Give only one of tools and functions")
        if self.tool_choice not in NO_CHOICES and not self.tools:
            raise ValueError("tool_choice needs tools")
        if self.function_call not in NO_CHOICES and not self.functions:
            raise ValueError("function_call needs functions")
        return self

    def to_chat(self) -> ChatRequest:
        """Return the equivalent request to `POST /chat`."""
        choice = self.tool_choice.model_dump() if isinstance(self.tool_choice, ChosenTool) else self.tool_choice
        if isinstance(self.function_call, ChosenName):
            choice = {"type": "function", "function": self.function_call.model_dump()}
        elif self.function_call:
            choice = self.function_call
        fields: Json = {
            **self.sampling(),
            "messages": [message.to_chat() for message in self.messages],
            "stream": bool(self.stream),
            "tools": self.tools,
            "functions": self.functions,
            "tool_choice": choice if self.tools or self.functions else None,
            "reasoning_effort": self.reasoning_effort,
            "chat_template_kwargs": self.chat_template_kwargs,
            "gateway": self.gateway,
        }
        if self.max_completion_tokens:
            fields["max_tokens"] = self.max_completion_tokens
        if self.response_format:
            # without empty fields: Workers AI refuses an envelope with "strict": null
            fields["response_format"] = self.response_format.model_dump(by_alias=True, exclude_none=True)
        return parse_object(ChatRequest, fields)

    def extra_inputs(self, model: Model) -> Json:
        """Return inputs for models of OpenAI's dialect that `POST /chat` has no parameters for."""
        if model.dialect == "native":
            return {}
        extra: Json = {}
        if model.sampling is catalogue.COMPLETIONS:
            extra = {name: getattr(self, name) for name in COMPLETIONS_ONLY if getattr(self, name)}
        if self.stops:
            extra["stop"] = self.stops
        if self.wants_usage and self.stream:
            extra["stream_options"] = {"include_usage": True}
        if self.parallel_tool_calls is False and self.tools:
            extra["parallel_tool_calls"] = False
        return extra

    def ignored_by(self, model: Model) -> list[str]:
        return [
            name for name in COMPLETIONS_ONLY if getattr(self, name) and model.sampling is not catalogue.COMPLETIONS
        ]


COMPLETIONS_ONLY = ("logit_bias", "logprobs", "top_logprobs")
"""Parameters that only models with OpenAI's schema of chat completions take."""


# ---- completions -------------------------------------------------------------------------------------------------


def _kind(prompt: object) -> str:
    return "list[int]" if isinstance(prompt, list) else "str"


def _describe_lists_of_one(schema: Json) -> None:
    one = schema.pop("oneOf")
    schema["anyOf"] = [*one, {"type": "array", "items": {"anyOf": one}, "minItems": 1, "maxItems": 1}]


class CompletionRequest(CompletionOptions):
    prompt: Annotated[
        Annotated[Text, Field(min_length=1), Tag("str")] | Annotated[Tokens, Tag("list[int]")],
        Discriminator(_kind),
        Field(json_schema_extra=_describe_lists_of_one),
    ]
    """One text, or its tokens; also as a list of one."""
    raw: bool = False
    """This Worker's own parameter: send the prompt without the model's chat template."""
    best_of: Annotated[Any, IgnoredUnless(1)] = None
    echo: Annotated[Any, Only(False)] = None
    logit_bias: Annotated[Any, IgnoredUnless({})] = None
    logprobs: Annotated[Any, IgnoredUnless()] = None
    suffix: Annotated[Any, Only("", because="no model here completes a text in its middle")] = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _unwrap_list(cls, prompt: Any) -> Any:
        prompts = cast("list[Any]", prompt) if isinstance(prompt, list) else []
        if not prompts or not isinstance(prompts[0], (str, list)):
            return cast("Any", prompt)
        if len(prompts) > 1:
            raise ValueError("must be one text: send a request for each")
        return cast("Any", prompts[0])

    def to_chat(self) -> ChatRequest:
        """Return the equivalent request to `POST /chat`."""
        fields = {**self.sampling(), "prompt": self.prompt, "raw": self.raw, "stream": bool(self.stream)}
        return parse_object(ChatRequest, {**fields, "gateway": self.gateway})

    def with_text(self, table: TokenTable) -> "CompletionRequest":
        """Return the request with its prompt as text. Raises ApiError `invalid_request` for tokens of a long text."""
        if isinstance(self.prompt, str):
            return self
        # measured before it is decoded, because a short body may hold tokens of 128 spaces each
        if table.size(self.prompt, "prompt") > MAX_PROMPT_LENGTH * MAX_CHARACTER_BYTES:
            raise ApiError(
                "invalid_request", f"prompt must have at most {MAX_PROMPT_LENGTH} characters.", param="prompt"
            )
        return self.model_copy(update={"prompt": table.decode(self.prompt)})

    def extra_inputs(self, model: Model) -> Json:
        """Return inputs for models of OpenAI's dialect that `POST /chat` has no parameters for."""
        return {"stop": self.stops} if self.stops and model.dialect == "openai" else {}


MAX_CHARACTER_BYTES = 4
"""Maximum bytes of a character in UTF-8."""


def prompt_tokens(body: ChatRequest) -> int:
    """Return the estimated tokens of a request's texts and tools, rather too many than too few."""
    tools = [each.model_dump() for each in (*(body.tools or ()), *(body.functions or ()))]
    texts = sum(token_counts.estimate_text(text) + token_counts.TEMPLATE_TOKENS for text in body.texts())
    return texts + sum(map(token_counts.estimate_message, tools))


def max_tokens(body: ChatRequest, model: Model, prompt: int) -> int | None:
    """Return the model's input `max_tokens`; None to leave it out. prompt: tokens of the whole prompt."""
    if body.max_tokens or model.sampling is catalogue.COMPLETIONS or model.context_window is None:
        return body.max_tokens
    room = model.context_window - prompt
    return min(DEFAULT_MAX_TOKENS, room) if room > 0 else None
