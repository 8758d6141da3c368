"""The HTTP interface of the `Ai` class. (Tests through the real class: tests/simulator.)"""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from running_simulator import until
from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.text import tokens
from workers_ai_simulator.text_generation.generation import generate

NATIVE = "@cf/meta/llama-3.1-8b-instruct-fast"
OPENAI = "@cf/openai/gpt-oss-20b"


def run(http: httpx.Client, model: str, inputs: dict[str, Any]) -> httpx.Response:
    headers = {"cf-consn-model-id": model, "cf-consn-sdk-version": "2.0.0"}
    return http.post("/run?version=3", json={"inputs": inputs, "options": {}}, headers=headers)


def data(stream: str) -> list[Any]:
    frames = [frame.removeprefix("data: ") for frame in stream.strip().split("\n\n")]
    assert frames.pop() == "[DONE]"
    return [json.loads(frame) for frame in frames]


@pytest.mark.parametrize("model", [NATIVE, OPENAI])
def test_the_same_input_has_the_same_answer_and_another_seed_another(http: httpx.Client, model: str) -> None:
    question = {"messages": [{"role": "user", "content": "Hello"}]}

    def answer(**inputs: int) -> str:
        body = (run(http, model, {**question, **inputs})).json()
        return body["response"] if model == NATIVE else body["choices"][0]["message"]["content"]

    assert answer() == answer()
    assert answer(seed=1) == answer(seed=1)
    assert len({answer(seed=seed) for seed in range(1, 9)}) > 1


def test_a_stream_holds_the_same_text_and_usage_as_the_whole_answer(http: httpx.Client) -> None:
    whole = (run(http, NATIVE, {"prompt": "Hello"})).json()
    stream = run(http, NATIVE, {"prompt": "Hello", "stream": True})
    assert stream.headers["content-type"].startswith("text/event-stream")
    frames = data(stream.text)
    assert "".join(frame["response"] for frame in frames) == whole["response"]
    assert frames[-1]["usage"] == whole["usage"]
    assert all(frame["p"] for frame in frames[:-1])


def test_a_stream_of_openai_s_dialect_is_made_of_chunks(http: httpx.Client) -> None:
    chunks = data((run(http, OPENAI, {"prompt": "Hello", "stream": True, "max_tokens": 4})).text)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 4 + ["length"]
    assert chunks[-1]["usage"]["completion_tokens"] == 4


def test_an_answer_says_that_it_is_simulated(http: httpx.Client) -> None:
    assert "simulated" in (run(http, NATIVE, {"prompt": "Hello"})).json()["response"]


def test_tokens_are_the_whole_text() -> None:
    for text in ("", "a b  c\n\nd", "naïve café, 東京!", "👋🏽 \u2028", "x" * 1000):
        assert "".join(tokens(text)) == text


def test_every_model_for_text_answers() -> None:
    for model in MODELS.values():
        if model.task == "text-generation":
            assert generate(model, {"messages": [{"role": "user", "content": "Hello"}]}).pieces


@pytest.mark.parametrize(
    ("inputs", "status", "code", "words"),
    [
        ({}, 400, 5006, "required properties at '/' are 'prompt'"),
        ({"prompt": 5}, 400, 5006, "Type mismatch of '/prompt', 'number' not in 'string'"),
        ({"prompt": ""}, 400, 5006, "'/prompt' length must be >= 1"),
        ({"messages": [{"role": "user"}]}, 400, 5006, "required properties at '/messages/0' are 'content'"),
        ({"messages": [{"role": "robot", "content": "a"}]}, 400, 5006, "enum robot not in system,user"),
        ({"messages": [{"role": "user", "content": None}]}, 400, 5006, "'null' not in 'string'"),
        ({"messages": "a"}, 400, 5006, "Type mismatch of '/messages', 'string' not in 'array'"),
        ({"messages": ["a"]}, 400, 5006, "Type mismatch of '/messages/0', 'string' not in 'object'"),
        ({"messages": []}, 400, 5006, "'/messages' must have at least 1 items"),
        ({"prompt": "a", "top_k": 51}, 400, 5006, "'/top_k' must be <= 50"),
        ({"prompt": "a", "temperature": "hot"}, 400, 5006, "Type mismatch of '/temperature'"),
        ({"prompt": "a", "max_tokens": "many"}, 400, 5006, "Type mismatch of '/max_tokens'"),
        ({"prompt": "a", "max_tokens": 60_000}, 413, 5021, "exceeded this model context window limit (60000)"),
    ],
)
def test_inputs_are_refused_as_upstream_refuses_them(
    http: httpx.Client, inputs: dict[str, Any], status: int, code: int, words: str
) -> None:
    response = run(http, NATIVE, inputs)
    assert response.status_code == status
    error = response.json()
    assert error["internalCode"] == code
    assert words in error["description"]


