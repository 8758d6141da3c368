"""Cloudflare's REST API through its clients: the official SDKs, and plain HTTP requests."""

import json
from typing import Any

import cloudflare
import httpx
import openai
import pytest
import requests
from cloudflare import Cloudflare
from openai import OpenAI

from running_simulator import SimulatorProcess

CHAT = "@cf/meta/llama-3.1-8b-instruct-fast"
GPT = "@cf/openai/gpt-oss-20b"
EMBEDDING = "@cf/baai/bge-base-en-v1.5"
ACCOUNT = "/client/v4/accounts/any"


@pytest.fixture
def cloudflare_sdk(simulator_process: SimulatorProcess) -> Cloudflare:
    return Cloudflare(api_token="any", base_url=f"{simulator_process.url}/client/v4", max_retries=0)


@pytest.fixture
def openai_sdk(simulator_process: SimulatorProcess) -> OpenAI:
    return OpenAI(api_key="any", base_url=f"{simulator_process.url}{ACCOUNT}/ai/v1", max_retries=0)


# ---- the official SDK of Cloudflare --------------------------------------------------------------------------------


def test_the_cloudflare_sdk_runs_models(cloudflare_sdk: Cloudflare) -> None:
    answer: Any = cloudflare_sdk.ai.run(CHAT, account_id="any", prompt="Hello")
    assert "simulated" in answer["response"]
    embedded: Any = cloudflare_sdk.ai.run(EMBEDDING, account_id="any", text=["one", "two"])
    assert embedded["shape"] == [2, 768]


def test_the_cloudflare_sdk_pages_through_the_models(cloudflare_sdk: Cloudflare) -> None:
    listed: list[Any] = list(cloudflare_sdk.ai.models.list(account_id="any", per_page=20))
    names = [model["name"] for model in listed]
    assert CHAT in names
    assert len(names) == len(set(names)) > 40
    models: list[Any] = list(cloudflare_sdk.ai.models.list(account_id="any", task="Text Embeddings", search="bge"))
    assert models
    assert all("bge" in model["name"] and model["task"]["name"] == "Text Embeddings" for model in models)


def test_the_cloudflare_sdk_raises_its_errors(cloudflare_sdk: Cloudflare) -> None:
    with pytest.raises(cloudflare.BadRequestError) as caught:
        cloudflare_sdk.ai.run("@cf/no/such-model", account_id="any", prompt="Hello")
    assert [error.code for error in caught.value.errors] == [5007]
    with pytest.raises(cloudflare.BadRequestError, match=r"AiError: Bad input: Error: .*required properties"):
        cloudflare_sdk.ai.run(CHAT, account_id="any", extra_body={})  # type: ignore[call-overload]


def test_the_cloudflare_sdk_lists_the_vectors_of_an_index(cloudflare_sdk: Cloudflare, http: httpx.Client) -> None:
    indexes = cloudflare_sdk.vectorize.indexes
    indexes.create(account_id="any", name="listed", config={"dimensions": 2, "metric": "cosine"})
    vectors = "\n".join(json.dumps({"id": f"v{number}", "values": [1, number]}) for number in range(5))
    http.post(f"{ACCOUNT}/vectorize/v2/indexes/listed/insert", content=vectors).raise_for_status()
    first = indexes.list_vectors("listed", account_id="any", count=3)
    assert first is not None
    assert ([each.id for each in first.vectors], first.total_count, first.is_truncated) == (["v0", "v1", "v2"], 5, True)
    rest = indexes.list_vectors("listed", account_id="any", count=3, cursor=str(first.next_cursor))
    assert rest is not None
    assert ([each.id for each in rest.vectors], rest.is_truncated) == (["v3", "v4"], False)
    for wrong in ({"count": 0}, {"count": 1001}, {"cursor": "%"}):
        assert http.get(f"{ACCOUNT}/vectorize/v2/indexes/listed/list", params=wrong).status_code == 400


# ---- OpenAI's SDK --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [CHAT, GPT])
def test_the_openai_sdk_chats(openai_sdk: OpenAI, model: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    whole = openai_sdk.chat.completions.create(model=model, messages=messages)
    text = whole.choices[0].message.content
    assert text
    assert "simulated" in text
    assert whole.usage
    chunks = list(openai_sdk.chat.completions.create(model=model, messages=messages, stream=True))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == text


def test_the_openai_sdk_embeds_alike_as_numbers_and_as_base64(openai_sdk: OpenAI) -> None:
    packed = openai_sdk.embeddings.create(model=EMBEDDING, input=["one", "two"])
    plain = openai_sdk.embeddings.create(model=EMBEDDING, input=["one", "two"], encoding_format="float")
    assert [each.index for each in packed.data] == [0, 1]
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)
    assert len(packed.data[0].embedding) == 768


def test_the_openai_sdk_gets_responses(openai_sdk: OpenAI) -> None:
    answer = openai_sdk.responses.create(model=GPT, input="Hello", instructions="Be brief.")
    assert "simulated" in answer.output_text
    events = list(openai_sdk.responses.create(model=GPT, input="Hello", instructions="Be brief.", stream=True))
    streamed = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert streamed == answer.output_text


