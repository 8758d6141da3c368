"""What every call passes on its way, whatever it calls: the journal writes it down, and a fault may befall it."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar, cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.traffic.faults import Fault, Faults
from workers_ai_simulator.traffic.journal import Entry, Journal, shortened

Handler = Callable[[Request], Awaitable[Response]]
Refusal = Callable[[UpstreamError], Response]
"""Writes an error in the way of the API that was called."""
Value = TypeVar("Value")


class Traffic:
    def __init__(self, tokens_per_second: float = 0) -> None:
        self.journal = Journal()
        self.faults = Faults()
        self.tokens_per_second = tokens_per_second
        """The pace of streams; 0 for as fast as it goes."""

    @asynccontextmanager
    async def passing(self, request: Request, entry: Entry) -> AsyncGenerator[Fault | None]:
        """The block answers the request, unless a fault befalls it first: UpstreamError, or ClientDisconnect.

        Gives the fault whose further effect is on the answer itself.
        """
        await self.journal.add(entry)
        try:
            fault = self.faults.take(entry)
            if fault:
                await self._befall(request, fault)
            yield fault
        except UpstreamError as error:
            entry.status, entry.error = error.status, str(error)
            await self.journal.note(entry, "failed")
            raise
        except (ClientDisconnect, asyncio.CancelledError):
            self._note_cancelled(entry)
            raise
        if entry.state == "received":
            entry.status = entry.status or 200
            await self.journal.note(entry, "finished" if entry.status < 400 else "failed")

    async def _befall(self, request: Request, fault: Fault) -> None:
        if fault.delay:
            await _until_released(request, fault, fault.delay)
        if fault.hold_response:
            await _until_released(request, fault)
        if fault.status:
            raise UpstreamError(fault.status, fault.code, fault.description)

    def stream(
        self, entry: Entry, frames: Iterable[str] | AsyncGenerator[str], fault: Fault | None
    ) -> AsyncIterator[str]:
        """The frames at their pace, each noted in the journal, with what the fault does to them.

        Frames that come from elsewhere have a pace of their own. They may raise ConnectionAbortedError.
        """
        fault = fault or Fault()
        arriving = isinstance(frames, AsyncGenerator)
        usual = 0 if arriving else self.tokens_per_second
        pace = usual if fault.tokens_per_second is None else fault.tokens_per_second
        entry.state, entry.status = "streaming", 200
        return self._written(entry, frames if arriving else _arriving(frames), fault, pace)

    async def _written(
        self, entry: Entry, frames: AsyncGenerator[str], fault: Fault, pace: float
    ) -> AsyncIterator[str]:
        try:
            async with aclosing(frames):
                async for frame in frames:
                    if entry.frames == fault.hold_after_frames:
                        await fault.released.wait()
                    if entry.frames == fault.end_after_frames:
                        break
                    if entry.frames == fault.cut_after_frames:
                        raise ConnectionAbortedError(f"cut after {entry.frames} frames, as a fault has it")
                    yield f"{frame[: len(frame) // 2]}\n\n" if entry.frames == fault.broken_frame else frame
                    await self.journal.note(entry, "streaming", entry.frames + 1)
                    if pace:
                        await asyncio.sleep(1 / pace)
            await self.journal.note(entry, "finished")
        except ConnectionAbortedError as error:
            entry.error = str(error)
            await self.journal.note(entry, "failed")
            raise
        finally:
            if entry.state == "streaming":
                self._note_cancelled(entry)

    def _note_cancelled(self, entry: Entry) -> None:
        entry.state = "cancelled"
        # the caller is gone, and with it this task: the note must outlive both
        _spawn(self.journal.note(entry, "cancelled"))

    def watched(self, binding: str, operation: str, handler: Handler, refuse: Refusal) -> Handler:
        """The handler of a call whose answer is no stream, with its journal entry and its faults."""

        async def observed(request: Request) -> Response:
            entry = Entry(binding, operation, inputs=await _sent(request))
            try:
                async with self.passing(request, entry) as fault:
                    if fault and fault.empty_body:
                        return Response(b"", media_type="application/json")
                    response = await handler(request)
                    entry.status = response.status_code
                    return response
            except UpstreamError as error:
                return refuse(error)

        return observed


async def _arriving(frames: Iterable[str]) -> AsyncGenerator[str]:
    for frame in frames:
        yield frame


async def while_awaited(request: Request, answer: Coroutine[Any, Any, Value]) -> Value:
    """The answer, unless its caller leaves: then it is cancelled.

    Raises ClientDisconnect when that happens.
    """
    working = asyncio.create_task(answer)
    gone = asyncio.ensure_future(request.receive())  # the body is read: what comes now is the disconnect
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        gone.cancel()


async def _until_released(request: Request, fault: Fault, seconds: float | None = None) -> None:
    """Wait until the fault is cleared or the time is over.

    Raises ClientDisconnect when the caller does not wait that long.
    """
    released = asyncio.create_task(fault.released.wait())
    gone = asyncio.ensure_future(request.receive())  # the body is read: what comes now is the disconnect
    done, _ = await asyncio.wait({released, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    released.cancel()
    gone.cancel()
    if gone in done:
        raise ClientDisconnect


async def _sent(request: Request) -> dict[str, Any]:
    """What the journal keeps of a request: its path and query, its JSON, the size of any other body."""
    shown: dict[str, Any] = {"path": request.url.path, **request.query_params}
    body = await request.body()
    if not body:
        return shown
    try:
        sent = json.loads(body)
    except ValueError:
        return {**shown, "lines": len(body.splitlines()), "bytes": len(body)}
    return shown | shortened(cast("dict[str, Any]", sent)) if isinstance(sent, dict) else shown


_running: set[asyncio.Task[None]] = set()


def _spawn(work: Awaitable[None]) -> None:
    task = asyncio.ensure_future(work)
    _running.add(task)  # the loop itself holds tasks weakly
    task.add_done_callback(_running.discard)
