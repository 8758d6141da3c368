"""Answers for which the Worker runs its own tools: call a model, run the tools that it calls, send it the results."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from aiworker.bindings import Inputs
from aiworker.context import Resources
from aiworker.models import gen_ai
from aiworker.models.answer_reader import broken_stream_error
from aiworker.models.catalogue import Model
from aiworker.models.completion import (
    DONE,
    Completion,
    Frames,
    ToolCall,
    as_frames,
    call_ids,
    frame,
    frame_data,
    frame_payloads,
)
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse
from aiworker.tools import Tool


class ToolLoop:
    """The rounds of one request: each is a model call, and the tools that the model calls in its answer.

    The last round offers no tools, so that it brings an answer.
    """

    answer: ModelResponse
    """The model's answer of the current round."""

    def __init__(
        self,
        resources: Resources,
        models: Sequence[Model],
        tools: Mapping[str, Tool],
        prompts: Mapping[str, list[dict[str, Any]]],
        inputs: Callable[[Model, list[dict[str, Any]]], dict[str, Any]],
        gateway: GatewayOptions | None,
    ) -> None:
        """
        models: tried in order until one answers. prompts: model id → the messages of the first round.
        inputs: returns a model's inputs, without the tools, for these messages.
        """
        self._resources = resources
        self._models = models
        self._tools = tools
        self._prompts = prompts
        self._make_inputs = inputs
        self._rounds = resources.settings.tool_rounds
        self._gateway = gateway
        self.messages: list[dict[str, Any]] = []
        """Messages of the model and of the tools so far."""
        self.outputs: list[dict[str, Any]] = []
        """Messages of the model so far, with its reasoning."""

    async def start_round(self) -> ModelResponse:
        """Call a model for the next round: that of the last round, or one of its fallbacks with the same dialect."""
        candidates = [Candidate(model, Inputs(self._inputs(model))) for model in self._models]
        self._rounds -= 1
        self.answer = await ModelCall(self._resources, candidates, self._gateway).run()
        ids = [model.id for model in self._models]
        remaining = self._models[ids.index(self.answer.model.id) :]
        self._models = [model for model in remaining if model.dialect == self.answer.model.dialect]
        # a cache key stands for one answer: the next round must not get the same
        self._gateway = self._gateway.without_cache_key() if self._gateway else None
        return self.answer

    def _inputs(self, model: Model) -> dict[str, Any]:
        inputs = self._make_inputs(model, [*self._prompts[model.id], *self.messages])
        if self._rounds > 0 and self._tools:
            inputs["tools"] = [tool.to_json() for tool in self._tools.values()]
        return inputs

    async def run(self) -> dict[str, Any]:
        """Run all rounds, and return the answer of the last."""
        while True:
            await self.start_round()
            whole, answer = await self.answer.answer(self._answer_id, self._call_ids())
            if not await self.run_tools(answer):
                return whole
            self.answer.record_usage(answer.usage)

    async def stream(self) -> AsyncGenerator[str]:
        """Yield the rounds after `start_round` as one stream: text as it comes, and an `event: tool` for every call.

        The event's data is `{"id", "name", "arguments", "result"}`, the last two as JSON text.
        """
        while True:
            answer = Completion(self._answer_id, self._call_ids())
            async with aclosing(self._text_frames(answer)) as parts:
                async for part in parts:
                    yield part
            self.answer.record_usage(answer.usage)
            answer.check(self.answer.model.id)
            results = await self.run_tools(answer)
            if not results:
                yield frame(DONE)
                return
            for result in results:
                yield frame(result, "tool")
            await self.start_round()

    async def _text_frames(self, answer: Completion) -> AsyncGenerator[str]:
        """Read the current answer, and yield its frames up to the first with a tool call."""
        is_whole = False
        async with aclosing(self._payloads()) as payloads:
            async for payload in payloads:
                is_whole |= payload == DONE.encode()
                if is_whole:
                    continue
                if (data := frame_data(payload)) is None:
                    raise broken_stream_error("a frame of it cannot be read")
                answer.add(data)
                if not answer.tool_calls:
                    yield frame(data)
        if not (is_whole or answer.has_reason):
            raise broken_stream_error("it ended early")

    async def _payloads(self) -> AsyncGenerator[bytes]:
        """Yield the data of the current answer's frames, whether it is a stream or not."""
        frames = Frames()
        if not self.answer.is_stream:  # JSON mode of native models does not stream
            whole, _ = await self.answer.answer()
            for block in frames.feed("".join(as_frames(whole)).encode()):
                yield frame_payloads(block)[0]
            return
        async with aclosing(self.answer.chunks()) as chunks:
            async for chunk in chunks:
                for block in frames.feed(chunk):
                    for payload in frame_payloads(block):
                        yield payload
        for payload in frame_payloads(frames.rest()):
            yield payload

    @property
    def _answer_id(self) -> str:
        return f"{self._resources.log.request_id}{self._rounds}"

    def _call_ids(self) -> set[str]:
        """Return the ids of all tool calls so far."""
        return call_ids([*self._prompts[self.answer.model.id], *self.messages])

    async def run_tools(self, answer: Completion) -> list[dict[str, Any]]:
        """Run the tools that the answer calls, all at once; return the calls with their results.

        The answer and the results are added to `messages`.
        """
        self.messages.append(answer.message())
        self.outputs.append(answer.message(with_reasoning=True))
        # after the last round no tool is run, even if the model calls one
        calls = list(answer.tool_calls.values()) if self._rounds >= 0 else []
        results = await asyncio.gather(*(self._call(call) for call in calls))
        for call, result in zip(calls, results, strict=True):
            self.messages.append({"role": "tool", "tool_call_id": call.id, "name": call.name, "content": result})
        return [
            {"id": call.id, "name": call.name, "arguments": call.arguments, "result": result}
            for call, result in zip(calls, results, strict=True)
        ]

    async def _call(self, call: ToolCall) -> str:
        tool = self._tools.get(call.name)
        if tool is None:
            return f'{{"error": "There is no tool {call.name}."}}'
        span = self._resources.tracer.start(f"execute_tool {call.name}", gen_ai.tool_attributes(call.name, call.id))
        try:
            return await tool.call(call.arguments)
        finally:
            span.end()
