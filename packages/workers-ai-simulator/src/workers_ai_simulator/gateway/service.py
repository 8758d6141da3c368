"""Runs model calls through gateways: from the cache or by attempts, each with a log."""

import asyncio
import contextlib
import json
import re
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request

from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.gateway import aliases, guardrails, prices
from workers_ai_simulator.gateway.dynamic_routes import Graph, ModelStep, Routing
from workers_ai_simulator.gateway.errors import not_found, provider_not_simulated
from workers_ai_simulator.gateway.guardrails import Finding
from workers_ai_simulator.gateway.models import Gateway, Log
from workers_ai_simulator.gateway.options import GatewayOptions
from workers_ai_simulator.gateway.policy import (
    Attempt,
    Cache,
    CachedAnswer,
    RateLimits,
    RetryPolicy,
    Sleep,
    cache_key,
    cache_seconds,
)
from workers_ai_simulator.gateway.prices import Usage
from workers_ai_simulator.gateway.route_store import RouteStore
from workers_ai_simulator.gateway.spend_limits import Spender, Spendings
from workers_ai_simulator.gateway.store import TOTALS, GatewayStore, LogStore, body_excerpt, new_log_id
from workers_ai_simulator.inference.models import Answer, ModelCall, Result, RunModel
from workers_ai_simulator.media import Media
from workers_ai_simulator.text import tokens
from workers_ai_simulator.traffic.journal import shortened
from workers_ai_simulator.vendors.models import PROVIDERS, find_vendor_model

Frames = tuple[str, ...]
WholeAnswer = Answer | Frames
"""A complete answer; for a stream, all of its frames."""

MAX_CACHED_REQUEST_BYTES = 25 * 1024 * 1024
"""Bytes of a request whose answer is cached (Cloudflare's documentation of limits)."""
VENDORS = {"google-ai-studio": "google", "google-vertex-ai": "google", "grok": "xai"}
"""Provider in a route's element → first part of its models' names, where the two differ."""
FRAME_END = re.compile(r"(?<=\n\n)|(?<=\n\r\n)")
CONNECTED = 101
CLIENT_DISCONNECTED = 499
"""Invented: status in the log of a call whose caller did not wait for the answer."""


