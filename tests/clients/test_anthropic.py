"""`anthropic` for Python, as its documentation has it, pointed at the Worker."""

from collections.abc import Generator
from typing import Any

import anthropic as sdk
import httpx
import pytest
from anthropic import Anthropic
from anthropic.types import MessageParam, ToolParam

from tests.clients.conftest import NATIVE
from tests.conftest import Simulator

HELLO: list[MessageParam] = [{"role": "user", "content": "What is a Wörker? 👋🏽"}]
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CLAUDE = "claude-sonnet-5"
"""An alias of the default chat model."""


@pytest.fixture
def anthropic(base_url: str) -> Generator[Anthropic]:
    with Anthropic(base_url=base_url, api_key="unused", max_retries=0, timeout=60) as client:
        yield client


def test_a_message_and_a_stream_say_the_same(anthropic: Anthropic, model: str) -> None:
    whole = anthropic.messages.create(model=model, max_tokens=400, messages=HELLO, system="Be brief.")
    with anthropic.messages.stream(model=model, max_tokens=400, messages=HELLO, system="Be brief.") as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert "Wörker? 👋🏽" in text
    assert "Be brief." in text
    [block] = whole.content
    assert (block.type, text) == ("text", block.text if block.type == "text" else "")
    assert streamed.content[0].model_dump(include={"type", "text"}) == {"type": "text", "text": text}
    assert (whole.stop_reason, streamed.stop_reason) == ("end_turn", "end_turn")
    assert whole.model == streamed.model == model
    assert whole.usage.input_tokens == streamed.usage.input_tokens > 0
    assert whole.usage.output_tokens == streamed.usage.output_tokens > 0
    assert whole._request_id  # pyright: ignore[reportPrivateUsage] - documented by the SDK


@pytest.mark.parametrize("thinking", [True, False])
def test_tools_are_called_until_the_answer_is_there(anthropic: Anthropic, model: str, *, thinking: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris and in Rome? Use the tool."}]
    options: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if thinking else {}
    cities: list[Any] = []
    while True:
        with anthropic.messages.stream(
            model=model, max_tokens=900, tools=[WEATHER], messages=messages, **options
        ) as stream:
            answer = stream.get_final_message()
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert any(block.type == "thinking" for block in answer.content) is (thinking and model != NATIVE)
        if answer.stop_reason != "tool_use":
            break
        cities += [call.input for call in calls]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"} for call in calls]
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    assert cities == [{"city": "Paris"}, {"city": "Rome"}]
    assert answer.stop_reason == "end_turn"
    assert "18 degrees" in "".join(block.text for block in answer.content if block.type == "text")


def test_a_tool_can_be_required_and_calls_be_single(anthropic: Anthropic, model: str) -> None:
    answer = anthropic.messages.create(
        model=model, max_tokens=400, tools=[WEATHER],
        messages=[{"role": "user", "content": "Paris and Rome"}],
        tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
    )  # fmt: skip
    assert [block.type for block in answer.content if block.type != "text"] == ["tool_use"]


def test_an_image_is_seen(anthropic: Anthropic) -> None:
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    answer = anthropic.messages.create(
        model=CLAUDE, max_tokens=200,
        messages=[{"role": "user", "content": [image, {"type": "text", "text": "What is this?"}]}],
    )  # fmt: skip
    assert answer.content
    assert answer.model.startswith("@cf/")


def test_a_stop_sequence_ends_the_answer_and_is_named(anthropic: Anthropic, model: str) -> None:
    answer = anthropic.messages.create(
        model=model, max_tokens=400, messages=HELLO, stop_sequences=["nothing", "answer"]
    )
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", "answer")
    assert "answer" not in answer.content[0].model_dump()["text"]


def test_the_request_of_a_coding_agent_is_taken(anthropic: Anthropic) -> None:
    """Claude Code sends beta headers and fields, cached blocks, and fields of tools that only Anthropic knows."""
    cached = {"cache_control": {"type": "ephemeral"}}
    system: Any = [{"type": "text", "text": "You are an agent.", **cached}]
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "What is a Worker?", **cached}]}]
    with anthropic.beta.messages.stream(
        model="claude-opus-5-5", max_tokens=32_000, betas=["context-management-2025-06-27"],
        system=system, messages=messages,
        tools=[{**WEATHER, "eager_input_streaming": True, **cached}],  # type: ignore[list-item]
        metadata={"user_id": "user_1"}, thinking={"type": "adaptive"},
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
    ) as stream:  # fmt: skip
        assert stream.get_final_message().stop_reason == "end_turn"


