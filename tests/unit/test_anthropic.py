"""Messages of Anthropic's API: requests become those of `POST /chat`, and answers become its events."""

import json
from typing import Any

import pytest

from aiworker.anthropic_errors import ANTHROPIC_KINDS, anthropic_error, anthropic_response
from aiworker.errors import KINDS, ApiError
from aiworker.models.anthropic_writer import MessagesWriter, whole_message
from aiworker.models.openai_stream import Limits, OpenAITransform
from aiworker.models.openai_writers import CollectingWriter
from aiworker.routes.anthropic.messages_schema import CountRequest, MessagesRequest
from aiworker.settings import Settings

MESSAGE = {"id": "msg_1", "model": "@cf/some/model"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def events(encoded: bytes) -> list[dict[str, Any]]:
    """Data of the events, each of which has its own type as its name."""
    blocks = encoded.decode().split("\n\n")
    assert blocks.pop() == ""
    data: list[dict[str, Any]] = []
    for block in blocks:
        name, line = block.split("\n")
        data.append(json.loads(line.removeprefix("data: ")))
        assert name == f"event: {data[-1]['type']}"
    return data


def blocks_of(encoded: bytes) -> list[dict[str, Any]]:
    """Content blocks as a client puts them together. Fails unless each ends before the next begins."""
    content: list[dict[str, Any]] = []
    is_open = False
    for event in events(encoded):
        match event["type"]:
            case "content_block_start":
                assert not is_open
                assert event["index"] == len(content)
                content.append({**event["content_block"], "json": ""})
                is_open = True
            case "content_block_delta":
                assert is_open
                assert event["index"] == len(content) - 1
                delta = event["delta"]
                name = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "json"}[delta["type"]]
                content[-1][name] += delta.get("partial_json", delta.get(name))
            case "content_block_stop":
                assert event["index"] == len(content) - 1
                is_open = False
            case _:
                pass
    assert not is_open
    return content


def writer(*, has_thinking: bool = True) -> MessagesWriter:
    return MessagesWriter(MESSAGE, input_tokens=7, has_thinking=has_thinking)


def test_a_text_is_one_block_between_start_and_stop() -> None:
    stream = writer()
    encoded = stream.start() + stream.text(b'"One "') + stream.text('"é\\n"'.encode()) + stream.end("stop", USAGE)
    kinds = [event["type"] for event in events(encoded)]
    assert kinds == [
        "message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    first, *_, last, _ = events(encoded)
    assert first["message"]["usage"] == {"input_tokens": 7, "output_tokens": 0}
    assert first["message"]["content"] == []
    assert [block["text"] for block in blocks_of(encoded)] == ["One é\n"]
    assert last["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (last["usage"]["input_tokens"], last["usage"]["output_tokens"]) == (9, 4)


def test_mixed_pieces_of_calls_become_one_block_after_the_other() -> None:
    stream = writer()
    encoded = b"".join([
        stream.start(), stream.reasoning(b'"Hm."'), stream.text(b'"I look."'),
        stream.call(0, "a", "first"), stream.call(1, "b", "second"),
        stream.arguments(1, b'"{\\"y\\":"'), stream.arguments(0, b'"{\\"x\\":"'), stream.arguments(1, b'"2}"'),
        stream.text(b'"Late."'), stream.arguments(0, b'"1}"'), stream.end("tool_calls", USAGE),
    ])  # fmt: skip
    assert [(block["type"], block.get("id"), block["json"]) for block in blocks_of(encoded)] == [
        ("thinking", None, ""), ("text", None, ""), ("tool_use", "a", '{"x":1}'), ("tool_use", "b", '{"y":2}'),
        ("text", None, ""),
    ]  # fmt: skip
    assert blocks_of(encoded)[-1]["text"] == "Late."
    assert events(encoded)[-2]["delta"]["stop_reason"] == "tool_use"


def test_the_first_call_is_streamed_while_the_model_writes_it() -> None:
    stream = writer()
    stream.start()
    assert b"content_block_start" in stream.call(0, "a", "first")
    assert b'"partial_json":"{}"' in stream.arguments(0, b'"{}"')


def test_reasoning_is_left_out_unless_it_is_wanted() -> None:
    stream = writer(has_thinking=False)
    encoded = stream.start() + stream.reasoning(b'"Hm."') + stream.text(b'"Yes."') + stream.end("stop", USAGE)
    assert [block["type"] for block in blocks_of(encoded)] == ["text"]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use"), ("content_filter", "refusal")],
)
def test_a_finish_reason_becomes_a_stop_reason(reason: str, expected: str) -> None:
    assert events(writer().end(reason, USAGE))[0]["delta"]["stop_reason"] == expected


def test_a_stop_sequence_is_named() -> None:
    stream = OpenAITransform(writer(), Limits(stop=("END", "four")), "msg_1")
    frames = "".join(f"data: {json.dumps({'response': text})}\n\n" for text in ("one two EN", "D four"))
    encoded = stream.transform(f"{frames}data: [DONE]\n\n".encode()) + stream.finish()
    assert blocks_of(encoded)[0]["text"] == "one two "
    assert events(encoded)[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_a_broken_stream_ends_with_an_error_event() -> None:
    stream = OpenAITransform(writer(), Limits(), "msg_1")
    encoded = stream.transform(b'data: {"response": "Half"}\n\n') + stream.finish()
    last = events(encoded)[-1]
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert "ended early" in last["error"]["message"]


def whole(data: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = CollectingWriter()
    OpenAITransform(answer, Limits(), "msg_1").transform_whole(data)
    return whole_message(MESSAGE, answer, **{"has_thinking": True, **options})


def test_a_whole_answer_becomes_a_message() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}}
    choice = {"message": {"content": "I look.", "reasoning_content": "Hm.", "tool_calls": [call]}}
    data = {"choices": [{**choice, "finish_reason": "tool_calls"}], "usage": USAGE}
    message = whole(data)
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use"]
    assert message["content"][2] == {"type": "tool_use", "id": "a", "name": "look", "input": {"x": 1}}
    assert (message["stop_reason"], message["usage"]["input_tokens"], message["role"]) == ("tool_use", 9, "assistant")
    assert [block["type"] for block in whole(data, has_thinking=False)["content"]] == ["text", "tool_use"]


def test_a_call_without_a_json_object_is_an_error() -> None:
    answer = CollectingWriter(calls={0: {"id": "a", "function": {"name": "look", "arguments": "[1"}}})
    with pytest.raises(ApiError) as caught:
        whole_message(MESSAGE, answer, has_thinking=True)
    assert caught.value.type == "upstream_error"


# ---- requests ----------------------------------------------------------------------------------------------------


def chat(**fields: Any) -> dict[str, Any]:
    body = {"model": "claude-sonnet-5", "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}], **fields}
    return MessagesRequest.model_validate_json(json.dumps(body)).to_chat().model_dump(exclude_none=True)


def test_system_blocks_come_first_as_one_message() -> None:
    cached = {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}
    messages = chat(system=[cached, {"type": "text", "text": "Be brief."}])["messages"]
    assert messages[0] == {"role": "system", "content": "Be kind.\nBe brief."}
    assert chat(system="Be brief.")["messages"][0]["content"] == "Be brief."


def test_calls_and_results_become_messages_of_their_own() -> None:
    messages = chat(messages=[
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": ""},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Rome"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "is_error": True, "content": [
                {"type": "text", "text": "No network"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            ]},
            {"type": "text", "text": "Try again."},
        ]},
    ])["messages"]  # fmt: skip
    called, result, rest = messages[1:]
    assert called["content"] == "I look."
    assert called["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city": "Rome"}'}
    assert result == {"role": "tool", "tool_call_id": "a", "content": "Error: No network"}
    assert [part["type"] for part in rest["content"]] == ["image_url", "text"]
    assert rest["content"][0]["image_url"]["url"] == "data:image/png;base64,AAAA"