def test_the_openai_sdk_raises_its_errors(openai_sdk: OpenAI, http: httpx.Client) -> None:
    with pytest.raises(openai.BadRequestError):
        openai_sdk.chat.completions.create(model="@cf/no/model", messages=[{"role": "user", "content": "a"}])
    http.post("/simulator/faults", json={"status": 429, "code": 3040, "description": "busy"})
    with pytest.raises(openai.RateLimitError) as caught:
        openai_sdk.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": "a"}])
    assert "busy" in caught.value.response.text


# ---- requests, httpx -----------------------------------------------------------------------------------------------


def test_requests_gets_the_envelope_bytes_or_a_stream(simulator_process: SimulatorProcess) -> None:
    run = f"{simulator_process.url}{ACCOUNT}/ai/run/"
    headers = {"Authorization": "Bearer any"}
    body = requests.post(f"{run}{CHAT}", json={"prompt": "Hello"}, headers=headers, timeout=60).json()
    assert (body["success"], body["errors"], body["messages"]) == (True, [], [])
    assert "simulated" in body["result"]["response"]
    sdxl = f"{run}@cf/stabilityai/stable-diffusion-xl-base-1.0"
    image = requests.post(sdxl, json={"prompt": "a hill", "width": 256, "height": 256}, headers=headers, timeout=60)
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG")
    streaming = {"prompt": "Hello", "stream": True}
    with requests.post(f"{run}{CHAT}", json=streaming, headers=headers, timeout=60, stream=True) as stream:
        assert list(stream.iter_lines())[-2] == b"data: [DONE]"


def test_a_sound_is_sent_as_the_body_itself(http: httpx.Client) -> None:
    spoken = http.post(f"{ACCOUNT}/ai/run/@cf/deepgram/aura-1", json={"text": "Hello there", "container": "wav"})
    answer = http.post(f"{ACCOUNT}/ai/run/@cf/openai/whisper", content=spoken.content)
    assert answer.json()["result"]["text"] == "Hello there"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (f"run/{CHAT}", b"{", 400, 3003),
        (f"run/{CHAT}", b"[]", 400, 5006),
        (f"run/{CHAT}", b'{"prompt": 5}', 400, 5006),
        ("run/@cf/no/such-model", b"{}", 400, 5007),
        ("v1/chat/completions", b"{}", 400, 5006),
        ("v1/chat/completions", b"not json", 400, 3003),
        ("v1/embeddings", b'{"model": "@cf/baai/bge-base-en-v1.5"}', 400, 5006),
        ("v1/embeddings", b'{"model": "@cf/baai/bge-base-en-v1.5", "input": [5]}', 400, 5006),
    ],
)
def test_bad_input_is_refused_in_the_envelope(
    http: httpx.Client, path: str, body: bytes, status: int, code: int
) -> None:
    response = http.post(f"{ACCOUNT}/ai/{path}", content=body, headers={"content-type": "application/json"})
    answer = response.json()
    assert (response.status_code, answer["success"], answer["errors"][0]["code"]) == (status, False, code)
    assert answer["errors"][0]["message"].startswith("AiError: ")


def test_a_call_without_credentials_is_refused(simulator_process: SimulatorProcess) -> None:
    response = requests.get(f"{simulator_process.url}{ACCOUNT}/ai/models/search", timeout=60)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (401, 10000)


# ---- the model in the body, and what is not simulated ---------------------------------------------------------------


def test_a_model_is_run_by_its_name_in_the_body(http: httpx.Client) -> None:
    body = {"model": CHAT, "input": {"prompt": "Hello"}}
    answer = http.post(f"{ACCOUNT}/ai/run", json=body)
    assert answer.status_code == 200
    assert answer.json()["result"] == http.post(f"{ACCOUNT}/ai/run/{CHAT}", json=body["input"]).json()["result"]
    vectors = http.post(f"{ACCOUNT}/ai/run", json={"model": EMBEDDING, "input": {"text": ["one"]}})
    assert vectors.json()["result"]["shape"] == [1, 768]
    stream = http.post(f"{ACCOUNT}/ai/run", json={"model": CHAT, "input": {"prompt": "Hello", "stream": True}})
    assert stream.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"input": {"prompt": "Hello"}}, 5006, "are 'model'"),
        ({"model": CHAT}, 5006, "are 'input'"),
        ({"model": CHAT, "input": "Hello"}, 5006, "Type mismatch of '/input', 'string' not in 'object'"),
        ({"model": "@cf/no/such-model", "input": {}}, 5007, "No such model"),
        ([], 3003, "must be a JSON object"),
    ],
)
def test_a_body_without_a_model_and_inputs_is_refused(http: httpx.Client, body: Any, code: int, words: str) -> None:
    answer = http.post(f"{ACCOUNT}/ai/run", json=body)
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert words in error["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ai/finetunes"),
        ("GET", "/ai-gateway/gateways/mine/provider_configs"),
        ("GET", "/ai-gateway/custom-providers"),
        ("GET", "/vectorize/indexes"),
        ("POST", "/ai-gateway/nothing/at/all"),
        ("DELETE", "/ai/run/@cf/a/b"),
        ("GET", "/ai/run"),
    ],
)
def test_a_path_that_is_not_simulated_is_refused_in_the_envelope(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, ACCOUNT + path)
    assert answer.status_code == 501
    message = f"{method} {ACCOUNT}{path} is not simulated"
    assert answer.json() == {
        "success": False, "result": None, "errors": [{"code": 501, "message": message}], "messages": [],
    }  # fmt: skip
