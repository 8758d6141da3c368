"""Runs model calls through gateways: from the cache or by attempts, each with a log."""

import asyncio
import contextlib
import json
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request

from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.gateway import prices
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
from workers_ai_simulator.gateway.store import GatewayStore, LogStore, body_excerpt, new_log_id
from workers_ai_simulator.inference.models import Answer, ModelCall, Result, RunModel
from workers_ai_simulator.media import Media
from workers_ai_simulator.traffic.journal import shortened
from workers_ai_simulator.vendors.models import PROVIDERS, find_vendor_model

Frames = tuple[str, ...]
WholeAnswer = Answer | Frames
"""Answer that has come to its end; a stream as all of its frames."""

MAX_CACHED_REQUEST_BYTES = 25 * 1024 * 1024
"""Bytes of a request whose answer is cached (Cloudflare's documentation of limits)."""
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
            attempt = partial(run_model, request, call)
            options = call.options.get("gateway")
            if options is None:
                return await attempt()
            return await self.run(GatewayOptions.from_json(options), call, attempt)

        return run

    async def run(self, options: GatewayOptions, call: ModelCall, attempt: Attempt) -> Result:
        """Answer the call from the cache or by attempts, and log it.

        A result's headers are the attempt's and `cf-aig-event-id`, `-step`, `-cache-status` and, for a call that is
        logged, `-log-id`. Raises the last attempt's UpstreamError, or GatewayError 2003 (too many calls) or 3007
        (timeout), with the same headers but the cache's.
        """
        gateway = self.store.get_or_create(options.id, self.now_ms)
        logged = LoggedCall(self, gateway, options, call)
        seconds = cache_seconds(options, gateway.settings)
        key = cache_key(options, call) if seconds else ""
        if seconds and (cached := self._cache.find(gateway.id, key, self._now())):
            return logged.answer_from_cache(cached)
        try:
            self._rates.check(gateway.id, gateway.settings, self._now())
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

    def delete(self, gateway_id: str) -> Gateway:
        """Delete a gateway with its logs and its cache. Raises GatewayError 7002 if there is none."""
        gateway = self.store.delete(gateway_id)
        self.logs.delete_all(gateway_id)
        self.clear_cache(gateway_id)
        return gateway

    def clear_cache(self, gateway_id: str) -> None:
        self._cache.clear(gateway_id)

    def recent_logs(self, limit: int = 100, after: int = 0) -> list[dict[str, Any]]:
        """Logs of all gateways, oldest first: the next ones after the number `after`, or the last ones if it is 0."""
        return [
            {"number": log.number, "gateway": log.gateway, **log.to_json()} for log in self.logs.recent(limit, after)
        ]


class LoggedCall:
    """One call through a gateway. Each method but the properties ends the call, and writes its log."""

    def __init__(self, gateways: Gateways, gateway: Gateway, options: GatewayOptions, call: ModelCall) -> None:
        self._gateways = gateways
        self._options = options
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
            event_id=options.event_id or str(uuid.uuid4()),
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
        """Answer with a model's result, which is handed to `cache` once it is whole."""
        headers = {**result.headers, **self._headers, "cf-aig-cache-status": "MISS"}
        answer = result.answer
        if not isinstance(answer, dict | list | Media):
            return replace(result, answer=self._logged_frames(answer, cache), headers=headers)
        cache(answer)
        self._count(Usage.of(answer), answer)
        self._write(*_body_and_type(answer))
        return replace(result, headers=headers)

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
        finally:
            # a stream that broke off before its usage counts a token for each frame
            self._count(_usage(written) or Usage(0, len(written)), None)
            self._write("".join(written).encode(), "text/event-stream", success=ended)

    def fail(self, error: UpstreamError) -> None:
        error.headers |= self._headers
        response = error.response()
        self._log.status_code = error.status
        self._write(bytes(response.body), response.media_type or "application/json", success=False)

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


async def _replayed(frames: Frames) -> AsyncIterator[str]:
    for frame in frames:
        yield frame


def _usage(frames: Sequence[str]) -> Usage | None:
    """Usage of a stream: the largest counts of all frames that have some, since each has those of the answer so far."""
    usages: list[Usage] = []
    for frame in frames:
        if '"usage' in frame:
            with contextlib.suppress(ValueError):  # a fault has cut it in half
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
