"""Calling a model: one way for every route.

Tried again, and with other models, for as long as nothing of an answer has been sent on and the time allows; never read
here, unless the route asks.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from pydantic_core import from_json

from aiworker.auth.budget import BudgetReservation
from aiworker.bindings import Inputs, UpstreamResponse
from aiworker.context import Resources
from aiworker.errors import UPSTREAM_CODES, UPSTREAM_STATUSES, ApiError, ClientDisconnected
from aiworker.http.messages import JsHandle, Response
from aiworker.log import RequestLog
from aiworker.models import catalogue, control_tokens, estimate
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions

HANDED_ON = {
    "cf-ai-req-id": "x-ai-request-id",
    "cf-aig-log-id": "x-gateway-log-id",
    "cf-aig-cache-status": "x-gateway-cache",
    "cf-ai-neurons": "x-neurons",
}
"""Headers of the model's answer that are this request's own → their names here."""

SENTENCES = {
    "rate_limited": "Workers AI refuses more requests for now",
    "upstream_error": "Workers AI could not answer",
}
"""What the client is told before the upstream's own words, where those alone would not say who speaks."""

CAPACITY = 3040
PASSING = {CAPACITY, 3007, 3008}
"""Internal codes of what may be over in a moment: no capacity, a time-out. So is any 408 and 5xx.

Not among them: 3036 and 4006 (the day's neurons are used up), 3021 and 2003 (a minute's requests).
"""
OF_ONE_MODEL = {3021, 5028}
"""Codes that another model need not have: the requests a minute of this one, and that it is retired."""

AT_ONCE = 4
"""Calls that one request makes at the same time. (A Worker may have 6 connections open.)"""

LISTS = ("text", "contexts")
"""Inputs with a part of the answer for each of their items."""

FIRST_WAIT = 0.25
"""Seconds before the second attempt; twice as long before each further one, less up to a half at random."""


Read = TypeVar("Read")


@dataclass(frozen=True)
class Candidate:
    """A model that may answer, and what it would be sent."""

    model: Model
    inputs: Inputs


@dataclass(frozen=True)
class Answer:
    """An answer that is under way: a stream, or a body that has not been read."""

    model: Model
    raw: UpstreamResponse
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """What a response tells of it: x-model, server-timing, ids."""
    log: RequestLog = field(default_factory=RequestLog)
    """Of the request that it is for."""
    charge: BudgetReservation = field(default_factory=BudgetReservation)
    """Of the key's budget."""
    held: str | None = None
    """Its whole body, where that was read before anything of it is sent: then there is none left in `raw`."""

    @property
    def content_type(self) -> str:
        return self.raw.header("content-type") or "application/octet-stream"

    @property
    def is_stream(self) -> bool:
        return self.content_type.startswith("text/event-stream")

    async def json(self) -> Any:
        """Raises ApiError `upstream_error` if the body is no JSON."""
        text = await self.raw.text() if self.held is None else self.held
        try:
            # not by the json module: in Pyodide, JSON that is nested thousands deep would end the isolate
            return from_json(text)
        except ValueError:
            shown = text[:100] or "nothing"
            raise ApiError(
                "upstream_error", f"{self.model.id} answered with something other than JSON: {shown}"
            ) from None

    async def object(self) -> dict[str, Any]:
        """Raises ApiError `upstream_error` if the body is no JSON object."""
        found = await self.json()
        if not isinstance(found, dict):
            raise ApiError("upstream_error", f"{self.model.id} answered with something other than a JSON object.")
        return cast("dict[str, Any]", found)

    def used(self, usage: Mapping[str, Any]) -> float | None:
        """Note the tokens that it has taken; what it has cost in neurons, where that is known."""
        said = self.headers.get("x-neurons")
        cost = float(said) if said else catalogue.neurons(self.model, usage)
        self.log.used(usage, cost)
        self.charge.cost = cost
        return cost

    def response(self, body: Any, content_type: str | None = None) -> Response:
        """`body` with this answer's headers; never to be kept by a cache."""
        kind = {"content-type": content_type or self.content_type, "cache-control": "no-store"}
        return Response(body, 200, {**kind, **self.headers})


