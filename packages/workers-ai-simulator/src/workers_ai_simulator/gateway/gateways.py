"""Gateways: a call of a model goes in, its answer comes out, and a log of it stays."""

import asyncio
import json
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.gateway import prices
from workers_ai_simulator.gateway.logs import Log, LogStore, kept, new_id
from workers_ai_simulator.gateway.options import GatewayOptions
from workers_ai_simulator.gateway.policy import (
    Attempt,
    Cache,
    Patience,
    RateLimits,
    Sleep,
    Stored,
    cache_key,
    lifetime,
)
from workers_ai_simulator.gateway.prices import Usage
from workers_ai_simulator.gateway.settings import Gateway, GatewayStore
from workers_ai_simulator.inference.answers import Answer
from workers_ai_simulator.inference.calls import ModelCall, Result
from workers_ai_simulator.media import Media
from workers_ai_simulator.models import MODELS
from workers_ai_simulator.traffic.journal import shortened

Frames = tuple[str, ...]
Whole = Answer | Frames
"""An answer that has come to its end: of a stream, all frames."""

LARGEST_CACHED = 25 * 1024 * 1024
"""Bytes of a request whose answer is cached (Cloudflare's documentation of limits)."""
CALLER_LEFT = 499
"""Invented: the status in the log of a call whose caller did not wait for the answer."""


class Gateways:
    """All gateways of the simulator, whichever account they are asked for under. To be used by one thread.

    Settings and logs are kept in the database, or in memory without one. `now` gives seconds since 1970.
    """

    def __init__(
        self, database: Path | None = None, now: Callable[[], float] = time.time, sleep: Sleep = asyncio.sleep
    ) -> None:
        if database:
            database.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(database or ":memory:", check_same_thread=False, isolation_level=None)
        # what is written survives the end of the process, if not of the machine, and takes microseconds
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        self.settings = GatewayStore(connection)
        self.logs = LogStore(connection)
        self._cache = Cache()
        self._rates = RateLimits()
        self._now = now
        self._sleep = sleep

    @property
    def now_ms(self) -> int:
        return int(self._now() * 1000)

    async def run(self, options: GatewayOptions, call: ModelCall, attempt: Attempt) -> Result:
        """Answer the call from the cache or by attempts, and log it.

        A result's headers are the attempt's and `cf-aig-event-id`, `-step`, `-cache-status` and, of a call that is
        logged, `-log-id`. Raises the last attempt's UpstreamError, or GatewayError 2003 (too many calls) or 3007
        (timeout), with the same headers but the cache's.
        """
        gateway = self.settings.opened(options.id, self.now_ms)
        passage = Passage(self, gateway, options, call)
        seconds = lifetime(options, gateway.settings)
        key = cache_key(options, call) if seconds else ""
        if seconds and (stored := self._cache.find(gateway.id, key, self._now())):
            return passage.repeated(stored)
        try:
            self._rates.check(gateway.id, gateway.settings, self._now())
            patience = Patience.of(options, gateway.settings)
            result = await patience.try_until_answered(attempt, self._sleep)
        except UpstreamError as error:
            passage.failed(error)
            raise
        except (ClientDisconnect, asyncio.CancelledError):
            passage.left()
            raise

        def keep(answer: Whole) -> None:
            if seconds and passage.request_size <= LARGEST_CACHED:
                self._cache.keep(gateway.id, key, Stored(answer, self._now() + seconds))

        return passage.answered(result, keep)

    def delete(self, gateway_id: str) -> Gateway:
        """With its logs and its cache. Raises GatewayError 7002 if there is none."""
        gateway = self.settings.delete(gateway_id)
        self.logs.forget(gateway_id)
        self.forget(gateway_id)
        return gateway

    def forget(self, gateway_id: str) -> None:
        """What the gateway's cache holds."""
        self._cache.forget(gateway_id)

    def recent(self, limit: int = 100, after: int = 0) -> list[dict[str, Any]]:
        """Logs of all gateways for a page: those after that `number`, or with 0 the last; the newest at the end."""
        return [
            {"number": log.number, "gateway": log.gateway, **log.to_json()} for log in self.logs.recent(limit, after)
        ]


