"""Search in the catalogue of models, as the binding's `models()` and `GET …/ai/models/search` answer it."""

import uuid
from collections.abc import Mapping
from typing import Any

from workers_ai_simulator.catalogue import MODELS, Model

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

DEFAULT_PAGE_SIZE = 100
ID_NAMESPACE = uuid.UUID("1f6d3b0e-5a4c-4c55-8a5e-0d6b6d3f7c11")
"""UUID namespace of the ids of models and tasks, which are invented: Cloudflare's own are not known."""


def search(query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Models that match the query: `author`, `search` (part of an id) and `task` (a name), one `page` of `per_page`.

    Retired models are included only with `include_deprecated=true`. A `page` or `per_page` that is no whole number
    counts as missing.
    """
    matches = [_to_json(model) for model in MODELS.values() if _matches(model, query)]
    size = _number(query, "per_page", DEFAULT_PAGE_SIZE)
    start = (_number(query, "page", 1) - 1) * size
    return matches[start : start + size]


def _to_json(model: Model) -> dict[str, Any]:
    task = TASKS[model.task]
    return {
        "id": str(uuid.uuid5(ID_NAMESPACE, model.id)),
        "source": 1,
        "name": model.id,
        "description": f"{task} by {_author(model)}; answered by a simulator.",
        "task": {"id": str(uuid.uuid5(ID_NAMESPACE, task)), "name": task, "description": f"The task {task}."},
        "tags": [],
        "properties": [{"property_id": name, "value": value} for name, value in _properties(model)],
    }


def _properties(model: Model) -> list[tuple[str, str]]:
    numbers = [("context_window", model.context_window), ("output_dimensions", model.dimensions)]
    known = [(name, str(value)) for name, value in numbers if value]
    flags = [(PROPERTIES[each], "true") for each in model.abilities if each in PROPERTIES]
    return [*known, *flags]


def _matches(model: Model, query: Mapping[str, str]) -> bool:
    if model.deprecated and query.get("include_deprecated") != "true":
        return False
    task = query.get("task", "").lower()
    return (
        task in ("", TASKS[model.task].lower())
        and query.get("author", "").lower() in ("", _author(model).lower())
        and query.get("search", "").lower() in model.id.lower()
    )


def _author(model: Model) -> str:
    return model.id.split("/")[1]


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name, "")
    return max(1, int(value)) if value.isdecimal() else default
