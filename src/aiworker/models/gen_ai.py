"""Facts of model and tool calls under OpenTelemetry's names `gen_ai.*`, for spans and the log line.

Source: opentelemetry.io/docs/specs/semconv/gen-ai (development). Prompts and answers are no attributes: they are
clients' texts.
"""

from collections.abc import Mapping
from typing import Any

from aiworker.models.catalogue import Model, Task
from aiworker.tracing import Attributes

OPERATIONS: Mapping[Task, str] = {"text-generation": "chat", "guard": "chat", "embeddings": "embeddings"}
"""Task → `gen_ai.operation.name`, where the conventions have one; other operations are named after their task."""
PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "google": "gcp.gemini"}
"""Vendor of a model → `gen_ai.provider.name`; Workers AI and routes of AI Gateway have names of their own."""
PARAMETERS = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}
"""Input of a model → the attribute that repeats it."""
COUNTS = {"prompt_tokens": "gen_ai.usage.input_tokens", "completion_tokens": "gen_ai.usage.output_tokens"}
NEURONS = "aiworker.usage.neurons"
"""Attribute with the cost of a call, for which the conventions have no name."""


def request_attributes(model: Model, fields: Mapping[str, Any]) -> Attributes:
    """Return the facts of a model call. fields: its inputs in OpenAI's dialect."""
    numbers = {name: value for name, value in fields.items() if name in PARAMETERS and isinstance(value, int | float)}
    provider = PROVIDERS.get(model.vendor or "", "cloudflare.ai_gateway") if model.vendor else "cloudflare.workers_ai"
    return {
        "gen_ai.operation.name": OPERATIONS.get(model.task, model.task),
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model.id,
        **{PARAMETERS[name]: value for name, value in numbers.items()},
    }


def span_name(attributes: Attributes) -> str:
    """Return the name of a model call's span, such as `chat @cf/openai/gpt-oss-20b`."""
    return f"{attributes['gen_ai.operation.name']} {attributes['gen_ai.request.model']}"


def usage_attributes(usage: Mapping[str, Any], neurons: float | None) -> Attributes:
    """Return the facts of an answer. usage: valid counts by OpenAI's names. neurons: its cost; None if unknown."""
    counts = {theirs: usage[ours] for ours, theirs in COUNTS.items() if ours in usage}
    return {**counts, **({} if neurons is None else {NEURONS: neurons})}


def tool_attributes(name: str, call_id: str) -> Attributes:
    """Return the facts of a call of a tool of the Worker's own."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": call_id,
        "gen_ai.tool.type": "function",
    }
