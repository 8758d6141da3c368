"""Dynamic routes: graphs of elements that choose the model of a call, and the way of a call through them.

After https://developers.cloudflare.com/ai-gateway/features/routing/dynamic-routing/json-configuration/ and the types of
elements in the REST API. Where these two differ, both forms are read: `conditions` and `condition`, `rate` and
`rate_limit`, `window` and `interval`.
"""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.gateway import conditions
from workers_ai_simulator.gateway.conditions import Fields, field_value
from workers_ai_simulator.gateway.errors import GatewayError, invalid, rate_limited
from workers_ai_simulator.gateway.guardrails import BLOCKED
from workers_ai_simulator.inference.models import Result

Element = dict[str, Any]

MAX_ELEMENTS = 100
"""This simulator's own limit: Cloudflare documents none."""
MAX_SHARES = 5
"""Named outputs of a percentage split, beside `else` (Cloudflare's documentation)."""
MAX_RETRIES = 5
SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)%")
TECHNIQUES = ("fixed", "sliding")

OUTPUTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "start": (("next",), ()),
    "conditional": (("true", "false"), ()),
    "rate": (("success",), ("fallback",)),
    "model": (("success",), ("fallback",)),
    "end": ((), ()),
}
"""Type of an element → its required outputs, and its optional ones. The outputs of `percentage` have any names."""
SYNONYMS = {"rate_limit": "rate"}
"""Type on Cloudflare's page → type in its REST API."""


@dataclass(frozen=True)
class ModelStep:
    """A call of one model on the way through a route."""

    provider: str
    model: str
    retries: int
    timeout_ms: int | None
    number: int
    """How many models were called before, from 0."""
    spent: tuple[Callable[[float], None], ...]
    """Called with the cost of the call, in dollars, once it has ended."""


RunStep = Callable[[ModelStep], Awaitable[Result]]
"""Calls a model; raises UpstreamError if it fails after its retries."""


@dataclass(frozen=True)
class Graph:
    """The elements of a route, checked."""

    id: str
    """Id of the route's version. Limits and splits count for each version separately."""
    elements: dict[str, Element]

    @property
    def start(self) -> Element:
        return next(each for each in self.elements.values() if each["type"] == "start")

    def after(self, element: Element, output: str) -> Element | None:
        """The element at an output; None if there is no such output."""
        target = element.get("outputs", {}).get(output)
        return self.elements[target["elementId"]] if target else None


def no_answer() -> GatewayError:
    """Invented error 2019: a route ended without calling a model."""
    return GatewayError(400, 2019, "The route ended without a response of a model")


class Routing:
    """Sends calls through routes. Keeps the counts for limits and splits in memory."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._served: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        """Version and percentage element → how often each of its outputs was chosen."""
        self._used: defaultdict[tuple[str, str, Any], deque[tuple[float, float]]] = defaultdict(deque)
        """Version, limit element and value of its key → times, and amounts used."""

    async def run(self, graph: Graph, fields: Fields, run_step: RunStep) -> Result:
        """Result of the last model on the call's way that answered.

        Raises the last model's UpstreamError if none did, GatewayError 2003 at a limit without `fallback`, 2019 if no
        model is on the way. Blocks of guardrails are never followed by a fallback.
        """
        way = _Way(fields)
        element: Element | None = graph.start
        while element and element["type"] != "end":
            element = await self._next(graph, element, way, run_step)
        if way.result:
            return way.result
        raise way.error or no_answer()

    async def _next(self, graph: Graph, element: Element, way: "_Way", run_step: RunStep) -> Element | None:
        match element["type"]:
            case "conditional":
                is_met = conditions.holds(element["properties"]["conditions"], way.fields)
                return graph.after(element, "true" if is_met else "false")
            case "percentage":
                return graph.after(element, self._share(graph, element))
            case "rate":
                return self._within_limit(graph, element, way)
            case "model":
                return await _model(graph, element, way, run_step)
            case _:
                return graph.after(element, "next")

    def _share(self, graph: Graph, element: Element) -> str:
        """The output that is furthest behind its share, so that 10 calls at 10% and 90% are exactly 1 and 9.

        Upstream chooses by chance.
        """
        served = self._served[graph.id, element["id"]]
        shares = _shares(element)
        total = served.total() + 1
        chosen = max(shares, key=lambda output: shares[output] * total / 100 - served[output])
        served[chosen] += 1
        return chosen

    def _within_limit(self, graph: Graph, element: Element, way: "_Way") -> Element | None:
        properties = element["properties"]
        bucket = (graph.id, element["id"], repr(field_value(way.fields, properties["key"])))
        now, window = self._now(), properties["window"]
        used = self._used[bucket]
        while used and used[0][0] <= now - window:
            used.popleft()
        start = now - window if properties["technique"] == "sliding" else now - now % window
        if sum(amount for at, amount in used if at >= start) >= properties["limit"]:
            fallback = graph.after(element, "fallback")
            if fallback is None:
                raise rate_limited()
            return fallback
        if properties["limitType"] == "count":
            used.append((now, 1))
        else:
            way.spent.append(lambda cost: used.append((self._now(), cost)))
        return graph.after(element, "success")


class _Way:
    """The progress of a call through a route."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.spent: list[Callable[[float], None]] = []
        self.result: Result | None = None
        self.error: UpstreamError | None = None
        self.models = 0


