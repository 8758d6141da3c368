"""`GET /v1/models` and `/v1/models/{id}`: the catalogue, and aliases for OpenAI's clients."""

from collections.abc import Iterator
from typing import Any

from aiworker.context import Context
from aiworker.http.messages import Response, json_response
from aiworker.models import catalogue
from aiworker.models.catalogue import Model, Task
from aiworker.models.selection import find_model
from aiworker.models.vendors import names
from aiworker.routes.openai.fields import JSON_REPLY
from aiworker.routing import route

CREATED = 0
"""Time of a model's release, which Cloudflare does not publish."""


@route(
    "GET", "/v1/models", scope="any", rate="read", tag="OpenAI",
    returns=JSON_REPLY, errors=("model_not_found",),
)  # fmt: skip
async def openai_models(context: Context) -> Response:
    """List models and aliases in OpenAI's form."""
    return json_response({"object": "list", "data": list(_all(context))})


@route(
    "GET", "/v1/models/{model_id...}", scope="any", rate="read", tag="OpenAI",
    returns=JSON_REPLY, errors=("model_not_found", "not_configured"),
)  # fmt: skip
async def openai_model(context: Context, model_id: str) -> Response:
    """Read one model or alias in OpenAI's form."""
    target = context.settings.resolve_alias(model_id)
    has_successor = target in catalogue.RETIRED and context.settings.retired_models == "serve"
    if names.vendor_of(target):
        find_model(context, target, "text-generation")
    elif target not in catalogue.MODELS and not has_successor:
        raise catalogue.unknown(model_id, catalogue.MODELS)
    return json_response(_entry(model_id, target))


def find(context: Context, name: str, task: Task) -> Model:
    """Return the model of an id or an alias. Raises ApiError like `find_model`."""
    return find_model(context, context.settings.resolve_alias(name), task)


def _all(context: Context) -> Iterator[dict[str, Any]]:
    for alias, model_id in context.settings.model_aliases.items():
        if not alias.endswith("*"):
            yield _entry(alias, model_id)
    for model_id in (*catalogue.MODELS, *(model.id for model in names.configured(context.settings))):
        yield _entry(model_id, model_id)


def _entry(name: str, model_id: str) -> dict[str, Any]:
    # the maker is the second part of an id of Workers AI, @cf/meta/llama-…, and the first of openai/gpt-…
    owner = names.vendor_of(model_id) or model_id.split("/")[1]
    return {"id": name, "object": "model", "created": CREATED, "owned_by": owner}
