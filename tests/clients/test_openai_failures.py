"""Failures raise `openai`'s own exceptions, and are retried where that may help."""

from typing import Any

import httpx
import openai as sdk
import pytest
from openai import OpenAI

from tests.clients.conftest import NATIVE
from tests.conftest import Simulator, StartServer

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


def ask(openai: OpenAI, model: str = NATIVE, **options: Any) -> Any:
    create: Any = openai.chat.completions.create
    return create(model=model, messages=HELLO, **options)


# ---- exceptions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "exception", "its_status", "its_code"),
    [
        (400, 5006, sdk.BadRequestError, 400, None),
        (400, 5021, sdk.BadRequestError, 400, "context_length_exceeded"),
        (403, 5018, sdk.PermissionDeniedError, 403, None),
        (404, 5007, sdk.NotFoundError, 404, "model_not_found"),
        (413, 3006, sdk.APIStatusError, 413, "request_too_large"),
        (400, 5024, sdk.UnprocessableEntityError, 422, "unprocessable"),
        (429, 3040, sdk.RateLimitError, 429, "rate_limit_exceeded"),
        (429, 3036, sdk.RateLimitError, 429, "insufficient_quota"),
        (408, 3007, sdk.InternalServerError, 504, "timeout"),
        (500, 8007, sdk.InternalServerError, 502, None),
    ],
)
def test_an_upstream_error_becomes_the_client_s_exception(
    openai: OpenAI, simulator: Simulator, status: int, code: int, exception: type[sdk.APIStatusError],
    its_status: int, its_code: str | None,
) -> None:  # fmt: skip
    simulator.set_fault(status=status, code=code, description="words of upstream", count=None)
    for stream in (False, True):
        with pytest.raises(exception) as caught:
            ask(openai, stream=stream)
        assert (caught.value.status_code, caught.value.code) == (its_status, its_code)
        assert "words of upstream" in caught.value.message
        assert caught.value.request_id == caught.value.response.headers["x-request-id"] != ""
        assert set(caught.value.body) == {"message", "type", "param", "code"}  # type: ignore[arg-type]
    simulator.clear_faults()
    assert ask(openai).choices


def test_an_unknown_model_is_not_found_and_near_ones_are_named(openai: OpenAI) -> None:
    with pytest.raises(sdk.NotFoundError) as caught:
        ask(openai, "@cf/meta/llama-3.3-70b-instruct-fp8")
    assert (caught.value.code, caught.value.param, caught.value.type) == (
        "model_not_found", "model", "invalid_request_error",
    )  # fmt: skip
    assert NATIVE in caught.value.message


@pytest.mark.parametrize(
    ("method", "path", "content", "content_type", "status"),
    [
        ("GET", "/v1/nothing", b"", "", 404),
        ("GET", "/v1", b"", "", 404),
        ("POST", "/v1/files", b"{}", "application/json", 404),
        ("GET", "/v1/chat/completions", b"", "", 405),
        ("POST", "/v1/models", b"{}", "application/json", 405),
        ("POST", "/v1/chat/completions", b"{}", "text/plain", 415),
        ("POST", "/v1/audio/transcriptions", b"{}", "application/json", 415),
        ("POST", "/v1/chat/completions", b"{", "application/json", 400),
        ("POST", "/v1/chat/completions", b"[]", "application/json", 400),
        ("POST", "/v1/chat/completions", b'{"model": "m"}', "application/json", 400),
        ("POST", "/v1/embeddings", b"{}", "application/json", 400),
        ("POST", "/v1/chat/completions", b" " * 1_100_000, "application/json", 413),
    ],
)
def test_every_error_under_v1_has_openai_s_shape(
    client: httpx.Client, method: str, path: str, content: bytes, content_type: str, status: int
) -> None:
    response = client.request(method, path, content=content, headers={"content-type": content_type})
    assert response.status_code == status
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert response.headers["x-request-id"].startswith("req_")
    if status == 405:
        assert response.headers["allow"]


def test_errors_elsewhere_keep_their_own_shape(client: httpx.Client) -> None:
    assert "request_id" in client.get("/v1nothing").json()["error"]


def test_a_closed_worker_says_so_and_is_not_asked_again(start_server: StartServer) -> None:
    with start_server(AUTH_MODE="closed") as server:
        response = httpx.post(f"{server.url}/v1/chat/completions", json={}, timeout=60)
    assert response.status_code == 503
    assert "AUTH_MODE" in response.json()["error"]["message"]
    assert response.headers["x-should-retry"] == "false"


# ---- retries -----------------------------------------------------------------------------------------------------


def runs(simulator: Simulator) -> list[int | None]:
    return [entry["status"] for entry in simulator.requests(operation="run")]