async def _model(graph: Graph, element: Element, way: _Way, run_step: RunStep) -> Element | None:
    properties = element["properties"]
    step = ModelStep(
        properties["provider"], properties["model"], properties["retries"], properties["timeout"], way.models,
        tuple(way.spent),
    )  # fmt: skip
    way.models += 1
    try:
        way.result = await run_step(step)
    except UpstreamError as error:
        if error.code in BLOCKED or "fallback" not in element["outputs"]:
            raise
        way.error = error
        return graph.after(element, "fallback")
    return graph.after(element, "success")


def _shares(element: Element) -> dict[str, float]:
    """Output → percent; `else` has the rest."""
    named = {name: float(match[1]) for name in element["outputs"] if (match := SHARE.fullmatch(name))}
    return named | ({"else": 100 - sum(named.values())} if "else" in element["outputs"] else {})


# ---- check of the elements ---------------------------------------------------------------------------------------


def checked(value: Any) -> list[Element]:
    """The elements of a route, in the REST API's form and with their defaults.

    Raises GatewayError 7001, with the place, for elements that are malformed, that name elements that are not there,
    that have not exactly one start, or that form a cycle.
    """
    if not isinstance(value, list) or not value:
        raise invalid("elements: Expected array")
    listed = cast("list[Any]", value)
    if len(listed) > MAX_ELEMENTS:
        raise invalid(f"elements: Array must contain at most {MAX_ELEMENTS} elements")
    elements = [_checked_element(each, f"elements.{number}") for number, each in enumerate(listed)]
    ids = [each["id"] for each in elements]
    if len(set(ids)) < len(ids):
        raise invalid("elements: Expected elements with different ids")
    if sum(each["type"] == "start" for each in elements) != 1:
        raise invalid("elements: Expected exactly one element of the type start")
    for number, each in enumerate(elements):
        for name, target in each["outputs"].items():
            if target["elementId"] not in ids:
                raise invalid(f"elements.{number}.outputs.{name}.elementId: No such element {target['elementId']}")
    _check_acyclic({each["id"]: [target["elementId"] for target in each["outputs"].values()] for each in elements})
    return elements


def _checked_element(value: Any, at: str) -> Element:
    element = _object(value, at)
    kind = SYNONYMS.get(str(element.get("type")), element.get("type"))
    if kind not in CHECKS:
        raise invalid(f"{at}.type: Invalid enum value. Expected {' | '.join(CHECKS)}")
    if not isinstance(element.get("id"), str) or not element["id"]:
        raise invalid(f"{at}.id: Expected string")
    outputs = _object(element.get("outputs") or {}, f"{at}.outputs")
    for name, target in outputs.items():
        if not isinstance(_object(target, f"{at}.outputs.{name}").get("elementId"), str):
            raise invalid(f"{at}.outputs.{name}.elementId: Expected string")
    checked_element: Element = {"id": element["id"], "type": kind, "outputs": outputs}
    if kind in OUTPUTS:
        _check_outputs(kind, outputs, at)
    properties = CHECKS[kind](element, at)
    return checked_element | ({"properties": properties} if properties is not None else {})


