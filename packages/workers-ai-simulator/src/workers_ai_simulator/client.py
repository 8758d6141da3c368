"""What tests, and the command line, ask of a running simulator. Nothing but the standard library is needed."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any, Concatenate, Literal, ParamSpec, TypedDict, TypeVar, cast

from workers_ai_simulator.traffic.faults import Binding, Fault
from workers_ai_simulator.traffic.journal import ENDED

TIMEOUT = 10.0
"""Seconds for an answer, besides those for which the simulator is asked to wait."""

LONGEST_WAIT = 20.0
"""Seconds for which a request is waited for, unless said otherwise."""


class LoggedRequest(TypedDict):
    """One request, as `journal.Entry` describes it."""

    binding: str
    operation: str
    model: str
    inputs: dict[str, Any]
    options: dict[str, Any]
    state: Literal["received", "streaming", "finished", "failed", "cancelled"]
    status: int | None
    error: str
    frames: int
    id: str
    received: float
    seconds: float
    number: int


class SimulatorError(Exception):
    """The simulator has refused; the message is its own. `status` is None when no simulator has answered at all."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


Parts = ParamSpec("Parts")
Result = TypeVar("Result")


def _with_parts_of(
    _: Callable[Parts, object],
) -> Callable[[Callable[..., Result]], Callable[Concatenate["SimulatorClient", Parts], Result]]:
    """Tells editors and type checkers that a method takes the keyword arguments of that class."""
    return lambda method: cast("Callable[Concatenate[SimulatorClient, Parts], Result]", method)


class SimulatorClient:
    """Asks the simulator at that address. All methods raise SimulatorError."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._since = 0
        # straight to the simulator: a proxy of the environment would look for it elsewhere
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    # ---- faults --------------------------------------------------------------------------------

    @_with_parts_of(Fault)
    def set_fault(self, **fault: Any) -> int:
        """Let the next requests that match fail, as `faults.Fault` describes it. Returns the fault's id."""
        return self._ask("POST", "/faults", fault)["id"]

    def faults(self) -> list[dict[str, Any]]:
        """All faults set since they were last cleared: their parts, `id`, `befallen`, and `remaining` (None: all)."""
        return self._ask("GET", "/faults")

    def clear_faults(self) -> None:
        """Forget all faults and let go of what they hold."""
        self._ask("DELETE", "/faults")

    # ---- requests ------------------------------------------------------------------------------

    def requests(
        self,
        *,
        binding: Binding | None = None,
        operation: str | None = None,
        model: str | None = None,
        since: int | None = None,
        seconds: float = 0,
    ) -> list[LoggedRequest]:
        """The last 1,000 requests that match, oldest first.

        With `since`, the `number` of a request: only those that have changed after it, and if there are none yet, as
        soon as there are any or `seconds` (up to 60) are over.
        """
        after = since if since is not None else self._since or None
        query = {"binding": binding, "operation": operation, "model": model, "since": after, "seconds": seconds}
        return self._ask("GET", "/requests", query=query, seconds=seconds)

    def request(self, request_id: str, state: str = ",".join(ENDED), seconds: float = LONGEST_WAIT) -> LoggedRequest:
        """The request of that id (an answer's `cf-ai-req-id`), once it is in one of the states or `seconds` are over.

        `state` may list several, with commas between them; any end by default.
        """
        path = f"/requests/{urllib.parse.quote(request_id, safe='')}"
        return self._ask("GET", path, query={"state": state, "seconds": seconds}, seconds=seconds)

    def wait_for_request(
        self,
        *,
        binding: Binding | None = None,
        operation: str | None = None,
        model: str | None = None,
        seconds: float = LONGEST_WAIT,
    ) -> LoggedRequest:
        """The latest request that matches, in whatever state, as soon as there is one.

        Raises SimulatorError when there is none in that time.
        """
        found = self.requests(binding=binding, operation=operation, model=model, since=self._since, seconds=seconds)
        if not found:
            raise SimulatorError(f"no such request in {seconds:g} s")
        return found[-1]

    def forget_requests(self) -> None:
        """Leave out from now on what has been asked of the simulator until now."""
        self._since = max((entry["number"] for entry in self.requests()), default=self._since)

    def close(self) -> None:
        """Leave the simulator without faults."""
        self.clear_faults()

    # ---- the wire ------------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, body: object = None, query: dict[str, Any] | None = None, seconds: float = 0
    ) -> Any:
        said = urllib.parse.urlencode({name: value for name, value in (query or {}).items() if value is not None})
        url = f"{self.url}/simulator{path}" + (f"?{said}" if said else "")
        data = None if body is None else json.dumps(body).encode()
        try:
            asked = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)  # noqa: S310
            with self._opener.open(asked, timeout=seconds + TIMEOUT) as response:
                answer = response.read()
            return json.loads(answer) if answer else None
        except urllib.error.HTTPError as error:
            raise SimulatorError(_said(error), error.code) from None
        except (OSError, HTTPException, ValueError) as error:
            raise SimulatorError(f"No simulator answers on {self.url}: {getattr(error, 'reason', error)}") from error


def _said(error: urllib.error.HTTPError) -> str:
    """The simulator's own words, or that this is another server."""
    with error:
        try:
            return json.loads(error.read())["error"]
        except (ValueError, LookupError, TypeError):
            return f"{error.url} answers {error.code}: is this a simulator?"
