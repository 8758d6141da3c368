"""Spend limits of a gateway: budgets in dollars, which block further calls until their window resets.

After https://developers.cloudflare.com/ai-gateway/features/spend-limits/ and the parameter `spend_limits` of the REST
API's update of a gateway:

    {"enabled": true, "rules": [{"id", "enabled", "limit", "limitType": "cost", "window": seconds,
      "technique": "fixed" | "sliding", "model", "provider": DIMENSION, "metadata": {KEY: DIMENSION}}]}

where a DIMENSION is `{"mode": "partition"}` (a budget for each value) or `{"mode": "filter", "values": […]}` (the rule
is for these values alone). The error's code and sentence are recorded; that a changed rule starts to count anew was
reported by its users.
"""

import json
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator.gateway.errors import GatewayError, invalid

MAX_RULES = 20
"""Rules of a gateway (Cloudflare's documentation)."""
MODES = ("partition", "filter")
TECHNIQUES = ("fixed", "sliding")
DIMENSIONS = ("model", "provider")

Rule = dict[str, Any]
Bucket = tuple[str, str, tuple[Any, ...]]
"""Gateway, the rule as JSON, and the values of the dimensions that split it."""


@dataclass(frozen=True)
class Spender:
    """Origin of a cost, by which rules are chosen."""

    gateway: str
    provider: str
    model: str
    metadata: Mapping[str, Any]

    def values(self, rule: Rule) -> list[tuple[dict[str, Any], Any]]:
        """The dimensions of a rule, each with this call's value; None for metadata that the call does not have."""
        own = {"model": self.model, "provider": self.provider}
        dimensions = [(rule[name], own[name]) for name in DIMENSIONS if rule.get(name)]
        keys: dict[str, Any] = rule.get("metadata") or {}
        return [*dimensions, *((dimension, self.metadata.get(key)) for key, dimension in keys.items())]


def spend_limit_exceeded(rule: Rule, spender: Spender) -> GatewayError:
    """Error 2041, recorded with its sentence: the budget of a rule is used up."""
    terms = f"cost limit {rule['limit']:g} per {rule['window']}s, {rule['technique']}"
    return GatewayError(
        429, 2041, f"Spend limit exceeded: rule '{rule['id']}' ({terms}) for {spender.provider} {spender.model}"
    )


class Spendings:
    """Costs of the calls of each budget, in memory."""

    def __init__(self) -> None:
        self._costs: defaultdict[Bucket, deque[tuple[float, float]]] = defaultdict(deque)
        """Bucket → when, in seconds since 1970, and how many dollars."""

    def check(self, settings: Mapping[str, Any], spender: Spender, now: float) -> None:
        """Check the budgets of a call. Raises GatewayError 2041 if one of them is used up.

        As upstream, the cost of a call counts after it has ended, so that calls at once can exceed a budget.
        """
        for rule in _rules(settings, spender):
            if self._spent(_bucket(rule, spender), rule, now) >= rule["limit"]:
                raise spend_limit_exceeded(rule, spender)

    def add(self, settings: Mapping[str, Any], spender: Spender, cost: float, now: float) -> None:
        """Count the cost of a call, in dollars, in each of its budgets."""
        if cost > 0:
            for rule in _rules(settings, spender):
                self._costs[_bucket(rule, spender)].append((now, cost))

    def _spent(self, bucket: Bucket, rule: Rule, now: float) -> float:
        window = rule["window"]
        costs = self._costs.get(bucket)
        if not costs:
            return 0
        while costs and costs[0][0] <= now - window:
            costs.popleft()
        start = now - window if rule["technique"] == "sliding" else now - now % window
        return sum(cost for at, cost in costs if at >= start)


def _rules(settings: Mapping[str, Any], spender: Spender) -> list[Rule]:
    """The rules that apply to a call."""
    limits: dict[str, Any] = settings.get("spend_limits") or {}
    if not limits.get("enabled"):
        return []
    return [rule for rule in limits["rules"] if rule["enabled"] and _applies(rule, spender)]


def _applies(rule: Rule, spender: Spender) -> bool:
    return all(
        dimension["mode"] == "partition" or value in dimension["values"] for dimension, value in spender.values(rule)
    )


def _bucket(rule: Rule, spender: Spender) -> Bucket:
    split = tuple(value for dimension, value in spender.values(rule) if dimension["mode"] == "partition")
    return spender.gateway, json.dumps(rule, sort_keys=True), split


# ---- check of the setting ----------------------------------------------------------------------------------------


def checked(value: Any) -> dict[str, Any] | None:
    """The setting, with the defaults of its rules. Raises GatewayError 7001, with the place, if it is malformed."""
    if value is None:
        return None
    setting = _object(value, "spend_limits")
    if not isinstance(setting.get("enabled"), bool):
        raise invalid("spend_limits.enabled: Expected boolean")
    rules: Any = setting.get("rules")
    if not isinstance(rules, list):
        raise invalid("spend_limits.rules: Expected array")
    listed = cast("list[Any]", rules)
    if len(listed) > MAX_RULES:
        raise invalid(f"spend_limits.rules: Array must contain at most {MAX_RULES} elements")
    read = [_checked_rule(rule, f"spend_limits.rules.{number}") for number, rule in enumerate(listed)]
    if len({rule["id"] for rule in read}) < len(read):
        raise invalid("spend_limits.rules: Expected rules with different ids")
    return {"enabled": setting["enabled"], "rules": read}


def _checked_rule(value: Any, at: str) -> Rule:
    rule = {"enabled": True, "technique": "fixed", **_object(value, at)}
    if not isinstance(rule.get("id"), str) or not rule["id"]:
        raise invalid(f"{at}.id: Expected string")
    if not isinstance(rule["enabled"], bool):
        raise invalid(f"{at}.enabled: Expected boolean")
    if rule.get("limitType") != "cost":
        raise invalid(f"{at}.limitType: Invalid enum value. Expected cost")
    if rule["technique"] not in TECHNIQUES:
        raise invalid(f"{at}.technique: Invalid enum value. Expected {' | '.join(TECHNIQUES)}")
    _check_amounts(rule, at)
    for name in DIMENSIONS:
        if rule.get(name) is not None:
            _check_dimension(rule[name], f"{at}.{name}")
    for key, dimension in _object(rule.get("metadata") or {}, f"{at}.metadata").items():
        _check_dimension(dimension, f"{at}.metadata.{key}")
    return rule


def _check_amounts(rule: Rule, at: str) -> None:
    limit, window = rule.get("limit"), rule.get("window")
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < float("inf"):
        raise invalid(f"{at}.limit: Number must be greater than 0")
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise invalid(f"{at}.window: Expected integer of 1 or more")


def _check_dimension(value: Any, at: str) -> None:
    dimension = _object(value, at)
    if dimension.get("mode") not in MODES:
        raise invalid(f"{at}.mode: Invalid enum value. Expected {' | '.join(MODES)}")
    values: Any = dimension.get("values")
    if dimension["mode"] == "filter" and not (isinstance(values, list) and values):
        raise invalid(f"{at}.values: Expected array")


def _object(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"{at}: Expected object")
    return cast("dict[str, Any]", value)
