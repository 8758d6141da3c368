"""POST /chat with tools, structured answers and images: what goes to the model, what comes back."""

import base64
import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.conftest import ErrorOf, NewCalls, Simulator

NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
OPENAI = "@cf/openai/gpt-oss-20b"
VISION = "@cf/meta/llama-4-scout-17b-16e-instruct"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOLS = [{"type": "function", "function": WEATHER}]
QUESTION = "What is the weather in Paris?"


def ask(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/chat", json={"stream": False, **body})


def sent(simulator: Simulator, response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return simulator.request(response.headers["x-ai-request-id"])["inputs"]


def events(stream: str) -> list[tuple[str, Any]]:
    """(event, data) of each frame of a `text/event-stream`."""
    events: list[tuple[str, Any]] = []
    for block in stream.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        data = fields["data"]
        events.append((fields.get("event", "message"), data if data == "[DONE]" else json.loads(data)))
    return events


def text_of(frames: list[tuple[str, Any]]) -> str:
    pieces = [data for event, data in frames if event == "message" and data != "[DONE]"]
    return "".join(
        piece.get("response") or "".join(c["delta"].get("content") or "" for c in piece.get("choices", []))
        for piece in pieces
    )


# ---- tools of the client -------------------------------------------------------------------------------------------


def test_a_native_model_calls_a_tool_in_its_own_dialect(client: httpx.Client) -> None:
    answer = ask(client, prompt=QUESTION, tools=TOOLS, model=NATIVE).json()
    assert answer["tool_calls"] == [{"name": "get_weather", "arguments": {"city": "Paris"}}]


def test_a_model_of_openai_s_dialect_calls_a_tool_in_that(client: httpx.Client) -> None:
    choice = ask(client, prompt=QUESTION, tools=TOOLS, model=OPENAI).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    [call] = choice["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


@pytest.mark.parametrize("model", [NATIVE, OPENAI])
def test_the_results_of_a_call_reach_the_model(client: httpx.Client, simulator: Simulator, model: str) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    messages = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": '{"sky": "violet"}'},
    ]
    response = ask(client, messages=messages, tools=TOOLS, model=model)
    assert "violet" in response.text
    inputs = sent(simulator, response)
    # native models refuse null
    assert inputs["messages"][1] == {"role": "assistant", "content": "", "tool_calls": [call]}
    assert inputs["messages"][2] == messages[2]


def test_functions_are_the_older_form_of_tools(client: httpx.Client, simulator: Simulator) -> None:
    response = ask(client, prompt=QUESTION, functions=[WEATHER], model=NATIVE)
    assert response.json()["tool_calls"][0]["name"] == "get_weather"
    assert sent(simulator, response)["tools"] == TOOLS


@pytest.mark.parametrize(
    ("choice", "calls"),
    [("none", 0), ("required", 1), ({"type": "function", "function": {"name": "get_weather"}}, 1)],
)
def test_a_tool_can_be_forbidden_and_forced(
    client: httpx.Client, simulator: Simulator, choice: Any, calls: int
) -> None:
    response = ask(client, prompt="Good morning", tools=TOOLS, tool_choice=choice, model=NATIVE)
    assert len(response.json().get("tool_calls") or []) == calls
    assert sent(simulator, response)["tool_choice"] == choice


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": []}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        ({"tools": [{"type": "retrieval", "function": WEATHER}]}, "tools.0.type"),
        ({"tools": TOOLS, "functions": [WEATHER]}, None),
        ({"tools": TOOLS, "worker_tools": True}, None),
        ({"tool_choice": "required"}, None),
        ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
        ({"worker_tools": ["launch_rocket"]}, "worker_tools"),
        ({"worker_tools": []}, "worker_tools"),
        ({"worker_tools": False}, "worker_tools"),
        ({"tools": TOOLS, "model": "@cf/meta/llama-3.2-1b-instruct"}, "tools"),
        ({"worker_tools": True, "model": "@cf/meta/llama-3.2-1b-instruct"}, "worker_tools"),
    ],
)
def test_wrong_tools_are_refused(
    client: httpx.Client, error_of: ErrorOf, body: dict[str, Any], param: str | None
) -> None:
    response = ask(client, prompt=QUESTION, **{"model": NATIVE, **body})
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["param"]) == (7504, param)


