"""The HTTP server: the wire of the `AI` and `VECTORIZE` bindings, and what tests ask of the simulator itself."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import fields
from typing import Any, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from workers_ai_simulator import __version__
from workers_ai_simulator.answers import ANSWERS, Answer
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.faults import Fault, Faults
from workers_ai_simulator.generation import generate
from workers_ai_simulator.journal import ENDED, Entry, Journal, shortened
from workers_ai_simulator.media import Media
from workers_ai_simulator.models import MODELS, find
from workers_ai_simulator.vectorize import wire as vectorize
from workers_ai_simulator.vectorize.store import VectorStore

LONGEST_WAIT = 60.0


class Simulator:
    """One simulator: its journal, its faults, its pace."""

    def __init__(self, vectors: VectorStore, tokens_per_second: float = 0) -> None:
        self._vectors = vectors
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
                *vectorize.routes(self._vectors),
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
        inputs, options = await _asked(request)
        model = request.headers.get("cf-consn-model-id", "")
        entry = Entry(str(uuid.uuid4()), model, shortened(inputs), options)
        await self.journal.add(entry)
        try:
            response = await self._answer(entry, inputs, request)
        except UpstreamError as error:
            response = error.response()
            await self._end(entry, "failed", error.status)
        response.headers["cf-ai-req-id"] = entry.id
        return response

    async def _answer(self, entry: Entry, inputs: dict[str, Any], request: Request) -> Response:
        fault = self.faults.take(entry.model)
        if fault and fault.hold_response:
            await self._held_back(entry, request, fault)
        if fault and fault.status:
            raise UpstreamError(fault.status, fault.code, fault.description)
        model = find(entry.model)
        if model.task in ANSWERS:
            # painting and the like take their time: others are served meanwhile
            answer = await run_in_threadpool(ANSWERS[model.task], model, inputs)
            await self._end(entry, "finished", 200)
            return _response(answer)
        if model.task != "text-generation":
            raise NotSimulated(f"{model.id} ({model.task})")
        generation = generate(model, inputs)
        if inputs.get("stream"):
            frames = self._paced(entry, list(generation.frames()), fault)
            entry.status = 200
            return StreamingResponse(frames, media_type="text/event-stream")
        await self._end(entry, "finished", 200)
        return _response(generation.answer())

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
        unknown = set(wanted) - ({field.name for field in fields(Fault)} - {"released"})
        if unknown:
            return JSONResponse({"error": f"no such part of a fault: {sorted(unknown)}"}, 400)
        self.faults.add(Fault(**wanted))
        return Response(status_code=204)

    async def _clear_faults(self, _: Request) -> Response:
        self.faults.clear()
        return Response(status_code=204)


def _response(answer: Answer) -> Response:
    if isinstance(answer, Media):
        return Response(answer.content, media_type=answer.content_type)
    # exactly this content type, or the binding hands on a stream instead of an object
    return JSONResponse(answer, headers={"content-type": "application/json"})


async def _asked(request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """The inputs and options of a model call, in any of the three forms in which the `Ai` class sends them.

    Raises UpstreamError 3003 for a body that it would not send.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0]
    if media_type == "application/json":
        return _asked_as_json(await request.body())
    inputs = _query_object(request, "userInputs")
    if media_type == "multipart/form-data":
        async with request.form() as form:
            fields = {
                name: await value.read() if isinstance(value, UploadFile) else value for name, value in form.items()
            }
        return {**inputs, **fields}, {}
    # one input is a stream, and the class does not say which: of the models that take one, it is the audio
    return {**inputs, "audio": await request.body()}, {}


def _asked_as_json(body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        match json.loads(body):
            case {"inputs": {**inputs}, "options": {**options}}:
                return inputs, options
            case _:
                pass
    except ValueError:
        pass
    raise UpstreamError(400, 3003, "Incomplete request: the body must be JSON with objects `inputs` and `options`")


def _query_object(request: Request, name: str) -> dict[str, Any]:
    try:
        found = json.loads(request.query_params.get(name, "{}"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UpstreamError(400, 3003, f"Incomplete request: the query's {name} must be a JSON object")
    return cast("dict[str, Any]", found)


def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, UpstreamError)
    return error.response()


def _not_simulated(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    call = f"{request.method} {request.url.path}"
    return NotSimulated(call).response()


_running: set[asyncio.Task[None]] = set()


def _spawn(work: Awaitable[None]) -> None:
    task = asyncio.ensure_future(work)
    _running.add(task)  # the loop itself holds tasks weakly
    task.add_done_callback(_running.discard)