class Gateways:
    """All gateways of the simulator, the same for every account. Not thread-safe.

    Gateways and logs are stored in the database, or in memory without one. `now` returns seconds since 1970.
    """

    def __init__(
        self, database: Path | None = None, now: Callable[[], float] = time.time, sleep: Sleep = asyncio.sleep
    ) -> None:
        if database:
            database.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(database or ":memory:", check_same_thread=False, isolation_level=None)
        # writes survive the end of the process, if not of the machine, and take microseconds
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        self.store = GatewayStore(connection)
        self.logs = LogStore(connection)
        self.routes = RouteStore(connection)
        self._spendings = Spendings()
        self._routing = Routing(now)
        self._cache = Cache()
        self._rates = RateLimits()
        self._now = now
        self._sleep = sleep

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self._now() * 1000)

    def through_gateways(self, run_model: RunModel) -> RunModel:
        """A function that answers model calls through the gateway that their options name, or without one."""

        async def run(request: Request, call: ModelCall) -> Result:
            if call.options.get("gateway") is None:
                return await run_model(request, call)
            options = _with_event_id(GatewayOptions.from_json(call.options["gateway"]))
            gateway = self.store.get_or_create(options.id, self.now_ms)
            whole_call = _unstreamed(gateway, options, call)
            if graph := self._graph(gateway.id, call.model):
                return await self._run_route(graph, gateway, options, whole_call, partial(run_model, request), request)
            return await self.run(options, whole_call, partial(run_model, request, whole_call))

        return run

    def _graph(self, gateway_id: str, model: str) -> Graph | None:
        """Route of a model's name, `dynamic/…` or `custom/…`; None for any other, and where a gateway has no routes.

        Raises GatewayError 7002 for a name that is none of the gateway's. A gateway without any routes (or aliases)
        answers all names, since those of an account are not known here.
        """
        kind, _, name = model.partition("/")
        if kind == "dynamic" and (routes := self.routes.routes(gateway_id)):
            route = next((each for each in routes if each.name == name), None)
            if route is None:
                raise not_found(f"Route {name}")
            return Graph(route.version.id, {each["id"]: each for each in route.version.elements})
        if kind == "custom" and self.routes.aliases(gateway_id):
            alias = self.routes.find_alias(gateway_id, name)
            if alias is None:
                raise not_found(f"Alias {name}")
            return Graph(f"{gateway_id}/{model}", {each["id"]: each for each in aliases.elements(alias)})
        return None

    async def _run_route(
        self,
        graph: Graph,
        gateway: Gateway,
        options: GatewayOptions,
        call: ModelCall,
        run_model: Callable[[ModelCall], Awaitable[Result]],
        request: Request,
    ) -> Result:
        """Answer the call by the models of a route. The result's headers also name the model and its provider."""
        logged = LoggedCall(self, gateway, options, call)
        try:
            self._admit(gateway, options, call)
        except UpstreamError as error:
            logged.fail(error)
            raise

        async def run_step(step: ModelStep) -> Result:
            own = replace(
                options, provider=step.provider, step=step.number, max_attempts=step.retries + 1,
                request_timeout_ms=step.timeout_ms, times_out_always=True,
            )  # fmt: skip
            step_call = replace(call, model=_routed_model(step), dialect=call.dialect or "openai")
            attempt = partial(_run_provider, step, partial(run_model, step_call))
            result = await self.run(own, step_call, attempt, spent=step.spent, is_admitted=True)
            headers = {**result.headers, "cf-aig-model": step.model, "cf-aig-provider": step.provider}
            return replace(result, headers=headers)

        fields = {"metadata": options.metadata or {}, "headers": dict(request.headers), "body": call.inputs}
        return await self._routing.run(graph, fields, run_step)

    def _admit(self, gateway: Gateway, options: GatewayOptions, call: ModelCall) -> None:
        """Count the call and examine its prompt. Raises GatewayError 2003, 2016 or 2017 if the call is refused."""
        self._rates.check(gateway.id, gateway.settings, self._now())
        findings = guardrails.examine(gateway.settings, "prompt", call.inputs)
        self.log_findings(gateway, options, findings)
        guardrails.check(gateway.settings, findings, options.surface)

    async def run(
        self,
        options: GatewayOptions,
        call: ModelCall,
        attempt: Attempt,
        spent: Sequence[Callable[[float], None]] = (),
        is_admitted: bool = False,
    ) -> Result:
        """Answer the call from the cache or by attempts, and log it.

        spent: functions that get the cost, once the call has ended. is_admitted: whether the call was counted, and its
        prompt examined, already.

        A result's headers are the attempt's and `cf-aig-event-id`, `-step`, `-cache-status` and, for a call that is
        logged, `-log-id`. Raises the last attempt's UpstreamError, or GatewayError 2003 (too many calls), 2016 and 2017
        (guardrails), 2041 (spend limit) or 3007 (timeout), with the same headers but the cache's.
        """
        options = _with_event_id(options)
        gateway = self.store.get_or_create(options.id, self.now_ms)
        logged = LoggedCall(self, gateway, options, call, spent)
        seconds = cache_seconds(options, gateway.settings)
        key = cache_key(options, call) if seconds else ""
        if seconds and (cached := self._cache.find(gateway.id, key, self._now())):
            return logged.answer_from_cache(cached)
        try:
            if not is_admitted:
                self._admit(gateway, options, call)
            self._spendings.check(gateway.settings, logged.spender, self._now())
            result = await RetryPolicy.of(options, gateway.settings).run(attempt, self._sleep)
        except UpstreamError as error:
            logged.fail(error)
            raise
        except (ClientDisconnect, asyncio.CancelledError):
            logged.disconnect()
            raise

        def cache(answer: WholeAnswer) -> None:
            if seconds and logged.request_size <= MAX_CACHED_REQUEST_BYTES:
                self._cache.put(gateway.id, key, CachedAnswer(answer, self._now() + seconds))

        return logged.answer(result, cache)

    def connection(self, options: GatewayOptions, call: ModelCall) -> "LoggedCall":
        """The log of a connection to a realtime model, which is written when it ends.

        Raises GatewayError 2003 (too many calls) or 2041 (spend limit).
        """
        options = _with_event_id(options)
        gateway = self.store.get_or_create(options.id, self.now_ms)
        logged = LoggedCall(self, gateway, options, call)
        try:
            self._rates.check(gateway.id, gateway.settings, self._now())
            self._spendings.check(gateway.settings, logged.spender, self._now())
        except UpstreamError as error:
            logged.fail(error)
            raise
        return logged

    def delete(self, gateway_id: str) -> Gateway:
        """Delete a gateway with its logs and its cache. Raises GatewayError 7002 if there is none."""
        gateway = self.store.delete(gateway_id)
        self.logs.delete_all(gateway_id)
        self.routes.delete_of_gateway(gateway_id)
        self.clear_cache(gateway_id)
        return gateway

    def spend(self, gateway: Gateway, spender: Spender, cost: float) -> None:
        """Count the cost of a call that has ended, in dollars, in its budgets."""
        self._spendings.add(gateway.settings, spender, cost, self._now())

    def log_findings(self, gateway: Gateway, options: GatewayOptions, findings: Sequence[Finding]) -> None:
        """Write a log for each finding of guardrails, with the event id of the call."""
        for finding in findings:
            call = ModelCall(finding.model, {"messages": [{"role": "user", "content": finding.text}]})
            own = replace(options, provider="workers-ai", path=finding.model, custom_cost=None)
            LoggedCall(self, gateway, own, call).write_finding(finding)

    def clear_cache(self, gateway_id: str) -> None:
        self._cache.clear(gateway_id)

    def recent_logs(self, limit: int = 100, after: int = 0) -> list[dict[str, Any]]:
        """Logs of all gateways, oldest first: the next ones after the number `after`, or the last ones if it is 0."""
        return [
            {"number": log.number, "gateway": log.gateway, **log.to_json()} for log in self.logs.recent(limit, after)
        ]

    def totals(self) -> list[dict[str, Any]]:
        """All gateways, oldest first: `{id, calls, cached, failed, cost, tokens_in, tokens_out, cache_ttl}`."""
        totals = self.logs.totals()
        nothing: dict[str, Any] = dict.fromkeys(TOTALS, 0)
        return [
            {"id": each.id, **totals.get(each.id, nothing), "cache_ttl": each.settings["cache_ttl"]}
            for each in self.store.search()
        ]


