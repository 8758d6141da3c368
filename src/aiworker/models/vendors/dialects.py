"""Translation between OpenAI's dialect, which the Worker's own code speaks, and that of a model's vendor."""

from collections.abc import Callable, Mapping
from typing import Any

from aiworker.models.catalogue import Model
from aiworker.models.vendors import anthropic, gemini
from aiworker.models.vendors.messages import Json

INPUTS: Mapping[str, Callable[[Mapping[str, Any]], Json]] = {
    "anthropic": anthropic.to_inputs,
    "google": gemini.to_inputs,
}
"""Vendor with a dialect of its own → function that makes its inputs."""


def to_inputs(model: Model, fields: Mapping[str, Any]) -> Json:
    """Return a model's inputs in its vendor's dialect. fields: in OpenAI's, with `messages`."""
    if translate := INPUTS.get(model.vendor or ""):
        return translate(fields)
    inputs = dict(fields)
    if model.vendor == "openai" and "max_tokens" in inputs:  # models that reason refuse the older name
        inputs["max_completion_tokens"] = inputs.pop("max_tokens")
    if model.vendor and inputs.get("stream"):  # without it, the stream has no usage
        inputs["stream_options"] = {"include_usage": True}
    return inputs


def to_openai(data: Json) -> Json:
    """Return an answer, or the data of a stream's frame, in OpenAI's dialect; unchanged if it is in another or none."""
    if "choices" in data or "response" in data:
        return data
    for read_answer in (anthropic.read_answer, gemini.read_answer):
        if (translated := read_answer(data)) is not None:
            return translated
    return data
