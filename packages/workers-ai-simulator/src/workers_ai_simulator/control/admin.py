"""What tests and people ask of the simulator itself: its requests, its faults, its gateways' logs."""

import json
import time
from collections.abc import Callable
from typing import TypeVar, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator import __version__
from workers_ai_simulator.gateway.gateways import Gateways
from workers_ai_simulator.inference.answers import ANSWERS
from workers_ai_simulator.inference.real_models import RealModels
from workers_ai_simulator.models import MODELS
from workers_ai_simulator.traffic.faults import BINDINGS, FaultError, read
from workers_ai_simulator.traffic.journal import ENDED, Entry, State
from workers_ai_simulator.traffic.traffic import Traffic

LONGEST_WAIT = 60.0
"""Seconds for which a request of the simulator's own API waits at most."""

Value = TypeVar("Value")


class Admin:
    def __init__(self, traffic: Traffic, gateways: Gateways, real: RealModels) -> None:
        self._real = real
        self._journal = traffic.journal
        self._faults = traffic.faults
        self._gateways = gateways

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/simulator", self._about),
            Route("/simulator/requests", self._requests),
            Route("/simulator/requests/{id}", self._request),
            Route("/simulator/gateway-logs", self._gateway_logs),
            Route("/simulator/faults", self._list_faults, methods=["GET"]),
            Route("/simulator/faults", self._set_fault, methods=["POST"]),
            Route("/simulator/faults", self._clear_faults, methods=["DELETE"]),
        ]

    async def _about(self, _: Request) -> Response:
        return JSONResponse(
            {
                "name": "workers-ai-simulator",
                "version": __version__,
                "simulated": ["text-generation", *ANSWERS],
                **self._real.about(),
                "models": sorted(m.id for m in MODELS.values() if m.task in ("text-generation", *ANSWERS)),
            }
        )

    async def _requests(self, request: Request) -> Response:
        """The requests, oldest first: of a `binding`, `operation` or `model`; `since` a change, awaited `seconds`."""
        query = request.query_params
        try:
            since = _query(request, "since", "a whole number of at least 0", _whole_number, 0)
            seconds = _query(request, "seconds", "a number of at least 0", _wait, 0)
            _query(request, "binding", f"one of {', '.join(BINDINGS)}", BINDINGS.index, 0)
        except ValueError as error:
            return _refused(str(error))
        wanted = {name: query[name] for name in ("binding", "operation", "model") if name in query}
        found = await self._changed(wanted, since, seconds) if "since" in query else list(self._journal)
        return JSONResponse([entry.to_json() for entry in found if _matches(entry, wanted)])

    async def _gateway_logs(self, request: Request) -> Response:
        """The logs of all gateways `after` a number, or without one the last 100, oldest first."""
        try:
            after = _query(request, "after", "a whole number of at least 0", _whole_number, 0)
        except ValueError as error:
            return _refused(str(error))
        return JSONResponse(self._gateways.recent(after=after))

    async def _changed(self, wanted: dict[str, str], number: int, seconds: float) -> list[Entry]:
        """What matches and has changed after that number, as soon as there is any or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            changed = await self._journal.since(number, deadline - time.monotonic())
            found = [entry for entry in changed if _matches(entry, wanted)]
            if found or time.monotonic() >= deadline:
                return found
            number = max((entry.number for entry in changed), default=number)

    async def _request(self, request: Request) -> Response:
        """One request, once it is in one of the `state`s asked for (any end by default) or `seconds` are over."""
        states: tuple[str, ...] = get_args(State)
        try:
            wanted = _query(request, "state", f"of {', '.join(states)}", _some_of(states), ENDED)
            seconds = _query(request, "seconds", "a number of at least 0", _wait, 0)
        except ValueError as error:
            return _refused(str(error))
        entry_id = request.path_params["id"]
        entry = await self._journal.wait(entry_id, wanted, seconds)
        if entry is None:
            return JSONResponse({"error": f"no request {entry_id} among the last 1,000"}, 404)
        return JSONResponse(entry.to_json())

    async def _list_faults(self, _: Request) -> Response:
        """All that have been set since they were last cleared: their parts, `id`, `befallen` and `remaining`."""
        return JSONResponse([fault.to_json() for fault in self._faults])

    async def _set_fault(self, request: Request) -> Response:
        try:
            fault = read(json.loads(await request.body()))
        except FaultError as error:
            return _refused(str(error), part=error.part, allowed=error.allowed)
        except ValueError:
            return _refused("the body must be JSON: a fault", part=None, allowed="an object")
        self._faults.add(fault)
        return JSONResponse(fault.to_json(), 201)

    async def _clear_faults(self, _: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)


def _matches(entry: Entry, wanted: dict[str, str]) -> bool:
    return all(getattr(entry, name) == value for name, value in wanted.items())


def _refused(message: str, **more: str | None) -> Response:
    return JSONResponse({"error": message, **more}, 400)


def _query(request: Request, name: str, allowed: str, read_value: Callable[[str], Value], default: Value) -> Value:
    """The value of that name in the query. Raises ValueError, in a sentence, for one that cannot be read."""
    said = request.query_params.get(name)
    if said is None:
        return default
    try:
        return read_value(said)
    except ValueError:
        raise ValueError(f"{name} must be {allowed}, not {said!r}") from None


def _whole_number(said: str) -> int:
    if not said.isdecimal():
        raise ValueError(said)
    return int(said)


def _wait(said: str) -> float:
    seconds = float(said)
    if not seconds >= 0:  # nor is "nan"
        raise ValueError(said)
    return min(seconds, LONGEST_WAIT)


def _some_of(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read_values(said: str) -> tuple[str, ...]:
        values = tuple(said.split(","))
        if not set(values) <= set(known):
            raise ValueError(said)
        return values

    return read_values