class LoggedCall:
    """One call through a gateway. Each public method ends the call, and writes its log."""

    def __init__(
        self,
        gateways: Gateways,
        gateway: Gateway,
        options: GatewayOptions,
        call: ModelCall,
        spent: Sequence[Callable[[float], None]] = (),
    ) -> None:
        self._gateways = gateways
        self._gateway = gateway
        self._options = options
        self._spent = spent
        self._call = call
        collect_log = options.collect_log
        self._is_logged = gateway.settings["collect_logs"] if collect_log is None else collect_log
        request = json.dumps(shortened(call.inputs), ensure_ascii=False, default=str).encode()
        started = gateways.now_ms
        model = MODELS.get(call.model) or find_vendor_model(call.model)
        self._log = Log(
            id=new_log_id(started),
            gateway=gateway.id,
            created_at=started,
            provider=PROVIDERS.get(call.model.partition("/")[0], options.provider),
            model=call.model,
            path=options.path or call.model,
            event_id=options.event_id,
            user_agent=options.user_agent,
            model_type=model.task if model else None,
            step=options.step,
            metadata=dict(options.metadata) if options.metadata else None,
            request_content_type="application/json",
            request_size=len(request),
            request=body_excerpt(request),
        )

    @property
    def request_size(self) -> int:
        """Bytes of the inputs as JSON."""
        return self._log.request_size

    @property
    def spender(self) -> Spender:
        """Origin of the call's cost, by which spend limits are chosen."""
        log = self._log
        return Spender(log.gateway, log.provider, log.model, log.metadata or {})

    @property
    def _headers(self) -> dict[str, str]:
        headers = {"cf-aig-event-id": self._log.event_id or "", "cf-aig-step": str(self._log.step)}
        return headers | ({"cf-aig-log-id": self._log.id} if self._is_logged else {})

    def answer_from_cache(self, cached: CachedAnswer) -> Result:
        """Answer from the cache. The log has 0 tokens and cost 0, as recordings have."""
        self._log.cached = True
        self._write(*_body_and_type(cached.answer))
        answer = _replayed(cached.answer) if isinstance(cached.answer, tuple) else cached.answer
        return Result(answer, {**self._headers, "cf-aig-cache-status": "HIT"})

    def answer(self, result: Result, cache: Callable[[WholeAnswer], None]) -> Result:
        """Answer with a model's result, which is handed to `cache` once it is whole.

        Raises GatewayError 2017 if a guardrail blocks the answer; a stream is examined at its end, and not blocked.
        """
        headers = {**result.headers, **self._headers, "cf-aig-cache-status": "MISS"}
        answer = result.answer
        if not isinstance(answer, dict | list | Media):
            return replace(result, answer=self._logged_frames(answer, cache), headers=headers)
        self._count(Usage.of(answer), answer)
        try:
            guardrails.check(self._gateway.settings, self._examine(answer), self._options.surface)
        except UpstreamError as error:
            self.fail(error)
            raise
        cache(answer)
        self._write(*_body_and_type(answer))
        return replace(result, headers=headers)

    def _examine(self, answer: object) -> list[Finding]:
        """Findings in a model's answer, each with its log. Only texts are examined (Cloudflare's documentation)."""
        if self._log.model_type != "text-generation":
            return []
        findings = guardrails.examine(self._gateway.settings, "response", answer)
        self._gateways.log_findings(self._gateway, self._options, findings)
        return findings

    async def _logged_frames(
        self, frames: AsyncIterator[str], cache: Callable[[WholeAnswer], None]
    ) -> AsyncIterator[str]:
        """The frames as they come. The log is written when they end, break off, or their reader disconnects."""
        written: list[str] = []
        ended = False
        try:
            async for frame in frames:
                written.append(frame)
                yield frame
            ended = True
            cache(tuple(written))
            if guardrails.actions(self._gateway.settings, "response"):
                self._examine({"text": "".join(map(_frame_text, _single(written)))})
        finally:
            # a stream that broke off before its usage counts a token for each frame
            single = _single(written)
            self._count(_usage(single) or Usage(0, len(single)), None)
            self._write("".join(written).encode(), "text/event-stream", success=ended)

    def fail(self, error: UpstreamError) -> None:
        error.headers |= self._headers
        response = error.response()
        self._log.status_code = error.status
        self._write(bytes(response.body), response.media_type or "application/json", success=False)

    def write_finding(self, finding: Finding) -> None:
        """End the call of a guard model with what it has found."""
        self._log.request_type = "guardrails"
        body = json.dumps(finding.answer, separators=(",", ":")).encode()
        self._log.tokens_in, self._log.tokens_out = len(tokens(finding.text)), 2
        self._log.cost = prices.cost(finding.model, {}, None, Usage(self._log.tokens_in, self._log.tokens_out))
        self._write(body, "application/json")

    def end_connection(self) -> None:
        """End a connection to a realtime model. Its cost is not counted."""
        self._log.status_code = CONNECTED
        self._write(b"", None)

    def disconnect(self) -> None:
        self._log.status_code = CLIENT_DISCONNECTED
        self._write(b"", None, success=False)

    def _count(self, usage: Usage, answer: object) -> None:
        """Write the tokens and the cost into the log."""
        log, price = self._log, self._options.custom_cost
        log.tokens_in, log.tokens_out = usage.tokens_in, usage.tokens_out
        log.custom_cost = price is not None
        if price:
            log.cost = prices.custom_cost(price, usage)
        else:
            log.cost = prices.cost(log.model, self._call.inputs, answer, usage)
        self._gateways.spend(self._gateway, self.spender, log.cost)
        for spend in self._spent:
            spend(log.cost)

    def _write(self, response: bytes, content_type: str | None, success: bool = True) -> None:
        log = self._log
        log.success = success
        log.duration = max(self._gateways.now_ms - log.created_at, 0)
        log.response_size, log.response, log.response_content_type = len(response), body_excerpt(response), content_type
        if content_type and not content_type.startswith(("application/json", "text/")):
            log.response = f"<{len(response)} bytes of {content_type}>"
        if not self._options.collect_payload:
            log.request = log.response = None
        if self._is_logged:
            self._gateways.logs.add(log)


