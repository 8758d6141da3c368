"""The calls of the journal as they were on the wire, for people: request, answer, pictures and sounds, and a replay."""

import asyncio
import contextlib
import logging
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message

from workers_ai_simulator.http import json_object, media_type
from workers_ai_simulator.traffic.credentials import REMOVED, without_credentials
from workers_ai_simulator.traffic.exchanges import KEY, MAX_STORED_BYTES, Body, Exchange, new_exchange, scope_of
from workers_ai_simulator.traffic.journal import ENDED, Entry
from workers_ai_simulator.traffic.media_parts import MediaPart, media_parts
from workers_ai_simulator.traffic.traffic import Traffic

MODEL_HEADER = "cf-consn-model-id"
"""Header with which a binding names the model."""
MEDIA_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cache-control": "no-store",
}
MAX_WAIT = 2.0
"""Seconds to wait for the rest of the answer of a call that has ended, before the part that was sent is shown."""
SIDES = ("request", "answer")


class ReplayError(ValueError):
    """A replay that cannot be made, for the reason in the message."""


class Calls:
    """HTTP handlers, and their routes."""

    def __init__(self, traffic: Traffic) -> None:
        self._journal = traffic.journal
        self._exchanges = traffic.exchanges
        self._replays: set[asyncio.Task[None]] = set()

    def routes(self) -> list[BaseRoute]:
        call = "/simulator/requests/{id}"
        return [
            Route(f"{call}/exchange", self._exchange),
            Route(f"{call}/media/{{side}}/{{number:int}}", self._media),
            Route(f"{call}/replay", self._replay, methods=["POST"]),
        ]

    async def _exchange(self, request: Request) -> Response:
        """`{call, request, answer, media, replay}`: `request` and `answer` are null if they are no longer kept.

        `replay`: null if the call can be repeated as it was, else the reason why not.
        """
        entry = self._journal.find(request.path_params["id"])
        if entry is None:
            return _no_call(request)
        exchange = self._exchanges.find(entry.id)
        if exchange and entry.state in ENDED:  # the journal records the end of a call before its answer is sent
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(exchange.over.wait(), MAX_WAIT)
        return JSONResponse(
            {
                "call": entry.to_json(),
                "request": exchange and _request_json(exchange),
                "answer": exchange and _answer_json(exchange),
                "media": _media_json(entry, exchange) if exchange else [],
                "replay": _obstacle(exchange),
                "replay_of": exchange.replay_of if exchange else "",
            }
        )

    async def _media(self, request: Request) -> Response:
        """The image or sound of that number in the request or the answer."""
        side: str = request.path_params["side"]
        number: int = request.path_params["number"]
        exchange = self._exchanges.find(request.path_params["id"])
        parts = _parts(exchange, side) if exchange and side in SIDES else []
        if number >= len(parts):
            return JSONResponse({"error": "this call has no such image or sound, or not any more"}, 404)
        media = parts[number].media
        return Response(media.content, headers={**MEDIA_HEADERS, "content-type": media.content_type})

    async def _replay(self, request: Request) -> Response:
        """Send the request of a call again, with another `body` (a text) or `model` if the JSON has them.

        Answers `{requests}`, the ids of the new call, as soon as it is in the journal; none if a gateway's cache
        answered.
        """
        if media_type(request) != "application/json":  # the only body that a web page may not send unasked
            return JSONResponse({"error": "send a JSON object, with content-type: application/json"}, 415)
        entry = self._journal.find(request.path_params["id"])
        if entry is None:
            return _no_call(request)
        changes = json_object(await request.body())
        if changes is None or not _are_changes(changes):
            return JSONResponse({"error": "send {}, or an object with the texts body or model, or both"}, 400)
        try:
            scope, body = _repeated(self._exchanges.find(entry.id), entry, changes, request)
        except ReplayError as error:
            return JSONResponse({"error": str(error)}, 409)
        repeated: Exchange = scope[KEY]
        running = asyncio.create_task(_run(request.app, scope, body))
        self._replays.add(running)
        running.add_done_callback(self._replays.discard)
        in_journal = asyncio.create_task(repeated.in_journal.wait())
        await asyncio.wait({running, in_journal}, return_when=asyncio.FIRST_COMPLETED)
        in_journal.cancel()
        return JSONResponse({"requests": repeated.calls}, 201)


def _no_call(request: Request) -> Response:
    return JSONResponse({"error": f"no request {request.path_params['id']} among the last 1,000"}, 404)


