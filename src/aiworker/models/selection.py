"""Selection of the models that may answer a request."""

from collections.abc import Callable

from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.models import catalogue
from aiworker.models.catalogue import Model, Task
from aiworker.models.vendors import names


def find_model(resources: Resources, model_id: str, task: Task) -> Model:
    """Return the model of this id, for this task; for a retired one its successor, which the response names.

    Raises ApiError as `catalogue.find` does; `model_not_found` for a retired model if RETIRED_MODELS is `refuse`;
    `not_configured` for another vendor's model without AI Gateway.
    """
    if model := _vendor_model(resources, model_id):
        return _check_vendor_model(resources, model, task)
    successor = _successor(resources, model_id)
    if successor:
        resources.log.record_retired(model_id, successor)
    return catalogue.find(successor or model_id, task)


def _vendor_model(resources: Resources, model_id: str) -> Model | None:
    """Return the model of another vendor, with its price if MODEL_PRICES has it; None for other names."""
    return names.vendor_model(model_id, resources.settings.model_prices.get(model_id))


def _fallback(resources: Resources, model_id: str) -> Model | None:
    """Return the model of another vendor; None without AI Gateway, through which it is called."""
    return _vendor_model(resources, model_id) if resources.settings.gateway_id else None


def _check_vendor_model(resources: Resources, model: Model, task: Task) -> Model:
    if task != model.task:
        raise ApiError(
            "invalid_request", f"Models of other vendors are for {model.task} only here, not for {task}.", param="model"
        )
    if resources.settings.gateway_id is None:
        raise ApiError(
            "not_configured",
            f"{model.id} is called through AI Gateway, which this Worker does not have: set its variable GATEWAY_ID.",
            param="model",
        )
    return model


def _successor(resources: Resources, model_id: str) -> str | None:
    """Return the id of the model that answers in place of a retired one; None for a model that answers itself."""
    return catalogue.RETIRED.get(model_id) if resources.settings.retired_models == "serve" else None


def text_models(resources: Resources, requested: str | None, check: Callable[[Model], None]) -> list[Model]:
    """Return the requested model alone; without one CHAT_MODEL, then the models of CHAT_FALLBACKS that pass `check`.

    check: raises ApiError if a model cannot serve the request. Its error for the first model is raised.
    """
    first = find_model(resources, requested or resources.settings.models["CHAT_MODEL"], "text-generation")
    check(first)
    if requested:
        return [first]
    ids = (_successor(resources, model_id) or model_id for model_id in resources.settings.chat_fallbacks)
    fallbacks = (catalogue.MODELS.get(model_id) or _fallback(resources, model_id) for model_id in ids)
    return [first, *(model for model in fallbacks if model and _passes(model, check))]


def _passes(model: Model, check: Callable[[Model], None]) -> bool:
    try:
        check(model)
    except ApiError:
        return False
    return True