# ---- tools of the Worker's own -------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [NATIVE, OPENAI])
def test_the_worker_calls_its_own_tools_and_the_model_hears_the_result(
    client: httpx.Client, simulator: Simulator, model: str
) -> None:
    response = ask(client, prompt="What is the current time?", worker_tools=["current_time"], model=model)
    assert "+00:00" in response.text
    inputs = sent(simulator, response)
    assert [message["role"] for message in inputs["messages"]] == ["user", "assistant", "tool"]
    assert inputs["messages"][1]["tool_calls"][0]["function"]["name"] == "current_time"


def test_the_web_is_searched_by_the_binding(client: httpx.Client, simulator: Simulator) -> None:
    calls = NewCalls(simulator)
    body = {"prompt": "Search the web for lighthouses", "worker_tools": ["web_search"], "model": OPENAI}
    frames = events(ask(client, **body, stream=True).text)
    [call] = [data for event, data in frames if event == "tool"]
    assert call["name"] == "web_search"
    assert json.loads(call["result"])[0]["url"].startswith("https://web-search.example/")
    assert calls.of(operation="websearch")[0]["inputs"]["provider"] == "ceramic"
    assert "simulated" in text_of(frames)

    simulator.set_fault(operation="websearch", status=400, code=2003, description="Rate limited", count=1)
    frames = events(ask(client, **body, stream=True).text)
    [call] = [data for event, data in frames if event == "tool"]
    assert "Rate limited" in json.loads(call["result"])["error"]


@pytest.mark.parametrize("model", [NATIVE, OPENAI])
def test_a_stream_shows_the_calls_and_then_the_answer(client: httpx.Client, model: str) -> None:
    response = ask(client, prompt="What is the current time?", worker_tools=True, model=model, stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    frames = events(response.text)
    [call] = [data for event, data in frames if event == "tool"]
    assert (call["name"], json.loads(call["arguments"])) == ("current_time", {})
    assert json.loads(call["result"]) in text_of(frames)
    assert frames[-1] == ("message", "[DONE]")


def test_json_mode_goes_with_tools_of_the_worker(client: httpx.Client) -> None:
    response_format = {"type": "json_schema", "json_schema": PERSON}
    body = {"prompt": "I am Ada", "worker_tools": True, "response_format": response_format, "model": NATIVE}
    frames = events(ask(client, **body, stream=True).text)
    assert "name" in json.loads(text_of(frames))
    assert frames[-1] == ("message", "[DONE]")


def test_without_a_call_a_stream_with_tools_is_the_plain_answer(client: httpx.Client) -> None:
    frames = events(ask(client, prompt="Hello", worker_tools=True, model=NATIVE, stream=True).text)
    assert {event for event, _ in frames} == {"message"}
    assert "simulated" in text_of(frames)


def test_a_model_that_fails_in_a_later_round_ends_the_stream_with_an_error(
    client: httpx.Client, simulator: Simulator
) -> None:
    simulator.set_fault(tokens_per_second=0)  # takes the first round, which it does no harm
    simulator.set_fault(status=400, code=5006, description="the model's own words")
    response = ask(client, prompt="What is the current time?", worker_tools=True, model=NATIVE, stream=True)
    frames = events(response.text)
    assert "tool" in {event for event, _ in frames}
    event, data = frames[-1]
    assert event == "error"
    assert "the model's own words" in data["error"]["message"]
    assert data["error"]["request_id"] == response.headers["x-request-id"]


# ---- structured answers --------------------------------------------------------------------------------------------

PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
ENVELOPE = {"name": "person", "schema": PERSON}


@pytest.mark.parametrize("schema", [PERSON, ENVELOPE])
def test_a_schema_goes_bare_to_native_models(client: httpx.Client, simulator: Simulator, schema: Any) -> None:
    response_format = {"type": "json_schema", "json_schema": schema}
    response = ask(client, prompt="I am Ada Lovelace", response_format=response_format, model=NATIVE)
    assert isinstance(response.json()["response"]["name"], str)
    assert sent(simulator, response)["response_format"] == {"type": "json_schema", "json_schema": PERSON}


@pytest.mark.parametrize(("schema", "name"), [(PERSON, "answer"), (ENVELOPE, "person")])
def test_a_schema_goes_in_its_envelope_to_the_others(
    client: httpx.Client, simulator: Simulator, schema: Any, name: str
) -> None:
    response_format = {"type": "json_schema", "json_schema": schema}
    response = ask(client, prompt="I am Ada Lovelace", response_format=response_format, model=OPENAI)
    assert "name" in json.loads(response.json()["choices"][0]["message"]["content"])
    expected = {"type": "json_schema", "json_schema": {"name": name, "schema": PERSON}}
    assert sent(simulator, response)["response_format"] == expected


def test_json_mode_is_streamed_even_where_the_model_does_not(client: httpx.Client, simulator: Simulator) -> None:
    body = {"prompt": "I am Ada", "response_format": {"type": "json_schema", "json_schema": PERSON}, "model": NATIVE}
    response = ask(client, **body, stream=True)
    assert response.headers["content-type"] == "text/event-stream"
    frames = events(response.text)
    assert frames[-1] == ("message", "[DONE]")
    assert "name" in json.loads(text_of(frames))
    assert sent(simulator, response)["stream"] is False


@pytest.mark.parametrize(
    ("response_format", "param"),
    [
        ({"type": "yaml"}, "response_format.type"),
        ({"type": "json_schema"}, "response_format"),
        ({"type": "json_object", "json_schema": PERSON}, "response_format"),
        ({"type": "json_schema", "json_schema": []}, "response_format.json_schema"),
    ],
)
def test_a_wrong_response_format_is_refused(
    client: httpx.Client, error_of: ErrorOf, response_format: Any, param: str
) -> None:
    response = ask(client, prompt="a", response_format=response_format, model=NATIVE)
    assert response.status_code == 400
    assert error_of(response)["param"] == param


ENDLESS = '{"type":"object","minimum":1e999}'


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (f'{{"response_format":{{"type":"json_schema","json_schema":{ENDLESS}}}', "response_format.json_schema"),
        (f'{{"tools":[{{"type":"function","function":{{"name":"a","parameters":{ENDLESS}}}}}]', "tools.0"),
    ],
)
def test_a_schema_that_is_no_json_is_refused_and_is_no_failure_of_the_model(
    client: httpx.Client, error_of: ErrorOf, body: str, param: str
) -> None:
    content = f'{body},"prompt":"a","stream":false}}'
    response = client.post("/chat", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    assert error_of(response)["param"].startswith(param)
    assert "too large" in error_of(response)["message"]


# ---- images --------------------------------------------------------------------------------------------------------


def picture(width: int, height: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def with_image(url: str) -> list[dict[str, Any]]:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "user", "content": parts}]


