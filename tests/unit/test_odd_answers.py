"""Odd answers of models on every route for text: what the client gets, and what is stored of them."""

import json
from typing import Any

import pytest

from tests.unit.stand_ins import FakeAi, FakeAnswer, FakeConversation, answered, body_text, post, streamed

Json = dict[str, Any]

NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
OPENAI = "@cf/openai/gpt-oss-20b"
MESSAGES = [{"role": "user", "content": "When is high tide in Vigo?"}]
TIDE: Json = {"type": "function", "function": {"name": "tide", "parameters": {"type": "object", "properties": {}}}}
FLAT_TIDE: Json = {"type": "function", "name": "tide", "parameters": {"type": "object", "properties": {}}}
CHOICE = {"type": "function", "function": {"name": "tide"}}
ARGUMENTS = {"at": "Vigo"}
ROUTES: dict[str, tuple[str, Json]] = {
    "chat": ("/chat", {"messages": MESSAGES}),
    "chat with tools": ("/chat", {"messages": MESSAGES, "worker_tools": True}),
    "chat completions": ("/v1/chat/completions", {"messages": MESSAGES}),
    "completions": ("/v1/completions", {"prompt": "Hello"}),
    "responses": ("/v1/responses", {"input": "Hello"}),
}
every_route = pytest.mark.parametrize("route", ROUTES)
either_model = pytest.mark.parametrize("model", [NATIVE, OPENAI])


async def send(route: str, *answers: Any, **fields: Any) -> tuple[Any, str, FakeAi]:
    path, body = ROUTES[route]
    conversation = fields.pop("stored", None)
    response, ai = await post(path, {**body, **fields}, *answers, conversation=conversation)
    return response, await body_text(response), ai


NO_ANSWERS = [
    '{"description": "junk"}', "{}", "null", "5", "[]", '""', '"Hello"', "", "<html>", '{"response": null}',
    '{"response": ""}', '{"choices": null}', '{"choices": [{}]}', '{"error": {"message": "overloaded"}}',
    '{"errors": [{"code": 3040, "message": "overloaded"}]}',
]  # fmt: skip


@every_route
@either_model
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("body", NO_ANSWERS)
async def test_a_body_that_is_no_answer_is_an_upstream_error(route: str, model: str, stream: bool, body: str) -> None:
    answer = FakeAnswer(200, body, content_type="application/json", cf_ai_req_id="up-1")
    response, text, _ = await send(route, answer, model=model, stream=stream)
    if route == "chat with tools" and stream:
        assert response.status == 200
        assert "event: error" in text
        assert '"upstream_error"' in text
        assert "[DONE]" not in text
        return
    assert response.status == 502
    assert response.headers["x-ai-request-id"] == "up-1"
    error = json.loads(text)["error"]
    assert "upstream_error" in (error["type"], error.get("code")) or error["type"] == "server_error"


@every_route
@either_model
@pytest.mark.parametrize(
    "data",
    [{"description": "junk"}, {"error": {"message": "overloaded"}}, {"errors": [{"message": "overloaded"}]}, {}],
)
async def test_a_stream_that_is_no_answer_ends_with_an_error(route: str, model: str, data: Json) -> None:
    response, text, _ = await send(route, streamed(data), model=model, stream=True)
    assert response.headers["content-type"] == "text/event-stream"
    assert text.rstrip().split("\n\n")[-1].startswith(("event: error", 'data: {"error"'))


@either_model
@pytest.mark.parametrize("tools", [{}, {"worker_tools": True}])
@pytest.mark.parametrize(
    "answer", [answered({"description": "junk"}), streamed({"description": "junk"}), answered({"response": ""})]
)
async def test_nothing_is_stored_of_what_is_no_answer(model: str, tools: Json, answer: FakeAnswer) -> None:
    for stream in (True, answer.header("content-type") == "text/event-stream"):
        stored = FakeConversation()
        await send("chat", answer, model=model, stream=stream, conversation="c", stored=stored, **tools)
        assert stored.messages == []


