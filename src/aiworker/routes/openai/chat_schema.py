"""The bodies of `POST /v1/chat/completions` and of the older `/v1/completions`."""

from typing import Annotated, Any, Literal, cast

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from aiworker.errors import ApiError
from aiworker.http.body import Schema, parse_object
from aiworker.models import catalogue, token_counts
from aiworker.models.catalogue import Model
from aiworker.models.cl100k import TokenTable
from aiworker.models.gateway_options import GatewayOptions
from aiworker.routes.chat_schema import (
    MAX_PROMPT_LENGTH,
    MAX_TOOLS,
    CalledFunction,
    ChatRequest,
    ChosenName,
    ChosenTool,
    Function,
    ImagePart,
    JsonSchema,
    MessageToolCall,
    Name,
    Text,
    TextPart,
    Tool,
)
from aiworker.routes.openai.embeddings_schema import Tokens
from aiworker.routes.openai.fields import Ignored, Only

ANSWER_TOKENS = 4096
"""Of an answer, if the request sets no limit and the model's own would be 256 or 2,000: OpenAI's models have none."""
GREATEST_SEED = 9_999_999_999

Json = dict[str, Any]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class StreamOptions(Schema):
    include_usage: bool | None = None
    include_obfuscation: Ignored = None


class Sampled(Schema):
    """What the older and the newer route have in common."""

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
    n: Annotated[Any, Only(1, because="ask several times for several answers")] = None
    user: Ignored = None

    top_k: Annotated[int | None, Field(ge=1, le=50)] = None
    repetition_penalty: Annotated[float | None, Field(ge=0, le=2)] = None
    """This and `top_k` and `gateway` are not OpenAI's, but as in `POST /chat`."""
    gateway: GatewayOptions | None = None

    @field_validator("stop")
    @classmethod
    def _stops_somewhere(cls, stop: str | list[str] | None) -> str | list[str] | None:
        sequences = [stop] if isinstance(stop, str) else stop or []
        if len(sequences) > 4 or "" in sequences:
            raise ValueError("must be one to four texts that are not empty")
        return stop

    @model_validator(mode="after")
    def _options_of_a_stream(self) -> "Sampled":
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options is only for stream: true")
        return self

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def sampling(self) -> Json:
        """The sampling parameters that were given, in the ranges that models here take."""
        names = {"temperature", "top_p", "frequency_penalty", "presence_penalty", "top_k", "repetition_penalty"}
        given = self.model_dump(include={*names, "max_tokens"}, exclude_none=True)
        if self.seed is not None:
            # any whole number is a seed to OpenAI; the same one stays the same here
            given["seed"] = self.seed if 1 <= self.seed <= GREATEST_SEED else self.seed % GREATEST_SEED + 1
        if given.get("top_p") == 0:
            given["top_p"] = catalogue.NARROWED["top_p"][0]  # the least that all models take
        return given


# ---- messages ----------------------------------------------------------------------------------------------------


class RefusalPart(Schema):
    type: Literal["refusal"]
    refusal: Text


Part = Annotated[TextPart | ImagePart | RefusalPart, Field(discriminator="type")]


class GivenCall(MessageToolCall):
    index: Ignored = None


