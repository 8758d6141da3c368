"""Calling a model: the one way for every route.

A call is retried, and goes to the next candidate, as long as nothing of a response has been sent and its deadline
allows. The response's body is not read here.
"""

import asyncio
import hashlib
import json
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from aiworker.auth.budget import BudgetReservation
from aiworker.bindings import Inputs, UpstreamResponse
from aiworker.context import Resources
from aiworker.errors import ApiError, ClientDisconnected
from aiworker.models import control_tokens, estimate, gen_ai, system_prompt
from aiworker.models.call_failure import CallFailure, read_failure
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_response import FORWARDED_HEADERS, LOG_ID_HEADER, ModelResponse
from aiworker.models.vendors import dialects

MAX_PARALLEL_CALLS = 4
"""Calls that one request makes at the same time. A Worker may have six connections open."""

LIST_INPUTS = ("text", "contexts")
"""Inputs with one part of the response per item."""

FIRST_WAIT = 0.25
"""Seconds before the second attempt; doubled before each further one, minus up to half of it at random."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Candidate:
    """A model that may answer, and its inputs."""

    model: Model
    inputs: Inputs
    has_instructions: bool = False
    """The Worker's own instructions tell the model what to do, as for a summary: SYSTEM_PROMPT is left out."""
    requested: Inputs | None = None
    """The inputs before they were translated for a vendor; None if they were not."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Inputs that are JSON values, in OpenAI's or Workers AI's own dialect."""
        return (self.requested or self.inputs).fields


