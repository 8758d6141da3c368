"""The search in the models, as the binding's `models()` and `GET …/ai/models/search` answer it."""

import uuid
from collections.abc import Mapping
from typing import Any

from workers_ai_simulator.models import MODELS, Model

TASKS = {
    "text-generation": "Text Generation",
    "guard": "Text Generation",
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
"""The simulator's tasks, which are finer, → Cloudflare's."""

ABILITIES = {
    "batch": "async_queue",
    "tools": "function_calling",
    "lora": "lora",
    "reasoning": "reasoning",
    "vision": "vision",
}
"""The simulator's words for what a model can do → Cloudflare's properties."""

DEFAULT_PAGE = 100
NAMES = uuid.UUID("1f6d3b0e-5a4c-4c55-8a5e-0d6b6d3f7c11")
"""The space of the ids made here: Cloudflare's own are not known."""


def search(wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """The models that fit `author`, `search`, `task` (by name) and `hide_experimental`, one `page` of `per_page`.

    Retired models only with `include_deprecated`. Numbers that are none count as not given.
    """
    found = [shown(model) for model in MODELS.values() if _fits(model, wanted)]
    size = _number(wanted, "per_page", DEFAULT_PAGE)
    start = (_number(wanted, "page", 1) - 1) * size
    return found[start : start + size]


def shown(model: Model) -> dict[str, Any]:
    task = TASKS[model.task]
    return {
        "id": str(uuid.uuid5(NAMES, model.id)),
        "source": 1,
        "name": model.id,
        "description": f"{task} by {_author(model)}; answered by a simulator.",
        "task": {"id": str(uuid.uuid5(NAMES, task)), "name": task, "description": f"The task {task}."},
        "tags": [],
        "properties": [{"property_id": name, "value": value} for name, value in _properties(model)],
    }


def _properties(model: Model) -> list[tuple[str, str]]:
    known = [("context_window", model.context_window), ("output_dimensions", model.dimensions)]
    numbers = [(name, str(value)) for name, value in known if value]
    abilities = [(ABILITIES[each], "true") for each in model.abilities if each in ABILITIES]
    return [*numbers, *abilities]


def _fits(model: Model, wanted: Mapping[str, str]) -> bool:
    if model.deprecated and wanted.get("include_deprecated") != "true":
        return False
    task = wanted.get("task", "").lower()
    return (
        task in ("", TASKS[model.task].lower())
        and wanted.get("author", "").lower() in ("", _author(model).lower())
        and wanted.get("search", "").lower() in model.id.lower()
    )


def _author(model: Model) -> str:
    return model.id.split("/")[1]


def _number(wanted: Mapping[str, str], name: str, default: int) -> int:
    value = wanted.get(name, "")
    return max(1, int(value)) if value.isdecimal() else default