async def run(resources: Resources, candidates: Sequence[Candidate], gateway: GatewayOptions | None = None) -> Answer:
    """The answer of the first candidate that gives one.

    Raises ApiError of the last, as UPSTREAM_CODES and UPSTREAM_STATUSES have it; `timeout` when MODEL_SECONDS are over;
    `budget_exceeded` before any is asked.
    """
    [charge] = await _reserved(resources, [candidates])
    return await _first(resources, candidates, gateway, charge)


async def _reserved(resources: Resources, calls: Sequence[Sequence[Candidate]]) -> list[BudgetReservation]:
    """What each call may cost, whichever of its candidates answers, taken from the key's budget."""
    if not resources.request_budget.is_counted:
        return [BudgetReservation() for _ in calls]
    return await resources.request_budget.reserve(
        [max(estimate.neurons(each.model, each.inputs) for each in candidates) for candidates in calls]
    )


async def _first(
    resources: Resources, candidates: Sequence[Candidate], gateway: GatewayOptions | None, charge: BudgetReservation
) -> Answer:
    """As `run`, for what has been reserved; a call that fails gives it back.

    Not so one that nobody has waited for to its end: the model may have done its work.
    """
    try:
        return replace(await _first_that_answers(resources, candidates, gateway), charge=charge)
    except ApiError as error:
        if error.type != "timeout" and not isinstance(error, ClientDisconnected):
            charge.cost = 0
        raise


async def _first_that_answers(
    resources: Resources, candidates: Sequence[Candidate], gateway: GatewayOptions | None
) -> Answer:
    began = time.monotonic()
    for number, candidate in enumerate(map(_harmless, candidates)):
        has_spare = number + 1 < len(candidates)
        options = _options(resources, gateway, candidate)
        try:
            return await _guarded(resources, candidate, options, began, has_spare=has_spare)
        except _Refused as refused:
            if not (has_spare and refused.is_of_model and _left(resources, began) > 0):
                raise refused.error from None
    raise AssertionError("no candidate")


async def run_all(
    resources: Resources,
    candidates: Sequence[Candidate],
    read: Callable[[Answer], Awaitable[Read]],
    gateway: GatewayOptions | None = None,
) -> list[Read]:
    """What `read` makes of each candidate's answer, in their order; a few are asked at a time.

    Raises ApiError of the first that fails; the others are given up. Raises `invalid_request` for a `cache_key` of
    several calls: the gateway would give the first one's answer to them all.
    """
    if gateway and gateway.cache_key and len(candidates) > 1:
        raise ApiError(
            "invalid_request",
            f"cache_key is for a single model call, and this request needs {len(candidates)}: leave it out.",
            param="gateway.cache_key",
        )
    if len(candidates) == 1:  # as most are: without the tasks, each of which is a turn of JavaScript's event loop
        return [await read(await run(resources, candidates, gateway))]
    results: dict[int, Read] = {}
    charges = await _reserved(resources, [[candidate] for candidate in candidates])
    waiting = iter(enumerate(charges))

    async def work() -> None:
        for number, charge in waiting:
            results[number] = await read(await _first(resources, [candidates[number]], gateway, charge))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
    except ExceptionGroup as failures:
        for _, charge in waiting:  # of those that are not asked any more
            charge.cost = 0
        raise failures.exceptions[0] from None
    return [results[number] for number in range(len(candidates))]


def neurons(answers: Sequence[Answer], usage: Mapping[str, Any], priced: float | None = None) -> float | None:
    """What answers of one model have cost together: as upstream says, else by the price of `usage`, else `priced`.

    priced: neurons by what the route knows (minutes, pixels); None if nobody knows.
    """
    said = [answer.headers.get("x-neurons") for answer in answers]
    cost = sum(float(each) for each in said if each) if all(said) else catalogue.neurons(answers[0].model, usage)
    if cost is None:
        cost = priced
    answers[0].log.used(usage, cost)
    if cost is not None:
        for number, answer in enumerate(answers):
            answer.charge.cost = 0 if number else cost
    return cost


