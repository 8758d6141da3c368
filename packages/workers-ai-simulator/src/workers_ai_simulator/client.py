"""Client of a running simulator's own API, for tests and the command line, on the standard library alone."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, Required, TypedDict, TypeVar, Unpack, cast

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
    prompt: str
    scripted: int | None
    tape: str
    real_model: str
    state: Literal["received", "streaming", "finished", "failed", "cancelled"]
    status: int | None
    error: str
    frames: int
    id: str
    received: float
    seconds: float
    number: int


class ScriptedCall(TypedDict, total=False):
    """Tool call of a scripted answer. `arguments` may be a text, as for JSON that is broken."""

    name: Required[str]
    arguments: dict[str, Any] | str
    id: str


class ScriptedError(TypedDict, total=False):
    """Error of a scripted answer."""

    status: Required[int]
    code: int
    description: str


class AnswerParts(TypedDict, total=False):
    """Parts of a scripted answer: the calls that it applies to, and its content. The README describes them."""

    model: str
    prompt: str
    pattern: str
    count: int | None
    text: str
    stream: list[str]
    json: Any
    tool_calls: list[ScriptedCall]
    reasoning: str
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"]
    usage: dict[str, int]
    tokens_per_second: float
    frames: list[str | dict[str, Any]]
    answer: dict[str, Any] | list[Any]
    media: dict[str, str]
    error: ScriptedError
    simulated: Literal[True]


UNEXPECTED = "600: "
"""Beginning of the error of a call that matched no scripted answer."""


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

    # ---- scripted answers ----------------------------------------------------------------------

    def set_answer(self, **answer: Unpack[AnswerParts]) -> int:
        """Add a scripted answer after those that are set. Returns its id."""
        return self._call("POST", "/answers", answer)["answers"][0]["id"]

    def set_answers(self, answers: list[AnswerParts] | Path) -> list[int]:
        """Add scripted answers, or those of a JSON file. Returns their ids."""
        body = json.loads(answers.read_text(encoding="utf-8")) if isinstance(answers, Path) else answers
        return [each["id"] for each in self._call("POST", "/answers", body)["answers"]]

    def set_strict(self, strict: bool = True) -> None:
        """Set whether a call that matches no scripted answer is refused."""
        self._call("POST", "/answers", {"strict": strict, "answers": []})

    def answers(self) -> list[dict[str, Any]]:
        """Answers set since they were last cleared: their parts, `id`, `applied` (a count) and `remaining`."""
        return self._call("GET", "/answers")["answers"]

    def clear_answers(self) -> None:
        """Delete all scripted answers, and end strict mode."""
        self._call("DELETE", "/answers")

    def assert_answers_used(self) -> None:
        """Assert that every scripted answer was given as often as it should, and that no call was unexpected."""
        unexpected = [each["error"].removeprefix(UNEXPECTED) for each in self._model_calls() if _is_unexpected(each)]
        unused = [each for each in self.answers() if each["remaining"]]
        assert not unexpected, "\n".join(unexpected)
        assert not unused, "Answers that no call got: " + "; ".join(json.dumps(each) for each in unused)

    def assert_asked(
        self,
        *,
        model: str | None = None,
        prompt: str | None = None,
        pattern: str | None = None,
        times: int | None = None,
    ) -> list[LoggedRequest]:
        """Assert that a model was called `times` times, by default at least once, and return these calls.

        prompt: text that the call's prompt contains. pattern: regular expression that is found in it.
        """  # fmt: skip
        calls = self._model_calls(model)
        matches = [
            each for each in calls
            if (prompt is None or prompt in each["prompt"])
            and (pattern is None or re.search(pattern, each["prompt"]) is not None)
        ]  # fmt: skip
        if len(matches) != times if times is not None else not matches:
            wanted = {"model": model, "prompt": prompt, "pattern": pattern, "times": times}
            sought = {name: value for name, value in wanted.items() if value is not None}
            prompts = "".join(f"\n  {each['model']}: {each['prompt'][:200]!r}" for each in calls) or " none"
            raise AssertionError(f"{len(matches)} calls match {sought}. Calls made:{prompts}")
        return matches

    def _model_calls(self, model: str | None = None) -> list[LoggedRequest]:
        return self.requests(binding="AI", operation="run", model=model)

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
        """The request of that id (an answer's `cf-ai-req-id`), as soon as it is in one of the states, at the latest
        after `seconds`.

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
        """Leave all requests so far out of the results of this client's methods."""
        self._since = max((entry["number"] for entry in self.requests()), default=self._since)

    def close(self) -> None:
        """Clear the faults and the scripted answers."""
        self.clear_faults()
        self.clear_answers()

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


def _is_unexpected(entry: LoggedRequest) -> bool:
    return entry["error"].startswith(UNEXPECTED)


def _reason(error: urllib.error.HTTPError) -> str:
    """The simulator's reason, or a note that the server is not a simulator."""
    with error:
        try:
            return json.loads(error.read())["error"]
        except (ValueError, LookupError, TypeError):
            return f"{error.url} answers {error.code}: is this a simulator?"
