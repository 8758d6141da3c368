"""Realtime models by websocket: `env.AI.run(model, inputs, {websocket: true})`, and the address of a gateway."""

from collections.abc import Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from workers_ai_simulator.catalogue import Account, find
from workers_ai_simulator.errors import UpstreamError, incomplete
from workers_ai_simulator.gateway.errors import unauthorized
from workers_ai_simulator.gateway.options import GatewayOptions, from_headers
from workers_ai_simulator.gateway.service import Gateways, LoggedCall
from workers_ai_simulator.http import json_object
from workers_ai_simulator.inference.models import ModelCall
from workers_ai_simulator.scripted import answers as scripted
from workers_ai_simulator.scripted.models import PromptedCall
from workers_ai_simulator.scripted.store import ScriptedAnswers
from workers_ai_simulator.speech.realtime import Event, Session, session
from workers_ai_simulator.traffic.faults import Fault
from workers_ai_simulator.traffic.journal import Entry, shortened
from workers_ai_simulator.traffic.traffic import Traffic

TOKEN = "cf-aig-authorization"  # noqa: S105 - the name of a header
"""Header with a gateway's token; a browser, which sends no headers, offers a subprotocol that begins with it."""
INTERNAL_ERROR = 1011
"""Code of a connection that a fault breaks (RFC 6455)."""


class RealtimeModels:
    """WebSocket handlers. A call that is refused gets an HTTP response in place of the upgrade."""

    def __init__(self, traffic: Traffic, script: ScriptedAnswers, gateways: Gateways, account: Account) -> None:
        self._traffic = traffic
        self._script = script
        self._gateways = gateways
        self._account = account

    async def bound(self, websocket: WebSocket) -> None:
        """A call of the binding: inputs and options are JSON in the query's `body`."""
        match json_object(websocket.query_params.get("body", "")):
            case {"inputs": {**inputs}, "options": {**options}}:
                await self._serve(websocket, ModelCall(websocket.headers.get("cf-consn-model-id", ""), inputs, options))
            case _:
                refusal = incomplete("the query's body must be JSON with objects `inputs` and `options`")
                await websocket.send_denial_response(refusal.response())

    async def at_gateway(self, websocket: WebSocket) -> None:
        """A call at a gateway's address, whose query has the `model` and its inputs."""
        inputs: dict[str, Any] = dict(websocket.query_params)
        gateway_id = websocket.path_params["gateway"]
        options = from_headers(gateway_id, websocket.headers) | {"surface": "endpoint", "path": "websocket"}
        gateway = self._gateways.store.find(gateway_id)
        offered = websocket.scope.get("subprotocols", [])
        has_token = TOKEN in websocket.headers or any(each.startswith(f"{TOKEN}.") for each in offered)
        if gateway and gateway.settings["authentication"] and not has_token:
            await websocket.send_denial_response(unauthorized().response())
            return
        await self._serve(websocket, ModelCall(str(inputs.pop("model", "")), inputs, {"gateway": options}))

    async def _serve(self, websocket: WebSocket, call: ModelCall) -> None:
        entry = Entry("AI", "run", call.model, shortened(call.inputs), {**shortened(call.options), "websocket": True})
        await websocket.receive()  # this is the request to connect; the client's first message follows
        try:
            async with self._traffic.span(websocket, entry) as fault:
                logged = self._logged(call)
                opened = session(find(call.model, self._account), call.inputs, entry.id, self._dictated(entry, call))
                offered = websocket.scope.get("subprotocols", [])
                await websocket.accept(next(iter(offered), None), [(b"cf-ai-req-id", entry.id.encode())])
                entry.state, entry.status = "streaming", 101
                try:
                    await self._talk(websocket, entry, opened, fault)
                except WebSocketDisconnect:
                    await self._traffic.journal.update(entry, "cancelled")
                if logged:
                    logged.end_connection()
        except UpstreamError as error:
            error.headers["cf-ai-req-id"] = entry.id
            await websocket.send_denial_response(error.response())

    def _logged(self, call: ModelCall) -> LoggedCall | None:
        """The gateway's log of the call, written at its end; None without a gateway. Raises GatewayError."""
        if "gateway" not in call.options:
            return None
        return self._gateways.connection(GatewayOptions.from_json(call.options["gateway"]), call)

    def _dictated(self, entry: Entry, call: ModelCall) -> str | None:
        """Text of the scripted answer to the call; None if there is none. Raises its error, or UnexpectedCall."""
        answer = self._script.take(PromptedCall(call.model, find(call.model, self._account).task, "", False))
        if answer is None or answer.simulated:
            return None
        entry.scripted = answer.id
        scripted.whole(answer)
        return answer.text

    async def _talk(self, websocket: WebSocket, entry: Entry, opened: Session, fault: Fault | None) -> None:
        """Send the model's events until it ends the connection. Raises WebSocketDisconnect if the client does."""
        await self._send(websocket, entry, opened.start(), fault)
        while not opened.is_closed and entry.state == "streaming":
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            text, audio = message.get("text"), message.get("bytes")
            events = opened.read(text) if text is not None else opened.hear(audio or b"")
            # a second of sound takes milliseconds: other requests are served meanwhile
            await self._send(websocket, entry, await run_in_threadpool(list, events), fault)
        if entry.state == "streaming":
            await websocket.close()
            await self._traffic.journal.update(entry, "finished")

    async def _send(self, websocket: WebSocket, entry: Entry, events: Iterable[Event], fault: Fault | None) -> None:
        for event in events:
            if fault and entry.frames == fault.cut_after_frames:
                entry.error = f"cut after {entry.frames} frames by a fault"
                await websocket.close(INTERNAL_ERROR)
                await self._traffic.journal.update(entry, "failed")
                return
            if isinstance(event, bytes):
                await websocket.send_bytes(event)
            else:
                await websocket.send_json(event)
            await self._traffic.journal.update(entry, "streaming", entry.frames + 1)