def _check_outputs(kind: str, outputs: Mapping[str, Any], at: str) -> None:
    needed, allowed = OUTPUTS[kind]
    for name in needed:
        if name not in outputs:
            raise invalid(f"{at}.outputs.{name}: Required")
    for name in outputs:
        if kind != "end" and name not in (*needed, *allowed):
            raise invalid(f"{at}.outputs.{name}: Unrecognized key")


def _no_properties(_: Element, __: str) -> None:
    return None


def _condition(element: Element, at: str) -> dict[str, Any]:
    properties = _object(element.get("properties"), f"{at}.properties")
    condition = properties.get("conditions", properties.get("condition"))
    conditions.check(condition, f"{at}.properties.conditions")
    return {"conditions": condition}


def _percentage(element: Element, at: str) -> None:
    outputs = cast("dict[str, Any]", element.get("outputs") or {})
    named = [name for name in outputs if name != "else"]
    for name in named:
        if not SHARE.fullmatch(name):
            raise invalid(f"{at}.outputs.{name}: Expected a percentage such as 10%, or else")
    if not 1 <= len(named) <= MAX_SHARES:
        raise invalid(f"{at}.outputs: Expected 1 to {MAX_SHARES} percentages")
    total = sum(float(name[:-1]) for name in named)
    if total > 100 or (total < 100 and "else" not in outputs):
        raise invalid(f"{at}.outputs: The percentages must total 100, not {total:g}, or leave the rest to else")


def _rate(element: Element, at: str) -> dict[str, Any]:
    at = f"{at}.properties"
    properties = _object(element.get("properties"), at)
    kind, key, technique = properties.get("limitType"), properties.get("key"), properties.get("technique", "fixed")
    if kind not in ("count", "cost"):
        raise invalid(f"{at}.limitType: Invalid enum value. Expected count | cost")
    if not isinstance(key, str) or not key:
        raise invalid(f"{at}.key: Expected string")
    if technique not in TECHNIQUES:
        raise invalid(f"{at}.technique: Invalid enum value. Expected {' | '.join(TECHNIQUES)}")
    limit = _number(properties.get("limit"), f"{at}.limit", 0)
    window = _number(properties.get("window", properties.get("interval")), f"{at}.window", 1)
    return {"limitType": kind, "key": key, "limit": limit, "window": window, "technique": technique}


def _model_properties(element: Element, at: str) -> dict[str, Any]:
    at = f"{at}.properties"
    properties = _object(element.get("properties"), at)
    for name in ("provider", "model"):
        if not isinstance(properties.get(name), str) or not properties[name]:
            raise invalid(f"{at}.{name}: Expected string")
    retries = _number(properties.get("retries", 0), f"{at}.retries", 0, MAX_RETRIES)
    timeout = properties.get("timeout")
    return {
        "provider": properties["provider"],
        "model": properties["model"],
        "retries": int(retries),
        "timeout": None if timeout is None else int(_number(timeout, f"{at}.timeout", 1)),
    }


CHECKS: dict[str, Callable[[Element, str], dict[str, Any] | None]] = {
    "start": _no_properties,
    "conditional": _condition,
    "percentage": _percentage,
    "rate": _rate,
    "model": _model_properties,
    "end": _no_properties,
}
"""Type of an element → the check of its properties, which returns them with their defaults."""


def _check_acyclic(edges: dict[str, list[str]]) -> None:
    """Refuse cycles, in which a call would never end. Whether Cloudflare refuses them is not documented."""
    left = dict(edges)
    while left:
        leaves = [name for name, targets in left.items() if not any(target in left for target in targets)]
        if not leaves:
            raise invalid(f"elements: {', '.join(sorted(left))} form a cycle")
        for name in leaves:
            del left[name]


def _object(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"{at}: Expected object")
    return cast("dict[str, Any]", value)


def _number(value: Any, at: str, minimum: float, maximum: float = float("inf")) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not minimum <= value <= maximum:
        bounds = f"{minimum:g} or more" if maximum == float("inf") else f"{minimum:g} to {maximum:g}"
        raise invalid(f"{at}: Number must be {bounds}")
    return value