def test_a_vision_model_sees_the_image(client: httpx.Client, simulator: Simulator) -> None:
    messages = with_image(picture(40, 30))
    response = ask(client, messages=messages, model=VISION)
    answer = response.json()["response"]
    assert "40" in answer
    assert "30" in answer
    assert sent(simulator, response)["messages"] == messages


@pytest.mark.parametrize(
    ("model", "url", "param"),
    [
        ("@cf/meta/llama-3.2-1b-instruct", picture(1, 1), "messages"),
        (VISION, "https://example.com/cat.png", "messages"),
        (VISION, "ftp://example.com/cat.png", "messages.0.content.1.image_url.image_url.url"),
        (VISION, "data:text/html;base64,PGI+", "messages.0.content.1.image_url.image_url.url"),
    ],
)
def test_an_image_is_refused_where_no_one_could_see_it(
    client: httpx.Client, error_of: ErrorOf, model: str, url: str, param: str
) -> None:
    response = ask(client, messages=with_image(url), model=model)
    assert response.status_code == 400
    assert error_of(response)["param"] == param


def test_an_invalid_image_is_the_client_s_fault(client: httpx.Client, error_of: ErrorOf) -> None:
    response = ask(client, messages=with_image("data:image/png;base64,AAAA"), model=VISION)
    assert response.status_code == 400
    assert error_of(response)["type"] == "invalid_request"


# ---- cost ----------------------------------------------------------------------------------------------------------


def test_an_answer_says_what_it_has_cost(client: httpx.Client) -> None:
    response = ask(client, prompt="Hello", model="@cf/meta/llama-3.1-8b-instruct-fast")
    usage = response.json()["usage"]
    cost = (usage["prompt_tokens"] * 4119 + usage["completion_tokens"] * 34868) / 1_000_000
    assert float(response.headers["x-neurons"]) == pytest.approx(cost, rel=1e-3)
    assert "x-neurons" not in ask(client, prompt="Hello", model="@cf/mistral/mistral-7b-instruct-v0.2-lora").headers
