"""Cloudflare's REST API beside `ai/run`: Anthropic's Messages, OpenAI's endpoints for other vendors, models, tasks."""

import json
from typing import Any

import httpx
import jsonschema
import pytest

ACCOUNT = "/client/v4/accounts/any"
LLAMA, GPT_OSS, BGE = "@cf/meta/llama-3.2-3b-instruct", "@cf/openai/gpt-oss-20b", "@cf/baai/bge-base-en-v1.5"
CLAUDE = "anthropic/claude-sonnet-4-5"
QUESTION: dict[str, Any] = {"max_tokens": 500, "messages": [{"role": "user", "content": "Where does hello come from?"}]}
TOOL = {
    "name": "temperature",
    "description": "Temperature of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.mark.parametrize("model", [LLAMA, GPT_OSS, CLAUDE, "openai/gpt-5"])
@pytest.mark.parametrize("path", ["v1/messages", "v1/v1/messages"])
def test_any_model_answers_as_anthropic_does(http: httpx.Client, model: str, path: str) -> None:
    answer = http.post(f"{ACCOUNT}/ai/{path}", json={**QUESTION, "model": model})
    message = answer.json()
    assert answer.status_code == 200, answer.text
    assert (message["type"], message["role"], message["stop_reason"]) == ("message", "assistant", "end_turn")
    assert message["model"] == (model if model.startswith("@") else model.partition("/")[2])
    assert "simulated" in message["content"][0]["text"]
    assert message["usage"]["output_tokens"] > 0
    assert ("cf-aig-log-id" in answer.headers) == (not model.startswith("@")), "Workers AI needs the header"


def test_a_message_streams_with_anthropic_s_events(http: httpx.Client) -> None:
    whole = http.post(f"{ACCOUNT}/ai/v1/messages", json={**QUESTION, "model": LLAMA}).json()
    streamed = http.post(f"{ACCOUNT}/ai/v1/messages", json={**QUESTION, "model": LLAMA, "stream": True})
    events = [json.loads(line[6:]) for line in streamed.text.splitlines() if line.startswith("data: ")]
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    pieces = [each["delta"]["text"] for each in events if each["type"] == "content_block_delta"]
    assert "".join(pieces) == whole["content"][0]["text"]


def test_a_message_may_call_a_tool_and_go_on(http: httpx.Client) -> None:
    body = {**QUESTION, "model": GPT_OSS, "tools": [TOOL], "tool_choice": {"type": "tool", "name": "temperature"}}
    call = http.post(f"{ACCOUNT}/ai/v1/messages", json=body).json()
    (block,) = [each for each in call["content"] if each["type"] == "tool_use"]
    assert (call["stop_reason"], block["name"]) == ("tool_use", "temperature")
    result = {"type": "tool_result", "tool_use_id": block["id"], "content": "4 degrees"}
    messages = [
        *QUESTION["messages"],
        {"role": "assistant", "content": call["content"]},
        {"role": "user", "content": [result]},
    ]
    sent = {"model": GPT_OSS, "max_tokens": 100, "messages": messages, "tools": [TOOL]}
    answer = http.post(f"{ACCOUNT}/ai/v1/messages", json=sent).json()
    assert "4 degrees" in answer["content"][0]["text"]


def test_a_gateway_s_header_is_heeded_and_a_script_too(http: httpx.Client) -> None:
    http.post("/simulator/answers", json={"model": LLAMA, "text": "It rains."})
    headers = {"cf-aig-gateway-id": "messages", "x-api-key": "any"}
    del http.headers["authorization"]
    answer = http.post(f"{ACCOUNT}/ai/v1/messages", json={**QUESTION, "model": LLAMA}, headers=headers)
    assert answer.json()["content"] == [{"type": "text", "text": "It rains."}]
    assert answer.headers["cf-aig-log-id"]
    assert http.post(f"{ACCOUNT}/ai/v1/messages", json=QUESTION).status_code == 401


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", 3003),
        (b"[]", 3003),
        ({"messages": []}, 5006),
        ({"model": LLAMA, "messages": []}, 5006),
        ({"model": LLAMA, "messages": QUESTION["messages"]}, 5006),
        ({**QUESTION, "model": LLAMA, "temperature": 1.5}, 5006),
        ({**QUESTION, "model": LLAMA, "messages": [{"role": "system", "content": "x"}]}, 5006),
        ({**QUESTION, "model": BGE}, 5006),
        ({**QUESTION, "model": "@cf/no/such"}, 5007),
    ],
)
def test_wrong_messages_are_refused(http: httpx.Client, body: Any, code: int) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    refused = http.post(f"{ACCOUNT}/ai/v1/messages", content=content, headers={"content-type": "application/json"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, code)


def test_openai_s_endpoints_answer_for_other_vendors_through_the_default_gateway(http: httpx.Client) -> None:
    chat = http.post(f"{ACCOUNT}/ai/v1/chat/completions", json={**QUESTION, "model": CLAUDE})
    assert f"in place of {CLAUDE}" in chat.json()["choices"][0]["message"]["content"]
    responses = http.post(f"{ACCOUNT}/ai/v1/responses", json={"model": "openai/gpt-4.1", "input": "Hello"})
    assert responses.json()["object"] == "response"
    named = http.post(f"{ACCOUNT}/ai/run", json={"model": CLAUDE, "input": QUESTION})
    assert named.json()["result"]["type"] == "message", "`ai/run` has the vendor's own dialect"
    for answer in (chat, responses, named):
        assert answer.headers["cf-aig-log-id"]


# ---- models, tasks -------------------------------------------------------------------------------------------------


def test_each_model_has_schemas_that_its_inputs_fit(http: httpx.Client) -> None:
    models = http.get(f"{ACCOUNT}/ai/models/search", params={"include_deprecated": "true"}).json()["result"]
    schemas = {
        each["name"]: http.get(f"{ACCOUNT}/ai/models/schema", params={"model": each["name"]}).json()["result"]
        for each in models
    }
    for schema in schemas.values():
        for side in ("input", "output"):
            jsonschema.Draft202012Validator.check_schema(schema[side])
    jsonschema.validate({"messages": [{"role": "user", "content": "a"}], "temperature": 1}, schemas[LLAMA]["input"])
    jsonschema.validate({"text": ["a"]}, schemas[BGE]["input"])
    for wrong in ({}, {"prompt": 5}, {"prompt": "a", "temperature": 9}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schemas[LLAMA]["input"])
    answer = http.post(f"{ACCOUNT}/ai/run/{LLAMA}", json={"prompt": "a"}).json()["result"]
    jsonschema.validate(answer, schemas[LLAMA]["output"])


def test_a_schema_is_of_a_model_that_is_there(http: httpx.Client) -> None:
    missing = http.get(f"{ACCOUNT}/ai/models/schema", params={"model": "@cf/no/such"})
    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (404, 5007)
    nameless = http.get(f"{ACCOUNT}/ai/models/schema")
    assert (nameless.status_code, nameless.json()["errors"][0]["code"]) == (400, 3003)


def test_tasks_and_authors_are_those_of_the_models(http: httpx.Client) -> None:
    models = http.get(f"{ACCOUNT}/ai/models/search").json()["result"]
    tasks = http.get(f"{ACCOUNT}/ai/tasks/search").json()["result"]
    assert sorted({each["task"]["id"] for each in models}) == sorted(each["id"] for each in tasks)
    authors = http.get(f"{ACCOUNT}/ai/authors/search").json()["result"]
    assert sorted({each["name"].split("/")[1] for each in models}) == [each["name"] for each in authors]


def test_models_have_prices_and_say_what_is_realtime(http: httpx.Client) -> None:
    models = http.get(f"{ACCOUNT}/ai/models/search", params={"search": "deepgram", "source": 1}).json()["result"]
    properties = {each["name"]: {one["property_id"]: one["value"] for one in each["properties"]} for each in models}
    assert properties["@cf/deepgram/flux"] == {
        "price": [{"unit": "per audio minute", "price": 0.0077, "currency": "USD"}], "realtime": "true",
    }  # fmt: skip
    assert http.get(f"{ACCOUNT}/ai/models/search", params={"source": 2}).json()["result"] == []
