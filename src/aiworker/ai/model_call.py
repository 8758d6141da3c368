"""Calling a model: one way for every route.

Tried again, and with other models, for as long as nothing of an answer has been sent on and the time allows; never read
here, unless the route asks.
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiworker.ai.catalogue import Model
from aiworker.bindings import Inputs, UpstreamResponse
from aiworker.context import Context
from aiworker.errors import UPSTREAM_CODES, UPSTREAM_STATUSES, ApiError
from aiworker.http import Response
from aiworker.schemas.gateway import GatewayOptions

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

AT_ONCE = 4
"""Calls that one request makes at the same time. (A Worker may have 6 connections open.)"""

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

    @property
    def content_type(self) -> str:
        return self.raw.header("content-type") or "application/octet-stream"

    @property
    def is_stream(self) -> bool:
        return self.content_type.startswith("text/event-stream")

    async def json(self) -> Any:
        """Raises ApiError `upstream_error` if the body is no JSON."""
        text = await self.raw.text()
        try:
            return json.loads(text)
        except ValueError:
            shown = text[:100] or "nothing"
            raise ApiError("upstream_error", f"{self.model.id} has answered what is no JSON: {shown}") from None

    def response(self, body: Any, content_type: str | None = None) -> Response:
        """`body` with this answer's headers; never to be kept by a cache."""
        kind = {"content-type": content_type or self.content_type, "cache-control": "no-store"}
        return Response(body, 200, {**kind, **self.headers})


async def run(context: Context, candidates: Sequence[Candidate], gateway: GatewayOptions | None = None) -> Answer:
    """The answer of the first candidate that gives one.

    Raises ApiError of the last, as UPSTREAM_CODES and UPSTREAM_STATUSES have it; `timeout` when MODEL_SECONDS are over.
    """
    began = time.monotonic()
    options = _options(context, gateway)
    for number, candidate in enumerate(candidates):
        has_spare = number + 1 < len(candidates)
        try:
            return await _ask(context, candidate, options, began, has_spare=has_spare)
        except _Refused as refused:
            if not (has_spare and refused.may_pass):
                raise refused.error from None
    raise AssertionError("no candidate")


async def run_all(
    context: Context,
    candidates: Sequence[Candidate],
    read: Callable[[Answer], Awaitable[Read]],
    gateway: GatewayOptions | None = None,
) -> list[Read]:
    """What `read` makes of each candidate's answer, in their order; a few are asked at a time.

    Raises ApiError of the first that fails; the others are given up.
    """
    results: dict[int, Read] = {}
    waiting = iter(enumerate(candidates))

    async def work() -> None:
        for number, candidate in waiting:
            results[number] = await read(await run(context, [candidate], gateway))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [results[number] for number in range(len(candidates))]


async def _ask(
    context: Context, candidate: Candidate, options: dict[str, Any], began: float, *, has_spare: bool
) -> Answer:
    """One model, as often as it is worth it. Raises _Refused with its last error."""
    waits = _waits(context.settings.model_attempts)
    while True:
        left = context.settings.model_seconds - (time.monotonic() - began)
        try:
            return await _attempt(context, candidate, options, left, began, has_spare=has_spare)
        except _Refused as refused:
            wait = max(next(waits, left), refused.error.retry_after or 0)
            # rather another model at once than this one later
            is_busy = refused.error.upstream_code == CAPACITY and has_spare
            if not refused.may_pass or is_busy or wait >= left:
                raise
        await asyncio.sleep(wait)


async def _attempt(
    context: Context, candidate: Candidate, options: dict[str, Any], left: float, began: float, *, has_spare: bool
) -> Answer:
    model = candidate.model
    sent = {**options, "rejectIfBusy": True} if has_spare else options
    try:
        raw = await context.the_ai().run(model.id, candidate.inputs, sent, left)
    except ApiError as error:
        # a time-out of ours ends it; a connection that broke may do better the next time
        raise _Refused(error, may_pass=error.type == "upstream_error") from None
    facts = {
        "x-model": model.id,
        "server-timing": f"model;dur={(time.monotonic() - began) * 1000:.0f}",
        **_handed_on(raw),
    }
    if not 200 <= raw.status < 300:
        raise await _refusal(raw, facts)
    return Answer(model, raw, facts)


def _waits(attempts: int) -> Iterator[float]:
    """Seconds before each further attempt."""
    for number in range(attempts - 1):
        yield FIRST_WAIT * 2**number * random.uniform(0.5, 1)


def _options(context: Context, gateway: GatewayOptions | None) -> dict[str, Any]:
    # the Response itself, whatever its status: its body need not pass through Python
    options: dict[str, Any] = {"returnRawResponse": True}
    if context.settings.gateway_id:
        options["gateway"] = {"id": context.settings.gateway_id, **(gateway.options() if gateway else {})}
    elif gateway:
        raise ApiError("invalid_request", "This Worker has no gateway: set its variable GATEWAY_ID.", param="gateway")
    return options


def _handed_on(raw: UpstreamResponse) -> dict[str, str]:
    found = {ours: raw.header(theirs) for theirs, ours in HANDED_ON.items()}
    return {name: value for name, value in found.items() if value is not None}


class _Refused(Exception):  # noqa: N818 - what a model did, not yet an error of ours
    def __init__(self, error: ApiError, *, may_pass: bool) -> None:
        """may_pass: the same call may succeed in a moment, or with another model."""
        super().__init__(error.message)
        self.error = error
        self.may_pass = may_pass


async def _refusal(raw: UpstreamResponse, facts: Mapping[str, str]) -> _Refused:
    code, description = _upstream_words(await raw.text())
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
        data = json.loads(body)
    except ValueError:
        return None, body.strip()[:500]
    match data:
        case {"internalCode": int(code), "description": str(description)}:
            return code, description
        case {"errors": [{"code": int(code), "message": str(message)}, *_]}:
            return code, message
        case _:
            return None, body.strip()[:500]
