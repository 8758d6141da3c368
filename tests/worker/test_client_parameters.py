"""Parameters that stock clients send under /v1: honoured, mapped to the nearest, or ignored and named."""

from typing import Any

import httpx
import pytest

from tests.conftest import ErrorOf, Simulator

NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
OPENAI = "@cf/openai/gpt-oss-20b"
GEMMA = "@cf/google/gemma-4-26b-a4b-it"
KIMI = "@cf/moonshotai/kimi-k2.7-code"
FLUX = "@cf/black-forest-labs/flux-1-schnell"
LUCID = "@cf/leonardo/lucid-origin"
WAV = (
    b"RIFF\x44\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
    + (8_000).to_bytes(4, "little")
    + ((16_000).to_bytes(4, "little") + b"\x02\x00\x10\x00data\x20\x00\x00\x00" + bytes(32))
)
"""A recording of two milliseconds."""
MESSAGES = [{"role": "user", "content": "Hello"}]
TEXT_ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/responses": {"input": "Hello", "store": False},
    "/v1/completions": {"prompt": "Hello"},
}


def post(client: httpx.Client, path: str, **body: Any) -> httpx.Response:
    response = client.post(path, json={"model": NATIVE, **TEXT_ROUTES.get(path, {}), **body})
    assert response.status_code == 200, response.text
    return response


def chat(client: httpx.Client, **body: Any) -> httpx.Response:
    return post(client, "/v1/chat/completions", **body)


def ignored(response: httpx.Response) -> list[str]:
    return list(filter(None, response.headers.get("x-ignored-parameters", "").split(", ")))


def sent(simulator: Simulator, response: httpx.Response) -> dict[str, Any]:
    return simulator.request(response.headers["x-ai-request-id"])["inputs"]


# ---- text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TEXT_ROUTES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_parameter_that_no_model_takes_is_ignored_and_named(client: httpx.Client, path: str, *, stream: bool) -> None:
    response = post(client, path, min_p=0.1, mirostat=2, num_ctx=8192, stream=stream)
    assert ignored(response) == ["min_p", "mirostat", "num_ctx"]


@pytest.mark.parametrize("path", TEXT_ROUTES)
def test_a_parameter_that_asks_for_nothing_is_not_named(client: httpx.Client, path: str) -> None:
    assert ignored(post(client, path, n=None, min_p=None, user="u", top_p=1)) == []


@pytest.mark.parametrize("path", TEXT_ROUTES)
@pytest.mark.parametrize(("model", "nearest"), [(NATIVE, 0.001), (OPENAI, 0.001), (GEMMA, 0)])
def test_top_p_of_0_becomes_the_least_that_the_model_takes(
    client: httpx.Client, simulator: Simulator, path: str, model: str, nearest: float
) -> None:
    response = post(client, path, model=model, top_p=0, temperature=0)
    inputs = sent(simulator, response)
    assert (inputs["top_p"], inputs["temperature"], ignored(response)) == (nearest, 0, [])


def test_values_beyond_a_model_s_range_become_the_nearest(client: httpx.Client, simulator: Simulator) -> None:
    model = "@cf/meta/llama-3.1-8b-instruct-fast"
    inputs = sent(simulator, chat(client, model=model, frequency_penalty=-1, top_k=200, repeat_penalty=2.5))
    assert (inputs["frequency_penalty"], inputs["top_k"], inputs["repetition_penalty"]) == (0, 50, 2)


def test_names_of_other_servers_are_understood(client: httpx.Client, simulator: Simulator) -> None:
    response = chat(client, repeat_penalty=1.1)
    assert sent(simulator, response)["repetition_penalty"] == 1.1
    assert ignored(response) == []


def test_sampling_that_the_model_lacks_is_ignored_and_named(client: httpx.Client, simulator: Simulator) -> None:
    response = chat(client, model=GEMMA, top_k=40, repeat_penalty=1.1)
    assert sorted(ignored(response)) == ["repetition_penalty", "top_k"]
    assert not {"top_k", "repetition_penalty", "repeat_penalty"} & set(sent(simulator, response))


def test_several_choices_become_one(client: httpx.Client) -> None:
    response = chat(client, n=3)
    assert len(response.json()["choices"]) == 1
    assert ignored(response) == ["n"]


@pytest.mark.parametrize("model", [NATIVE, OPENAI])
def test_log_probabilities_that_no_model_reports_are_named(client: httpx.Client, model: str) -> None:
    response = chat(client, model=model, logprobs=True, top_logprobs=2, logit_bias={"50256": -100})
    assert sorted(ignored(response)) == ["logit_bias", "logprobs", "top_logprobs"]


