"""Runs models: simulated or real, alone or in a batch, with the journal and the faults that tests set."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from workers_ai_simulator.catalogue import ALIASES, MODELS, PAID_ACCOUNT, Account, Model, find
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.inference import batches
from workers_ai_simulator.inference.answers import ANSWERS
from workers_ai_simulator.inference.models import Answer, ModelCall, Result
from workers_ai_simulator.inference.real_models import NO_REAL_MODELS, RealModels
from workers_ai_simulator.inference.store import BatchStore
from workers_ai_simulator.media import Media
from workers_ai_simulator.scripted import answers as scripted
from workers_ai_simulator.scripted.models import PromptedCall, ScriptedAnswer
from workers_ai_simulator.scripted.prompt import prompt_of
from workers_ai_simulator.scripted.store import ScriptedAnswers
from workers_ai_simulator.tape.tape import Tape
from workers_ai_simulator.text_generation.generation import Generation, generate
from workers_ai_simulator.traffic.faults import Fault
from workers_ai_simulator.traffic.journal import Entry, shortened
from workers_ai_simulator.traffic.traffic import Traffic, cancelled_on_disconnect
from workers_ai_simulator.validation import invalid
from workers_ai_simulator.vendors.answers import frames, whole_answer
from workers_ai_simulator.vendors.models import VendorModel, find_vendor_model, with_dialect_of
from workers_ai_simulator.vendors.requests import read_inputs

if TYPE_CHECKING:
    from workers_ai_simulator.upstream.server import ChatUpstream


REAL_MODEL_HEADER = "simulator-real-model"
"""Header of the response that names the model of the user's server that answered; the simulator's own."""


class Inference:
    """Workers AI itself, without gateways."""

    def __init__(
        self,
        traffic: Traffic,
        script: ScriptedAnswers,
        real: RealModels = NO_REAL_MODELS,
        account: Account = PAID_ACCOUNT,
        tape: Tape | None = None,
    ) -> None:
        """tape: answers every call without a scripted answer; None: they are simulated."""
        self._tape = tape
        self._traffic = traffic
        self._script = script
        self._real = real
        self._account = account
        self._answers = ANSWERS | real.answers
        self._batches = BatchStore()

    async def run(self, request: Request, call: ModelCall) -> Result:
        """Answer the call, without its gateway.

        Raises UpstreamError, which carries the headers of a Result.
        """
        inputs, options = shortened(call.inputs), shortened(call.options)
        entry = Entry("AI", "run", call.model, inputs, options, prompt=prompt_of(call.inputs))
        headers = {"cf-ai-req-id": entry.id}
        try:
            async with self._traffic.span(request, entry) as fault:
                answering = self._result(entry, call, fault, headers)
                # a real model may take minutes, which are wasted if its caller has disconnected
                is_slow = self._real.chat or self._tape
                return await (cancelled_on_disconnect(request, answering) if is_slow else answering)
        except UpstreamError as error:
            error.headers |= headers
            raise

    async def _result(self, entry: Entry, call: ModelCall, fault: Fault | None, headers: dict[str, str]) -> Result:
        is_empty = fault is not None and fault.empty_body
        if self._tape and not is_empty and not self._script.decides(_prompted(call)):
            return await self._result_of_tape(self._tape, entry, call, fault, headers)
        answer = await self._answer(entry, call, fault)
        return Result(answer, headers | _real_model_header(entry))

    async def _result_of_tape(
        self, tape: Tape, entry: Entry, call: ModelCall, fault: Fault | None, headers: dict[str, str]
    ) -> Result:
        taped = await tape.answer(call, partial(setattr, entry, "tape"))
        answer = taped.answer
        if isinstance(answer, AsyncGenerator):
            return Result(self._traffic.stream(entry, answer, fault), headers, taped.status)
        entry.status = taped.status
        return Result(answer, headers, taped.status, taped.body)

    async def _answer(self, entry: Entry, call: ModelCall, fault: Fault | None) -> Answer | AsyncIterator[str]:
        if fault and fault.empty_body:
            return Media(b"", "application/json")
        if vendor_model := self._vendor_model(call):
            return await self._answer_of_vendor(entry, vendor_model, call, fault)
        model = find(call.model, self._account)

        async def run(inputs: dict[str, Any]) -> Answer | AsyncIterator[str]:
            return await self._run_model(entry, model, replace(call, inputs=inputs), fault)

        if batches.is_batch(call):
            return await batches.answer(self._batches, model, call.inputs, run)
        return await run(call.inputs)

    def _vendor_model(self, call: ModelCall) -> VendorModel | None:
        """Model that answers in a vendor's dialect: another vendor's, or any in Anthropic's Messages; else None.

        Raises UpstreamError 5006 for Messages of a model that is none of text generation.
        """
        model = find_vendor_model(call.model)
        if call.dialect == "messages":
            answering = model or find(call.model, self._account)
            if answering.task != "text-generation":
                raise invalid(f"{call.model} is no model of text generation")
            if self._real.chat:
                raise NotSimulated("Anthropic's Messages with --models")
            return with_dialect_of(answering, call.dialect)
        return with_dialect_of(model, call.dialect) if model and call.dialect else model

    async def _answer_of_vendor(
        self, entry: Entry, model: VendorModel, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        if find_vendor_model(call.model) and "gateway" not in call.options:
            # Cloudflare documents that they require a gateway, but not the error without one, which is a guess
            raise UpstreamError(400, 5007, f"No such model {call.model} or task: it requires an AI Gateway")
        inputs = read_inputs(model, call.inputs)
        answer = self._take(entry, model, call)
        if answer and (same := scripted.whole(answer)) is not None:
            return self._as_scripted(entry, same, answer, fault)
        with _unused_if_refused(answer, entry):
            generation = await run_in_threadpool(_generation, model, inputs, answer)
        if inputs.get("stream"):
            pace = answer and answer.tokens_per_second
            return self._traffic.stream(entry, list(frames(model, generation)), fault, pace)
        return whole_answer(model, generation)

    async def _run_model(
        self, entry: Entry, model: Model, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        answer = self._take(entry, model, call)
        if answer and (same := scripted.whole(answer)) is not None:
            return self._as_scripted(entry, same, answer, fault)
        if model.task == "text-generation":
            return await self._generate(entry, model, call, answer, fault)
        if answer:
            with _unused_if_refused(answer, entry):
                return await run_in_threadpool(scripted.text_of_task, model, call.inputs, answer)
        entry.real_model = self._real.embeds_by(model)
        # slow work such as painting runs in a thread, so that other requests are served meanwhile
        return await run_in_threadpool(self._answers[model.task], model, call.inputs)

    def _take(self, entry: Entry, model: Model, call: ModelCall) -> ScriptedAnswer | None:
        """The scripted answer to the call, noted in the journal; None if the simulator is to answer.

        Raises UnexpectedCall in strict mode.
        """
        answer = self._script.take(_prompted(call, model.task))
        if answer is None:
            return None
        entry.scripted = answer.id
        return None if answer.simulated else answer

    def _as_scripted(
        self, entry: Entry, answer: Answer | scripted.Frames, by: ScriptedAnswer, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        if isinstance(answer, scripted.Frames):
            return self._traffic.stream(entry, answer.frames, fault, by.tokens_per_second)
        return answer

    async def _generate(
        self, entry: Entry, model: Model, call: ModelCall, answer: ScriptedAnswer | None, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        assert call.dialect != "messages"  # answered as a vendor's
        if self._real.chat and not answer:
            return await self._generate_upstream(self._real.chat, entry, model, call, fault)
        with _unused_if_refused(answer, entry):
            generation = await run_in_threadpool(_generation, model, call.inputs, answer)
        if call.inputs.get("stream"):
            pace = answer and answer.tokens_per_second
            return self._traffic.stream(entry, list(generation.frames(call.dialect)), fault, pace)
        return generation.answer(call.dialect)

    async def _generate_upstream(
        self, chat: "ChatUpstream", entry: Entry, model: Model, call: ModelCall, fault: Fault | None
    ) -> Answer | AsyncIterator[str]:
        entry.real_model = chat.label(model)
        assert call.dialect != "messages"  # answered as a vendor's
        if call.inputs.get("stream"):
            frames = await chat.stream(model, call.inputs, call.dialect)
            return self._traffic.stream(entry, frames, fault)
        return await chat.answer(model, call.inputs, call.dialect)


def _prompted(call: ModelCall, task: str | None = None) -> PromptedCall:
    """The call in the form by which scripted answers are chosen. An unknown model counts as one of text."""
    known = MODELS.get(ALIASES.get(call.model, call.model))
    task = task or (known.task if known else "text-generation")
    return PromptedCall(call.model, task, prompt_of(call.inputs), call.inputs.get("stream") is True)


def _real_model_header(entry: Entry) -> dict[str, str]:
    """The header, in ASCII whatever the model is called; none for a simulated answer."""
    return {REAL_MODEL_HEADER: quote(entry.real_model, safe=" /:.@+")} if entry.real_model else {}


@contextmanager
def _unused_if_refused(answer: ScriptedAnswer | None, entry: Entry) -> Generator[None]:
    """Leave the answer for a later call if the model refuses the inputs of this one."""
    try:
        yield
    except UpstreamError:
        if answer:
            answer.applied -= 1
            entry.scripted = None
        raise


def _generation(model: Model, inputs: dict[str, Any], answer: ScriptedAnswer | None) -> Generation:
    """Return what the model writes: as scripted, or simulated."""
    return scripted.generation(model, inputs, answer) if answer else generate(model, inputs)
