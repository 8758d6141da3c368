"""One call of a model: who answers it, through which gateway."""

from collections.abc import AsyncIterator
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from workers_ai_simulator.answers import ANSWERS, Answer
from workers_ai_simulator.calls import ModelCall, Result
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.faults import Fault
from workers_ai_simulator.gateway.gateways import Gateways
from workers_ai_simulator.gateway.options import GatewayOptions
from workers_ai_simulator.generation import generate
from workers_ai_simulator.journal import Entry, shortened
from workers_ai_simulator.media import Media
from workers_ai_simulator.models import Model, find
from workers_ai_simulator.traffic import Traffic


class Inference:
    def __init__(self, traffic: Traffic, gateways: Gateways) -> None:
        self._traffic = traffic
        self._gateways = gateways

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
                return Result(await self._answer(entry, call, fault), headers)
        except UpstreamError as error:
            error.headers |= headers
            raise

    async def _answer(self, entry: Entry, call: ModelCall, fault: Fault | None) -> Answer | AsyncIterator[str]:
        if fault and fault.empty_body:
            return Media(b"", "application/json")
        model = find(call.model)
        if model.task in ANSWERS:
            # painting and the like take their time: others are served meanwhile
            return await run_in_threadpool(ANSWERS[model.task], model, call.inputs)
        if model.task != "text-generation":
            raise NotSimulated(f"{model.id} ({model.task})")
        return await self._generate(entry, model, call, fault)

    async def _generate(
        self, entry: Entry, model: Model, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        generation = await run_in_threadpool(generate, model, call.inputs)
        if call.inputs.get("stream"):
            return self._traffic.stream(entry, list(generation.frames(call.dialect)), fault)
        return generation.answer(call.dialect)
