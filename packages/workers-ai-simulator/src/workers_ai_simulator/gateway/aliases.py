"""Model aliases: names such as `custom/support-fast` for a pool of models, tried in turn.

After https://developers.cloudflare.com/ai-gateway/features/routing/model-aliases/. Upstream, aliases are made in the
dashboard; no documentation of an API for them was found. Here they are made by the simulator's own API.
"""

from typing import Any, cast

from workers_ai_simulator.gateway.dynamic_routes import Element
from workers_ai_simulator.gateway.errors import invalid
from workers_ai_simulator.gateway.options import GATEWAY_ID
from workers_ai_simulator.gateway.prices import tokens_price

ROUTINGS = ("order", "smart")
MAX_MODELS = 10
"""This simulator's own limit: Cloudflare documents none."""

Alias = dict[str, Any]


def checked(name: str, value: Any) -> Alias:
    """The alias `{name, models, routing}`. Raises GatewayError 7001, with the place, if it is malformed."""
    if not GATEWAY_ID.fullmatch(name):
        raise invalid("name: expected 1 to 64 letters, digits, - or _")
    if not isinstance(value, dict):
        raise invalid("Expected object")
    alias = cast("dict[str, Any]", value)
    models: Any = alias.get("models")
    if not isinstance(models, list) or not 1 <= len(cast("list[Any]", models)) <= MAX_MODELS:
        raise invalid(f"models: Expected array of 1 to {MAX_MODELS} models")
    for number, model in enumerate(cast("list[Any]", models)):
        if not isinstance(model, str) or "/" not in model or model.startswith(("dynamic/", "custom/")):
            raise invalid(f"models.{number}: Expected a model such as @cf/author/name or author/name")
    routing = alias.get("routing", "order")
    if routing not in ROUTINGS:
        raise invalid(f"routing: Invalid enum value. Expected {' | '.join(ROUTINGS)}")
    return {"name": name, "models": models, "routing": routing}


def elements(alias: Alias) -> list[Element]:
    """The alias as a route: its models in turn, each the fallback of the one before.

    Smart routing is approximated: the models by their price, cheapest first, those of unknown price last.
    """
    models: list[str] = alias["models"]
    if alias["routing"] == "smart":
        models = sorted(models, key=lambda model: tokens_price(model) or float("inf"))
    way: list[Element] = [{"id": "start", "type": "start", "outputs": {"next": {"elementId": "model-0"}}}]
    for number, model in enumerate(models):
        following = "end" if number == len(models) - 1 else f"model-{number + 1}"
        way.append(
            {
                "id": f"model-{number}",
                "type": "model",
                "properties": {**_target(model), "retries": 0, "timeout": None},
                "outputs": {"success": {"elementId": "end"}, "fallback": {"elementId": following}},
            }
        )
    return [*way, {"id": "end", "type": "end", "outputs": {}}]


def _target(model: str) -> dict[str, str]:
    """Provider and model of a model's name."""
    if model.startswith("@"):
        return {"provider": "workers-ai", "model": model}
    provider, _, name = model.partition("/")
    return {"provider": provider, "model": name}