# ---- exchanges as JSON -----------------------------------------------------------------------------------------------


def _request_json(exchange: Exchange) -> dict[str, Any]:
    headers = exchange.headers | dict.fromkeys(exchange.credentials, REMOVED)
    return {"method": exchange.method, "path": exchange.path, "headers": headers, **_body_json(exchange.request)}


def _answer_json(exchange: Exchange) -> dict[str, Any]:
    about = {"status": exchange.status, "headers": exchange.answer_headers, "has_ended": exchange.has_ended}
    if not exchange.is_stream:
        return {**about, **_body_json(exchange.answer), "frames": None}
    starts = [0, *(end for _, end in exchange.frames)]
    content = exchange.answer.content
    frames = [
        {"seconds": round(seconds, 4), "text": without_credentials(content[start:end].decode(errors="replace"))}
        for start, (seconds, end) in zip(starts, exchange.frames, strict=False)
    ]
    return {**about, **_body_json(exchange.answer), "body": None, "frames": frames}


def _body_json(body: Body) -> dict[str, Any]:
    """`{body, bytes, kept_bytes}`; `body` is null if it is no text."""
    try:
        text = body.content.decode(errors="strict" if body.is_whole else "ignore")
    except UnicodeDecodeError:
        text = None
    return {
        "body": None if text is None or "\0" in text else without_credentials(text),
        "bytes": body.size,
        "kept_bytes": len(body.content),
    }


def _parts(exchange: Exchange, side: str) -> list[MediaPart]:
    body: Body = {"request": exchange.request, "answer": exchange.answer}[side]
    return media_parts(bytes(body.content)) if body.is_whole else []


def _media_json(entry: Entry, exchange: Exchange) -> list[dict[str, Any]]:
    return [
        {
            "side": side,
            "place": part.place,
            "content_type": part.media.content_type,
            "bytes": len(part.media.content),
            "url": f"simulator/requests/{entry.id}/media/{side}/{number}",
        }
        for side in SIDES
        for number, part in enumerate(_parts(exchange, side))
    ]


# ---- replays ---------------------------------------------------------------------------------------------------------


def _are_changes(changes: dict[str, Any]) -> bool:
    return changes.keys() <= {"body", "model"} and all(isinstance(each, str) for each in changes.values())


def _obstacle(exchange: Exchange | None) -> str | None:
    """Why a call cannot be repeated as it was; None if it can."""
    if exchange is None:
        return f"its request is not kept: the newest {MAX_STORED_BYTES >> 20} MiB of bodies are, without websockets"
    if not exchange.request.is_whole:
        return f"its request has {exchange.request.size:,} bytes, of which {len(exchange.request.content):,} are kept"
    return None


def _repeated(
    exchange: Exchange | None, entry: Entry, changes: dict[str, str], like: Request
) -> tuple[dict[str, Any], bytes]:
    """Scope and body of a request that repeats the exchange, with changes. Raises ReplayError."""
    obstacle = _obstacle(exchange)
    if exchange is None or (obstacle and "body" not in changes):
        raise ReplayError(obstacle)
    scope = {**scope_of(exchange, like.scope), "app": like.app}
    if "model" in changes:
        _change_model(scope, entry.model, changes["model"])
    scope[KEY] = new_exchange(scope)
    scope[KEY].replay_of = entry.id
    return scope, changes["body"].encode() if "body" in changes else bytes(exchange.request.content)


def _change_model(scope: dict[str, Any], model: str, wanted: str) -> None:
    """Name another model, in the header or the path that names it. Raises ReplayError if neither does."""
    header = MODEL_HEADER.encode()
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if any(name == header for name, _ in headers):
        scope["headers"] = [(name, wanted.encode() if name == header else value) for name, value in headers]
    elif model and scope["path"].endswith(f"/{model}"):
        scope["path"] = scope["path"].removesuffix(model) + wanted
        scope["raw_path"] = scope["path"].encode()
    else:
        raise ReplayError("the body of this call names its model: change it there")


async def _run(app: Starlette, scope: dict[str, Any], body: bytes) -> None:
    """Answer a request that no client has sent, and record its answer."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()  # the caller never disconnects
        raise AssertionError

    async def send(_: Message) -> None:
        await asyncio.sleep(0)

    try:
        await app(scope, receive, send)
    except (ConnectionAbortedError, ClientDisconnect):
        pass  # by a fault
    except Exception:
        logging.getLogger("uvicorn.error").exception("A replay failed.")
