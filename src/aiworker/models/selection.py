"""Selection of the models that may answer a text request, in order."""

from collections.abc import Callable

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.models import catalogue
from aiworker.models.catalogue import Model


def text_models(context: Context, requested: str | None, check: Callable[[Model], None]) -> list[Model]:
    """Return the requested model alone; without one CHAT_MODEL, then the models of CHAT_FALLBACKS that pass `check`.

    check: raises ApiError if a model cannot serve the request. Its error for the first model is raised.
    """
    first = catalogue.find(requested or context.settings.models["CHAT_MODEL"], "text-generation")
    check(first)
    if requested:
        return [first]
    fallbacks = (catalogue.MODELS[model_id] for model_id in context.settings.chat_fallbacks)
    return [first, *(model for model in fallbacks if _passes(model, check))]


def _passes(model: Model, check: Callable[[Model], None]) -> bool:
    try:
        check(model)
    except ApiError:
        return False
    return True