class OpenAIMessage(Schema):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    name: str | None = None
    tool_calls: Annotated[list[GivenCall] | None, Field(fail_fast=True)] = None
    function_call: CalledFunction | None = None
    """The older form of `tool_calls`."""
    tool_call_id: Annotated[str | None, Field(validate_default=True)] = None
    refusal: Text | None = None
    reasoning_content: Ignored = None
    """What a model has thought is not sent to it again; so are `reasoning` and `annotations`."""
    reasoning: Ignored = None
    annotations: Ignored = None
    audio: Annotated[Any, Only(because="there is no sound in conversations")] = None
    content: Annotated[
        Text | Annotated[list[Part], Field(min_length=1, fail_fast=True)] | None, Field(validate_default=True)
    ] = None

    @field_validator("content")
    @classmethod
    def _says_something(cls, content: Any, fields: ValidationInfo) -> Any:
        given = fields.data
        may_be_silent = given.get("role") == "assistant" and any(
            given.get(name) for name in ("tool_calls", "function_call", "refusal")
        )
        if content is None and not may_be_silent:
            raise ValueError("is required")
        return content

    @field_validator("tool_call_id")
    @classmethod
    def _answers_a_call(cls, call_id: str | None, fields: ValidationInfo) -> str | None:
        if call_id is None and fields.data.get("role") == "tool":
            raise ValueError("is required")
        return call_id

    def to_chat(self) -> Json:
        """As `POST /chat` takes it."""
        said: Json = {"role": ROLES.get(self.role, self.role), "content": self._content()}
        if self.name is not None:
            said["name"] = self.name
        if self.role == "function":
            said["tool_call_id"] = _call_id(self.name or "")
        elif self.role == "tool":
            said["tool_call_id"] = self.tool_call_id
        if self.tool_calls:
            said["tool_calls"] = [call.model_dump(exclude={"index"}) for call in self.tool_calls]
        elif self.function_call:
            function = self.function_call.model_dump()
            said["tool_calls"] = [{"id": _call_id(self.function_call.name), "type": "function", "function": function}]
        return said

    def _content(self) -> str | list[Json]:
        if not isinstance(self.content, list):
            return self.content or self.refusal or ""
        if any(isinstance(part, ImagePart) for part in self.content):
            return [
                {"type": "text", "text": part.refusal} if isinstance(part, RefusalPart) else part.model_dump()
                for part in self.content
            ]
        # most native models take no parts
        return "\n".join(
            part.refusal if isinstance(part, RefusalPart) else part.text
            for part in self.content
            if not isinstance(part, ImagePart)
        )


ROLES = {"developer": "system", "function": "tool"}


def _call_id(name: str) -> str:
    """Of a call in the older form, which has no ids."""
    return f"call_{name}"


# ---- chat completions --------------------------------------------------------------------------------------------


