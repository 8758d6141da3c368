"""The bodies of `POST /v1/messages` and `POST /v1/messages/count_tokens`."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from aiworker.http.body import Reply, parse_object
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.routes.anthropic.content_blocks import Content, SystemBlocks, message_to_chat
from aiworker.routes.chat_schema import MAX_TOOLS, ChatRequest, Effort, JsonSchema, Name
from aiworker.routes.openai.chat_schema import Json, Lenient
from aiworker.routes.openai.fields import Ignored, IgnoredUnless, OpenAIRequest

MAX_STOP_SEQUENCES = 16
"""Stop sequences of a request: each is looked for in every piece of the answer."""
MODEL_TOP_K = 50
"""The largest `top_k` of `POST /chat`; Anthropic's has no limit."""
LOW_BUDGET, MEDIUM_BUDGET = 4_096, 16_384
"""Values of `thinking.budget_tokens` below which the effort is low or medium."""


class InputMessage(Lenient):
    role: Literal["user", "assistant", "system"]
    content: Content


# ---- tools -------------------------------------------------------------------------------------------------------


class Tool(Lenient):
    type: Literal["custom"] | None = None
    name: Name
    description: str | None = None
    input_schema: JsonSchema

    def to_chat(self) -> Json:
        function = {"name": self.name, "description": self.description, "parameters": self.input_schema}
        return {"type": "function", "function": function}


class AnthropicTool(Lenient):
    """A tool that Anthropic defines or runs, such as `web_search_20250305`."""

    type: str

    @field_validator("type")
    @classmethod
    def _refuse(cls, kind: str) -> str:
        raise ValueError(f"{kind[:100]} is a tool that Anthropic defines: give tools with an input_schema of your own")


def _tool_kind(tool: object) -> str:
    kind = cast("dict[str, Any]", tool).get("type") if isinstance(tool, dict) else None
    return "own-tool" if kind in (None, "custom") else "anthropic-tool"


AnyTool = Annotated[
    Annotated[Tool, Tag("own-tool")] | Annotated[AnthropicTool, Tag("anthropic-tool")], Discriminator(_tool_kind)
]


class ToolChoice(Lenient):
    type: Literal["auto", "any", "tool", "none"]
    name: Name | None = None
    disable_parallel_tool_use: bool = False

    @model_validator(mode="after")
    def _check_name(self) -> "ToolChoice":
        if (self.type == "tool") != (self.name is not None):
            raise ValueError("name is required for the type tool and not allowed for others")
        return self

    def to_chat(self) -> str | Json:
        if self.type == "tool":
            return {"type": "function", "function": {"name": self.name}}
        return "required" if self.type == "any" else self.type


# ---- the request -------------------------------------------------------------------------------------------------


class Thinking(Lenient):
    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[int | None, Field(ge=1)] = None
    display: Literal["summarized", "omitted"] | None = None

    @property
    def effort(self) -> Effort | None:
        """Effort of the model's reasoning for this budget; None for its default."""
        if self.type == "disabled":
            return "none"
        if self.budget_tokens is None:
            return None
        return "low" if self.budget_tokens < LOW_BUDGET else "medium" if self.budget_tokens < MEDIUM_BUDGET else "high"


class OutputFormat(Lenient):
    type: Literal["json_schema"]
    schema_: Annotated[JsonSchema, Field(alias="schema")]

    def to_chat(self) -> Json:
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": self.schema_}}


class OutputConfig(Lenient):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class CountRequest(OpenAIRequest):
    """Fields of both routes."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[InputMessage], Field(min_length=1, fail_fast=True)]
    system: SystemBlocks | None = None
    tools: Annotated[list[AnyTool] | None, Field(max_length=MAX_TOOLS, fail_fast=True)] = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    """The older name of `output_config.format`."""
    cache_control: Ignored = None
    context_management: Ignored = None
    """Accepted without effect: a conversation is as long as the client sends it."""

    @model_validator(mode="after")
    def _check_tools(self) -> "CountRequest":
        if self.tool_choice is not None and self.tool_choice.type in ("any", "tool") and not self.tools:
            raise ValueError("tool_choice needs tools")
        return self

    def to_chat(self) -> ChatRequest:
        """Return the equivalent request to `POST /chat`. Raises ApiError `invalid_request` if there is none."""
        output_format = (self.output_config.format if self.output_config else None) or self.output_format
        tools = [tool.to_chat() for tool in self.tools or () if isinstance(tool, Tool)]
        fields: Json = {
            "messages": list(self._messages()),
            "tools": tools or None,
            "tool_choice": self.tool_choice.to_chat() if self.tool_choice and tools else None,
            "reasoning_effort": self._effort(),
            "response_format": output_format.to_chat() if output_format else None,
        }
        return parse_object(ChatRequest, {**fields, **self._more()})

    def _more(self) -> Json:
        """Return further fields for `POST /chat`, which differ between the two routes."""
        return {}

    def _messages(self) -> Iterator[Json]:
        if self.system:
            blocks = [self.system] if isinstance(self.system, str) else [block.text for block in self.system]
            yield {"role": "system", "content": "\n".join(blocks)}
        for message in self.messages:
            yield from message_to_chat(message.role, message.content)

    def _effort(self) -> Effort | None:
        """Return the effort of the model's reasoning: none unless the request wants thinking, as at Anthropic."""
        if not self.has_thinking:
            return "none"
        return (self.output_config.effort if self.output_config else None) or (
            self.thinking.effort if self.thinking else None
        )

    @property
    def has_thinking(self) -> bool:
        """True if the client wants to see the model's reasoning."""
        return self.thinking is not None and self.thinking.type != "disabled"


class MessagesRequest(CountRequest):
    max_tokens: Annotated[int, Field(ge=1)]
    stream: bool = False
    temperature: Annotated[float | None, Field(ge=0, le=1)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=0)] = None
    stop_sequences: Annotated[
        list[Annotated[str, Field(min_length=1)]] | None, Field(max_length=MAX_STOP_SEQUENCES, fail_fast=True)
    ] = None
    metadata: Ignored = None
    service_tier: Ignored = None
    inference_geo: Ignored = None
    speed: Ignored = None
    container: Annotated[Any, IgnoredUnless()] = None
    mcp_servers: Annotated[Any, IgnoredUnless([])] = None
    gateway: GatewayOptions | None = None
    """This Worker's own parameter, as in `POST /chat`."""

    @property
    def stops(self) -> list[str]:
        return self.stop_sequences or []

    @property
    def parallel_tool_calls(self) -> bool:
        return not (self.tool_choice and self.tool_choice.disable_parallel_tool_use)

    def _more(self) -> Json:
        sampling = self.model_dump(include={"temperature", "top_p", "max_tokens"}, exclude_none=True)
        if self.top_k:  # 0 is no limit
            sampling["top_k"] = min(self.top_k, MODEL_TOP_K)
        return {**sampling, "stream": self.stream, "gateway": self.gateway}

    def extra_inputs(self, model: Model) -> Json:
        """Return inputs for models of OpenAI's dialect that `POST /chat` has no parameters for."""
        # without stop sequences: the Worker looks for them itself, to report which one has ended the answer
        single = not self.parallel_tool_calls and bool(self.tools)
        return {"parallel_tool_calls": False} if single and model.dialect == "openai" else {}


class TokenCount(Reply):
    input_tokens: int
