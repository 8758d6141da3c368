"""`GET /models`."""

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.http.messages import Response, json_response
from aiworker.models import catalogue
from aiworker.models.vendors import names
from aiworker.routing import Returns, route


class ModelsQuery(Schema):
    task: str | None = None
    """Only models for this task."""


class CatalogueModel(Reply):
    id: str
    task: str
    context_window: int | None
    """Tokens of prompt and completion together."""
    dimensions: int | None
    """Length of its vectors."""
    price: dict[str, dict[str, float]] | None
    """Neurons per unit; null for a model that is free or whose price is unknown."""
    requests_per_minute: int
    abilities: list[str]
    deprecated: bool


class VendorModel(CatalogueModel):
    """A model of another vendor: what the Worker cannot know is null."""

    requests_per_minute: int | None  # pyright: ignore[reportIncompatibleVariableOverride]


class ModelList(Reply):
    default: str
    """The model of `POST /chat` when a request names none."""
    models: list[CatalogueModel]
    vendor_models: list[VendorModel]
    """Models of other vendors that the Worker's variables name."""
    retired: dict[str, str]
    """Model that Cloudflare has retired → the model that answers in its place."""


@route(
    "GET", "/models", scope="any", rate="read", tag="About",
    query=ModelsQuery, returns=Returns(ModelList, "The catalogue."), errors=("invalid_request",),
)  # fmt: skip
async def models(context: Context) -> Response:
    """List the models.

    Task, context window, dimensions, price, rate limit and abilities of every model of Workers AI, and of the other
    vendors' models that variables name.
    """
    task = context.request.query.get("task")
    tasks = sorted({model.task for model in catalogue.MODELS.values()})
    if task is not None and task not in tasks:
        raise ApiError("invalid_request", f"task must be one of {', '.join(tasks)}.", param="task")
    matches = [model for model in catalogue.MODELS.values() if task in (None, model.task)]
    of_vendors = [model for model in names.configured(context.settings) if task in (None, model.task)]
    return json_response(
        {
            "default": context.settings.models["CHAT_MODEL"],
            "models": [model.to_json() for model in matches],
            "vendor_models": [model.to_json() for model in of_vendors],
            "retired": dict(catalogue.RETIRED),
        }
    )
