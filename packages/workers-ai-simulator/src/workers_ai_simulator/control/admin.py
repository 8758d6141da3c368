"""The simulator's own API, for tests and people: its journal, its faults, its gateways' logs."""

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator import __version__
from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.gateway.service import Gateways
from workers_ai_simulator.http import media_type
from workers_ai_simulator.inference.answers import SIMULATED_TASKS
from workers_ai_simulator.inference.real_models import RealModels
from workers_ai_simulator.tape.tape import Tape
from workers_ai_simulator.traffic.exchanges import MAX_BODY_BYTES, MAX_STORED_BYTES
from workers_ai_simulator.traffic.faults import BINDINGS, FaultError, read
from workers_ai_simulator.traffic.journal import ENDED, MAX_ENTRIES, Entry, State, is_model, shortened
from workers_ai_simulator.traffic.traffic import Traffic

MAX_WAIT = 60.0
"""Maximum seconds that a request of this API waits."""

Value = TypeVar("Value")


class Admin:
    """HTTP handlers of the API, and their routes."""

    def __init__(self, traffic: Traffic, gateways: Gateways, real: RealModels, tape: Tape | None = None) -> None:
        self._real = real
        self._tape = tape
        self._journal = traffic.journal
        self._faults = traffic.faults
        self._gateways = gateways

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/simulator", self._about),
            Route("/simulator/requests", self._requests),
            Route("/simulator/requests/{id}", self._request),
            Route("/simulator/gateway-logs", self._gateway_logs),
            Route("/simulator/gateways", self._list_gateways),
            Route("/simulator/faults", self._list_faults, methods=["GET"]),
            Route("/simulator/faults", self._set_fault, methods=["POST"]),
            Route("/simulator/faults", self._clear_faults, methods=["DELETE"]),
        ]

    async def _about(self, _: Request) -> Response:
        return JSONResponse(
            {
                "name": "workers-ai-simulator",
                "version": __version__,
                "simulated": [*SIMULATED_TASKS],
                **self._real.about(),
                "tape": self._tape.about() if self._tape else None,
                "journal": {
                    "requests": MAX_ENTRIES,
                    "body_bytes": MAX_STORED_BYTES,
                    "bytes_per_body": MAX_BODY_BYTES,
                },
                "models": sorted(m.id for m in MODELS.values() if m.task in SIMULATED_TASKS),
            }
        )

    async def _requests(self, request: Request) -> Response:
        """Requests in the journal, oldest first.

        The query may select by `binding`, `operation` and `model`, and by `since`, the number of a change: then those
        that changed later, for which the answer waits up to `seconds`. Texts in `inputs` are cut to `characters`.
        """
        query = request.query_params
        try:
            since = _query_value(request, "since", "a whole number of at least 0", _whole_number, 0)
            seconds = _query_value(request, "seconds", "a number of at least 0", _wait_seconds, 0)
            characters = _query_value(request, "characters", "a whole number of at least 0", _whole_number, None)
            _query_value(request, "binding", f"one of {', '.join(BINDINGS)}", BINDINGS.index, 0)
        except ValueError as error:
            return _bad_request(str(error))
        criteria = {name: query[name] for name in ("binding", "operation", "model") if name in query}
        entries = await self._changed(criteria, since, seconds) if "since" in query else list(self._journal)
        return JSONResponse([_entry_json(entry, characters) for entry in entries if _matches(entry, criteria)])

    async def _gateway_logs(self, request: Request) -> Response:
        """Logs of all gateways, oldest first: the next 100 `after` a number, or the last 100."""
        try:
            after = _query_value(request, "after", "a whole number of at least 0", _whole_number, 0)
        except ValueError as error:
            return _bad_request(str(error))
        return JSONResponse(self._gateways.recent_logs(after=after))

    async def _list_gateways(self, _: Request) -> Response:
        """All gateways, oldest first, with the sums of their logs."""
        return JSONResponse(self._gateways.totals())

    async def _changed(self, criteria: dict[str, str], number: int, seconds: float) -> list[Entry]:
        """Matching entries changed after that number: as soon as there are any, or none after so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            changed = await self._journal.since(number, deadline - time.monotonic())
            matches = [entry for entry in changed if _matches(entry, criteria)]
            if matches or time.monotonic() >= deadline:
                return matches
            number = max((entry.number for entry in changed), default=number)

    async def _request(self, request: Request) -> Response:
        """One request, once it is in one of the query's `state`s (by default, any end) or after `seconds`."""
        states: tuple[str, ...] = get_args(State)
        try:
            awaited = _query_value(request, "state", f"of {', '.join(states)}", _some_of(states), ENDED)
            seconds = _query_value(request, "seconds", "a number of at least 0", _wait_seconds, 0)
        except ValueError as error:
            return _bad_request(str(error))
        entry_id = request.path_params["id"]
        entry = await self._journal.wait(entry_id, awaited, seconds)
        if entry is None:
            return JSONResponse({"error": f"no request {entry_id} among the last 1,000"}, 404)
        return JSONResponse(entry.to_json())

    async def _list_faults(self, _: Request) -> Response:
        """Faults set since they were last cleared: their parts, `id`, `applied` and `remaining`."""
        return JSONResponse([fault.to_json() for fault in self._faults])

    async def _set_fault(self, request: Request) -> Response:
        if media_type(request) != "application/json":  # the only body that a web page may not send unasked
            return JSONResponse({"error": "send the fault as JSON, with content-type: application/json"}, 415)
        try:
            fault = read(json.loads(await request.body()))
        except FaultError as error:
            return _bad_request(str(error), part=error.part, allowed=error.allowed)
        except ValueError:
            return _bad_request("the body must be a fault as JSON", part=None, allowed="an object")
        self._faults.add(fault)
        return JSONResponse(fault.to_json(), 201)

    async def _clear_faults(self, _: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)


def _entry_json(entry: Entry, characters: int | None) -> dict[str, Any]:
    """The entry, with its texts cut to so many characters; None: as they are."""
    whole = entry.to_json()
    if characters is None:
        return whole
    inputs = shortened(entry.inputs, characters, characters)
    return {**whole, "inputs": inputs, "prompt": entry.prompt[:characters]}


def _matches(entry: Entry, criteria: dict[str, str]) -> bool:
    exact = all(getattr(entry, name) == value for name, value in criteria.items() if name != "model")
    return exact and is_model(entry.model, criteria.get("model", "*"))


def _bad_request(message: str, **more: str | None) -> Response:
    return JSONResponse({"error": message, **more}, 400)


def _query_value(
    request: Request, name: str, allowed: str, read_value: Callable[[str], Value], default: Value
) -> Value:
    """Value of that name in the query, or the default. Raises ValueError, with a sentence, for an invalid value."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return read_value(text)
    except ValueError:
        raise ValueError(f"{name} must be {allowed}, not {text!r}") from None


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)


def _wait_seconds(text: str) -> float:
    seconds = float(text)
    if not seconds >= 0:  # false for "nan" as well
        raise ValueError(text)
    return min(seconds, MAX_WAIT)


def _some_of(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read_values(text: str) -> tuple[str, ...]:
        values = tuple(text.split(","))
        if not set(values) <= set(known):
            raise ValueError(text)
        return values

    return read_values
