"""Models that Cloudflare has retired: their successors answer, and say so."""

from typing import Any

import httpx
import pytest

from tests.conftest import NewCalls, Simulator

RETIRED = "@cf/meta/llama-3.1-8b-instruct"
SUCCESSOR = "@cf/meta/llama-3.1-8b-instruct-fast"
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat", {"prompt": "Hello"}),
        ("/chat", {"prompt": "Hello", "stream": False, "raw": True, "top_k": 3}),
        ("/extract", {"text": "Ann is 30.", "schema": {"type": "object", "properties": {"age": {"type": "integer"}}}}),
        ("/summarize", {"text": "A long text."}),
        ("/v1/chat/completions", {"messages": MESSAGES}),
        ("/v1/chat/completions", {"messages": MESSAGES, "stream": True}),
        ("/v1/responses", {"input": "Hello"}),
        ("/v1/completions", {"prompt": "Hello"}),
    ],
)
def test_the_successor_answers_and_the_headers_say_so(
    client: httpx.Client, simulator: Simulator, path: str, body: dict[str, Any]
) -> None:
    calls = NewCalls(simulator)
    response = client.post(path, json={"model": RETIRED, **body})
    assert response.status_code == 200, response.text
    assert response.headers["x-model"] == SUCCESSOR
    assert response.headers["warning"] == f'299 - "The model {RETIRED} was retired: {SUCCESSOR} answers in its place."'
    assert {call["model"] for call in calls.of(operation="run")} == {SUCCESSOR}


def test_other_answers_have_no_warning(client: httpx.Client) -> None:
    assert "warning" not in client.post("/chat", json={"prompt": "Hello", "model": SUCCESSOR}).headers


def test_the_lists_of_models_have_no_retired_ones(client: httpx.Client) -> None:
    catalogue = client.get("/models").json()
    assert catalogue["retired"][RETIRED] == SUCCESSOR
    assert RETIRED not in [model["id"] for model in catalogue["models"]]
    assert RETIRED not in [model["id"] for model in client.get("/v1/models").json()["data"]]


def test_a_retired_model_is_found_by_its_id(client: httpx.Client) -> None:
    assert client.get(f"/v1/models/{RETIRED}").json()["id"] == RETIRED