async def test_an_empty_answer_is_no_turn_of_a_conversation() -> None:
    stored = FakeConversation()
    answer = answered({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]})
    response, _, _ = await send("chat", answer, model=OPENAI, stream=False, conversation="c", stored=stored)
    assert response.status == 200
    assert stored.messages == []


# ---- media type --------------------------------------------------------------------------------------------------


@every_route
@pytest.mark.parametrize(
    "answer",
    [
        answered({"response": "Hello"}),
        answered({"response": {"a": 1}}),
        FakeAnswer(200, 'data: {"response":"Hello"}\n\ndata: [DONE]\n\n', content_type="Text/Event-Stream; charset=x"),
    ],
)  # fmt: skip
async def test_every_stream_is_an_event_stream(route: str, answer: FakeAnswer) -> None:
    response, text, _ = await send(route, answer, model=NATIVE, stream=True)
    assert response.headers["content-type"].lower().partition(";")[0] == "text/event-stream"
    assert text.endswith("\n\n")


async def test_a_stream_with_tools_in_json_mode_is_an_event_stream() -> None:
    fields: Json = {"response_format": {"type": "json_object"}, "stream": True}
    response, text, ai = await send("chat with tools", answered({"response": {"a": 1}}), model=NATIVE, **fields)
    assert ai.calls[0][1]["stream"] is False
    assert response.headers["content-type"] == "text/event-stream"
    assert text == 'data: {"response":"{\\"a\\": 1}"}\n\ndata: [DONE]\n\n'


# ---- ends of streams ---------------------------------------------------------------------------------------------

TEXT = 'data: {"response":"Hello"}\n\n'
STOP = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'


@pytest.mark.parametrize("route", ["chat", "chat with tools", "chat completions"])
@pytest.mark.parametrize(
    "end",
    ["data: [DONE]\n\n", "data: [DONE]\n", "data: [DONE]", "data: [DONE]\r\n", "data:[DONE]", STOP, STOP + "\n\n"],
)
async def test_a_client_gets_the_whole_answer_however_it_ends(route: str, end: str) -> None:
    stored = FakeConversation()
    answer = FakeAnswer(200, TEXT + end, content_type="text/event-stream")
    fields: Json = {"stored": stored, "conversation": "c"} if route != "chat completions" else {}
    _, text, _ = await send(route, answer, model=NATIVE, stream=True, **fields)
    assert "error" not in text
    assert text.replace("\r\n", "\n").replace("data:[", "data: [").rstrip("\n").endswith("\n\ndata: [DONE]")
    assert text.replace("\r\n", "\n").endswith("\n\n")
    assert text.count("Hello") == 1
    if fields:
        assert stored.messages[-1] == {"role": "assistant", "content": "Hello"}


@pytest.mark.parametrize("route", ["chat", "chat with tools", "chat completions"])
@pytest.mark.parametrize(
    "end", ["", STOP[:-3], 'data: {"respo', '{"response":"[DONE]"}', 'data: {"response":"data: [DONE]']
)
async def test_an_answer_that_is_cut_is_an_error(route: str, end: str) -> None:
    stored = FakeConversation()
    answer = FakeAnswer(200, TEXT + end, content_type="text/event-stream")
    fields: Json = {"stored": stored, "conversation": "c"} if route != "chat completions" else {}
    _, text, _ = await send(route, answer, model=NATIVE, stream=True, **fields)
    assert text.rstrip().split("\n\n")[-1].startswith(("event: error", 'data: {"error"'))
    assert stored.messages == []


# ---- tool calls --------------------------------------------------------------------------------------------------


def tool_calls_of(text: str) -> list[Json]:
    return json.loads(text)["choices"][0]["message"]["tool_calls"]