def response(answers: Sequence[Answer], body: str | list[str | JsHandle], neurons: float | None) -> Response:
    """A JSON `body` made of answers of one model, with the headers of them all and what they have cost together."""
    headers: dict[str, dict[str, None]] = {}
    for answer in answers:
        for name, value in answer.headers.items():
            headers.setdefault(name, {})[value] = None
    joined = {name: ", ".join(values) for name, values in headers.items()}
    if neurons is not None:
        joined["x-neurons"] = f"{neurons:.4g}"
    return Response(body, 200, {"content-type": "application/json", "cache-control": "no-store", **joined})


def _harmless(candidate: Candidate) -> Candidate:
    """With texts that are nothing but text, whoever wrote them."""
    if candidate.model.task not in control_tokens.TEMPLATED:
        return candidate
    plain = control_tokens.plain_inputs(candidate.inputs.fields)
    return replace(candidate, inputs=replace(candidate.inputs, fields=plain))


async def _guarded(
    resources: Resources, candidate: Candidate, options: dict[str, Any], began: float, *, has_spare: bool
) -> Answer:
    """One model, unless it keeps failing. Raises _Refused."""
    if not resources.settings.breaker:
        return await _ask(resources, candidate, options, began, has_spare=has_spare)
    model, breaker = candidate.model.id, resources.breaker
    try:
        is_trial = breaker.admit(model)
    except ApiError as error:
        raise _Refused(error, may_pass=True) from None
    try:
        answer = await _ask(resources, candidate, options, began, has_spare=has_spare)
    except _Refused as refused:
        if refused.has_failed:
            breaker.failed(model)
        elif is_trial:
            breaker.undecided(model)
        raise
    breaker.succeeded(model)
    return answer


async def _ask(
    resources: Resources, candidate: Candidate, options: dict[str, Any], began: float, *, has_spare: bool
) -> Answer:
    """One model, as often as it is worth it. Raises _Refused with its last error."""
    waits = _waits(resources.settings.model_attempts)
    while True:
        try:
            return await _attempt(resources, candidate, options, began, has_spare=has_spare)
        except _Refused as refused:
            wait = max(next(waits, math.inf), refused.error.retry_after or 0)
            # rather another model at once than this one later
            is_busy = refused.error.upstream_code == CAPACITY and has_spare
            if not refused.may_pass or is_busy or wait >= _left(resources, began):
                raise
        resources.log.retries += 1
        await asyncio.sleep(wait)


async def _attempt(
    resources: Resources, candidate: Candidate, options: dict[str, Any], began: float, *, has_spare: bool
) -> Answer:
    model = candidate.model
    resources.log.asks(candidate.inputs.fields)
    sent = {**options, "rejectIfBusy": True} if has_spare else options
    try:
        raw = await resources.ai.run(model.id, candidate.inputs, sent, _left(resources, began))
    except ApiError as error:
        error.headers |= _told(model, began)
        # a time-out of ours ends it; a connection that broke may do better the next time
        is_late = error.type == "timeout" and not isinstance(error, ClientDisconnected)
        is_broken = error.type == "upstream_error"
        raise _Refused(error, may_pass=is_broken, has_failed=is_broken or is_late) from None
    facts = _told(model, began) | _handed_on(raw)
    if not 200 <= raw.status < 300:
        raise await _refusal(raw, facts)
    resources.log.answered(model.id, time.monotonic() - began, facts.get("x-gateway-cache"))
    return Answer(model, raw, facts, resources.log)


def _left(resources: Resources, began: float) -> float:
    """Seconds that the call may still take; below 0 if it has taken too many."""
    return resources.settings.model_seconds - (time.monotonic() - began)


