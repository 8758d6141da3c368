"""`GET /usage`."""

from pydantic import BaseModel

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response, json_response
from aiworker.routing import Returns, route


class KeyUsage(BaseModel):
    key: str
    daily_neurons: float | None
    """Neurons the key may spend a day (UTC); null for no limit."""
    day: str | None
    """`2026-11-21`."""
    neurons: float | None
    """Neurons spent today, those reserved for calls under way included; null for a key without a limit."""


@route("GET", "/usage", scope="any", rate="read", tag="About", returns=Returns(KeyUsage, "The key's usage today."))
async def usage(context: Context) -> Response:
    """Show what an API key has spent today.

    In neurons, and how many it may spend. Calls under way count as their estimated maximum.
    """
    key = context.caller.key
    if key is None or context.caller.has_token:
        raise ApiError("forbidden", "Only an API key has a budget: send one. Tokens and anonymous callers have none.")
    if key.daily_neurons is None:  # nothing is counted
        return json_response({"key": key.name, "daily_neurons": None, "day": None, "neurons": None})
    today = await context.budgets.find(key.name).today()
    return json_response(
        {"key": key.name, "daily_neurons": key.daily_neurons, "day": today.day, "neurons": today.neurons}
    )
