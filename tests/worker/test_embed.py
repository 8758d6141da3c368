"""POST /embed and POST /rerank, as their clients see them."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import ErrorOf, Simulator

BASE = "@cf/baai/bge-base-en-v1.5"
M3 = "@cf/baai/bge-m3"
QWEN = "@cf/qwen/qwen3-embedding-0.6b"
PLAMO = "@cf/pfnet/plamo-embedding-1b"
POOLED = ("@cf/baai/bge-small-en-v1.5", BASE, "@cf/baai/bge-large-en-v1.5")


def embed(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/embed", json={"text": "a llama in the Andes", **body})


def rerank(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/rerank", json={"query": "llama", "contexts": ["a car", "a llama"], **body})


def sent(simulator: Simulator, response: httpx.Response) -> list[dict[str, Any]]:
    """The inputs of the model calls behind a response."""
    return [simulator.request(each)["inputs"] for each in response.headers["x-ai-request-id"].split(", ")]


def calls(simulator: Simulator) -> set[str]:
    """The ids of the last thousand model calls."""
    return {entry["id"] for entry in simulator.requests(binding="AI")}


# ---- vectors -------------------------------------------------------------------------------------------------------


def test_a_text_becomes_a_vector(client: httpx.Client, simulator: Simulator) -> None:
    response = embed(client, text="a llama in the Andes")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-model"] == BASE
    assert response.headers["server-timing"].startswith("model;dur=")
    answer = response.json()
    assert list(answer) == ["shape", "data", "pooling", "usage"]
    assert answer["shape"] == [1, 768]
    assert [len(row) for row in answer["data"]] == [768]
    assert math.isclose(math.hypot(*answer["data"][0]), 1, rel_tol=1e-5)
    assert answer["pooling"] == "mean"
    assert sent(simulator, response) == [{"text": ["a llama in the Andes"]}]


def test_usage_is_said_to_be_an_estimate(client: httpx.Client) -> None:
    response = embed(client, text=["a llama in the Andes", "another"])
    usage = response.json()["usage"]
    assert set(usage) == {"prompt_tokens", "neurons", "estimated"}
    assert usage["estimated"] is True
    assert usage["prompt_tokens"] >= 6
    assert math.isclose(usage["neurons"], usage["prompt_tokens"] * 6058 / 1e6)
    assert float(response.headers["x-neurons"]) == pytest.approx(usage["neurons"], rel=1e-3)


def test_a_model_without_a_known_price_has_no_neurons(client: httpx.Client) -> None:
    response = embed(client, model="@cf/google/embeddinggemma-300m")
    assert response.json()["usage"]["neurons"] is None
    assert "x-neurons" not in response.headers


def test_every_embeddings_model_of_the_catalogue_can_be_asked(client: httpx.Client) -> None:
    models = client.get("/models", params={"task": "embeddings"}).json()["models"]
    assert len(models) == 7
    for model in models:
        answer = embed(client, model=model["id"], text=["one", "two"]).json()
        assert answer["shape"] == [2, model["dimensions"]]
        assert [len(row) for row in answer["data"]] == [model["dimensions"]] * 2


@pytest.mark.parametrize("model", POOLED)
def test_a_pooling_is_handed_to_the_models_that_take_one(
    client: httpx.Client, simulator: Simulator, model: str
) -> None:
    for pooling in ("mean", "cls"):
        response = embed(client, model=model, pooling=pooling)
        assert response.json()["pooling"] == pooling
        assert sent(simulator, response)[0]["pooling"] == pooling


def test_texts_beyond_ascii_arrive_as_they_were_sent(client: httpx.Client, simulator: Simulator) -> None:
    texts = ["naïve café", "東京 👋🏽", '\u2028 \x00 \\ " </script>', "]], [["]
    response = embed(client, text=texts)
    assert response.json()["shape"] == [4, 768]
    assert sent(simulator, response) == [{"text": texts}]


# ---- many texts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "count", "sizes"),
    [(BASE, 100, [100]), (BASE, 101, [100, 1]), (BASE, 450, [100] * 4 + [50]), (QWEN, 70, [32, 32, 6])],
)
def test_many_texts_are_sent_in_calls_as_large_as_the_model_takes(
    client: httpx.Client, simulator: Simulator, model: str, count: int, sizes: list[int]
) -> None:
    texts = [f"text number {number}" for number in range(count)]
    response = embed(client, model=model, text=texts)
    assert response.status_code == 200
    batches = [each["text"] for each in sent(simulator, response)]
    assert sorted(map(len, batches), reverse=True) == sizes
    assert sorted(text for batch in batches for text in batch) == sorted(texts)
    assert response.json()["shape"][0] == count


def test_each_vector_stands_where_its_text_does(client: httpx.Client) -> None:
    texts = [f"text number {number}" for number in range(230)]
    data = embed(client, text=texts).json()["data"]
    for number in (0, 99, 100, 199, 200, 229):
        assert data[number] == embed(client, text=texts[number]).json()["data"][0]


def test_texts_that_are_long_together_are_sent_in_more_calls(client: httpx.Client, simulator: Simulator) -> None:
    # 20 texts of about 6,000 tokens: more than the 60,000 that bge-m3 takes at once
    texts = [f"{number} " + "word " * 5_999 for number in range(20)]
    response = embed(client, model=M3, text=texts)
    assert response.status_code == 200
    assert response.json()["shape"] == [20, 1024]
    assert len(sent(simulator, response)) > 2


def test_the_costs_of_several_calls_are_summed(client: httpx.Client) -> None:
    usage = embed(client, text=["the same text"] * 250).json()["usage"]
    one = embed(client, text="the same text").json()["usage"]
    assert usage["prompt_tokens"] == 250 * one["prompt_tokens"]
    assert usage["neurons"] == pytest.approx(250 * one["neurons"])


def test_one_failed_call_of_several_fails_the_request(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf
) -> None:
    simulator.set_fault(status=429, code=3036, description="the day's neurons", count=1)
    response = embed(client, text=["a"] * 300)
    assert response.status_code == 429
    assert error_of(response)["upstream_code"] == 3036
    assert embed(client, text=["a"] * 300).json()["shape"] == [300, 768]


def test_a_passing_failure_of_one_call_is_not_seen(client: httpx.Client, simulator: Simulator) -> None:
    simulator.set_fault(status=429, code=3040, count=1)
    assert embed(client, text=["a"] * 300).json()["shape"] == [300, 768]


@pytest.mark.parametrize(
    ("model", "count", "words"),
    [(BASE, 2_049, "at most 2,048 items, not 2,049"), (PLAMO, 977, "at most 976 items for @cf/pfnet/plamo")],
    ids=["too many texts", "more numbers than fit into memory"],
)
def test_too_many_texts_are_refused(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, model: str, count: int, words: str
) -> None:
    before = calls(simulator)
    response = embed(client, text=["a"] * count, model=model)
    assert response.status_code == 400
    error = error_of(response)
    assert error["param"] == "text"
    assert words in error["message"]
    assert calls(simulator) <= before


def test_requests_at_once_do_not_mix(client: httpx.Client, base_url: str) -> None:
    def first_vector(number: int) -> list[float]:
        texts = [f"request {number}, text {each}" for each in range(150)]
        return httpx.post(f"{base_url}/embed", json={"text": texts}, timeout=60).json()["data"][149]

    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(first_vector, range(8)))
    for number, vector in enumerate(vectors):
        assert vector == embed(client, text=f"request {number}, text 149").json()["data"][0]


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "text", "is required"),
        ({"text": None}, "text", "valid string"),
        ({"text": 5}, "text", "valid string"),
        ({"text": {"a": 1}}, "text", "valid string"),
        ({"text": ""}, "text", "at least 1 character"),
        ({"text": []}, "text", "at least 1 item"),
        ({"text": ["a", "b", "c", ""]}, "text.3", "at least 1 character"),
        ({"text": ["a", 5, ""]}, "text.1", "valid string"),
        ({"text": [["a"]]}, "text.0", "valid string"),
        ({"text": [""] * 9_000}, "text.0", "at least 1 character"),
        ({"text": "a", "pooling": "max"}, "pooling", "'mean' or 'cls'"),
        ({"text": "a", "model": 5}, "model", "valid string"),
        ({"text": "a", "input": "b"}, "input", "the fields are text, model, pooling, gateway"),
        ({"text": "a", "gateway": {"cache_ttl": 1}}, "gateway.cache_ttl", "must be"),
        ({"text": "a", "pooling": "cls", "model": M3}, "pooling", "bge-m3 does not take pooling"),
        ({"text": "a", "pooling": "mean", "model": QWEN}, "pooling", "does not take pooling"),
    ],
)  # fmt: skip
def test_a_field_at_fault_is_named(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, body: dict[str, Any], param: str, words: str
) -> None:
    before = calls(simulator)
    response = client.post("/embed", json=body)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["type"], error["param"]) == (7504, "invalid_request", param)
    assert words in error["message"]
    assert calls(simulator) <= before


@pytest.mark.parametrize("path", ["/embed", "/rerank"])
def test_only_json_of_a_bounded_size_is_taken(client: httpx.Client, error_of: ErrorOf, path: str) -> None:
    response = client.post(path, content="text=a", headers={"content-type": "application/x-www-form-urlencoded"})
    assert (response.status_code, error_of(response)["type"]) == (415, "unsupported_media_type")
    response = client.post(path, json={"text": "a" * 1_100_000})
    assert (response.status_code, error_of(response)["type"]) == (413, "payload_too_large")
    response = client.get(path)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    response = client.post(path, content=b'{"text": "\xff"}', headers={"content-type": "application/json"})
    assert (response.status_code, error_of(response)["code"]) == (400, 7504)


@pytest.mark.parametrize(("path", "task"), [("/embed", "embeddings"), ("/rerank", "reranking")])
def test_a_model_that_is_unknown_or_for_another_task_is_refused(
    client: httpx.Client, error_of: ErrorOf, path: str, task: str
) -> None:
    body: dict[str, Any] = {"text": "a"} if path == "/embed" else {"query": "a", "contexts": ["b"]}
    response = client.post(path, json={**body, "model": "@cf/baai/bge-bse-en-v1.5"})
    assert response.status_code == 404
    assert (error_of(response)["code"], error_of(response)["param"]) == (7502, "model")
    assert "@cf/baai/bge-" in error_of(response)["message"]
    response = client.post(path, json={**body, "model": "@cf/meta/llama-3.2-1b-instruct"})
    assert response.status_code == 400
    assert f"not for {task}" in error_of(response)["message"]


def test_a_cache_key_is_refused_where_several_answers_would_share_it(client: httpx.Client, error_of: ErrorOf) -> None:
    response = embed(client, text=["a"] * 101, gateway={"cache_key": "same"})
    assert response.status_code == 400
    error = error_of(response)
    assert error["param"] == "gateway.cache_key"
    assert "takes 2 model calls" in error["message"]


@pytest.mark.parametrize(("model", "window"), [(M3, "8,192"), (QWEN, "8,192"), (BASE, "153,600")])
def test_a_text_of_too_many_words_is_refused_before_the_call(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, model: str, window: str
) -> None:
    before = calls(simulator)
    response = embed(client, model=model, text=["short", "a " * 153_601])
    assert response.status_code == 413
    error = error_of(response)
    assert (error["type"], error["code"], error["param"]) == ("context_exceeded", 7506, "text.1")
    assert f"{model} takes {window}" in error["message"]
    assert calls(simulator) <= before


def test_a_text_that_only_the_model_finds_too_long_is_refused_alike(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf
) -> None:
    response = embed(client, model=M3, text=["short", "incomprehensibilities " * 5_000])
    assert response.status_code == 413
    error = error_of(response)
    assert (error["type"], error["code"], error["upstream_code"]) == ("context_exceeded", 7506, 3030)
    assert "Sequence too long" in error["message"]
    assert simulator.request(response.headers["x-ai-request-id"])["status"] == 400


# ---- errors of the model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [embed, rerank])
@pytest.mark.parametrize(
    ("status", "code", "ours", "kind", "our_code"),
    [
        (429, 3036, 429, "rate_limited", 7505),
        (400, 5007, 404, "model_not_found", 7502),
        (400, 5006, 400, "invalid_request", 7504),
        (408, 3007, 408, "timeout", None),
        (403, 5018, 403, "forbidden", None),
        (500, 8007, 502, "upstream_error", None),
    ],
)
def test_an_error_of_the_model_becomes_one_of_ours(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf,
    ask: Any, status: int, code: int, ours: int, kind: str, our_code: int | None,
) -> None:  # fmt: skip
    simulator.set_fault(status=status, code=code, description="the model's own words", count=None)
    response = ask(client)
    simulator.clear_faults()
    assert response.status_code == ours
    error = error_of(response)
    assert (error["type"], error["code"], error["upstream_code"]) == (kind, our_code, code)
    assert "the model's own words" in error["message"]
    assert ask(client).status_code == 200


@pytest.mark.parametrize(("ask", "words"), [(embed, "no vectors"), (rerank, "no ranking")])
def test_an_answer_of_another_shape_is_an_error_of_the_model(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, ask: Any, words: str
) -> None:
    faults: list[dict[str, Any]] = [{"empty_body": True}, {"status": 200, "description": "all is well"}]
    for fault in faults:
        simulator.set_fault(**fault)
        response = ask(client)
        assert response.status_code == 502
        assert error_of(response)["type"] == "upstream_error"
        assert words in error_of(response)["message"] or "something other than" in error_of(response)["message"]
    assert ask(client).status_code == 200


# ---- ranking -------------------------------------------------------------------------------------------------------


def test_texts_are_ranked_by_how_well_they_fit_the_query(client: httpx.Client, simulator: Simulator) -> None:
    contexts = ["A car is fast.", {"text": "A llama is an animal of the Andes."}, "Where llamas live"]
    response = rerank(client, query="What is a llama?", contexts=contexts)
    assert response.status_code == 200
    assert response.headers["x-model"] == "@cf/baai/bge-reranker-base"
    assert float(response.headers["x-neurons"]) > 0
    ranked = response.json()["response"]
    assert {each["id"] for each in ranked} == {0, 1, 2}
    assert ranked[-1]["id"] == 0
    scores = [each["score"] for each in ranked]
    assert scores == sorted(scores, reverse=True)
    texts = ["A car is fast.", "A llama is an animal of the Andes.", "Where llamas live"]
    assert sent(simulator, response) == [{"query": "What is a llama?", "contexts": [{"text": text} for text in texts]}]


def test_top_k_keeps_the_best(client: httpx.Client, simulator: Simulator) -> None:
    response = rerank(client, contexts=["a car", "a llama", "a house"], top_k=1)
    assert [each["id"] for each in response.json()["response"]] == [1]
    assert sent(simulator, response)[0]["top_k"] == 1
    assert len(rerank(client, top_k=50).json()["response"]) == 2


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"contexts": ["a"]}, "query", "is required"),
        ({"query": "", "contexts": ["a"]}, "query", "at least 1 character"),
        ({"query": "a"}, "contexts", "is required"),
        ({"query": "a", "contexts": []}, "contexts", "at least 1 item"),
        ({"query": "a", "contexts": "b"}, "contexts", "valid array"),
        ({"query": "a", "contexts": ["b", ""]}, "contexts.1", "at least 1 character"),
        ({"query": "a", "contexts": ["b", {"text": ""}]}, "contexts.1", "at least 1 character"),
        ({"query": "a", "contexts": ["b", {"text": 5}]}, "contexts.1", "valid string"),
        ({"query": "a", "contexts": ["b", {"body": "c"}]}, "contexts.1", "valid string"),
        ({"query": "a", "contexts": ["b", {"text": "c", "id": 1}]}, "contexts.1", "valid string"),
        ({"query": "a", "contexts": ["b"], "top_k": 0}, "top_k", "at least 1"),
        ({"query": "a", "contexts": ["b"], "top_k": 1.5}, "top_k", "valid integer"),
        ({"query": "a", "contexts": ["b"], "text": "c"}, "text", "the fields are query, contexts"),
    ],
)
def test_a_field_of_a_ranking_at_fault_is_named(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, body: dict[str, Any], param: str, words: str
) -> None:
    before = calls(simulator)
    response = client.post("/rerank", json=body)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["type"], error["param"]) == (7504, "invalid_request", param)
    assert words in error["message"]
    assert calls(simulator) <= before
