"""Estimates of the maximum cost of a model call, reserved in a key's daily budget before the call.

The cost that an answer reports replaces the estimate. If it reports none, the estimate stays.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from aiworker.bindings import Inputs
from aiworker.models import catalogue, token_counts
from aiworker.models.catalogue import Model
from aiworker.models.image_parameters import IMAGE_MODELS, TILE

UNPRICED = 10
"""Neurons assumed for a call of a model without a known price. (Most of these are free, in beta.)"""

ANSWER_TOKENS = 256
"""Tokens of an answer without `max_tokens`: the default of Workers AI's own input schemas."""
LONG_ANSWER_TOKENS = 4_096
"""Tokens of an answer without `max_tokens` of models with OpenAI's schema, which have no default. Most answers have
fewer; what a longer one costs is taken from the budget when it is known."""

CHARACTERS_PER_MINUTE = 600
"""Characters of text read aloud in a minute of slow speech."""
COMPRESSED_BYTES_PER_MINUTE = 120_000
"""Bytes of a minute of a recording of unknown duration, at 16 kbit/s: most recordings are shorter than estimated."""

IMAGE_TOKENS = 1_024
"""Tokens of an image of a decision, at most. Source: the schema of clef-omni."""

SIDE = 1_024
"""Pixels of an image's sides, where neither the request nor Cloudflare's documentation says."""

PASSAGE_OVERHEAD = 2
"""Factor, at most about, by which titles, headings and overlaps make a document's passages longer than the document."""


def neurons(model: Model, inputs: Inputs) -> float:
    """Return the estimated cost of a call in neurons."""
    if not model.neurons:
        return UNPRICED
    for unit, estimate in _BY_UNIT.items():
        if unit in model.neurons:
            return estimate(model, inputs)
    return UNPRICED


def ingestion(model: Model, size: int) -> float:
    """Return the neurons that embedding a document is likely to cost, before its text is known. size: bytes of it."""
    return PASSAGE_OVERHEAD * embedding(model, 1, size)


def embedding(model: Model, count: int, size: int) -> float:
    """Return the estimated neurons for embedding texts. count: number of texts. size: their bytes of UTF-8 together."""
    price = model.neurons.get("million_input_tokens")
    if price is None:
        return UNPRICED
    return (size // token_counts.BYTES_A_TOKEN + count) * price / 1_000_000


def _text_neurons(model: Model, inputs: Inputs) -> float:
    usage = {"prompt_tokens": _input_tokens(inputs.fields), "completion_tokens": _output_tokens(model, inputs.fields)}
    return catalogue.neurons(model, usage) or UNPRICED


def _input_tokens(fields: Mapping[str, Any]) -> int:
    messages = cast("list[Mapping[str, Any]]", fields.get("messages") or [])
    others = {name: value for name, value in fields.items() if name not in ("messages", "images")}
    tokens = sum(map(token_counts.estimate_message, messages))
    tokens += token_counts.estimate_text(json.dumps(others, ensure_ascii=False))
    # a reranker reads the query again with each text
    repeated = len(fields.get("contexts") or ()) * token_counts.estimate_text(str(fields.get("query") or ""))
    return tokens + repeated + IMAGE_TOKENS * len(fields.get("images") or ())


def _output_tokens(model: Model, fields: Mapping[str, Any]) -> int:
    if model.task == "translation":  # a translation is about as long as its source
        return _input_tokens(fields)
    maximum = fields.get("max_tokens") or fields.get("max_completion_tokens")
    is_long = model.sampling is catalogue.COMPLETIONS or model.vendor is not None
    default = LONG_ANSWER_TOKENS if is_long else ANSWER_TOKENS
    return int(maximum or default)


def _sound_neurons(model: Model, inputs: Inputs) -> float:
    recording = inputs.binary.get("audio")
    if recording is None:  # text to be read aloud
        minutes = len(str(inputs.fields.get("prompt") or "")) / CHARACTERS_PER_MINUTE
    elif recording.seconds is not None:
        minutes = recording.seconds / 60
    else:
        minutes = recording.payload.size / COMPRESSED_BYTES_PER_MINUTE
    return model.neurons["audio_minute"] * minutes


def _character_neurons(model: Model, inputs: Inputs) -> float:
    return model.neurons["thousand_characters"] * len(str(inputs.fields.get("text") or "")) / 1_000


def _image_neurons(model: Model, inputs: Inputs) -> float:
    """Return the cost by tiles of 512 pixels, megapixels and steps, as the model is priced; tiles are rounded up."""
    fields: dict[str, Any] = {**inputs.fields, **inputs.form}
    parameters = IMAGE_MODELS[model.id]
    width, height, default_steps = parameters.defaults or (SIDE, SIDE, None)
    width, height = int(fields.get("width") or width), int(fields.get("height") or height)
    steps = int(fields.get(parameters.steps) or default_steps or parameters.numbers.get("steps", (1, 1))[1])
    tiles = -(-width // TILE) * -(-height // TILE)
    references = sum(not isinstance(value, str) for value in inputs.form.values())
    megapixels = width * height / 1_000_000
    amounts = {
        "tile": tiles,
        "step": steps,
        "output_tile": tiles,
        "input_tile": references * (SIDE // TILE) ** 2,
        "output_tile_and_step": tiles * steps,
        "input_tile_and_step": references * (SIDE // TILE) ** 2 * steps,
        "first_megapixel": 1,
        "further_megapixel": max(0, megapixels - 1),
        "input_megapixel": references * (SIDE / 1_000) ** 2,
    }
    return sum(price * amounts.get(unit, 0) for unit, price in model.neurons.items())


_BY_UNIT = {
    "million_input_tokens": _text_neurons,
    "audio_minute": _sound_neurons,
    "thousand_characters": _character_neurons,
    "tile": _image_neurons,
    "output_tile": _image_neurons,
    "output_tile_and_step": _image_neurons,
    "first_megapixel": _image_neurons,
}
"""Unit of a price → function that estimates a call of a model with that price."""
