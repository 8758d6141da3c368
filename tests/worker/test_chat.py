"""POST /chat, as its clients see it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import ErrorOf, NewCalls, Simulator

NATIVE = "@cf/meta/llama-3.1-8b-instruct-fast"
OPENAI = "@cf/openai/gpt-oss-20b"


def ask(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/chat", json={"stream": False, "prompt": "What is a Worker?", **body})


def response_error(response: httpx.Response) -> dict[str, Any]:
    return response.json()["error"]


def frames(lines: Iterator[str]) -> Iterator[Any]:
    """The data of each frame of a `text/event-stream`; "[DONE]" as it is."""
    for line in lines:
        if line:
            assert line.startswith("data: "), line
            data = line.removeprefix("data: ")
            yield data if data == "[DONE]" else json.loads(data)


# ---- answers -----------------------------------------------------------------------------------------------------


def test_a_prompt_is_answered_as_json_when_no_stream_is_wanted(client: httpx.Client) -> None:
    response = ask(client, model=NATIVE)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert answer["response"]
    usage = answer["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_answer_is_a_stream_unless_asked_otherwise(client: httpx.Client) -> None:
    with client.stream("POST", "/chat", json={"prompt": "What is a Worker?", "model": NATIVE}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        *parts, last = frames(response.iter_lines())
    assert last == "[DONE]"
    assert "".join(part["response"] for part in parts)
    assert parts[-1]["usage"]["completion_tokens"] > 0


def test_a_model_of_openai_s_dialect_keeps_it(client: httpx.Client, simulator: Simulator) -> None:
    whole = ask(client, model=OPENAI).json()
    assert whole["choices"][0]["message"]["content"]
    with client.stream("POST", "/chat", json={"prompt": "What is a Worker?", "model": OPENAI}) as response:
        *chunks, last = frames(response.iter_lines())
    assert last == "[DONE]"
    streamed = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert streamed == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_response_says_which_model_answered_and_how_long_it_took(client: httpx.Client) -> None:
    headers = ask(client, model=NATIVE).headers
    assert headers["x-model"] == NATIVE
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-ai-request-id"]
    assert headers["server-timing"].startswith("model;dur=")
    assert headers["cache-control"] == "no-store"


def test_text_beyond_ascii_arrives_as_it_was_sent(client: httpx.Client, simulator: Simulator) -> None:
    text = 'naïve café 東京 👋🏽 \u2028 \x00 \\ " </script>'
    response = ask(client, prompt=text, model=NATIVE)
    assert response.status_code == 200
    assert simulator.request(response.headers["x-ai-request-id"])["inputs"]["prompt"] == text


# ---- what the model is sent ----------------------------------------------------------------------------------------


def test_the_model_is_sent_what_was_given_and_no_more(client: httpx.Client, simulator: Simulator) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": ""},
        {"role": "tool", "content": "{}"},
        {"role": "user", "content": "Once more"},
    ]
    response = ask(client, prompt=None, model=NATIVE, messages=messages, temperature=0, max_tokens=5)
    assert response.status_code == 200
    sent = simulator.request(response.headers["x-ai-request-id"])
    assert sent["inputs"] == {"messages": messages, "stream": False, "temperature": 0, "max_tokens": 5}
    assert sent["options"] == {"returnRawResponse": True}


def test_a_raw_prompt_stays_raw(client: httpx.Client, simulator: Simulator) -> None:
    response = ask(client, prompt="<s>[INST] Hello [/INST]", raw=True, model=NATIVE)
    inputs = simulator.request(response.headers["x-ai-request-id"])["inputs"]
    assert inputs == {"prompt": "<s>[INST] Hello [/INST]", "raw": True, "stream": False}


def test_a_prompt_becomes_a_message_for_a_model_that_takes_only_messages(
    client: httpx.Client, simulator: Simulator
) -> None:
    response = ask(client, prompt="Hello", model=OPENAI)
    inputs = simulator.request(response.headers["x-ai-request-id"])["inputs"]
    assert inputs == {"messages": [{"role": "user", "content": "Hello"}], "stream": False}


def test_every_text_model_of_the_catalogue_can_be_asked(client: httpx.Client, simulator: Simulator) -> None:
    models = client.get("/models", params={"task": "text-generation"}).json()["models"]
    assert len(models) >= 30
    answers = {model["id"]: ask(client, model=model["id"]) for model in models}
    assert [each for each, response in answers.items() if response.status_code != 200] == []


# ---- streams -------------------------------------------------------------------------------------------------------


def test_frames_arrive_while_the_model_still_writes(client: httpx.Client, simulator: Simulator) -> None:
    simulator.set_fault(hold_after_frames=3)
    with client.stream("POST", "/chat", json={"prompt": "Hello", "model": NATIVE}) as response:
        arriving = frames(response.iter_lines())
        assert [next(arriving)["response"] for _ in range(3)] == ["This", " is", " a"]
        # the model has written three frames, all of which have arrived, and is not at its end
        entry = simulator.request(response.headers["x-ai-request-id"], state="streaming")
        assert (entry["state"], entry["frames"]) == ("streaming", 3)
        simulator.clear_faults()
        *_, last = arriving
    assert last == "[DONE]"


def test_a_client_that_leaves_a_stream_cancels_the_model_call(client: httpx.Client, simulator: Simulator) -> None:
    simulator.set_fault(tokens_per_second=4)
    with client.stream("POST", "/chat", json={"prompt": "Hello"}) as response:
        next(response.iter_lines())
        request_id = response.headers["x-ai-request-id"]
    entry = simulator.request(request_id)
    assert entry["state"] == "cancelled"
    assert entry["frames"] < 20


def test_many_streams_at_once_do_not_mix(base_url: str, simulator: Simulator) -> None:
    def stream(number: int) -> str:
        body = {"prompt": f"number {number};", "model": NATIVE}
        with httpx.stream("POST", f"{base_url}/chat", json=body, timeout=60) as response:
            *parts, last = frames(response.iter_lines())
        assert last == "[DONE]"
        return "".join(part["response"] for part in parts)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(stream, range(40)))
    assert [f"“number {number};”" in answer for number, answer in enumerate(answers)] == [True] * 40


# ---- bounds --------------------------------------------------------------------------------------------------------

BOUNDS: list[tuple[str, float, float, float]] = [
    # parameter, least, most, a step beyond either
    ("temperature", 0, 5, 0.1),
    ("top_p", 0, 2, 0.1),
    ("top_k", 1, 50, 1),
    ("seed", 1, 9_999_999_999, 1),
    ("repetition_penalty", 0, 2, 0.1),
    ("frequency_penalty", 0, 2, 0.1),
    ("presence_penalty", 0, 2, 0.1),
    ("max_tokens", 1, 60_000, 1),
]


@pytest.mark.parametrize(("name", "least", "most", "step"), BOUNDS)
def test_a_parameter_is_refused_outside_its_range(
    client: httpx.Client, error_of: ErrorOf, name: str, least: float, most: float, step: float
) -> None:
    for value in (least - step, most + step):
        response = ask(client, **{name: value}, model=NATIVE)
        assert response.status_code == 400
        error = error_of(response)
        assert (error["code"], error["type"], error["param"]) == (7504, "invalid_request", name)
        assert f"{name} must be " in error["message"]


@pytest.mark.parametrize(("name", "least", "most"), [bound[:3] for bound in BOUNDS if bound[0] != "max_tokens"])
def test_a_parameter_is_taken_at_both_ends_of_its_range(
    client: httpx.Client, name: str, least: float, most: float
) -> None:
    for value in (least, most):
        assert ask(client, **{name: value}, model=NATIVE).status_code == 200


@pytest.mark.parametrize(("top_p", "status"), [(0, 400), (0.001, 200), (1, 200), (1.1, 400)])
def test_a_model_s_own_range_is_narrower(client: httpx.Client, error_of: ErrorOf, top_p: float, status: int) -> None:
    response = ask(client, top_p=top_p, model="@cf/meta/llama-3.3-70b-instruct-fp8-fast")
    assert response.status_code == status
    if status == 400:
        assert "between 0.001 and 1 for @cf/meta/llama-3.3-70b" in error_of(response)["message"]


def test_a_parameter_that_a_model_does_not_take_is_refused(client: httpx.Client, error_of: ErrorOf) -> None:
    response = ask(client, top_k=5, model="@cf/zai-org/glm-4.7-flash")
    assert response.status_code == 400
    assert error_of(response)["param"] == "top_k"
    response = ask(client, raw=True, model="@cf/zai-org/glm-4.7-flash")
    assert response.status_code == 400
    assert error_of(response)["param"] == "raw"


def test_max_tokens_ends_the_answer(client: httpx.Client) -> None:
    assert ask(client, max_tokens=3).json()["usage"]["completion_tokens"] == 3


def test_a_prompt_may_be_131072_characters_long_and_no_longer(
    client: httpx.Client, error_of: ErrorOf, simulator: Simulator
) -> None:
    model = "@cf/meta/llama-4-scout-17b-16e-instruct"
    assert ask(client, prompt="a" * 131_072, model=model).status_code == 200
    for body in ({"prompt": "a" * 131_073}, {"prompt": ""}):
        response = ask(client, **body, model=model)
        assert response.status_code == 400
        assert error_of(response)["param"] == "prompt"


# ---- bad input -----------------------------------------------------------------------------------------------------

MESSAGE = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, None, "either messages or prompt"),
        ({"prompt": "a", "messages": [MESSAGE]}, None, "either messages or prompt"),
        ({"messages": [MESSAGE], "raw": True}, None, "raw needs a prompt"),
        ({"messages": []}, "messages", "at least 1 item"),
        ({"messages": MESSAGE}, "messages", "valid array"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages.0.role", "'system', 'user', 'assistant'"),
        ({"messages": [MESSAGE, {"role": "user"}]}, "messages.1.content", "is required"),
        ({"messages": [{"content": "a"}]}, "messages.0.role", "is required"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content", "is required"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "valid string"),
        ({"messages": [{"role": "user", "content": "a", "nickname": "b"}]}, "messages.0.nickname", "is not known"),
        ({"prompt": 5}, "prompt", "valid string"),
        ({"prompt": "a", "temperature": "1"}, "temperature", "valid number"),
        ({"prompt": "a", "temperature": True}, "temperature", "valid number"),
        ({"prompt": "a", "top_k": 1.5}, "top_k", "valid integer"),
        ({"prompt": "a", "stream": "yes"}, "stream", "valid boolean"),
        ({"prompt": "a", "temprature": 1}, "temprature", "the fields are temperature, "),
        ({"prompt": "a", "seed": 10**30}, "seed", "between 1 and 9999999999"),
        ({"prompt": "a", "x" * 1000: 1}, "x" * 99 + "…", "is not known"),
        ({"messages": [{"wrong": 1}] * 9_000}, "messages.0.role", "is required"),
    ],
)  # fmt: skip
def test_a_field_at_fault_is_named(
    client: httpx.Client, error_of: ErrorOf, body: dict[str, Any], param: str | None, words: str
) -> None:
    response = client.post("/chat", json=body)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["type"], error["param"]) == (7504, "invalid_request", param)
    assert words in error["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"prompt": "a"', "not valid JSON"),
        (b'{"prompt": "\xff\xfe"}', "not valid JSON"),
        (b'{"prompt": "a", "temperature": NaN}', "temperature"),
        (b'{"prompt": "a", "temperature": 1e999}', "temperature"),
        (b"[" * 5000, "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'"prompt"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    client: httpx.Client, error_of: ErrorOf, body: bytes, words: str
) -> None:
    response = client.post("/chat", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert words in error_of(response)["message"]


def test_an_unknown_model_is_refused_with_those_that_come_near(client: httpx.Client, error_of: ErrorOf) -> None:
    response = ask(client, model="@cf/meta/llama-3.1-8b-instruct-fsat")
    assert response.status_code == 404
    error = error_of(response)
    assert (error["code"], error["type"], error["param"]) == (7502, "model_not_found", "model")
    assert NATIVE in error["message"]


def test_a_model_of_another_task_is_refused(client: httpx.Client, error_of: ErrorOf) -> None:
    response = ask(client, model="@cf/baai/bge-base-en-v1.5")
    assert response.status_code == 400
    assert "is a model for embeddings" in error_of(response)["message"]


# ---- errors of the model -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "ours", "kind", "our_code"),
    [
        (429, 3040, 429, "rate_limited", 7505),
        (429, 3036, 429, "rate_limited", 7505),
        (400, 5007, 404, "model_not_found", 7502),
        (400, 5006, 400, "invalid_request", 7504),
        (413, 5021, 413, "context_exceeded", 7506),
        (408, 3007, 408, "timeout", None),
        (403, 5018, 403, "forbidden", None),
        (500, 8007, 502, "upstream_error", None),
    ],
)
def test_an_error_of_the_model_becomes_one_of_ours(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf,
    status: int, code: int, ours: int, kind: str, our_code: int | None,
) -> None:  # fmt: skip
    for stream in (False, True):
        simulator.set_fault(status=status, code=code, description="the model's own words", count=None)
        response = ask(client, stream=stream)
        simulator.clear_faults()
        assert response.status_code == ours
        error = error_of(response)
        assert (error["type"], error["code"], error["upstream_code"]) == (kind, our_code, code)
        assert "the model's own words" in error["message"]
        assert simulator.request(response.headers["x-ai-request-id"])["status"] == status
    assert ask(client).status_code == 200


def test_a_prompt_longer_than_the_model_s_context_is_refused(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf
) -> None:
    # so many words are too many tokens for certain: nothing is spent on a call
    calls = NewCalls(simulator)
    response = ask(client, prompt="word " * 26_000, model="@cf/qwen/qwq-32b")
    assert response.status_code == 413
    error = error_of(response)
    assert (error["type"], error["code"], error["upstream_code"]) == ("context_exceeded", 7506, None)
    assert "24,000" in error["message"]
    assert calls.of() == []
    # words that are several tokens each, only the model can count
    response = ask(client, prompt="incomprehensibilities " * 5_000, max_tokens=15_000, model="@cf/qwen/qwq-32b")
    assert response.status_code == 413
    error = error_of(response)
    assert (error["type"], error["code"], error["upstream_code"]) == ("context_exceeded", 7506, 5021)
