"""Asynchronous batches: queued, polled until they are done, and answered together; also over the REST API."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from workers_ai_simulator.catalogue import MODELS

LLAMA = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
M3 = "@cf/baai/bge-m3"
NO_QUEUE = "@cf/meta/llama-3.2-3b-instruct"
STORY = {"query": "a story", "contexts": [{"text": "a story of a llama"}, {"text": "bread"}]}

Ask = Callable[..., httpx.Response]


@pytest.fixture(params=["binding", "rest"])
def ask(request: pytest.FixtureRequest, http: httpx.Client) -> Ask:
    """Call a model, with or without a queue, by the binding or the REST API."""

    def by_binding(model: str, inputs: Any, *, queue: bool = False) -> httpx.Response:
        body = {"inputs": inputs, "options": {"queueRequest": True} if queue else {}}
        return http.post("/run", json=body, headers={"cf-consn-model-id": model})

    def by_rest(model: str, inputs: Any, *, queue: bool = False) -> httpx.Response:
        url = f"/client/v4/accounts/any/ai/run/{model}"
        return http.post(url, json=inputs, params={"queueRequest": "true"} if queue else {})

    return {"binding": by_binding, "rest": by_rest}[request.param]


def result(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    body = response.json()
    return body["result"] if "success" in body else body


def code(response: httpx.Response) -> int:
    assert response.status_code == 400, response.text
    body = response.json()
    return body["errors"][0]["code"] if "errors" in body else body["internalCode"]


def done(ask: Ask, model: str, requests: list[Any]) -> Any:
    """Answer of a batch once it is done."""
    queued = result(ask(model, {"requests": requests}, queue=True))
    assert queued == {"status": "queued", "request_id": queued["request_id"], "model": model}
    poll = {"request_id": queued["request_id"]}
    assert result(ask(model, poll)) == {"status": "running", **poll, "model": model}
    return result(ask(model, poll))


def test_each_request_gets_the_answer_of_a_single_call(ask: Ask) -> None:
    alone = result(ask(M3, STORY))
    answer = done(ask, M3, [{**STORY, "external_reference": "one"}, {"text": "two"}])
    first, second = answer["responses"]
    assert first == {"id": 0, "result": alone, "success": True, "external_reference": "one"}
    assert (second["id"], second["result"]["shape"], second["external_reference"]) == (1, [1, 1024], None)
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 5


def test_text_is_answered_whole_and_its_tokens_are_summed(ask: Ask) -> None:
    prompts = [{"prompt": "Hello", "stream": True}, {"prompt": "Good day"}]
    answer = done(ask, LLAMA, prompts)
    results = [each["result"] for each in answer["responses"]]
    assert all("simulated" in each["response"] for each in results)
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert answer["usage"] == {name: sum(each["usage"][name] for each in results) for name in names}


def test_a_request_that_fails_leaves_the_others_alone(ask: Ask) -> None:
    wrong = {"text": 5, "external_reference": "wrong"}
    failed, fine = done(ask, M3, [wrong, {"text": "a"}])["responses"]
    assert (failed["success"], failed["external_reference"], "result" in failed) == (False, "wrong", False)
    assert failed["error"].startswith("5006: Error: Type mismatch of '/text'")
    assert fine["success"]


def test_a_batch_can_be_fetched_again(ask: Ask) -> None:
    queued = result(ask(M3, {"requests": [{"text": "a"}]}, queue=True))
    answers = [result(ask(M3, {"request_id": queued["request_id"]})) for _ in range(3)]
    assert answers[1] == answers[2]


@pytest.mark.parametrize("inputs", [{}, {"text": "a"}, {"requests": []}, {"requests": {}}, {"requests": ["a"]}])
def test_a_malformed_batch_is_5006(ask: Ask, inputs: Any) -> None:
    assert code(ask(M3, inputs, queue=True)) == 5006


def test_a_model_without_a_queue_says_so(ask: Ask) -> None:
    assert code(ask(NO_QUEUE, {"requests": [{"prompt": "a"}]}, queue=True)) == 8007


def test_a_batch_is_found_by_its_own_model_only(ask: Ask) -> None:
    queued = result(ask(M3, {"requests": [{"text": "a"}]}, queue=True))
    for model, request_id in ((M3, "none"), (M3, None), (LLAMA, queued["request_id"])):
        assert code(ask(model, {"request_id": request_id})) == 5006


def test_the_models_say_which_of_them_have_a_queue(http: httpx.Client) -> None:
    models = http.get("/ai-api/models/search").json()["result"]
    queue = {"property_id": "async_queue", "value": "true"}
    listed = {each["name"] for each in models if queue in each["properties"]}
    assert listed == {model.id for model in MODELS.values() if "batch" in model.abilities}
    assert {M3, LLAMA} <= listed