def test_the_client_tries_a_busy_model_again(openai: OpenAI, simulator: Simulator) -> None:
    simulator.ignore_past_requests()
    simulator.set_fault(status=429, code=3021, count=1)  # not tried again by the Worker itself
    assert ask(openai.with_options(max_retries=2)).choices
    assert runs(simulator) == [429, 200]


@pytest.mark.parametrize("code", [3036, 4006])
def test_the_client_does_not_try_again_what_the_day_s_quota_refuses(
    openai: OpenAI, simulator: Simulator, code: int
) -> None:
    simulator.ignore_past_requests()
    simulator.set_fault(status=429, code=code, count=None)
    with pytest.raises(sdk.RateLimitError) as caught:
        ask(openai.with_options(max_retries=2))
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert runs(simulator) == [429]


# ---- streams -----------------------------------------------------------------------------------------------------


def stream_of(openai: OpenAI, api: str, model: str) -> Any:
    if api == "chat":
        return ask(openai, model, stream=True)
    if api == "completions":
        return openai.completions.create(model=model, prompt="Hello", stream=True)
    return openai.responses.create(model=model, input="Hello", stream=True)


@pytest.mark.parametrize("api", ["chat", "completions", "responses"])
@pytest.mark.parametrize("fault", ["cut_after_frames", "end_after_frames"])
@pytest.mark.parametrize("frames", [0, 1, 7])
def test_a_stream_that_is_cut_raises_and_is_no_short_answer(
    openai: OpenAI, simulator: Simulator, model: str, api: str, frames: int, fault: str
) -> None:
    broken: dict[str, Any] = {fault: frames}
    simulator.set_fault(**broken)
    stream = stream_of(openai, api, model)
    with pytest.raises(sdk.APIError, match="broke off"):
        list(stream)
    assert len(list(stream_of(openai, api, model))) > 10


@pytest.mark.parametrize("api", ["chat", "completions", "responses"])
def test_a_frame_that_is_broken_raises(openai: OpenAI, simulator: Simulator, api: str) -> None:
    simulator.set_fault(broken_frame=3)
    stream = stream_of(openai, api, NATIVE)
    with pytest.raises(sdk.APIError, match="cannot be read"):
        list(stream)


def test_an_empty_answer_is_an_error(openai: OpenAI, simulator: Simulator, model: str) -> None:
    simulator.set_fault(empty_body=True, count=None)
    for stream in (False, True):
        with pytest.raises(sdk.APIError):
            list(ask(openai, model, stream=stream))


@pytest.mark.parametrize("api", ["chat", "completions", "responses"])
def test_a_client_that_leaves_cancels_the_model(openai: OpenAI, simulator: Simulator, model: str, api: str) -> None:
    simulator.set_fault(tokens_per_second=4)
    stream = stream_of(openai, api, model)
    next(iter(stream))
    request_id = stream.response.headers["x-ai-request-id"]
    stream.close()
    entry = simulator.request(request_id)
    assert entry["state"] == "cancelled"
    assert entry["frames"] < 30
    assert ask(openai, model).choices


def test_a_stream_arrives_as_it_is_made(openai: OpenAI, simulator: Simulator, model: str) -> None:
    simulator.set_fault(hold_after_frames=5)
    stream = iter(ask(openai, model, stream=True))
    assert len([next(stream) for _ in range(4)]) == 4
    simulator.clear_faults()
    assert len(list(stream)) > 10


def test_many_streams_at_once_do_not_mix(base_url: str) -> None:
    import asyncio

    async def one(client: sdk.AsyncOpenAI, number: int) -> str:
        messages: list[Any] = [{"role": "user", "content": f"This is number {number}."}]
        stream = await client.chat.completions.create(model=NATIVE, messages=messages, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    async def all_of_them() -> list[str]:
        async with sdk.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0) as client:
            return await asyncio.gather(*(one(client, number) for number in range(20)))

    outcomes = asyncio.run(all_of_them())
    assert [f"This is number {number}." in text for number, text in enumerate(outcomes)] == [True] * 20


def test_headers_of_the_call_are_there(openai: OpenAI, model: str) -> None:
    for stream in (False, True):
        create: Any = openai.chat.completions.with_raw_response.create
        answer = create(model=model, messages=HELLO, stream=stream)
        assert answer.headers["x-model"] == model
        assert answer.headers["x-ai-request-id"]
        assert "model;dur=" in answer.headers["server-timing"]


def test_a_page_may_send_what_openai_s_client_sends(client: httpx.Client) -> None:
    requested = "anthropic-version, authorization, content-type, openai-beta, x-made-up, x-stainless-poll-helper"
    response = client.options(
        "/v1/chat/completions",
        headers={
            "origin": "http://localhost:5173",
            "access-control-request-method": "POST",
            "access-control-request-headers": requested,
        },
    )
    assert response.status_code == 204
    assert set(requested.split(", ")) <= set(response.headers["access-control-allow-headers"].split(", "))
