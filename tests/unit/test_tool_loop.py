"""Which model answers a request with tools of the Worker's own when the first cannot."""

import json
from typing import Any

import pytest

from aiworker import tools
from aiworker.errors import ApiError
from aiworker.models import catalogue
from aiworker.models.tool_loop import ToolLoop
from aiworker.routes.chat_schema import ChatRequest
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeAnswer, FakeRequest, a_context, answered, refused

FIRST = "@cf/zai-org/glm-4.7-flash"
NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
SECOND = "@cf/openai/gpt-oss-20b"
FUNCTION = {"name": "current_time", "arguments": "{}"}
CALLS = answered({"choices": [{"message": {"tool_calls": [{"index": 0, "id": "c", "function": FUNCTION}]}}]})
ANSWER = answered({"choices": [{"message": {"content": "Now"}}]})
BUSY = refused(429, 3040)


def a_loop(ai: FakeAi, *models: str, stream: bool = False) -> ToolLoop:
    settings = Settings.read({**VARIABLES, "MODEL_ATTEMPTS": 1})
    context = a_context(FakeRequest("POST", "/chat"), settings, ai)
    body = ChatRequest(prompt="What time is it?", worker_tools=True, stream=stream)
    prompts = {each: [{"role": "user", "content": f"for {each}"}] for each in models}
    models_in_order = [catalogue.MODELS[each] for each in models]
    return ToolLoop(context, models_in_order, tools.TOOLS, prompts, body.inputs, body.gateway)


async def run(ai: FakeAi, *models: str) -> tuple[dict[str, Any], ToolLoop]:
    loop = a_loop(ai, *models)
    return await loop.run(), loop


async def test_the_next_model_answers_with_what_was_meant_for_it() -> None:
    ai = FakeAi(BUSY, ANSWER)
    await run(ai, FIRST, SECOND)
    assert ai.models == [FIRST, SECOND]
    assert ai.calls[1][1]["messages"] == [{"role": "user", "content": f"for {SECOND}"}]


async def test_and_goes_on_with_what_it_has_begun() -> None:
    ai = FakeAi(BUSY, CALLS, ANSWER)
    whole, loop = await run(ai, FIRST, SECOND)
    assert ai.models == [FIRST, SECOND, SECOND]
    assert whole["choices"][0]["message"]["content"] == "Now"
    assert [message["role"] for message in loop.messages] == ["assistant", "tool", "assistant"]


async def test_should_it_fail_later_a_model_of_its_dialect_goes_on() -> None:
    ai = FakeAi(CALLS, BUSY, ANSWER)
    await run(ai, FIRST, NATIVE, SECOND)
    assert ai.models == [FIRST, FIRST, SECOND]
    messages = ai.calls[2][1]["messages"]
    assert messages[0]["content"] == f"for {SECOND}"
    assert json.loads(messages[1]["tool_calls"][0]["function"]["arguments"]) == {}


async def test_a_stream_that_ends_without_saying_so_is_not_the_whole() -> None:
    frames = 'data: {"response":"The time"}\n\ndata: {"response":" is"}\n\n'
    loop = a_loop(FakeAi(FakeAnswer(200, frames, content_type="text/event-stream")), NATIVE, stream=True)
    await loop.start_round()
    sent: list[str] = []

    async def receive() -> None:
        async for part in loop.stream():
            sent.append(part)  # noqa: PERF401 - what was sent before it is raised counts

    with pytest.raises(ApiError, match="ended early"):
        await receive()
    assert "".join(sent) == frames
    assert loop.messages == []