def test_fields_of_other_servers_in_messages_are_accepted(client: httpx.Client) -> None:
    part: dict[str, Any] = {"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}
    answer: dict[str, Any] = {
        "role": "assistant",
        "content": "Hi",
        "provider_specific_fields": {},
        "reasoning_details": [],
    }
    messages: list[Any] = [{"role": "user", "content": [part]}, answer, {"role": "user", "content": "And?", "id": "7"}]
    assert ignored(chat(client, messages=messages, tool_choice="auto", stream_options=None)) == []


def test_a_name_that_no_header_may_have_is_not_repeated(client: httpx.Client) -> None:
    response = chat(client, **{"é": 1, "a\r\nb": 2, "x" * 100: 3, "fine": 4})
    assert ignored(response) == ["fine"]


@pytest.mark.parametrize(
    "body", [{"modalities": ["text", "audio"]}, {"audio": {"voice": "alloy"}}, {"temperature": "hot"}, {"top_p": 2}]
)
def test_a_parameter_without_which_the_answer_is_of_no_use_is_refused(
    client: httpx.Client, body: dict[str, Any]
) -> None:
    response = client.post("/v1/chat/completions", json={"model": NATIVE, "messages": MESSAGES, **body})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == next(iter(body))


# ---- reasoning ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        (OPENAI, "low", {"reasoning_effort": "low"}),
        (OPENAI, "none", {"reasoning_effort": "low"}),
        (GEMMA, "none", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("@cf/zai-org/glm-5.2", "xhigh", {"reasoning_effort": "max"}),
        ("@cf/moonshotai/kimi-k2.6", "medium", {"reasoning_effort": "high"}),
    ],
)
def test_the_effort_becomes_the_model_s(
    client: httpx.Client, simulator: Simulator, model: str, effort: str, expected: dict[str, Any]
) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": {"reasoning_effort": effort},
        "/v1/responses": {"reasoning": {"effort": effort}},
    }
    for path, body in bodies.items():
        response = post(client, path, model=model, **body)
        assert expected.items() <= sent(simulator, response).items()
        assert ignored(response) == []


@pytest.mark.parametrize(("model", "effort"), [(NATIVE, "low"), (GEMMA, "high"), (KIMI, "none")])
def test_an_effort_that_the_model_has_not_is_named(client: httpx.Client, model: str, effort: str) -> None:
    assert ignored(chat(client, model=model, reasoning_effort=effort)) == ["reasoning_effort"]


def test_template_arguments_are_sent_to_models_that_have_them(client: httpx.Client, simulator: Simulator) -> None:
    arguments = {"enable_thinking": False, "clear_thinking": True, "colour": "red"}
    response = chat(client, model=GEMMA, chat_template_kwargs=arguments)
    assert sent(simulator, response)["chat_template_kwargs"] == {"enable_thinking": False, "clear_thinking": True}
    assert ignored(response) == ["chat_template_kwargs.colour"]
    assert "reasoning_content" not in response.json()["choices"][0]["message"]
    native = chat(client, chat_template_kwargs={"enable_thinking": False})
    assert ignored(native) == ["chat_template_kwargs.enable_thinking"]


def test_chat_takes_them_too_and_refuses_those_that_the_model_lacks(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf
) -> None:
    body = {"prompt": "Hello", "stream": False, "chat_template_kwargs": {"enable_thinking": False}}
    assert sent(simulator, client.post("/chat", json=body))["chat_template_kwargs"] == {"enable_thinking": False}
    response = client.post("/chat", json={**body, "model": NATIVE})
    assert response.status_code == 400
    assert error_of(response)["param"] == "chat_template_kwargs.enable_thinking"


# ---- long messages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/chat", *TEXT_ROUTES])
def test_a_message_may_be_as_long_as_the_model_s_context(client: httpx.Client, path: str) -> None:
    text = "word " * 30_000  # 150,000 characters
    bodies: dict[str, dict[str, Any]] = {
        "/chat": {"messages": [{"role": "user", "content": text}], "stream": False},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        "/v1/responses": {"input": [{"role": "user", "content": text}], "instructions": text},
        "/v1/completions": {"prompt": text},
    }
    response = client.post(path, json={"model": KIMI, "max_tokens": 5, **bodies[path]})
    if path == "/v1/completions":  # the bound of `prompt`
        assert response.status_code == 400
        assert "131072" in response.text
    else:
        assert response.status_code == 200, response.text


def test_a_message_longer_than_the_context_is_refused(client: httpx.Client, error_of: ErrorOf) -> None:
    body = {"model": NATIVE, "messages": [{"role": "user", "content": "word " * 30_000}]}
    response = client.post("/chat", json=body)
    assert response.status_code == 413
    assert error_of(response)["type"] == "context_exceeded"