def _with_event_id(options: GatewayOptions) -> GatewayOptions:
    """The options with an event id, which all logs of a call have."""
    return options if options.event_id else replace(options, event_id=str(uuid.uuid4()))


def _unstreamed(gateway: Gateway, options: GatewayOptions, call: ModelCall) -> ModelCall:
    """The call, without streaming at a gateway's own endpoint if guardrails have to examine the answer.

    Cloudflare documents this; at its REST API, such answers stream, and are examined without effect.
    """
    is_examined = options.surface == "endpoint" and guardrails.actions(gateway.settings, "response")
    if not (is_examined and call.inputs.get("stream")):
        return call
    return replace(call, inputs={**call.inputs, "stream": False})


def _routed_model(step: ModelStep) -> str:
    """Name by which a model of a route is called: `@cf/…`, or another vendor's `openai/…`."""
    vendor = VENDORS.get(step.provider, step.provider)
    if step.provider == "workers-ai" or step.model.startswith(f"{vendor}/"):
        return step.model
    return f"{vendor}/{step.model}"


async def _run_provider(step: ModelStep, attempt: Attempt) -> Result:
    """Call the model of a step. Raises NotSimulated if nothing answers for its provider here."""
    if step.provider != "workers-ai" and find_vendor_model(_routed_model(step)) is None:
        raise provider_not_simulated(step.provider)
    return await attempt()


