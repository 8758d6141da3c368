"""`GET /models`: the catalogue."""

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response, json_response
from aiworker.models import catalogue


async def models(context: Context) -> Response:
    task = context.request.query.get("task")
    tasks = sorted({model.task for model in catalogue.MODELS.values()})
    if task is not None and task not in tasks:
        raise ApiError("invalid_request", f"task must be one of {', '.join(tasks)}.", param="task")
    found = [model for model in catalogue.MODELS.values() if task in (None, model.task)]
    return json_response(
        {"default": context.settings.models["CHAT_MODEL"], "models": [model.to_json() for model in found]}
    )