class ModelCall:
    """One call: its candidates, gateway options and deadline."""

    def __init__(
        self,
        resources: Resources,
        candidates: Sequence[Candidate],
        gateway: GatewayOptions | None = None,
    ) -> None:
        """candidates: tried in order until one answers; at least one."""
        self._resources = resources
        self._candidates = candidates
        self._gateway = gateway
        self._started = 0.0

    @property
    def max_cost(self) -> float:
        """Neurons that the call may cost, whichever candidate answers; an estimate."""
        prompted = map(self._with_system_prompt, self._candidates)
        return max(estimate.neurons(each.model, each.inputs) for each in prompted)

    def check_prices(self) -> None:
        """Raise ApiError `not_configured` if a candidate of another vendor has no price."""
        for model in (candidate.model for candidate in self._candidates):
            if model.vendor and not model.neurons:
                raise ApiError(
                    "not_configured",
                    f"{model.id} has no price, without which no budget can count it: add it to MODEL_PRICES.",
                    param="model",
                )

    async def run(self, reservation: BudgetReservation | None = None) -> ModelResponse:
        """Return the response of the first candidate that answers.

        reservation: of the key's budget, if it is made already.

        Raises ApiError of the last candidate, as UPSTREAM_CODES and UPSTREAM_STATUSES map it; `timeout` after
        MODEL_SECONDS; `budget_exceeded` before any model is called.
        """
        if reservation is None:
            [reservation] = await _reserve(self._resources, [self])
        try:
            return replace(await self._first_response(), reservation=reservation)
        except ApiError as error:
            # after a time-out or a disconnect, the model may have done the work, which costs neurons
            if error.type != "timeout" and not isinstance(error, ClientDisconnected):
                reservation.cost = 0
            raise

    async def _first_response(self) -> ModelResponse:
        self._started = time.monotonic()
        last = len(self._candidates) - 1
        for number, requested in enumerate(self._candidates):
            self._resources.log.record_prompt(requested.inputs.fields)
            candidate = _in_vendors_dialect(await _without_control_tokens(self._with_system_prompt(requested)))
            has_next = number < last
            try:
                return await self._call_unless_paused(candidate, await self._options(candidate), has_next=has_next)
            except CallFailure as failure:
                if not (has_next and failure.another_model_may_answer and self._seconds_left > 0):
                    raise failure.error from None
        raise AssertionError("no candidate")

    def _with_system_prompt(self, candidate: Candidate) -> Candidate:
        """Return the candidate with the owner's system prompt, if the prompt is the client's own.

        Raises ApiError `invalid_request` as `add_system_prompt` does.
        """
        is_answered = candidate.model.task == "text-generation" and not candidate.has_instructions
        if not (is_answered and self._resources.settings.system_prompt):
            return candidate
        fields = system_prompt.add_system_prompt(self._resources.settings, candidate.inputs.fields)
        return replace(candidate, inputs=replace(candidate.inputs, fields=fields))

    async def _call_unless_paused(
        self, candidate: Candidate, options: dict[str, Any], *, has_next: bool
    ) -> ModelResponse:
        """Call one model unless its circuit is open. Raises CallFailure."""
        if not self._resources.settings.breaker:
            return await self._call_with_retries(candidate, options, has_next=has_next)
        model, breaker = candidate.model.id, self._resources.breaker
        try:
            is_trial = breaker.allow(model)
        except ApiError as error:
            raise CallFailure(error, is_transient=True) from None
        try:
            response = await self._call_with_retries(candidate, options, has_next=has_next)
        except CallFailure as failure:
            if failure.is_models_fault:
                breaker.record_failure(model)
            elif is_trial:
                breaker.cancel_trial(model)
            raise
        breaker.record_success(model)
        return response

    async def _call_with_retries(
        self, candidate: Candidate, options: dict[str, Any], *, has_next: bool
    ) -> ModelResponse:
        """Call one model, up to MODEL_ATTEMPTS times. Raises CallFailure of the last attempt."""
        waits = _waits(self._resources.settings.model_attempts)
        while True:
            try:
                return await self._attempt(candidate, options, has_next=has_next)
            except CallFailure as failure:
                wait = max(next(waits, math.inf), failure.error.retry_after or 0)
                # if a model has no capacity, the next model is called at once instead of this one later
                goes_to_next = failure.is_out_of_capacity and has_next
                if not failure.is_transient or goes_to_next or wait >= self._seconds_left:
                    raise
            self._resources.log.retries += 1
            await asyncio.sleep(wait)

    async def _attempt(self, candidate: Candidate, options: dict[str, Any], *, has_next: bool) -> ModelResponse:
        """Call one model once, as a span. Raises CallFailure."""
        attributes = gen_ai.request_attributes(candidate.model, candidate.parameters)
        span = self._resources.tracer.start(gen_ai.span_name(attributes), attributes)
        self._resources.log.record_call(attributes, span)
        try:
            response = await self._call(candidate, options, has_next=has_next)
        except CallFailure as failure:
            span.fail(failure.error.type)
            raise
        span.set({"gen_ai.response.model": response.model.id})
        return replace(response, span=span)

    async def _call(self, candidate: Candidate, options: dict[str, Any], *, has_next: bool) -> ModelResponse:
        model, log = candidate.model, self._resources.log
        options = {**options, "rejectIfBusy": True} if has_next else options
        try:
            raw = await self._resources.ai.run(model.id, candidate.inputs, options, self._seconds_left)
        except ApiError as error:
            error.headers |= self._headers(model)
            # after the Worker's own time-out, no time is left; after a broken connection, another attempt may succeed
            is_timeout = error.type == "timeout" and not isinstance(error, ClientDisconnected)
            is_broken = error.type == "upstream_error"
            raise CallFailure(error, is_transient=is_broken, is_models_fault=is_broken or is_timeout) from None
        headers = self._headers(model) | self._forwarded_headers(raw)
        if not 200 <= raw.status < 300:
            raise await self._failure(raw, headers)
        log.record_answer(model.id, time.monotonic() - self._started, headers.get("x-gateway-cache"))
        return ModelResponse(model, raw, headers, log)

    async def _failure(self, raw: UpstreamResponse, headers: Mapping[str, str]) -> CallFailure:
        """Return the failure that an error response stands for, without the owner's system prompt in its message."""
        failure = await read_failure(raw, headers)
        failure.error.message = system_prompt.hide(self._resources.settings, failure.error.message)
        return failure

    @property
    def _seconds_left(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._resources.settings.model_seconds - (time.monotonic() - self._started)

    def _headers(self, model: Model) -> dict[str, str]:
        milliseconds = (time.monotonic() - self._started) * 1000
        return {"x-model": model.id, "server-timing": f"model;dur={milliseconds:.0f}"}

    def _forwarded_headers(self, raw: UpstreamResponse) -> dict[str, str]:
        headers = {ours: raw.header(theirs) for theirs, ours in FORWARDED_HEADERS.items()}
        if log_id := headers[LOG_ID_HEADER]:
            headers[LOG_ID_HEADER] = self._resources.public_log_id(log_id)
        return {name: value for name, value in headers.items() if value is not None}

    async def _options(self, candidate: Candidate) -> dict[str, Any]:
        """Return the options of `env.AI.run`. Raises ApiError `invalid_request` for gateway options without a use."""
        # the Response itself, also of an error: its body need not enter Python
        options: dict[str, Any] = {"returnRawResponse": True}
        gateway, gateway_id = self._gateway, self._resources.settings.gateway_id
        if not candidate.inputs.fits_gateway:
            if gateway:
                raise ApiError(
                    "invalid_request",
                    "AI Gateway cannot pass on what this model takes: leave gateway out.",
                    param="gateway",
                )
        elif gateway_id:
            options["gateway"] = {"id": gateway_id, **await self._gateway_options(candidate)}
        elif gateway:
            raise ApiError(
                "invalid_request", "This Worker has no AI Gateway: set its variable GATEWAY_ID.", param="gateway"
            )
        return options

    async def _gateway_options(self, candidate: Candidate) -> dict[str, Any]:
        """Return the options of the gateway; its own cache keys, which all tenants would share, are never used."""
        scope = self._cache_scope(candidate)
        options = self._gateway.options(scope) if self._gateway else {}
        if not self._resources.cache_owner or "cacheKey" in options or options.get("skipCache"):
            return options
        if "cacheTtl" not in options:  # the gateway itself may have a cache; a key would make it cache for five minutes
            return {**options, "skipCache": True}
        # a client's own keys begin with the owner
        return {**options, "cacheKey": f"content {scope} {await _fingerprint(candidate.inputs)}"}

    def _cache_scope(self, candidate: Candidate) -> str:
        """Return the prefix of cache keys: a gateway answers by the key alone, even if the requests differ."""
        fields = candidate.inputs.fields
        shape = "stream" if fields.get("stream") else "whole"
        counts = [len(fields[name]) for name in LIST_INPUTS if isinstance(fields.get(name), list)]
        route = self._resources.log.route or ""
        return " ".join(map(str, [self._resources.cache_owner, route, candidate.model.id, shape, *counts]))


async def run_all(
    resources: Resources,
    candidates: Sequence[Candidate],
    read: Callable[[ModelResponse], Awaitable[Result]],
    gateway: GatewayOptions | None = None,
    parallel: int = MAX_PARALLEL_CALLS,
) -> list[Result]:
    """Call several models, `parallel` at a time; return what `read` makes of each response, in order.

    Raises ApiError of the first call that fails, and abandons the others; `invalid_request` for a `cache_key` of
    several calls, which the gateway would all answer with the first response.
    """
    if gateway and gateway.cache_key and len(candidates) > 1:
        raise ApiError(
            "invalid_request",
            f"cache_key is for a single model call, and this request takes {len(candidates)} model calls.",
            param="gateway.cache_key",
        )
    if len(candidates) == 1:  # the most common: without tasks, each of which takes a turn of JavaScript's event loop
        return [await read(await ModelCall(resources, candidates, gateway).run())]
    calls = [ModelCall(resources, [candidate], gateway) for candidate in candidates]
    reservations = await _reserve(resources, calls)
    results: dict[int, Result] = {}
    waiting = iter(enumerate(zip(calls, reservations, strict=True)))

    async def work() -> None:
        for number, (call, reservation) in waiting:
            results[number] = await read(await call.run(reservation))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(work())
    except ExceptionGroup as failures:
        for _, (_, reservation) in waiting:  # calls that are not made
            reservation.cost = 0
        raise failures.exceptions[0] from None
    return [results[number] for number in range(len(candidates))]


async def _reserve(resources: Resources, calls: Sequence[ModelCall]) -> list[BudgetReservation]:
    """Reserve the maximum cost of each call in the key's budget; nothing for a key without one.

    Raises ApiError `not_configured` for a model whose price is not known, which a budget could not count.
    """
    if not resources.request_budget.is_counted:
        return [BudgetReservation() for _ in calls]
    for call in calls:
        call.check_prices()
    return await resources.request_budget.reserve([call.max_cost for call in calls])


async def _without_control_tokens(candidate: Candidate) -> Candidate:
    """Return the candidate without control tokens in its texts, by which clients could forge turns of the prompt."""
    if candidate.model.task not in control_tokens.TEMPLATED:
        return candidate
    fields = await control_tokens.neutralize_inputs(candidate.inputs.fields)
    return replace(candidate, inputs=replace(candidate.inputs, fields=fields))


def _in_vendors_dialect(candidate: Candidate) -> Candidate:
    """Return the candidate with its inputs in the dialect of another vendor, if the model is one's."""
    if candidate.model.vendor is None:
        return candidate
    fields = dialects.to_inputs(candidate.model, candidate.inputs.fields)
    return replace(candidate, inputs=replace(candidate.inputs, fields=fields), requested=candidate.inputs)


def _waits(attempts: int) -> Iterator[float]:
    """Yield the seconds before each further attempt."""
    for number in range(attempts - 1):
        yield FIRST_WAIT * 2**number * random.uniform(0.5, 1)


async def _fingerprint(inputs: Inputs) -> str:
    """Return a hash of the inputs of a call that fits a gateway. Equal inputs have equal hashes."""
    binary = {name: [await each.payload.sha256(), each.part] for name, each in inputs.binary.items()}
    content = json.dumps([inputs.fields, binary], sort_keys=True, default=repr)
    return hashlib.sha256(content.encode()).hexdigest()