class SchemaEnvelope(Schema):
    name: Name
    schema_: Annotated[JsonSchema, Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class JsonFormat(Schema):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaEnvelope | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> "JsonFormat":
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema is required for the type json_schema and not allowed for others")
        return self


class ChatCompletionRequest(Sampled):
    messages: Annotated[list[OpenAIMessage], Field(min_length=1, fail_fast=True)]
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    tools: Annotated[list[Tool] | None, Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] = None
    tool_choice: Literal["auto", "none", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    functions: Annotated[list[Function] | None, Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] = None
    function_call: Literal["auto", "none"] | ChosenName | None = None
    response_format: JsonFormat | None = None
    reasoning_effort: Effort | None = None
    """Sent to models of OpenAI's dialect that reason; without effect on others."""
    logit_bias: dict[str, float] | None = None
    """This, `logprobs` and `top_logprobs`: for models that have OpenAI's schema of chat completions."""
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None

    modalities: Annotated[Any, Only(["text"])] = None
    audio: Annotated[Any, Only()] = None
    web_search_options: Annotated[Any, Only(because="no model here searches the web")] = None
    metadata: Ignored = None
    moderation: Ignored = None
    prediction: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_options: Ignored = None
    prompt_cache_retention: Ignored = None
    safety_identifier: Ignored = None
    service_tier: Ignored = None
    store: Ignored = None
    verbosity: Ignored = None

    @model_validator(mode="after")
    def _goes_together(self) -> "ChatCompletionRequest":
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("Give only one of max_tokens and max_completion_tokens")
        if self.tools and self.functions:
            raise ValueError("Give only one of tools and functions")
        if self.tool_choice is not None and not self.tools:
            raise ValueError("tool_choice needs tools")
        if self.function_call is not None and not self.functions:
            raise ValueError("function_call needs functions")
        return self

    def to_chat(self) -> ChatRequest:
        """The same as a request to `POST /chat`."""
        choice = self.tool_choice.model_dump() if isinstance(self.tool_choice, ChosenTool) else self.tool_choice
        if isinstance(self.function_call, ChosenName):
            choice = {"type": "function", "function": self.function_call.model_dump()}
        elif self.function_call:
            choice = self.function_call
        given: Json = {
            **self.sampling(),
            "messages": [message.to_chat() for message in self.messages],
            "stream": bool(self.stream),
            "tools": self.tools,
            "functions": self.functions,
            "tool_choice": choice,
            "gateway": self.gateway,
        }
        if self.max_completion_tokens:
            given["max_tokens"] = self.max_completion_tokens
        if self.response_format:
            # only what was given: an envelope with "strict": null is refused upstream
            given["response_format"] = self.response_format.model_dump(by_alias=True, exclude_none=True)
        return parse_object(ChatRequest, given)

    def schema_only(self) -> list[str]:
        """The fields that only models with OpenAI's schema of chat completions take."""
        names = ("logit_bias", "logprobs", "top_logprobs")
        return [name for name in names if getattr(self, name)]

    def extra_inputs(self, model: Model) -> Json:
        """What a model of OpenAI's dialect is sent besides that `POST /chat` does not know."""
        if model.dialect == "native":
            return {}
        extra: Json = {name: getattr(self, name) for name in self.schema_only()}
        if self.stops:
            extra["stop"] = self.stops
        if self.wants_usage:
            extra["stream_options"] = {"include_usage": True}
        if self.parallel_tool_calls is not None and self.tools:
            extra["parallel_tool_calls"] = self.parallel_tool_calls
        if self.reasoning_effort and "reasoning" in model.abilities.split():
            extra["reasoning_effort"] = self.reasoning_effort
        return extra


# ---- completions -------------------------------------------------------------------------------------------------


def _kind(prompt: object) -> str:
    return "list[int]" if isinstance(prompt, list) else "str"


def _describe_lists_of_one(schema: Json) -> None:
    one = schema.pop("oneOf")
    schema["anyOf"] = [*one, {"type": "array", "items": {"anyOf": one}, "minItems": 1, "maxItems": 1}]


class CompletionRequest(Sampled):
    prompt: Annotated[
        Annotated[Text, Field(min_length=1), Tag("str")] | Annotated[Tokens, Tag("list[int]")],
        Discriminator(_kind),
        Field(json_schema_extra=_describe_lists_of_one),
    ]
    """One text or its tokens, also in a list."""
    raw: bool = False
    """Not OpenAI's: do not put the prompt into the model's chat template."""
    best_of: Annotated[Any, Only(1)] = None
    echo: Annotated[Any, Only(False)] = None
    logit_bias: Annotated[Any, Only({}, because="models here take none with a prompt")] = None
    logprobs: Annotated[Any, Only(because="models here give none with a prompt")] = None
    suffix: Annotated[Any, Only("", because="no model here fills in")] = None

    @field_validator("prompt", mode="before")
    @classmethod
    def _one_text(cls, prompt: Any) -> Any:
        given = cast("list[Any]", prompt) if isinstance(prompt, list) else []
        if not given or not isinstance(given[0], (str, list)):
            return cast("Any", prompt)
        if len(given) > 1:
            raise ValueError("must be one text: send a request for each")
        return cast("Any", given[0])

    def to_chat(self) -> ChatRequest:
        given = {**self.sampling(), "prompt": self.prompt, "raw": self.raw, "stream": bool(self.stream)}
        return parse_object(ChatRequest, {**given, "gateway": self.gateway})

    def with_text(self, table: TokenTable) -> "CompletionRequest":
        """Return the request with its prompt as text. Raises ApiError `invalid_request` for tokens of a long text."""
        if isinstance(self.prompt, str):
            return self
        # checked before they are decoded: a short body may hold tokens of 128 spaces each
        if table.size(self.prompt, "prompt") > MAX_PROMPT_LENGTH * BYTES_A_CHARACTER:
            raise ApiError(
                "invalid_request", f"prompt must have at most {MAX_PROMPT_LENGTH} characters.", param="prompt"
            )
        return self.model_copy(update={"prompt": table.decode(self.prompt)})

    def extra_inputs(self, model: Model) -> Json:
        return {"stop": self.stops} if self.stops and model.dialect == "openai" else {}


BYTES_A_CHARACTER = 4
"""Of UTF-8, at most."""


def prompt_tokens(body: ChatRequest) -> int:
    """An estimate, rather too high."""
    tools = [each.model_dump() for each in (*(body.tools or ()), *(body.functions or ()))]
    told = sum(token_counts.estimate_text(text) + token_counts.TEMPLATE_TOKENS for text in body.texts())
    return told + sum(map(token_counts.estimate_message, tools))


def answer_tokens(body: ChatRequest, model: Model) -> int | None:
    """What the model is told of `max_tokens`; None for its own default, where that is no narrow one."""
    if body.max_tokens or model.sampling is catalogue.COMPLETIONS or model.context_window is None:
        return body.max_tokens
    room = model.context_window - prompt_tokens(body)
    return min(ANSWER_TOKENS, room) if room > 0 else None
