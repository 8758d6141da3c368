"""One call of a model: who answers it, through which gateway."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.gateway.gateways import Gateways
from workers_ai_simulator.gateway.options import GatewayOptions
from workers_ai_simulator.inference import batches
from workers_ai_simulator.inference.answers import ANSWERS, Answer
from workers_ai_simulator.inference.calls import ModelCall, Result
from workers_ai_simulator.inference.real_models import NONE, RealModels
from workers_ai_simulator.media import Media
from workers_ai_simulator.models import Model, find
from workers_ai_simulator.text_generation.generation import generate
from workers_ai_simulator.traffic.faults import Fault
from workers_ai_simulator.traffic.journal import Entry, shortened
from workers_ai_simulator.traffic.traffic import Traffic, while_awaited

if TYPE_CHECKING:
    from workers_ai_simulator.upstream.server import ChatUpstream


class Inference:
    def __init__(self, traffic: Traffic, gateways: Gateways, real: RealModels = NONE) -> None:
        self._traffic = traffic
        self._real = real
        self._answers = ANSWERS | real.answers
        self._gateways = gateways
        self._batches = batches.Batches()

    async def run(self, request: Request, call: ModelCall) -> Result:
        """Answer the call.

        Raises UpstreamError, which carries the headers of a Result.
        """
        attempt = partial(self._attempt, request, call)
        gateway = call.options.get("gateway")
        if gateway is None:
            return await attempt()
        return await self._gateways.run(GatewayOptions.from_json(gateway), call, attempt)

    async def _attempt(self, request: Request, call: ModelCall) -> Result:
        entry = Entry("AI", "run", call.model, shortened(call.inputs), call.options)
        headers = {"cf-ai-req-id": entry.id}
        try:
            async with self._traffic.passing(request, entry) as fault:
                answering = self._answer(entry, call, fault)
                # a real model may take minutes, in vain if its caller has left
                answer = await (while_awaited(request, answering) if self._real.chat else answering)
                return Result(answer, headers)
        except UpstreamError as error:
            error.headers |= headers
            raise

    async def _answer(self, entry: Entry, call: ModelCall, fault: Fault | None) -> Answer | AsyncIterator[str]:
        if fault and fault.empty_body:
            return Media(b"", "application/json")
        model = find(call.model)

        async def run(inputs: dict[str, Any]) -> Answer | AsyncIterator[str]:
            return await self._run_model(entry, model, replace(call, inputs=inputs), fault)

        if batches.is_meant(call):
            return await self._batches.answer(model, call.inputs, run)
        return await run(call.inputs)

    async def _run_model(
        self, entry: Entry, model: Model, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        if model.task == "text-generation":
            return await self._generate(entry, model, call, fault)
        # painting and the like take their time: others are served meanwhile
        return await run_in_threadpool(self._answers[model.task], model, call.inputs)

    async def _generate(
        self, entry: Entry, model: Model, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        if self._real.chat:
            return await self._ask(self._real.chat, entry, model, call, fault)
        generation = await run_in_threadpool(generate, model, call.inputs)
        if call.inputs.get("stream"):
            return self._traffic.stream(entry, list(generation.frames(call.dialect)), fault)
        return generation.answer(call.dialect)

    async def _ask(
        self, chat: "ChatUpstream", entry: Entry, model: Model, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        if call.inputs.get("stream"):
            frames = await chat.stream(model, call.inputs, call.dialect)
            return self._traffic.stream(entry, frames, fault)
        return await chat.answer(model, call.inputs, call.dialect)
