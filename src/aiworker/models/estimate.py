"""What a model call will cost at most, about: for a key's daily budget, before the model is asked.

Where an answer tells what it has cost, that takes the estimate's place. Where it does not, the estimate stays.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from aiworker.bindings import Inputs
from aiworker.models import catalogue, token_counts
from aiworker.models.catalogue import Model
from aiworker.models.image_parameters import IMAGE_MODELS, TILE

UNPRICED = 10
"""Neurons that a call of a model without a known price is taken to cost. (Most of these are free, in beta.)"""

ANSWER_TOKENS = 256
"""Where a request does not say `max_tokens`: the default of Workers AI's own input schemas."""
LONG_ANSWER_TOKENS = 4_096
"""Likewise of models with OpenAI's schema, which have no such default. More than most answers have, not the most that
one could: the rest is taken from the budget when it is known."""

CHARACTERS_A_MINUTE = 600
"""Of text that is read aloud: slow speech."""
BYTES_A_MINUTE = {"audio/wav": 960_000}
"""Of a recording: 8,000 samples of 16 bits a second, the least that is in use."""
COMPRESSED_BYTES_A_MINUTE = 120_000
"""Of all other formats: 16 kbit a second, so that most recordings are taken to be longer than they are."""

SIDE = 1_024
"""Pixels of an image's sides, where neither the request nor Cloudflare says."""

PASSAGE_OVERHEAD = 2
"""With their titles, headings and overlaps, passages have at most about twice the tokens of their document."""


def neurons(model: Model, inputs: Inputs) -> float:
    if not model.neurons:
        return UNPRICED
    for unit, estimate in _BY_UNIT.items():
        if unit in model.neurons:
            return estimate(model, inputs)
    return UNPRICED


def ingestion(model: Model, size: int) -> float:
    """Of a document of so many bytes, embedded with that model."""
    price = model.neurons.get("million_input_tokens")
    if price is None:
        return UNPRICED
    return PASSAGE_OVERHEAD * (size // token_counts.BYTES_A_TOKEN + 1) * price / 1_000_000


def _of_text(model: Model, inputs: Inputs) -> float:
    usage = {"prompt_tokens": _read(inputs.fields), "completion_tokens": _written(model, inputs.fields)}
    return catalogue.neurons(model, usage) or UNPRICED


def _read(fields: Mapping[str, Any]) -> int:
    messages = cast("list[Mapping[str, Any]]", fields.get("messages") or [])
    others = {name: value for name, value in fields.items() if name != "messages"}
    read = sum(map(token_counts.estimate_message, messages)) + token_counts.estimate_text(
        json.dumps(others, ensure_ascii=False)
    )
    # a reranker reads the query again with each text
    again = len(fields.get("contexts") or ()) * token_counts.estimate_text(str(fields.get("query") or ""))
    return read + again


def _written(model: Model, fields: Mapping[str, Any]) -> int:
    if model.task == "translation":  # about as much as there is to read
        return _read(fields)
    asked = fields.get("max_tokens") or fields.get("max_completion_tokens")
    default = LONG_ANSWER_TOKENS if model.sampling is catalogue.COMPLETIONS else ANSWER_TOKENS
    return int(asked or default)


def _of_sound(model: Model, inputs: Inputs) -> float:
    recording = inputs.binary.get("audio")
    if recording is None:  # text to be read aloud
        minutes = len(str(inputs.fields.get("prompt") or "")) / CHARACTERS_A_MINUTE
    else:
        part = recording.part
        size = part.end - part.start if part else recording.payload.size
        minutes = size / BYTES_A_MINUTE.get(recording.content_type, COMPRESSED_BYTES_A_MINUTE)
    return model.neurons["audio_minute"] * minutes


def _of_characters(model: Model, inputs: Inputs) -> float:
    return model.neurons["thousand_characters"] * len(str(inputs.fields.get("text") or "")) / 1_000


def _of_image(model: Model, inputs: Inputs) -> float:
    """By tiles of 512 pixels, megapixels and steps, as the model is priced; parts of a tile count as whole ones."""
    given: dict[str, Any] = {**inputs.fields, **inputs.form}
    takes = IMAGE_MODELS[model.id]
    width, height, usual_steps = takes.defaults or (SIDE, SIDE, None)
    width, height = int(given.get("width") or width), int(given.get("height") or height)
    steps = int(given.get(takes.steps) or usual_steps or takes.numbers.get("steps", (1, 1))[1])
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
    "million_input_tokens": _of_text,
    "audio_minute": _of_sound,
    "thousand_characters": _of_characters,
    "tile": _of_image,
    "output_tile": _of_image,
    "output_tile_and_step": _of_image,
    "first_megapixel": _of_image,
}
"""Unit of a price → how a call of a model with that price is estimated."""