def test_tokens_are_counted_without_a_model(anthropic: Anthropic) -> None:
    short = anthropic.messages.count_tokens(model=CLAUDE, messages=HELLO).input_tokens
    longer = anthropic.messages.count_tokens(model=CLAUDE, messages=HELLO, tools=[WEATHER], system="Be brief.")
    assert 0 < short < longer.input_tokens


# ---- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_tokens": 0}, "max_tokens must be"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages.0.content is required"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages.0.content.0"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}]},
            "url must be an address",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "x"}}]}]},
            "url must be an address",
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "a tool that Anthropic defines"),
        ({"tools": [{"name": "no schema"}]}, "tools.0"),
        ({"tool_choice": {"type": "any"}}, "tool_choice needs tools"),
        ({"tool_choice": {"type": "tool"}, "tools": [WEATHER]}, "name is required"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": [""]}, "stop_sequences.0"),
        ({"stop_sequences": ["x"] * 17}, "stop_sequences"),
    ],
)
def test_bad_input_is_refused_with_the_field(anthropic: Anthropic, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(sdk.BadRequestError) as caught:
        anthropic.messages.create(model=CLAUDE, max_tokens=10, messages=HELLO, extra_body=fields)
    error: Any = caught.value.body
    assert error["error"]["type"] == "invalid_request_error"
    assert words in error["error"]["message"]
    assert error["request_id"] == caught.value.request_id


def test_an_unknown_model_is_not_found(anthropic: Anthropic) -> None:
    with pytest.raises(sdk.NotFoundError, match="There is no model gpt-99"):
        anthropic.messages.create(model="gpt-99", max_tokens=10, messages=HELLO)


def test_errors_before_the_route_have_the_same_form(base_url: str) -> None:
    for method, path, status in (("GET", "/v1/messages", 405), ("POST", "/v1/messages/batches", 404)):
        response = httpx.request(method, base_url + path, timeout=60)
        assert (response.status_code, response.json()["type"]) == (status, "error")
    is_json = {"content-type": "application/json"}
    assert (
        httpx.post(f"{base_url}/v1/messages", content=b"{", headers=is_json, timeout=60).json()["error"]["type"]
        == "invalid_request_error"
    )
    plain = httpx.post(f"{base_url}/v1/messages", content=b"{}", headers={"content-type": "text/plain"}, timeout=60)
    assert (plain.status_code, plain.json()["error"]["type"]) == (415, "invalid_request_error")
    with Anthropic(base_url=f"{base_url}/wrong", api_key="unused", max_retries=0) as lost:
        with pytest.raises(sdk.NotFoundError) as caught:
            lost.messages.create(model=CLAUDE, max_tokens=10, messages=HELLO)
        assert "Did you mean /v1/messages?" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "exception", "its_status"),
    [
        (400, 5006, sdk.BadRequestError, 400),
        (400, 5021, sdk.BadRequestError, 400),
        (403, 5018, sdk.PermissionDeniedError, 403),
        (404, 5007, sdk.NotFoundError, 404),
        (429, 3040, sdk.RateLimitError, 429),
        (408, 3007, sdk.InternalServerError, 504),
        (500, 8007, sdk.InternalServerError, 502),
    ],
)
def test_an_upstream_error_becomes_the_client_s_exception(
    anthropic: Anthropic, simulator: Simulator, status: int, code: int, exception: type[sdk.APIStatusError],
    its_status: int,
) -> None:  # fmt: skip
    simulator.set_fault(status=status, code=code, description="words of upstream", count=None)
    for stream in (False, True):
        with pytest.raises(exception) as caught:
            anthropic.messages.create(model=NATIVE, max_tokens=10, messages=HELLO, stream=stream)
        assert caught.value.status_code == its_status
        assert "words of upstream" in str(caught.value)
    simulator.clear_faults()
    assert anthropic.messages.create(model=NATIVE, max_tokens=10, messages=HELLO).content


def test_a_stream_that_breaks_off_raises(anthropic: Anthropic, simulator: Simulator, model: str) -> None:
    simulator.set_fault(end_after_frames=3)
    with (
        pytest.raises(sdk.APIStatusError, match="ended early"),
        anthropic.messages.stream(model=model, max_tokens=100, messages=HELLO) as stream,
    ):
        stream.get_final_message()
