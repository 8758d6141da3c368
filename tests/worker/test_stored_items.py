"""POST /v1/responses: items that the Worker stores, and requests that refer to them."""

import json
from typing import Any

import httpx
import pytest

from tests.conftest import Simulator

NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
OPENAI = "@cf/openai/gpt-oss-20b"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def respond(client: httpx.Client, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/responses", json={"model": NATIVE, **body})
    assert response.status_code == 200, response.text
    if not body.get("stream"):
        return response.json()
    blocks = response.text.strip().split("\n\n")
    return json.loads(blocks[-1].partition("data: ")[2])["response"]


def refused(client: httpx.Client, items: list[Any]) -> dict[str, Any]:
    response = client.post("/v1/responses", json={"model": NATIVE, "input": items})
    assert response.status_code == 400, response.text
    return response.json()["error"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [NATIVE, OPENAI])
@pytest.mark.parametrize("kind", [{"type": "item_reference"}, {}], ids=["typed", "untyped"])
def test_a_reference_stands_for_the_item(
    client: httpx.Client, simulator: Simulator, model: str, kind: dict[str, str], *, stream: bool
) -> None:
    first = respond(client, model=model, input="Hello", stream=stream)
    assert first["store"] is True
    items = [{**kind, "id": item["id"]} for item in first["output"]]  # those of reasoning, too
    question = {"role": "user", "content": "And again?"}
    respond(client, model=model, input=[{"role": "user", "content": "Hello"}, *items, question])
    messages = simulator.requests(operation="run")[-1]["inputs"]["messages"]
    assert messages[1] == {"role": "assistant", "content": first["output"][-1]["content"][0]["text"]}


def test_a_reference_stands_for_a_call(client: httpx.Client, simulator: Simulator) -> None:
    question = {"role": "user", "content": 'What is the weather in "Paris"?'}
    [call] = respond(client, input=[question], tools=[WEATHER])["output"]
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "23 degrees"}
    respond(client, input=[question, {"type": "item_reference", "id": call["id"]}, result], tools=[WEATHER])
    [sent] = simulator.requests(operation="run")[-1]["inputs"]["messages"][1]["tool_calls"]
    assert sent["id"] == call["call_id"]
    assert json.loads(sent["function"]["arguments"]) == {"city": "Paris"}


def test_nothing_is_stored_with_store_false(client: httpx.Client) -> None:
    answer = respond(client, input="Hello", store=False)
    assert answer["store"] is False
    error = refused(client, [{"role": "user", "content": "Hello"}, {"id": answer["output"][0]["id"]}])
    assert "store: false" in error["message"]
    assert error["param"] == "input.1"


@pytest.mark.parametrize("item_id", ["msg_68af4030baa48193b0b43b4c2a176a1a0e6967589f080e78", "x", "fc_" + "0" * 25])
def test_an_item_that_is_not_stored_is_refused(client: httpx.Client, item_id: str) -> None:
    error = refused(client, [{"type": "item_reference", "id": item_id}, {"role": "user", "content": "Hello"}])
    assert item_id in error["message"]
    assert "store: false" in error["message"]


def test_references_to_reasoning_alone_are_no_input(client: httpx.Client) -> None:
    assert "other than reasoning" in refused(client, [{"type": "item_reference", "id": "rs_1"}])["message"]


def test_references_to_too_many_responses_are_refused(client: httpx.Client) -> None:
    items = [{"type": "item_reference", "id": f"msg_{number:024x}0"} for number in range(201)]
    assert "more than 200 responses" in refused(client, items)["message"]