# ---- images and sound --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size", "expected", "names"),
    [
        (FLUX, "512x512", {}, ["size"]),
        (FLUX, "1024x1024", {}, []),
        (LUCID, "512x512", {"width": 512, "height": 512}, []),
        (LUCID, "4096x128", {"width": 2048, "height": 256}, ["size"]),
    ],
)
def test_an_image_has_the_nearest_size(
    client: httpx.Client, simulator: Simulator, model: str, size: str, expected: dict[str, int], names: list[str]
) -> None:
    response = post(client, "/v1/images/generations", model=model, prompt="A fox", size=size)
    inputs = sent(simulator, response)
    assert {name: inputs[name] for name in ("width", "height") if name in inputs} == expected
    assert ignored(response) == names


def test_an_image_is_made_without_what_the_model_lacks(client: httpx.Client) -> None:
    response = post(
        client, "/v1/images/generations",
        model=FLUX, prompt="A fox", n=2, quality="hd", style="vivid", background="transparent", guidance=3, steps=50,
    )  # fmt: skip
    assert sorted(ignored(response)) == ["background", "guidance", "n", "quality", "style"]
    assert len(response.json()["data"]) == 1


def test_speech_has_its_own_speed(client: httpx.Client) -> None:
    response = post(client, "/v1/audio/speech", model="gpt-4o-mini-tts", input="Hi", voice="alloy", speed=1.25)
    assert ignored(response) == ["speed"]
    assert ignored(post(client, "/v1/audio/speech", model="tts-1", input="Hi", voice="alloy", speed=1.0)) == []


def test_a_transcript_is_made_without_what_the_model_lacks(client: httpx.Client) -> None:
    data = {"model": "@cf/openai/whisper", "prompt": "x", "temperature": "0.2", "include[]": "logprobs"}
    files = {"file": ("a.wav", WAV)}
    response = client.post("/v1/audio/transcriptions", data=data, files=files)
    assert response.status_code == 200, response.text
    assert sorted(ignored(response)) == ["include[]", "prompt", "temperature"]


def test_an_unknown_field_of_embeddings_is_named(client: httpx.Client) -> None:
    response = post(client, "/v1/embeddings", model="text-embedding-ada-002", input="a", input_type="query")
    assert ignored(response) == ["input_type"]


# ---- docs/protocols.md -----------------------------------------------------------------------------------------------

ADDRESS = "https://example.com/a.png"
BLOCKS = "/v1/messages"
CELLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("top_k", "/v1/responses", {"top_k": 5}, "top_k"),
    ("seed", "/v1/responses", {"seed": 5}, "seed"),
    ("seed", BLOCKS, {"seed": 5}, "seed"),
    ("penalties", "/v1/responses", {"frequency_penalty": 1}, "frequency_penalty"),
    ("penalties", BLOCKS, {"presence_penalty": 1}, "presence_penalty"),
    ("stop", "/v1/responses", {"stop": ["x"]}, "stop"),
    ("n", "/v1/responses", {"n": 2}, "n"),
    ("n", BLOCKS, {"n": 2}, "n"),
    ("log probabilities", "/v1/responses", {"top_logprobs": 2}, "top_logprobs"),
    ("tools", "/v1/chat/completions", {"web_search_options": {}}, "web_search_options"),
    ("tools", BLOCKS, {"mcp_servers": [{"type": "url", "url": ADDRESS, "name": "x"}]}, "mcp_servers"),
    ("conversations", BLOCKS, {"container": "x"}, "container"),
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("/v1/responses", {"tools": [{"type": "web_search"}]}),
    (BLOCKS, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ("/v1/responses", {"previous_response_id": "resp_1"}),
    ("/v1/responses", {"background": True}),
    (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ADDRESS}}]}]},
    ),
    ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": ADDRESS}]}]}),
    (
        BLOCKS,
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": ADDRESS}}]}]},
    ),
    ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "x"}]}]}),
]
DEFAULTS: dict[str, dict[str, Any]] = {**TEXT_ROUTES, BLOCKS: {"messages": MESSAGES, "max_tokens": 9}}


@pytest.mark.parametrize(("feature", "path", "change", "name"), CELLS)
def test_cells_that_say_named_are_true(
    client: httpx.Client, feature: str, path: str, change: dict[str, Any], name: str
) -> None:
    response = client.post(path, json={"model": GEMMA, **DEFAULTS[path], **change})
    assert (response.status_code, ignored(response)) == (200, [name]), (feature, response.text)


@pytest.mark.parametrize(("path", "change"), REFUSED)
def test_cells_that_say_refused_are_true(client: httpx.Client, path: str, change: dict[str, Any]) -> None:
    response = client.post(path, json={"model": GEMMA, **DEFAULTS[path], **change})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["message"]
