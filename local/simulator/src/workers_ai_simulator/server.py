"""The HTTP server: the wire of the `AI` and `VECTORIZE` bindings, and what tests ask of the simulator itself."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import fields
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from workers_ai_simulator import __version__
from workers_ai_simulator.answers import ANSWERS, Media
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.faults import Fault, Faults
from workers_ai_simulator.generation import generate
from workers_ai_simulator.journal import ENDED, Entry, Journal
from workers_ai_simulator.models import MODELS, find

VECTORIZE_HOST = "vector-search"
"""The `Host` of every call that the `VectorizeIndexImpl` class makes."""

LONGEST_WAIT = 60.0


class Simulator:
    """One simulator: its journal, its faults, its pace."""

    def __init__(self, tokens_per_second: float = 0) -> None:
        self.journal = Journal()
        self.faults = Faults()
        self.tokens_per_second = tokens_per_second
        """The pace of streams; 0 for as fast as it goes."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/run", self._run, methods=["POST"]),
                Route("/ai-gateway/run", self._run, methods=["POST"]),
                Route("/simulator", self._about),
                Route("/simulator/requests", self._requests),
                Route("/simulator/requests/{id}", self._request),
                Route("/simulator/faults", self._set_fault, methods=["POST"]),
                Route("/simulator/faults", self._clear_faults, methods=["DELETE"]),
            ],
            exception_handlers={
                UpstreamError: _answer_error,
                404: _not_simulated,
                405: _not_simulated,
            },
        )

    # ---- what the bindings call ------------------------------------------------------------------

    async def _run(self, request: Request) -> Response:
        """`env.AI.run(model, inputs, options)`."""
        entry = await _entry(request)
        await self.journal.add(entry)
        try:
            response = await self._answer(entry, request)
        except UpstreamError as error:
            response = error.response()
            await self._end(entry, "failed", error.status)
        response.headers["cf-ai-req-id"] = entry.id
        return response

    async def _answer(self, entry: Entry, request: Request) -> Response:
        fault = self.faults.take(entry.model)
        if fault and fault.hold_response:
            await self._held_back(entry, request, fault)
        if fault and fault.status:
            raise UpstreamError(fault.status, fault.code, fault.description)
        model = find(entry.model)
        if model.task in ANSWERS:
            answer = ANSWERS[model.task](model, entry.inputs)
            await self._end(entry, "finished", 200)
            return (
                Response(answer.content, media_type=answer.content_type) if isinstance(answer, Media) else _json(answer)
            )
        if model.task != "text-generation":
            raise NotSimulated(f"{model.id} ({model.task})")
        generation = generate(model, entry.inputs)
        if entry.inputs.get("stream"):
            frames = self._paced(entry, list(generation.frames()), fault)
            entry.status = 200
            return StreamingResponse(frames, media_type="text/event-stream")
        await self._end(entry, "finished", 200)
        return _json(generation.answer())

    async def _held_back(self, entry: Entry, request: Request, fault: Fault) -> None:
        """Wait until the fault is cleared; notice when the caller does not wait that long."""
        released = asyncio.create_task(fault.released.wait())
        gone = asyncio.ensure_future(request.receive())  # the body is read: what comes now is the disconnect
        await asyncio.wait({released, gone}, return_when=asyncio.FIRST_COMPLETED)
        released.cancel()
        gone.cancel()
        if not fault.released.is_set():
            await self._end(entry, "cancelled", None)
            raise ClientDisconnect

    async def _paced(self, entry: Entry, frames: list[str], fault: Fault | None) -> AsyncIterator[str]:
        written = 0
        pace = self.tokens_per_second
        if fault and fault.tokens_per_second is not None:
            pace = fault.tokens_per_second
        try:
            for frame in frames:
                if fault and written == fault.hold_after_frames:
                    await fault.released.wait()
                yield frame
                written += 1
                await self.journal.note(entry, "streaming", written)
                if pace:
                    await asyncio.sleep(1 / pace)
            await self.journal.note(entry, "finished")
        finally:
            if entry.state != "finished":
                entry.state = "cancelled"
                # the caller is gone, and with it this task: the note must outlive both
                _spawn(self.journal.note(entry, "cancelled"))

    async def _end(self, entry: Entry, state: Any, status: int | None) -> None:
        entry.status = status
        await self.journal.note(entry, state)

    # ---- what tests and people call --------------------------------------------------------------

    async def _about(self, _: Request) -> Response:
        return JSONResponse(
            {
                "name": "workers-ai-simulator",
                "version": __version__,
                "simulated": ["text-generation", *ANSWERS],
                "models": sorted(m.id for m in MODELS.values() if m.task in ("text-generation", *ANSWERS)),
            }
        )

    async def _requests(self, _: Request) -> Response:
        return JSONResponse([entry.to_json() for entry in self.journal])

    async def _request(self, request: Request) -> Response:
        """One request, once it is in one of the `state`s asked for (any end by default) or `seconds` are over."""
        states = tuple(request.query_params.get("state", ",".join(ENDED)).split(","))
        seconds = min(float(request.query_params.get("seconds", 0)), LONGEST_WAIT)
        entry = await self.journal.wait(request.path_params["id"], states, seconds)
        return JSONResponse(entry.to_json() if entry else None, 200 if entry else 404)

    async def _set_fault(self, request: Request) -> Response:
        wanted = await request.json()
        unknown = set(wanted) - {field.name for field in fields(Fault)} - {"released"}
        if unknown:
            return JSONResponse({"error": f"no such part of a fault: {sorted(unknown)}"}, 400)
        self.faults.add(Fault(**wanted))
        return Response(status_code=204)

    async def _clear_faults(self, _: Request) -> Response:
        self.faults.clear()
        return Response(status_code=204)


def _json(answer: dict[str, Any] | list[Any]) -> Response:
    # exactly this content type, or the binding hands on a stream instead of an object
    return JSONResponse(answer, headers={"content-type": "application/json"})


async def _entry(request: Request) -> Entry:
    """What the `Ai` class has sent, as an entry of the journal.

    Raises NotSimulated for inputs that are streams or forms, UpstreamError 3003 for a body that is no JSON object.
    """
    if request.headers.get("content-type") != "application/json":
        raise NotSimulated("A model input that is a stream or a form")
    try:
        match json.loads(await request.body()):
            case {"inputs": {**inputs}, "options": {**options}}:
                model = request.headers.get("cf-consn-model-id", "")
                return Entry(str(uuid.uuid4()), model, inputs, options)
            case _:
                pass
    except ValueError:
        pass
    raise UpstreamError(400, 3003, "Incomplete request: the body must be JSON with objects `inputs` and `options`")


def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, UpstreamError)
    return error.response()


def _not_simulated(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    call = f"{request.method} {request.url.path}"
    if request.headers.get("host") == VECTORIZE_HOST:
        # the shape from which VectorizeIndexImpl makes its `VECTOR_…_ERROR (code = 501): …`
        return JSONResponse({"code": 501, "error": f"Vectorize ({call}) is not simulated yet"}, 501)
    return NotSimulated(call).response()


_running: set[asyncio.Task[None]] = set()


def _spawn(work: Awaitable[None]) -> None:
    task = asyncio.ensure_future(work)
    _running.add(task)  # the loop itself holds tasks weakly
    task.add_done_callback(_running.discard)
