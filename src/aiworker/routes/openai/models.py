"""`GET /v1/models` and `/v1/models/{id}`: the catalogue, and the names under which OpenAI's clients may ask for it."""

from collections.abc import Iterator
from typing import Any

from aiworker.context import Context
from aiworker.http.messages import Response, json_response
from aiworker.models import catalogue
from aiworker.models.catalogue import Model, Task
from aiworker.routes.openai.fields import JSON_REPLY
from aiworker.routing import route

CREATED = 0
"""In place of the time, which Cloudflare does not say."""


@route(
    "GET", "/v1/models", scope="any", rate="read", tag="OpenAI",
    returns=JSON_REPLY, errors=("model_not_found",),
)  # fmt: skip
async def openai_models(context: Context) -> Response:
    """List models and aliases in OpenAI's form."""
    return json_response({"object": "list", "data": list(_all(context))})


@route(
    "GET", "/v1/models/{model_id...}", scope="any", rate="read", tag="OpenAI",
    returns=JSON_REPLY, errors=("model_not_found",),
)  # fmt: skip
async def openai_model(context: Context, model_id: str) -> Response:
    """Read one model or alias in OpenAI's form."""
    found = next((each for each in _all(context) if each["id"] == model_id), None)
    if found is None:
        raise catalogue.unknown(model_id, catalogue.MODELS)
    return json_response(found)


def find(context: Context, name: str, task: Task) -> Model:
    """The model of that id or alias. Raises ApiError as `catalogue.find` does."""
    return catalogue.find(context.settings.model_aliases.get(name, name), task)


def _all(context: Context) -> Iterator[dict[str, Any]]:
    for alias, model_id in context.settings.model_aliases.items():
        yield _shown(alias, model_id)
    for model_id in catalogue.MODELS:
        yield _shown(model_id, model_id)


def _shown(name: str, model_id: str) -> dict[str, Any]:
    # @cf/meta/llama-… is Meta's
    return {"id": name, "object": "model", "created": CREATED, "owned_by": model_id.split("/")[1]}