def _single(chunks: Sequence[str]) -> list[str]:
    """The frames of a stream, of which several are written at once where it has no pace."""
    return [frame for frame in FRAME_END.split("".join(chunks)) if frame]


def _frame_text(frame: str) -> str:
    """Text in a frame of a stream, of any dialect; empty if there is none."""
    try:
        return "".join(guardrails.texts(json.loads(frame.partition("data: ")[2])))
    except ValueError:
        return ""


async def _replayed(frames: Frames) -> AsyncIterator[str]:
    for frame in frames:
        yield frame


def _usage(frames: Sequence[str]) -> Usage | None:
    """Usage of a stream: the largest counts of all frames that have some, since each has those of the answer so far."""
    usages: list[Usage] = []
    for frame in frames:
        if '"usage' in frame:
            with contextlib.suppress(ValueError):  # a fault has cut the frame in half
                usages.append(Usage.of(json.loads(frame.partition("data: ")[2])))
    if not usages:
        return None
    return Usage(max(each.tokens_in for each in usages), max(each.tokens_out for each in usages))


def _body_and_type(answer: WholeAnswer) -> tuple[bytes, str]:
    """Body and content type of the answer, for its log."""
    match answer:
        case Media():
            return answer.content, answer.content_type
        case tuple():
            return "".join(answer).encode(), "text/event-stream"
        case _:
            return json.dumps(_abridged(answer), ensure_ascii=False, separators=(",", ":")).encode(), "application/json"


def _abridged(answer: dict[str, Any] | list[Any]) -> dict[str, Any] | list[Any]:
    """The answer with the length of each embedding in place of its numbers: writing a hundred of them takes 100 ms."""
    if isinstance(answer, dict) and isinstance(answer.get("data"), list):
        return {**answer, "data": [shortened({"vector": each})["vector"] for each in answer["data"]]}
    return answer