class Passage:
    """One call on its way through a gateway; each of its ends writes the log."""

    def __init__(self, gateways: Gateways, gateway: Gateway, options: GatewayOptions, call: ModelCall) -> None:
        self._gateways = gateways
        self._options = options
        self._call = call
        wanted = options.collect_log
        self._collected = gateway.settings["collect_logs"] if wanted is None else wanted
        sent = json.dumps(shortened(call.inputs), ensure_ascii=False, default=str).encode()
        started = gateways.now_ms
        model = MODELS.get(call.model)
        self._log = Log(
            id=new_id(started),
            gateway=gateway.id,
            created_at=started,
            provider=options.provider,
            model=call.model,
            path=options.path or call.model,
            event_id=options.event_id or str(uuid.uuid4()),
            user_agent=options.user_agent,
            model_type=model.task if model else None,
            step=options.step,
            metadata=dict(options.metadata) if options.metadata else None,
            request_content_type="application/json",
            request_size=len(sent),
            request=kept(sent),
        )

    @property
    def request_size(self) -> int:
        """Bytes."""
        return self._log.request_size

    @property
    def _headers(self) -> dict[str, str]:
        headers = {"cf-aig-event-id": self._log.event_id or "", "cf-aig-step": str(self._log.step)}
        return headers | ({"cf-aig-log-id": self._log.id} if self._collected else {})

    def repeated(self, stored: Stored) -> Result:
        """The stored answer. Tokens and cost are 0 in its log, as recordings have it."""
        self._log.cached = True
        self._write(*_written(stored.answer))
        answer = _replayed(stored.answer) if isinstance(stored.answer, tuple) else stored.answer
        return Result(answer, {**self._headers, "cf-aig-cache-status": "HIT"})

    def answered(self, result: Result, keep: Callable[[Whole], None]) -> Result:
        headers = {**result.headers, **self._headers, "cf-aig-cache-status": "MISS"}
        answer = result.answer
        if not isinstance(answer, dict | list | Media):
            return Result(self._followed(answer, keep), headers)
        keep(answer)
        self._count(Usage.of(answer), answer)
        self._write(*_written(answer))
        return Result(answer, headers)

    async def _followed(self, frames: AsyncIterator[str], keep: Callable[[Whole], None]) -> AsyncIterator[str]:
        """The frames as they come. Logged when they end, break off, or their reader goes."""
        written: list[str] = []
        ended = False
        try:
            async for frame in frames:
                written.append(frame)
                yield frame
            ended = True
            keep(tuple(written))
        finally:
            # of a stream that was left or cut before it told its usage, each frame is a token
            self._count(_usage(written) or Usage(0, len(written)), None)
            self._write("".join(written).encode(), "text/event-stream", success=ended)

    def failed(self, error: UpstreamError) -> None:
        error.headers |= self._headers
        response = error.response()
        self._log.status_code = error.status
        self._write(bytes(response.body), response.media_type or "application/json", success=False)

    def left(self) -> None:
        self._log.status_code = CALLER_LEFT
        self._write(b"", None, success=False)

    def _count(self, usage: Usage, answer: object) -> None:
        log, price = self._log, self._options.custom_cost
        log.tokens_in, log.tokens_out = usage.tokens_in, usage.tokens_out
        log.custom_cost = price is not None
        if price:
            log.cost = prices.custom(price, usage)
        else:
            log.cost = prices.cost(log.model, self._call.inputs, answer, usage)

    def _write(self, response: bytes, content_type: str | None, success: bool = True) -> None:
        log = self._log
        log.success = success
        log.duration = max(self._gateways.now_ms - log.created_at, 0)
        log.response_size, log.response, log.response_content_type = len(response), kept(response), content_type
        if content_type and not content_type.startswith(("application/json", "text/")):
            log.response = f"<{len(response)} bytes of {content_type}>"
        if not self._options.collect_payload:
            log.request = log.response = None
        if self._collected:
            self._gateways.logs.add(log)


async def _replayed(frames: Frames) -> AsyncIterator[str]:
    for frame in frames:
        yield frame


def _usage(frames: Sequence[str]) -> Usage | None:
    """Of the last frame that has it."""
    for frame in reversed(frames):
        if '"usage"' in frame:
            try:
                return Usage.of(json.loads(frame.partition("data: ")[2]))
            except ValueError:
                continue  # a fault has cut it in half
    return None


def _written(answer: Whole) -> tuple[bytes, str]:
    """Body and content type."""
    match answer:
        case Media():
            return answer.content, answer.content_type
        case tuple():
            return "".join(answer).encode(), "text/event-stream"
        case _:
            return json.dumps(_abridged(answer), ensure_ascii=False, separators=(",", ":")).encode(), "application/json"


def _abridged(answer: dict[str, Any] | list[Any]) -> dict[str, Any] | list[Any]:
    """With the length of each embedding for its numbers: a hundred of them would take 100 ms to write."""
    if isinstance(answer, dict) and isinstance(answer.get("data"), list):
        return {**answer, "data": [shortened({"vector": each})["vector"] for each in answer["data"]]}
    return answer