def test_an_unknown_model_is_5007(http: httpx.Client) -> None:
    response = run(http, "@cf/no/such-model", {"prompt": "Hello"})
    assert response.status_code == 400
    assert response.json()["internalCode"] == 5007
    assert response.json()["description"] == "No such model @cf/no/such-model or task"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"inputs": 5}', b'{"inputs": {}, "options": 5}', b"[" * 100_000]
)
def test_a_body_unlike_the_class_s_is_3003(http: httpx.Client, body: bytes) -> None:
    headers = {"cf-consn-model-id": NATIVE, "content-type": "application/json"}
    response = http.post("/run", content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["internalCode"] == 3003
    assert response.json()["description"].startswith("Request is missing headers or body: the body must be JSON")


def test_calls_that_are_not_simulated_say_so(http: httpx.Client) -> None:
    not_upgraded = http.get("/run")
    search = http.get("/ai-api/autorag")
    for response in (not_upgraded, search):
        assert response.status_code == 501
        assert "is not simulated" in response.text
        assert response.json()["internalCode"] == 501


def test_the_binding_lists_the_models(http: httpx.Client) -> None:
    matches = http.get("/ai-api/models/search", params={"search": "bge", "task": "Text Embeddings"}).json()["result"]
    assert "@cf/baai/bge-m3" in [model["name"] for model in matches]
    assert all("bge" in model["name"] for model in matches)
    properties = {each["property_id"]: each["value"] for each in matches[0]["properties"]}
    assert properties["output_dimensions"].isdecimal()
    everything = http.get("/ai-api/models/search", params={"include_deprecated": "true"}).json()["result"]
    assert len(everything) == len(MODELS)
    second = http.get("/ai-api/models/search", params={"page": 2, "per_page": 5}).json()["result"]
    assert [model["name"] for model in second] == [model["name"] for model in models(http)[5:10]]
    assert http.get("/ai-api/models/search", params={"page": "x", "task": "None"}).json()["result"] == []


def models(http: httpx.Client) -> list[dict[str, Any]]:
    return http.get("/ai-api/models/search").json()["result"]


TASKS: dict[str, tuple[str, dict[str, Any], str]] = {
    # task: a model, its inputs, what it answers
    "embeddings": ("@cf/baai/bge-base-en-v1.5", {"text": ["one", "two"]}, "data"),
    "reranking": ("@cf/baai/bge-reranker-base", {"query": "a", "contexts": [{"text": "a"}]}, "response"),
    "translation": ("@cf/meta/m2m100-1.2b", {"text": "Hello", "target_lang": "fr"}, "translated_text"),
    "text-classification": ("@cf/huggingface/distilbert-sst-2-int8", {"text": "good"}, "label"),
    "summarization": ("@cf/facebook/bart-large-cnn", {"input_text": "One. Two."}, "was deprecated on 2026-05-30"),
    "guard": ("@cf/meta/llama-guard-3-8b", {"messages": [{"role": "user", "content": "Hello"}]}, "response"),
    "text-to-image": ("@cf/black-forest-labs/flux-1-schnell", {"prompt": "a hill"}, "image"),
    "image-to-text": ("@cf/llava-hf/llava-1.5-7b-hf", {"image": [], "prompt": "What?"}, "Invalid image"),
    "text-to-speech": ("@cf/myshell-ai/melotts", {"prompt": "Hello"}, "audio"),
    "speech-to-text": ("@cf/openai/whisper", {"audio": [1, 2, 3]}, "Invalid audio"),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_answered_over_http(http: httpx.Client, task: str) -> None:
    model, inputs, words = TASKS[task]
    assert MODELS[model].task == task
    response = run(http, model, inputs)
    assert response.headers["content-type"] == "application/json"
    assert words in response.text
    assert http.get(f"/simulator/requests/{response.headers['cf-ai-req-id']}").json()["status"] == response.status_code


# ---- what tests ask of it ------------------------------------------------------------------------------------------


def test_a_fault_hits_its_model_only_and_is_counted(http: httpx.Client) -> None:
    fault = {"status": 429, "code": 3040, "description": "Capacity temporarily exceeded", "count": 2, "model": NATIVE}
    assert (http.post("/simulator/faults", json=fault)).status_code == 201
    assert (run(http, OPENAI, {"prompt": "Hello"})).status_code == 200
    statuses = [(run(http, NATIVE, {"prompt": "Hello"})).status_code for _ in range(3)]
    assert statuses == [429, 429, 200]


@pytest.mark.parametrize("part", ["statsu", "released"])
def test_a_fault_with_an_unknown_part_is_refused(http: httpx.Client, part: str) -> None:
    response = http.post("/simulator/faults", json={part: 500})
    assert response.status_code == 400
    assert part in response.json()["error"]
    assert (run(http, NATIVE, {"prompt": "Hello"})).status_code == 200


def test_a_held_answer_is_sent_when_the_faults_are_cleared(http: httpx.Client) -> None:
    http.post("/simulator/faults", json={"hold_response": True})
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(run, http, NATIVE, {"prompt": "held"})
        entry = until(lambda: journal(http)[-1], lambda entry: entry["inputs"] == {"prompt": "held"})
        assert entry["state"] == "received"
        assert not answering.done()
        http.delete("/simulator/faults")
        assert answering.result(60).status_code == 200


def test_a_caller_that_does_not_wait_is_noticed(http: httpx.Client) -> None:
    http.post("/simulator/faults", json={"hold_response": True})
    impatience = httpx.Timeout(60, read=0.2)
    with httpx.Client(base_url=http.base_url, timeout=impatience) as impatient, pytest.raises(httpx.ReadTimeout):
        run(impatient, NATIVE, {"prompt": "gone"})
    sent = until(lambda: journal(http)[-1], lambda entry: entry["inputs"] == {"prompt": "gone"})
    entry = http.get(f"/simulator/requests/{sent['id']}", params={"seconds": 60}).json()
    assert entry["state"] == "cancelled"


def test_the_journal_has_inputs_and_outcomes(http: httpx.Client) -> None:
    good = run(http, NATIVE, {"prompt": "Hello"})
    bad = run(http, NATIVE, {"prompt": 5})
    streamed = run(http, NATIVE, {"prompt": "Hello", "stream": True})
    entries = {entry["id"]: entry for entry in journal(http)}
    assert [entries[response.headers["cf-ai-req-id"]]["state"] for response in (good, bad, streamed)] == [
        "finished",
        "failed",
        "finished",
    ]
    entry = (http.get(f"/simulator/requests/{streamed.headers['cf-ai-req-id']}")).json()
    assert entry["inputs"] == {"prompt": "Hello", "stream": True}
    assert entry["frames"] == len(data(streamed.text)) + 1
    assert (http.get("/simulator/requests/unknown")).status_code == 404


def journal(http: httpx.Client) -> list[dict[str, Any]]:
    return http.get("/simulator/requests").json()


DUAL = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"


@pytest.mark.parametrize("model", [DUAL, SCOUT])
def test_some_llamas_stream_in_both_dialects_at_once(http: httpx.Client, model: str) -> None:
    inputs = {"messages": [{"role": "user", "content": "Hello"}]}
    whole = run(http, model, inputs).json()
    frames = data(run(http, model, {**inputs, "stream": True}).text)
    deltas = [frame["choices"][0]["delta"] for frame in frames]
    assert "".join(delta.get("content", "") for delta in deltas) == whole["response"]
    assert (deltas[0], frames[0]["response"]) == ({"role": "assistant", "content": ""}, "")
    assert {frame["object"] for frame in frames} == {"chat.completion.chunk"}
    assert [frame["choices"][0]["finish_reason"] for frame in frames] == [None] * (len(frames) - 1) + ["stop"]
    assert [frame.get("usage") for frame in frames[-2:]] == [None, whole["usage"]]
    assert [frame["response"] for frame in frames] == [delta.get("content", "") for delta in deltas]
    assert all(frame["p"] for frame in frames)


def test_their_calls_of_tools_are_in_one_place_for_clients_that_read_both(http: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": schema}}
    inputs = {"messages": [{"role": "user", "content": "Weather in Oslo?"}], "tools": [tool], "stream": True}
    frames = data(run(http, DUAL, inputs).text)
    assert not any("tool_calls" in frame for frame in frames)
    parts = [part for frame in frames for part in frame["choices"][0]["delta"].get("tool_calls", [])]
    assert parts[0]["function"]["name"] == "get_weather"
    assert "".join(part["function"]["arguments"] for part in parts) == '{"city": "Oslo"}'
    assert {frame["response"] for frame in frames} == {""}
    assert frames[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_openai_s_endpoint_of_the_same_model_streams_in_one_dialect(http: httpx.Client) -> None:
    body = {"model": DUAL, "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    frames = data(http.post("/client/v4/accounts/any/ai/v1/chat/completions", json=body).text)
    assert not any("response" in frame or "p" in frame for frame in frames)