def _waits(attempts: int) -> Iterator[float]:
    """Seconds before each further attempt."""
    for number in range(attempts - 1):
        yield FIRST_WAIT * 2**number * random.uniform(0.5, 1)


def _options(resources: Resources, gateway: GatewayOptions | None, candidate: Candidate) -> dict[str, Any]:
    # the Response itself, whatever its status: its body need not pass through Python
    options: dict[str, Any] = {"returnRawResponse": True}
    if not candidate.inputs.fit_a_gateway:
        if gateway:
            raise ApiError(
                "invalid_request",
                "AI Gateway cannot pass on what this model takes: leave gateway out.",
                param="gateway",
            )
    elif resources.settings.gateway_id:
        said = gateway.options(_shared_by(resources, candidate)) if gateway else {}
        options["gateway"] = {"id": resources.settings.gateway_id, **said}
    elif gateway:
        raise ApiError(
            "invalid_request", "This Worker has no AI Gateway: set its variable GATEWAY_ID.", param="gateway"
        )
    return options


def _shared_by(resources: Resources, candidate: Candidate) -> str:
    """Answers of one shape: the gateway's cache gives whatever it has under a key, whoever asks for whatever."""
    fields = candidate.inputs.fields
    shape = "stream" if fields.get("stream") else "whole"
    counts = [len(fields[name]) for name in LISTS if isinstance(fields.get(name), list)]
    return " ".join(map(str, [resources.cache_owner, resources.log.route or "", candidate.model.id, shape, *counts]))


def _told(model: Model, began: float) -> dict[str, str]:
    return {"x-model": model.id, "server-timing": f"model;dur={(time.monotonic() - began) * 1000:.0f}"}


def _handed_on(raw: UpstreamResponse) -> dict[str, str]:
    found = {ours: raw.header(theirs) for theirs, ours in HANDED_ON.items()}
    return {name: value for name, value in found.items() if value is not None}


class _Refused(Exception):  # noqa: N818 - what a model did, not yet an error of ours
    def __init__(self, error: ApiError, *, may_pass: bool, has_failed: bool | None = None) -> None:
        """
        may_pass: the same call may succeed in a moment, or with another model.
        has_failed: the model is to blame, not the call; as `may_pass` if it is not said.
        """
        super().__init__(error.message)
        self.error = error
        self.may_pass = may_pass
        self.has_failed = may_pass if has_failed is None else has_failed

    @property
    def is_of_model(self) -> bool:
        """Whether another model may answer."""
        return self.may_pass or self.error.upstream_code in OF_ONE_MODEL


async def _refusal(raw: UpstreamResponse, facts: Mapping[str, str]) -> _Refused:
    try:
        code, description = _upstream_words(await raw.text())
    except ApiError:  # the error itself has broken off: its status still tells something
        code, description = None, ""
    codes, key = (UPSTREAM_CODES, code) if code else (UPSTREAM_STATUSES, raw.status)
    kind = codes.get(key, "upstream_error")
    sentence = SENTENCES.get(kind)
    words = description or f"HTTP status {raw.status}"
    wait = raw.header("retry-after") or ""
    error = ApiError(
        kind,
        f"{sentence}: {words}" if sentence else words,
        upstream_code=code,
        retry_after=int(wait) if wait.isdecimal() else None,
        headers=dict(facts),
    )
    return _Refused(error, may_pass=code in PASSING or raw.status == 408 or raw.status >= 500)


def _upstream_words(body: str) -> tuple[int | None, str]:
    """The internal code and the description of an error, from either shape in which Workers AI sends them."""
    try:
        data = from_json(body)
    except ValueError:
        return None, body.strip()[:500]
    match data:
        case {"internalCode": int(code), "description": str(description)}:
            return code, description
        case {"errors": [{"code": int(code), "message": str(message)}, *_]}:
            return code, message
        case _:
            return None, body.strip()[:500]
