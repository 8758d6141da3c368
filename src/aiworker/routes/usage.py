"""`GET /usage`: what the key that asks has spent today."""

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response, json_response


async def usage(context: Context) -> Response:
    key = context.caller.key
    if key is None or context.caller.has_token:
        raise ApiError(
            "forbidden", "Ask with an API key: tokens, and callers without a key, have no budget of their own."
        )
    if key.daily_neurons is None:  # nothing is counted
        return json_response({"key": key.name, "daily_neurons": None, "day": None, "neurons": None})
    today = await context.the_budgets().find(key.name).today()
    return json_response(
        {"key": key.name, "daily_neurons": key.daily_neurons, "day": today.day, "neurons": today.neurons}
    )
