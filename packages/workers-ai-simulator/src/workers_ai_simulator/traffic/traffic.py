"""The way of every call through the simulator: the journal records it, and a fault may be applied to it."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager
from itertools import islice
from typing import Any, TypeVar, cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.http import Handler
from workers_ai_simulator.traffic.exchanges import Exchanges
from workers_ai_simulator.traffic.faults import Fault, Faults
from workers_ai_simulator.traffic.journal import Entry, Journal, shortened

ErrorResponse = Callable[[UpstreamError], Response]
"""Writes an error as the API that was called has it."""
Value = TypeVar("Value")
MAX_BATCH = 64
"""Frames of a stream without a pace that are written at once."""
Caller = Request | WebSocket
"""A call whose caller may leave."""


class Traffic:
    """Journal, exchanges and faults of the simulator, and the pace of its streams."""

    def __init__(self, tokens_per_second: float = 0) -> None:
        self.journal = Journal()
        self.exchanges = Exchanges()
        self.faults = Faults()
        self.tokens_per_second = tokens_per_second
        """Pace of streams; 0 for as fast as possible."""

    @asynccontextmanager
    async def span(self, request: Caller, entry: Entry) -> AsyncGenerator[Fault | None]:
        """Record the call that the block answers, unless a fault makes it fail first.

        Yields the fault whose further effect is on the answer itself. Raises UpstreamError, by the fault or the block,
        and ClientDisconnect if the caller leaves while a fault holds the call.
        """
        self.exchanges.link(request.scope, entry)
        await self.journal.add(entry)
        try:
            fault = self.faults.take(entry)
            if fault:
                await _apply(request, fault)
            yield fault
        except UpstreamError as error:
            entry.status, entry.error = error.status, str(error)
            await self.journal.update(entry, "failed")
            raise
        except (ClientDisconnect, asyncio.CancelledError):
            self._cancel(entry)
            raise
        if entry.state == "received":
            entry.status = entry.status or 200
            await self.journal.update(entry, "finished" if entry.status < 400 else "failed")

    def observed(self, binding: str, operation: str, handler: Handler, error_response: ErrorResponse) -> Handler:
        """The handler of a call without a stream, recorded in the journal and subject to faults."""

        async def observed_handler(request: Request) -> Response:
            entry = Entry(binding, operation, inputs=await _inputs(request))
            try:
                async with self.span(request, entry) as fault:
                    if fault and fault.empty_body:
                        return Response(b"", media_type="application/json")
                    response = await handler(request)
                    entry.status = response.status_code
                    return response
            except UpstreamError as error:
                return error_response(error)

        return observed_handler

    def stream(
        self,
        entry: Entry,
        frames: Iterable[str] | AsyncGenerator[str],
        fault: Fault | None,
        tokens_per_second: float | None = None,
    ) -> AsyncIterator[str]:
        """The frames at their pace, each recorded in the journal, with the fault applied to them.

        Frames of an async generator arrive from a server, at a pace of their own. `tokens_per_second` is the pace of
        a scripted answer; None for the simulator's. The result may raise ConnectionAbortedError.
        """
        fault = fault or Fault()
        entry.state, entry.status = "streaming", 200
        if isinstance(frames, AsyncGenerator):
            return self._paced(entry, frames, fault, fault.tokens_per_second or 0)
        usual = self.tokens_per_second if tokens_per_second is None else tokens_per_second
        pace = usual if fault.tokens_per_second is None else fault.tokens_per_second
        if not pace and not fault.acts_on_frames:
            return self._batched(entry, frames)
        return self._paced(entry, _async_frames(frames), fault, pace)

    async def _paced(self, entry: Entry, frames: AsyncGenerator[str], fault: Fault, pace: float) -> AsyncIterator[str]:
        try:
            async with aclosing(frames):
                async for frame in frames:
                    if entry.frames == fault.hold_after_frames:
                        await fault.released.wait()
                    if entry.frames == fault.end_after_frames:
                        break
                    if entry.frames == fault.cut_after_frames:
                        raise ConnectionAbortedError(f"cut after {entry.frames} frames by a fault")
                    yield f"{frame[: len(frame) // 2]}\n\n" if entry.frames == fault.broken_frame else frame
                    await self.journal.update(entry, "streaming", entry.frames + 1)
                    if pace:
                        await asyncio.sleep(1 / pace)
            await self.journal.update(entry, "finished")
        except ConnectionAbortedError as error:
            entry.error = str(error)
            await self.journal.update(entry, "failed")
            raise
        finally:
            if entry.state == "streaming":
                self._cancel(entry)

    async def _batched(self, entry: Entry, frames: Iterable[str]) -> AsyncIterator[str]:
        """Frames as fast as possible, several at once: each write costs as much as many frames."""
        rest, size = iter(frames), 1  # the first frame alone, so that a client does not wait for others
        try:
            while batch := list(islice(rest, size)):
                yield "".join(batch)
                await self.journal.update(entry, "streaming", entry.frames + len(batch))
                await asyncio.sleep(0)  # other requests get their turn
                size = min(2 * size, MAX_BATCH)
            await self.journal.update(entry, "finished")
        finally:
            if entry.state == "streaming":
                self._cancel(entry)

    def _cancel(self, entry: Entry) -> None:
        entry.state = "cancelled"
        # the caller has disconnected, which ends this task: the journal's update must outlive both
        _spawn(self.journal.update(entry, "cancelled"))


async def cancelled_on_disconnect(request: Request, answer: Coroutine[Any, Any, Value]) -> Value:
    """The answer, which is cancelled if the caller disconnects. Raises ClientDisconnect when that happens."""
    working = asyncio.create_task(answer)
    disconnected = _disconnect(request)
    try:
        await asyncio.wait({working, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        disconnected.cancel()


async def _apply(request: Caller, fault: Fault) -> None:
    """Apply the effects of a fault that come before the answer.

    Raises UpstreamError if the fault sets a status, ClientDisconnect if the caller leaves meanwhile.
    """
    if fault.delay:
        await _wait_for_release(request, fault, fault.delay)
    if fault.hold_response:
        await _wait_for_release(request, fault)
    if fault.status:
        raise UpstreamError(fault.status, fault.code, fault.description)


async def _wait_for_release(request: Caller, fault: Fault, seconds: float | None = None) -> None:
    """Wait until the fault is cleared, at most so many seconds. Raises ClientDisconnect if the caller leaves."""
    released = asyncio.create_task(fault.released.wait())
    disconnected = _disconnect(request)
    done, _ = await asyncio.wait({released, disconnected}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    released.cancel()
    disconnected.cancel()
    if disconnected in done:
        raise ClientDisconnect


def _disconnect(request: Caller) -> asyncio.Future[Any]:
    """Done once the caller disconnects: the body has been read, so the next message is the disconnect."""
    return asyncio.ensure_future(request.receive())


async def _async_frames(frames: Iterable[str]) -> AsyncGenerator[str]:
    for frame in frames:
        yield frame


async def _inputs(request: Request) -> dict[str, Any]:
    """A request as the journal records it: its path and query, its JSON, or the size of any other body."""
    inputs: dict[str, Any] = {"path": request.url.path, **request.query_params}
    body = await request.body()
    if not body:
        return inputs
    try:
        value = json.loads(body)
    except ValueError:
        return {**inputs, "lines": len(body.splitlines()), "bytes": len(body)}
    return inputs | shortened(cast("dict[str, Any]", value)) if isinstance(value, dict) else inputs


_running: set[asyncio.Task[None]] = set()


def _spawn(work: Awaitable[None]) -> None:
    task = asyncio.ensure_future(work)
    _running.add(task)  # the loop itself refers to tasks weakly
    task.add_done_callback(_running.discard)
