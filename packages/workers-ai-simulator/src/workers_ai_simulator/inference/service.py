"""Runs models: simulated or real, alone or in a batch, with the journal and the faults that tests set."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from workers_ai_simulator.catalogue import PAID_ACCOUNT, Account, Model, find
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.inference import batches
from workers_ai_simulator.inference.answers import ANSWERS
from workers_ai_simulator.inference.models import Answer, ModelCall, Result
from workers_ai_simulator.inference.real_models import NO_REAL_MODELS, RealModels
from workers_ai_simulator.inference.store import BatchStore
from workers_ai_simulator.media import Media
from workers_ai_simulator.text_generation.generation import generate
from workers_ai_simulator.traffic.faults import Fault
from workers_ai_simulator.traffic.journal import Entry, shortened
from workers_ai_simulator.traffic.traffic import Traffic, cancelled_on_disconnect
from workers_ai_simulator.vendors.answers import frames, whole_answer
from workers_ai_simulator.vendors.models import VendorModel, find_vendor_model
from workers_ai_simulator.vendors.requests import read_inputs

if TYPE_CHECKING:
    from workers_ai_simulator.upstream.server import ChatUpstream


class Inference:
    """Workers AI itself, without gateways."""

    def __init__(self, traffic: Traffic, real: RealModels = NO_REAL_MODELS, account: Account = PAID_ACCOUNT) -> None:
        self._traffic = traffic
        self._real = real
        self._account = account
        self._answers = ANSWERS | real.answers
        self._batches = BatchStore()

    async def run(self, request: Request, call: ModelCall) -> Result:
        """Answer the call, whose gateway is not looked at.

        Raises UpstreamError, which carries the headers of a Result.
        """
        entry = Entry("AI", "run", call.model, shortened(call.inputs), call.options)
        headers = {"cf-ai-req-id": entry.id}
        try:
            async with self._traffic.span(request, entry) as fault:
                answering = self._answer(entry, call, fault)
                # a real model may take minutes, in vain if its caller has left
                answer = await (cancelled_on_disconnect(request, answering) if self._real.chat else answering)
                return Result(answer, headers)
        except UpstreamError as error:
            error.headers |= headers
            raise

    async def _answer(self, entry: Entry, call: ModelCall, fault: Fault | None) -> Answer | AsyncIterator[str]:
        if fault and fault.empty_body:
            return Media(b"", "application/json")
        if vendor_model := find_vendor_model(call.model):
            return await self._answer_of_vendor(entry, vendor_model, call, fault)
        model = find(call.model, self._account)

        async def run(inputs: dict[str, Any]) -> Answer | AsyncIterator[str]:
            return await self._run_model(entry, model, replace(call, inputs=inputs), fault)

        if batches.is_batch(call):
            return await batches.answer(self._batches, model, call.inputs, run)
        return await run(call.inputs)

    async def _answer_of_vendor(
        self, entry: Entry, model: VendorModel, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        if "gateway" not in call.options:
            # Cloudflare documents that they require a gateway, and not how they are refused without: a guess
            raise UpstreamError(400, 5007, f"No such model {call.model} or task: it requires an AI Gateway")
        inputs = read_inputs(model, call.inputs)
        generation = await run_in_threadpool(generate, model, inputs)
        if inputs.get("stream"):
            return self._traffic.stream(entry, list(frames(model, generation)), fault)
        return whole_answer(model, generation)

    async def _run_model(
        self, entry: Entry, model: Model, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        if model.task == "text-generation":
            return await self._generate(entry, model, call, fault)
        # painting and the like take their time: other requests are served meanwhile
        return await run_in_threadpool(self._answers[model.task], model, call.inputs)

    async def _generate(
        self, entry: Entry, model: Model, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        if self._real.chat:
            return await self._generate_upstream(self._real.chat, entry, model, call, fault)
        generation = await run_in_threadpool(generate, model, call.inputs)
        if call.inputs.get("stream"):
            return self._traffic.stream(entry, list(generation.frames(call.dialect)), fault)
        return generation.answer(call.dialect)

    async def _generate_upstream(
        self, chat: "ChatUpstream", entry: Entry, model: Model, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        if call.inputs.get("stream"):
            frames = await chat.stream(model, call.inputs, call.dialect)
            return self._traffic.stream(entry, frames, fault)
        return await chat.answer(model, call.inputs, call.dialect)
