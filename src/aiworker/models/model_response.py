"""The response of a model that has begun to answer, and the response that the client gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import from_json

from aiworker.auth.budget import BudgetReservation
from aiworker.bindings import UpstreamResponse
from aiworker.errors import ApiError
from aiworker.http.body import EVENT_STREAM, JSON
from aiworker.http.messages import JsHandle, Response
from aiworker.log import RequestLog
from aiworker.models import catalogue
from aiworker.models.catalogue import Model

FORWARDED_HEADERS: Mapping[str, str] = {
    "cf-ai-req-id": "x-ai-request-id",
    "cf-aig-log-id": "x-gateway-log-id",
    "cf-aig-cache-status": "x-gateway-cache",
    "cf-ai-neurons": "x-neurons",
}
"""Header of the model's response → header of the client's. They are read from the response: the binding object, which
has some of them too, is shared by all requests."""


@dataclass(frozen=True)
class ModelResponse:
    """A stream, or a body that has not been read."""

    model: Model
    raw: UpstreamResponse
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Headers for the client: x-model, server-timing, ids."""
    log: RequestLog = field(default_factory=RequestLog)
    reservation: BudgetReservation = field(default_factory=BudgetReservation)
    """The call's share of the key's budget."""
    buffered: str | None = None
    """The whole body, if a guard has read it before anything is sent; `raw` has none left then."""

    @property
    def content_type(self) -> str:
        return self.raw.header("content-type") or "application/octet-stream"

    @property
    def is_stream(self) -> bool:
        return self.content_type.startswith(EVENT_STREAM)

    async def json(self) -> Any:
        """Return the parsed body. Raises ApiError `upstream_error` if it is not JSON."""
        text = await self.raw.text() if self.buffered is None else self.buffered
        try:
            # not with the json module: in Pyodide, JSON nested thousands of levels deep would end the isolate
            return from_json(text)
        except ValueError:
            excerpt = text[:100] or "nothing"
            raise ApiError("upstream_error", f"{self.model.id} returned something other than JSON: {excerpt}") from None

    async def object(self) -> dict[str, Any]:
        """Return the parsed body. Raises ApiError `upstream_error` if it is not a JSON object."""
        data = await self.json()
        if not isinstance(data, dict):
            raise ApiError("upstream_error", f"{self.model.id} returned something other than a JSON object.")
        return cast("dict[str, Any]", data)

    def record_usage(self, usage: Mapping[str, Any]) -> float | None:
        """Log the tokens, and settle the reservation; return the cost in neurons, None if it is unknown."""
        reported = self.headers.get("x-neurons")
        cost = float(reported) if reported else catalogue.neurons(self.model, usage)
        self.log.record_usage(usage, cost)
        self.reservation.cost = cost
        return cost

    def response(self, body: Any, content_type: str | None = None) -> Response:
        """Return a response with this one's headers, which no cache may store."""
        headers = {"content-type": content_type or self.content_type, "cache-control": "no-store", **self.headers}
        return Response(body, 200, headers)


def record_cost(
    responses: Sequence[ModelResponse], usage: Mapping[str, Any], default: float | None = None
) -> float | None:
    """Log the tokens of several calls of one model, and settle their reservations; return their cost in neurons.

    The cost is what the model reports, else the price of `usage`, else `default`, which the route computes from minutes
    or pixels; None if it is unknown.
    """
    reported = [response.headers.get("x-neurons") for response in responses]
    if all(reported):
        cost = sum(float(each) for each in reported if each)
    else:
        cost = catalogue.neurons(responses[0].model, usage)
    if cost is None:
        cost = default
    responses[0].log.record_usage(usage, cost)
    if cost is not None:
        for number, response in enumerate(responses):
            response.reservation.cost = 0 if number else cost
    return cost


def add_cost(response: Response, neurons: float | None) -> Response:
    """Add the header `x-neurons`, the cost of the request's model calls, unless it is unknown."""
    if neurons is not None:
        response.headers["x-neurons"] = f"{neurons:.4g}"
    return response


def joined_response(
    responses: Sequence[ModelResponse], body: str | list[str | JsHandle], neurons: float | None
) -> Response:
    """Return a JSON response made of several calls of one model, with the headers of all and their cost together."""
    headers: dict[str, dict[str, None]] = {}
    for response in responses:
        for name, value in response.headers.items():
            headers.setdefault(name, {})[value] = None
    joined = {name: ", ".join(values) for name, values in headers.items()}
    response = Response(body, 200, {"content-type": JSON, "cache-control": "no-store", **joined})
    return add_cost(response, neurons)
