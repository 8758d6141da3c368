"""Models of other vendors, as the binding calls them through a gateway."""

import json
from typing import Any

import httpx
import pytest

CLAUDE, GEMINI, GPT = "anthropic/claude-sonnet-5", "google/gemini-3.1-pro", "openai/gpt-5-mini"
GATEWAY = {"gateway": {"id": "vendors"}}
REQUESTS: dict[str, dict[str, Any]] = {
    CLAUDE: {"max_tokens": 200, "messages": [{"role": "user", "content": "Hello"}]},
    GEMINI: {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
    GPT: {"messages": [{"role": "user", "content": "Hello"}]},
    "dynamic/route": {"messages": [{"role": "user", "content": "Hello"}]},
}


def run(http: httpx.Client, model: str, inputs: dict[str, Any], options: Any = GATEWAY) -> httpx.Response:
    path = "/ai-gateway/run" if "gateway" in options else "/run"
    body = {"inputs": inputs, "options": options}
    return http.post(path, params={"version": "3"}, json=body, headers={"cf-consn-model-id": model})


def events(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = response.text.replace("\r\n", "\n").splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def text_of(model: str, data: dict[str, Any]) -> str:
    """The text of a whole answer."""
    match data:
        case {"content": blocks}:
            return "".join(block["text"] for block in blocks)
        case {"candidates": [{"content": {"parts": parts}}]}:
            return "".join(part["text"] for part in parts)
        case _:
            return data["choices"][0]["message"]["content"]


@pytest.mark.parametrize("model", REQUESTS)
def test_each_vendor_answers_in_its_dialect(http: httpx.Client, model: str) -> None:
    response = run(http, model, REQUESTS[model])
    assert response.status_code == 200, response.text
    assert response.headers["cf-aig-log-id"]
    assert f"in place of {model}" in text_of(model, response.json())


def test_anthropic_s_stream_has_its_events(http: httpx.Client) -> None:
    whole = run(http, CLAUDE, REQUESTS[CLAUDE]).json()
    stream = events(run(http, CLAUDE, {**REQUESTS[CLAUDE], "stream": True}))
    assert [each["type"] for each in stream[:3]] == ["message_start", "content_block_start", "ping"]
    assert [each["type"] for each in stream[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    pieces = [each["delta"]["text"] for each in stream if each["type"] == "content_block_delta"]
    assert "".join(pieces) == whole["content"][0]["text"]
    assert stream[-2]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


def test_gemini_s_stream_has_its_frames(http: httpx.Client) -> None:
    whole = run(http, GEMINI, REQUESTS[GEMINI]).json()
    response = run(http, GEMINI, {**REQUESTS[GEMINI], "stream": True})
    assert response.text.endswith("\r\n\r\n")
    assert "[DONE]" not in response.text
    frames = events(response)
    text = "".join(part["text"] for each in frames for part in each["candidates"][0]["content"]["parts"])
    assert text == whole["candidates"][0]["content"]["parts"][0]["text"]
    assert frames[-1]["usageMetadata"] == whole["usageMetadata"]
    assert [each["candidates"][0].get("finishReason") for each in frames[-2:]] == [None, "STOP"]


PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def test_tools_are_called_and_their_results_read(http: httpx.Client) -> None:
    question = "What is the weather in Paris?"
    tools = [{"name": "get_weather", "input_schema": PARAMETERS}]
    messages: list[Any] = [{"role": "user", "content": question}]
    inputs = {"max_tokens": 200, "messages": messages, "tools": tools, "tool_choice": {"type": "any"}}
    answer = run(http, CLAUDE, inputs).json()
    [call] = answer["content"]
    assert (answer["stop_reason"], call["name"], call["input"]) == ("tool_use", "get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "Rain"}
    messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    assert "Rain" in run(http, CLAUDE, {"max_tokens": 200, "messages": messages}).json()["content"][0]["text"]
    declared = [{"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": PARAMETERS}]}]
    contents: list[Any] = [{"role": "user", "parts": [{"text": question}]}]
    config: Any = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}}
    answer = run(http, GEMINI, {"contents": contents, "tools": declared, "toolConfig": config}).json()
    [part] = answer["candidates"][0]["content"]["parts"]
    assert part["functionCall"] == {"name": "get_weather", "args": {"city": "Paris"}}
    reply = {"functionResponse": {"name": "get_weather", "response": {"result": "Rain"}}}
    contents += [{"role": "model", "parts": [part]}, {"role": "user", "parts": [reply]}]
    assert "Rain" in text_of(GEMINI, run(http, GEMINI, {"contents": contents}).json())


def test_without_a_gateway_there_is_no_such_model(http: httpx.Client) -> None:
    response = run(http, CLAUDE, REQUESTS[CLAUDE], {})
    assert (response.status_code, response.json()["internalCode"]) == (400, 5007)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    (CLAUDE, REQUESTS[GPT]),
    (CLAUDE, {"max_tokens": 5, "messages": [{"role": "system", "content": "x"}]}),
    (CLAUDE, {"max_tokens": 5, "messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}),
    (CLAUDE, {"max_tokens": 5, "messages": [{"role": "user", "content": []}]}),
    (CLAUDE, {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "temperature": 2}),
    (GEMINI, REQUESTS[GPT]),
    (GEMINI, {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}),
    (GEMINI, {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}]}),
    (GPT, {**REQUESTS[GPT], "max_tokens": 5}),
    (GPT, REQUESTS[GEMINI]),
]


@pytest.mark.parametrize(("model", "inputs"), REFUSED)
def test_another_dialect_is_refused(http: httpx.Client, model: str, inputs: dict[str, Any]) -> None:
    response = run(http, model, inputs)
    assert (response.status_code, response.json()["internalCode"]) == (400, 5006), response.text


def test_the_gateway_s_log_has_the_provider_and_the_tokens(http: httpx.Client) -> None:
    for model, provider in ((CLAUDE, "anthropic"), (GEMINI, "google-ai-studio")):
        for stream in (False, True):
            response = run(http, model, {**REQUESTS[model], "stream": stream})
            response.read()
            log = http.get(f"/ai-gateway/gateways/vendors/logs/{response.headers['cf-aig-log-id']}").json()["result"]
            assert (log["provider"], log["model"], log["cost"]) == (provider, model, 0)
            assert log["tokens_out"] > 10