def test_documents_and_search_results_become_text() -> None:
    content = [
        {"type": "document", "title": "Rules", "source": {"type": "text", "data": "Rule 1."}},
        {"type": "search_result", "source": "a.example", "title": "A", "content": [{"type": "text", "text": "B"}]},
    ]
    assert chat(messages=[{"role": "user", "content": content}])["messages"][0]["content"] == (
        "Rules\nRule 1.\nA\na.example\nB"
    )


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({}, "none"),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "none"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 32_000}}, "high"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, "xhigh"),
    ],
)
def test_thinking_becomes_an_effort(fields: dict[str, Any], effort: str | None) -> None:
    assert chat(**fields).get("reasoning_effort") == effort


TOOL = {
    "name": "look",
    "description": "Looks",
    "input_schema": {"type": "object"},
    "cache_control": {"type": "ephemeral"},
}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "look"}, {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_tools_and_their_choice_are_translated(choice: dict[str, Any], expected: Any) -> None:
    fields = chat(tools=[TOOL], tool_choice=choice)
    assert fields["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert fields["tool_choice"] == expected


def test_a_schema_of_the_answer_is_translated() -> None:
    output_format = {"type": "json_schema", "schema": {"type": "object"}}
    expected = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    assert chat(output_config={"format": output_format})["response_format"] == expected
    assert chat(output_format=output_format)["response_format"] == expected


def test_counting_takes_what_a_message_takes() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "system": "Hi", "tools": [TOOL]}
    assert CountRequest.model_validate(body).to_chat().tools


# ---- names and errors --------------------------------------------------------------------------------------------


def test_an_alias_with_a_star_stands_for_all_names_that_begin_so() -> None:
    model = "@cf/openai/gpt-oss-20b"
    settings = Settings.read(
        {"MODEL_ALIASES": f"claude-*=CHAT_MODEL claude-opus-*={model} claude-opus-1={model} *=CHAT_MODEL"}
    )
    assert settings.resolve_alias("claude-opus-5-5") == model
    assert settings.resolve_alias("claude-haiku-4-5-20251001") == settings.chat_model
    assert settings.resolve_alias("@cf/openai/gpt-oss-120b") == "@cf/openai/gpt-oss-120b"
    assert Settings.read({"MODEL_ALIASES": "a*=CHAT_MODEL"}).resolve_alias("b") == "b"


def test_every_error_has_a_form_for_anthropic_s_clients() -> None:
    assert ANTHROPIC_KINDS.keys() == KINDS.keys()


def test_errors_have_anthropic_s_form() -> None:
    error = ApiError("context_exceeded", "The request has too many tokens.", retry_after=3)
    assert anthropic_error(error, "req_1") == {
        "type": "error", "request_id": "req_1",
        "error": {
            "type": "invalid_request_error", "message": "prompt is too long: The request has too many tokens.",
        },
    }  # fmt: skip
    response = anthropic_response(error, "req_1")
    assert (response.status, response.headers["retry-after"], response.headers["request-id"]) == (400, "3", "req_1")


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (ApiError("budget_exceeded", "Spent."), "false"),
        (ApiError("rate_limited", "Used up.", upstream_code=3036), "false"),
        (ApiError("unavailable", "Closed."), "false"),
        (ApiError("unavailable", "Paused.", retry_after=5), None),
        (ApiError("rate_limited", "Too many.", retry_after=5), None),
    ],
)
def test_clients_do_not_retry_what_stays_refused(error: ApiError, header: str | None) -> None:
    assert anthropic_response(error, "req_1").headers.get("x-should-retry") == header