@pytest.mark.parametrize("fields", [{"tools": [TIDE]}, {"tools": [TIDE], "tool_choice": "auto"}])
async def test_a_text_is_a_call_only_if_one_is_required(fields: Json) -> None:
    content = json.dumps({"name": "tide", **ARGUMENTS})
    answer = answered({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]})
    _, text, _ = await send("chat completions", answer, model=OPENAI, **fields)
    assert json.loads(text)["choices"][0]["message"]["content"] == content
    for choice in (CHOICE, "required"):
        _, text, _ = await send("chat completions", answer, model=OPENAI, tools=[TIDE], tool_choice=choice)
        [call] = tool_calls_of(text)
        assert json.loads(call["function"]["arguments"]) == ARGUMENTS
        assert json.loads(text)["choices"][0]["finish_reason"] == "tool_calls"
    choice = {"type": "function", "name": "tide"}
    _, text, _ = await send("responses", answer, model=OPENAI, tools=[FLAT_TIDE], tool_choice=choice)
    [item] = json.loads(text)["output"]
    assert (item["type"], item["name"], json.loads(item["arguments"])) == ("function_call", "tide", ARGUMENTS)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_required_call_is_a_call_in_either_dialect_of_chat(stream: bool) -> None:
    content = json.dumps({"name": "tide", **ARGUMENTS})
    fields: Json = {"tools": [TIDE], "tool_choice": CHOICE, "stream": stream, "conversation": "c"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    choice = {"delta" if stream else "message": {"content": content}, "finish_reason": "stop"}
    for data, model in (({"response": content}, NATIVE), ({"choices": [choice]}, OPENAI)):
        stored = FakeConversation()
        answer = streamed({**data, "usage": usage}) if stream else answered({**data, "usage": usage})
        _, text, _ = await send("chat", answer, model=model, stored=stored, **fields)
        payload = json.loads(text.removeprefix("data: ").partition("\n\n")[0])
        assert payload["usage"] == usage
        if model == OPENAI:
            assert payload["choices"][0]["finish_reason"] == "tool_calls"
            [call] = payload["choices"][0]["delta" if stream else "message"]["tool_calls"]
            assert json.loads(call["function"]["arguments"]) == ARGUMENTS
        else:
            [call] = payload["tool_calls"]
            assert (call["name"], call["arguments"], payload["response"]) == ("tide", ARGUMENTS, "")
        [kept] = stored.messages[-1]["tool_calls"]
        assert kept["function"]["name"] == "tide"
        assert kept["id"] == call.get("id", kept["id"])
        assert text.endswith("data: [DONE]\n\n") == stream


async def test_a_required_call_that_streams_as_one_is_passed_on() -> None:
    data = {"tool_calls": [{"id": "a", "index": 0, "function": {"name": "tide", "arguments": "{}"}}]}
    fields: Json = {"tools": [TIDE], "tool_choice": "required", "stream": True}
    _, text, _ = await send("chat", streamed(data), model=NATIVE, **fields)
    assert text == f"data: {json.dumps(data)}\n\ndata: [DONE]\n\n"


async def test_a_whole_answer_s_calls_have_arguments() -> None:
    fields: Json = {"tools": [TIDE], "stream": False}
    native = answered({"response": None, "tool_calls": [{"name": "tide", "arguments": None}]})
    _, text, _ = await send("chat", native, model=NATIVE, **fields)
    assert json.loads(text)["tool_calls"] == [{"name": "tide", "arguments": {}}]
    message = {"content": None, "tool_calls": [{"type": "function", "function": {"name": "tide"}}]}
    openai = answered({"id": "up", "choices": [{"message": message, "finish_reason": "stop"}]})
    _, text, _ = await send("chat", openai, model=OPENAI, **fields)
    [choice] = json.loads(text)["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "tide", "arguments": "{}"}


@either_model
async def test_a_model_that_repeats_ids_gets_others(model: str) -> None:
    call = {"id": "call_0", "type": "function", "function": {"name": "tide", "arguments": "{}"}}
    messages = [
        *MESSAGES,
        {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_0", "content": "4"},
    ]  # fmt: skip
    for answer in (answered({"tool_calls": [call]}), answered({"choices": [{"message": {"tool_calls": [call]}}]})):
        _, text, _ = await send("chat completions", answer, model=model, messages=messages, tools=[TIDE])
        [made] = tool_calls_of(text)
        assert made["id"] != "call_0"


async def test_calls_of_several_rounds_have_ids_of_their_own() -> None:
    stored = FakeConversation()
    call = answered({"response": None, "tool_calls": [{"name": "current_time", "arguments": None}]})
    done = answered({"response": "Now"})
    fields: Json = {"model": NATIVE, "stream": False, "conversation": "c", "stored": stored}
    await send("chat with tools", call, call, done, **fields)
    response, _, ai = await send("chat with tools", call, call, done, **fields)
    assert response.status == 200
    calls = [each for message in stored.messages for each in message.get("tool_calls", [])]
    assert len(calls) == 4
    assert len({each["id"] for each in calls}) == 4
    assert {each["function"]["arguments"] for each in calls} == {"{}"}
    results = [message["tool_call_id"] for message in stored.messages if message["role"] == "tool"]
    assert results == [each["id"] for each in calls]
    assert "error" not in str(ai.calls[-1][1]["messages"])


@pytest.mark.parametrize("stream", [False, True])
async def test_the_worker_runs_every_call_of_native_frames(stream: bool) -> None:
    frames = [{"tool_calls": [{"name": "current_time", "arguments": {"utc_offset_hours": each}}]} for each in (1, 2)]
    calls = streamed(*frames) if stream else answered({"tool_calls": [each["tool_calls"][0] for each in frames]})
    end = streamed({"response": "Now"}) if stream else answered({"response": "Now"})
    _, text, ai = await send("chat with tools", calls, end, model=NATIVE, stream=stream)
    results = [each["content"] for each in ai.calls[1][1]["messages"] if each["role"] == "tool"]
    assert ["+01:00" in results[0], "+02:00" in results[1]] == [True, True]
    assert text.count("event: tool") == (2 if stream else 0)


@either_model
async def test_only_one_call_is_left_if_no_more_are_wanted(model: str) -> None:
    call = {"name": "tide", "arguments": ARGUMENTS}
    data = {"response": "", "tool_calls": [call, call]}
    for answer in (answered(data), answered({"choices": [{"message": data}], "response": ""})):
        for field in ({"tools": [TIDE], "parallel_tool_calls": False}, {"functions": [TIDE["function"]]}):
            _, text, _ = await send("chat completions", answer, model=model, **field)
            message = json.loads(text)["choices"][0]["message"]
            assert len(message.get("tool_calls", [message.get("function_call")])) == 1


async def test_a_native_answer_in_both_dialects_is_cut_at_a_stop_sequence() -> None:
    whole = answered({"response": "one two", "choices": [{"message": {"content": "one two"}, "finish_reason": "stop"}]})
    _, text, _ = await send("chat completions", whole, model=NATIVE, stop="two")
    assert json.loads(text)["choices"][0]["message"]["content"] == "one "
    assert "response" not in json.loads(text)


# ---- usage -------------------------------------------------------------------------------------------------------


@every_route
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "usage",
    [None, [], "many", {"prompt_tokens": "5"}, {"prompt_tokens": -5, "completion_tokens": 1.5, "total_tokens": None},
     {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": [1]}],
)  # fmt: skip
async def test_odd_usage_harms_nothing(route: str, stream: bool, usage: Any) -> None:
    for data in (
        {"response": "Hello", "usage": usage},
        {"choices": [{"message": {"content": "Hello"}}], "usage": usage},
    ):
        answer = streamed({"response": "Hello"}, {"choices": [], "usage": usage}) if stream else answered(data)
        response, text, _ = await send(route, answer, model=NATIVE, stream=stream)
        assert response.status == 200
        assert "Hello" in text
        assert "broke off" not in text


async def test_a_stream_of_openai_s_dialect_has_choices_in_every_chunk() -> None:
    """Workers AI ends the streams of such models with a frame of the native dialect, on which OpenAI's clients fail."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": None}]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    answer = streamed(chunk, json.loads(STOP[6:]), {"choices": []}, {"response": "", "usage": usage})
    _, text, _ = await send("chat completions", answer, model=OPENAI, stream=True)
    chunks = [json.loads(block[6:]) for block in text.split("\n\n")[:-2]]
    assert [len(each["choices"]) for each in chunks] == [1, 1, 1]
    assert {each["model"] for each in chunks} == {OPENAI}
