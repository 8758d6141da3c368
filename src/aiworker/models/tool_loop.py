"""Answers for which the Worker calls tools of its own: ask the model, do what it calls, tell it the results, again."""

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
    """One request's rounds; the last one may call no tool, so that there is an answer."""

    answer: ModelResponse
    """The model's answer of the round under way."""

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
        inputs: makes a model's inputs, without the tools, of its messages.
        """
        self._context = context
        self._models = models
        self._tools = tools
        self._prompts = prompts
        self._make_inputs = inputs
        self._rounds = context.settings.tool_rounds
        self._gateway = gateway
        self.messages: list[dict[str, Any]] = []
        """What the model and the tools have said so far, as messages."""
        self.outputs: list[dict[str, Any]] = []
        """What the model has, and what it has thought."""

    async def start_round(self) -> ModelResponse:
        """Ask a model for the next round: the one of the last round first, and no other dialect than its."""
        candidates = [Candidate(model, Inputs(self._inputs(model))) for model in self._models]
        self._rounds -= 1
        self.answer = await ModelCall(self._context, candidates, self._gateway).run()
        ids = [model.id for model in self._models]
        remaining = self._models[ids.index(self.answer.model.id) :]
        self._models = [model for model in remaining if model.dialect == self.answer.model.dialect]
        # a cache key stands for one answer: the next round must not get this one's
        self._gateway = self._gateway.without_cache_key() if self._gateway else None
        return self.answer

    def _inputs(self, model: Model) -> dict[str, Any]:
        inputs = self._make_inputs(model, [*self._prompts[model.id], *self.messages])
        if self._rounds > 0:
            inputs["tools"] = [tool.to_json() for tool in self._tools.values()]
        return inputs

    async def run(self) -> dict[str, Any]:
        """All rounds; the last whole answer."""
        while True:
            await self.start_round()
            whole = await self.answer.object()
            answer = Completion()
            answer.add(whole)
            if not await self._follow(answer):
                return whole
            self.answer.record_usage(answer.usage)

    async def stream(self) -> AsyncGenerator[str]:
        """The rounds after `begin` as one stream: text as it comes, and an `event: tool` for every call.

        Its data is `{"id", "name", "arguments", "result"}`, the last two as JSON text.
        """
        while True:
            answer, is_whole = Completion(), False
            async with aclosing(self._blocks()) as blocks:
                async for block in blocks:
                    answer.add(frame_data(block) or {})
                    is_whole |= _is_done(block)
                    if not (answer.tool_calls or is_whole):
                        yield f"{block}\n\n"
            if not is_whole:
                raise broken_stream_error("it ended early")
            self.answer.record_usage(answer.usage)
            results = await self._follow(answer)
            if not results:
                yield frame(DONE)
                return
            for result in results:
                yield frame(result, "tool")
            await self.start_round()

    async def _blocks(self) -> AsyncGenerator[str]:
        if not self.answer.is_stream:  # JSON mode of native models does not stream
            for block in as_frames(await self.answer.object()):
                yield block.strip()
            return
        frames = Frames()
        async with aclosing(self.answer.raw.chunks()) as chunks:
            async for chunk in chunks:
                for block in frames.feed(chunk):
                    yield block

    async def _follow(self, answer: Completion) -> list[dict[str, Any]]:
        """Do what the model has called, all at once, and note it; empty if it has called nothing."""
        self.messages.append(answer.message())
        self.outputs.append(answer.message(with_reasoning=True))
        # after the last round nothing is called any more, whatever the model says
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
