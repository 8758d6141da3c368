"""Answers for which the Worker runs its own tools: call a model, run the tools that it calls, send it the results."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from aiworker.bindings import Inputs
from aiworker.context import Context
from aiworker.models.catalogue import Model
from aiworker.models.completion import DONE, Completion, Frames, as_frames, frame, frame_data
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse
from aiworker.models.openai_stream import broken_stream_error
from aiworker.tools import WorkerTool


class ToolLoop:
    """The rounds of one request: each is a model call, and the tools that the model calls in its answer.

    The last round offers no tools, so that it brings an answer.
    """

    answer: ModelResponse
    """The model's answer of the current round."""

    def __init__(
        self,
        context: Context,
        models: Sequence[Model],
        tools: Mapping[str, WorkerTool],
        prompts: Mapping[str, list[dict[str, Any]]],
        inputs: Callable[[Model, list[dict[str, Any]]], dict[str, Any]],
        gateway: GatewayOptions | None,
    ) -> None:
        """
        models: tried in order until one answers. prompts: model id → the messages of the first round.
        inputs: returns a model's inputs, without the tools, for these messages.
        """
        self._context = context
        self._models = models
        self._tools = tools
        self._prompts = prompts
        self._make_inputs = inputs
        self._rounds = context.settings.tool_rounds
        self._gateway = gateway
        self.messages: list[dict[str, Any]] = []
        """Messages of the model and of the tools so far."""
        self.outputs: list[dict[str, Any]] = []
        """Messages of the model so far, with its reasoning."""

    async def start_round(self) -> ModelResponse:
        """Call a model for the next round: the one of the last round, or one after it with the same dialect."""
        candidates = [Candidate(model, Inputs(self._inputs(model))) for model in self._models]
        self._rounds -= 1
        self.answer = await ModelCall(self._context, candidates, self._gateway).run()
        ids = [model.id for model in self._models]
        remaining = self._models[ids.index(self.answer.model.id) :]
        self._models = [model for model in remaining if model.dialect == self.answer.model.dialect]
        # a cache key stands for one answer: the next round must not get the same
        self._gateway = self._gateway.without_cache_key() if self._gateway else None
        return self.answer

    def _inputs(self, model: Model) -> dict[str, Any]:
        inputs = self._make_inputs(model, [*self._prompts[model.id], *self.messages])
        if self._rounds > 0:
            inputs["tools"] = [tool.to_json() for tool in self._tools.values()]
        return inputs

    async def run(self) -> dict[str, Any]:
        """Run all rounds, and return the answer of the last."""
        while True:
            await self.start_round()
            whole = await self.answer.object()
            answer = Completion()
            answer.add(whole)
            if not await self._run_tools(answer):
                return whole
            self.answer.record_usage(answer.usage)

    async def stream(self) -> AsyncGenerator[str]:
        """Yield the rounds after `start_round` as one stream: text as it comes, and an `event: tool` for every call.

        The event's data is `{"id", "name", "arguments", "result"}`, the last two as JSON text.
        """
        while True:
            answer, is_whole = Completion(), False
            async with aclosing(self._frames()) as blocks:
                async for block in blocks:
                    answer.add(frame_data(block) or {})
                    is_whole |= _is_done(block)
                    if not (answer.tool_calls or is_whole):
                        yield f"{block}\n\n"
            if not is_whole:
                raise broken_stream_error("it ended early")
            self.answer.record_usage(answer.usage)
            results = await self._run_tools(answer)
            if not results:
                yield frame(DONE)
                return
            for result in results:
                yield frame(result, "tool")
            await self.start_round()

    async def _frames(self) -> AsyncGenerator[str]:
        """Yield the frames of the current answer, whether it is a stream or not."""
        if not self.answer.is_stream:  # JSON mode of native models does not stream
            for block in as_frames(await self.answer.object()):
                yield block.strip()
            return
        frames = Frames()
        async with aclosing(self.answer.raw.chunks()) as chunks:
            async for chunk in chunks:
                for block in frames.feed(chunk):
                    yield block

    async def _run_tools(self, answer: Completion) -> list[dict[str, Any]]:
        """Run the tools that the answer calls, all at once; return the calls with their results.

        The answer and the results are added to `messages`.
        """
        self.messages.append(answer.message())
        self.outputs.append(answer.message(with_reasoning=True))
        # after the last round no tool is run, even if the model calls one
        calls = list(answer.tool_calls.values()) if self._rounds >= 0 else []
        results = await asyncio.gather(*(self._call(call.name, call.arguments) for call in calls))
        for call, result in zip(calls, results, strict=True):
            self.messages.append({"role": "tool", "tool_call_id": call.id, "name": call.name, "content": result})
        return [
            {"id": call.id, "name": call.name, "arguments": call.arguments, "result": result}
            for call, result in zip(calls, results, strict=True)
        ]

    async def _call(self, name: str, arguments: str) -> str:
        tool = self._tools.get(name)
        if tool is None:
            return f'{{"error": "There is no tool {name}."}}'
        return await tool.call(arguments)


def _is_done(block: str) -> bool:
    return block.removeprefix("data:").strip() == DONE
