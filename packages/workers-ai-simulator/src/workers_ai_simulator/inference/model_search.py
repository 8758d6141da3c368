"""Search in the catalogue of models, as the binding's `models()` and `GET …/ai/models/search` answer it."""

import uuid
from collections.abc import Mapping
from typing import Any

from workers_ai_simulator.catalogue import MODELS, Model
from workers_ai_simulator.gateway.prices import DOLLARS_PER_NEURON
from workers_ai_simulator.speech.realtime import STT_MODELS, TTS_MODELS

TASKS = {
    "text-generation": "Text Generation",
    "guard": "Text Generation",
    "decision": "Text Generation",
    "embeddings": "Text Embeddings",
    "reranking": "Text Classification",
    "text-classification": "Text Classification",
    "summarization": "Summarization",
    "translation": "Translation",
    "text-to-image": "Text-to-Image",
    "image-to-image": "Text-to-Image",
    "inpainting": "Text-to-Image",
    "image-to-text": "Image-to-Text",
    "speech-to-text": "Automatic Speech Recognition",
    "text-to-speech": "Text-to-Speech",
    "image-classification": "Image Classification",
    "object-detection": "Object Detection",
}
"""Task in the catalogue, which divides them more finely → Cloudflare's name of the task."""

PROPERTIES = {
    "batch": "async_queue",
    "tools": "function_calling",
    "lora": "lora",
    "reasoning": "reasoning",
    "vision": "vision",
}
"""Ability in the catalogue → Cloudflare's property of a model."""

PRICE_UNITS = {
    "neurons_per_m_input_tokens": "per M input tokens",
    "neurons_per_m_output_tokens": "per M output tokens",
    "neurons_per_m_cached_input_tokens": "per M cached input tokens",
    "neurons_per_audio_minute": "per audio minute",
    "neurons_per_audio_minute_websocket": "per audio minute (websocket)",
    "neurons_per_1k_characters": "per 1k characters",
    "neurons_per_tile": "per 512 by 512 tile",
    "neurons_per_step": "per step",
}
"""Unit of a price in the catalogue → its words in the property `price`. Other units are not listed."""
REALTIME = (*STT_MODELS, *TTS_MODELS)
"""Models that are called by websocket."""

DEFAULT_PAGE_SIZE = 100
ID_NAMESPACE = uuid.UUID("1f6d3b0e-5a4c-4c55-8a5e-0d6b6d3f7c11")
"""UUID namespace of the ids of models and tasks, which are invented: Cloudflare's own are not known."""


def search(query: Mapping[str, str], has_prices: bool = False) -> list[dict[str, Any]]:
    """Models that match the query: `author`, `search` (part of an id), `source` (1: Workers AI, the only one here) and
    `task` (a name), one `page` of `per_page`. `hide_experimental` hides none: the catalogue does not tell them.
    has_prices: with the property `price`, a list, which the binding's type of a property has no room for.

    Retired models are included only with `include_deprecated=true`. A `page` or `per_page` that is no whole number
    counts as missing.
    """
    matches = [_to_json(model, has_prices) for model in MODELS.values() if _matches(model, query)]
    size = _number(query, "per_page", DEFAULT_PAGE_SIZE)
    start = (_number(query, "page", 1) - 1) * size
    return matches[start : start + size]


def _to_json(model: Model, has_prices: bool) -> dict[str, Any]:
    task = TASKS[model.task]
    return {
        "id": str(uuid.uuid5(ID_NAMESPACE, model.id)),
        "source": 1,
        "name": model.id,
        "description": f"{task} by {_author(model)}; answered by a simulator.",
        "task": _task(task),
        "tags": [],
        "properties": [{"property_id": name, "value": value} for name, value in _properties(model, has_prices)],
    }


def _properties(model: Model, has_prices: bool) -> list[tuple[str, Any]]:
    numbers = [
        ("context_window", model.context_window),
        ("max_input_tokens", model.max_input_tokens),
        ("output_dimensions", model.dimensions),
    ]
    known: list[tuple[str, Any]] = [(name, str(value)) for name, value in numbers if value]
    flags = [(PROPERTIES[each], "true") for each in model.abilities if each in PROPERTIES]
    realtime = [("realtime", "true")] if model.id in REALTIME else []
    return [*known, *(_price(model) if has_prices else []), *flags, *realtime]


def _price(model: Model) -> list[tuple[str, Any]]:
    """The property `price`, a list of `{unit, price, currency}`; nothing for a model without a known price."""
    priced = [(PRICE_UNITS[unit], price) for unit, price in model.price.items() if price and unit in PRICE_UNITS]
    prices = [
        {"unit": unit, "price": float(f"{price * DOLLARS_PER_NEURON:.4g}"), "currency": "USD"} for unit, price in priced
    ]
    return [("price", prices)] if prices else []


def tasks() -> list[dict[str, Any]]:
    """Tasks of the models that are not retired, by name: `{id, name, description}`."""
    return [_task(name) for name in sorted({TASKS[model.task] for model in MODELS.values() if not model.deprecated})]


def authors() -> list[dict[str, Any]]:
    """Authors of the models that are not retired, by name: `{id, name, description}`."""
    names = sorted({_author(model) for model in MODELS.values() if not model.deprecated})
    return [{"id": str(uuid.uuid5(ID_NAMESPACE, f"author {name}")), "name": name, "description": ""} for name in names]


def _task(name: str) -> dict[str, Any]:
    return {"id": str(uuid.uuid5(ID_NAMESPACE, name)), "name": name, "description": f"The task {name}."}


def _matches(model: Model, query: Mapping[str, str]) -> bool:
    if model.deprecated and query.get("include_deprecated") != "true":
        return False
    task = query.get("task", "").lower()
    return (
        query.get("source", "1") == "1"
        and task in ("", TASKS[model.task].lower())
        and query.get("author", "").lower() in ("", _author(model).lower())
        and query.get("search", "").lower() in model.id.lower()
    )


def _author(model: Model) -> str:
    return model.id.split("/")[1]


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name, "")
    return max(1, int(value)) if value.isdecimal() else default
