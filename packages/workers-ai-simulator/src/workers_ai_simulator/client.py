"""Client of a running simulator's own API, for tests and the command line, on the standard library alone."""

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
"""Seconds until the simulator must answer, besides those that a request tells it to wait."""

DEFAULT_WAIT = 20.0
"""Seconds to wait for a request by default."""


class LoggedRequest(TypedDict):
    """One request in the journal; `traffic.journal.Entry` describes the fields."""

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
    """The simulator refused a request, for the reason in the message; `status` is None if no simulator answered."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


Parts = ParamSpec("Parts")
Result = TypeVar("Result")


def _with_parts_of(
    _: Callable[Parts, object],
) -> Callable[[Callable[..., Result]], Callable[Concatenate["SimulatorClient", Parts], Result]]:
    """Decorator that tells editors and type checkers that a method takes the keyword arguments of that class."""
    return lambda method: cast("Callable[Concatenate[SimulatorClient, Parts], Result]", method)


class SimulatorClient:
    """Client of the simulator at that address. All methods raise SimulatorError."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._since = 0
        # without the proxy of the environment, which would look for 127.0.0.1 on another machine
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    # ---- faults --------------------------------------------------------------------------------

    @_with_parts_of(Fault)
    def set_fault(self, **fault: Any) -> int:
        """Make the next matching requests fail; `traffic.faults.Fault` describes the parts. Returns the fault's id."""
        return self._call("POST", "/faults", fault)["id"]

    def faults(self) -> list[dict[str, Any]]:
        """Faults set since they were last cleared: their parts, `id`, `applied` (a count) and `remaining`."""
        return self._call("GET", "/faults")

    def clear_faults(self) -> None:
        """Delete all faults, and release the answers that they hold."""
        self._call("DELETE", "/faults")

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
        """Matching requests among the last 1,000, oldest first.

        since: the `number` of a request, after which the requests must have changed; the answer waits up to `seconds`
        (at most 60) until there is one.
        """
        after = since if since is not None else self._since or None
        query = {"binding": binding, "operation": operation, "model": model, "since": after, "seconds": seconds}
        return self._call("GET", "/requests", query=query, seconds=seconds)

    def request(self, request_id: str, state: str = ",".join(ENDED), seconds: float = DEFAULT_WAIT) -> LoggedRequest:
        """The request of that id (an answer's `cf-ai-req-id`), once it is in a state or after `seconds`.

        state: one or several, separated by commas; by default, any end.
        """
        path = f"/requests/{urllib.parse.quote(request_id, safe='')}"
        return self._call("GET", path, query={"state": state, "seconds": seconds}, seconds=seconds)

    def wait_for_request(
        self,
        *,
        binding: Binding | None = None,
        operation: str | None = None,
        model: str | None = None,
        seconds: float = DEFAULT_WAIT,
    ) -> LoggedRequest:
        """The latest matching request, in any state, as soon as there is one.

        Raises SimulatorError if there is none after so many seconds.
        """
        matches = self.requests(binding=binding, operation=operation, model=model, since=self._since, seconds=seconds)
        if not matches:
            raise SimulatorError(f"No such request came within {seconds:g} s")
        return matches[-1]

    def ignore_past_requests(self) -> None:
        """Leave the requests so far out of what this client's methods return from now on."""
        self._since = max((entry["number"] for entry in self.requests()), default=self._since)

    def close(self) -> None:
        """Clear the faults."""
        self.clear_faults()

    # ---- HTTP ----------------------------------------------------------------------------------

    def _call(
        self, method: str, path: str, body: object = None, query: dict[str, Any] | None = None, seconds: float = 0
    ) -> Any:
        parameters = urllib.parse.urlencode({name: value for name, value in (query or {}).items() if value is not None})
        url = f"{self.url}/simulator{path}" + (f"?{parameters}" if parameters else "")
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)  # noqa: S310
            with self._opener.open(request, timeout=seconds + TIMEOUT) as response:
                answer = response.read()
            return json.loads(answer) if answer else None
        except urllib.error.HTTPError as error:
            raise SimulatorError(_reason(error), error.code) from None
        except (OSError, HTTPException, ValueError) as error:
            raise SimulatorError(f"No simulator answers on {self.url}: {getattr(error, 'reason', error)}") from error


def _reason(error: urllib.error.HTTPError) -> str:
    """The simulator's reason, or a note that the server is no simulator."""
    with error:
        try:
            return json.loads(error.read())["error"]
        except (ValueError, LookupError, TypeError):
            return f"{error.url} answers {error.code}: is this a simulator?"
