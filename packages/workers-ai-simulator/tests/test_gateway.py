"""AI Gateway: calls through a gateway, their logs, and its APIs through their clients."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import cloudflare
import httpx
import pytest
from cloudflare import AsyncCloudflare
from starlette.applications import Starlette

from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.gateway import routes as gateway
from workers_ai_simulator.gateway.errors import GatewayError
from workers_ai_simulator.gateway.models import Log
from workers_ai_simulator.gateway.options import GatewayOptions, from_headers
from workers_ai_simulator.gateway.service import Gateways
from workers_ai_simulator.gateway.store import MAX_BODY_BYTES
from workers_ai_simulator.inference import routes as inference
from workers_ai_simulator.inference.models import ModelCall, Result
from workers_ai_simulator.inference.service import Inference
from workers_ai_simulator.media import Media
from workers_ai_simulator.scripted.store import ScriptedAnswers
from workers_ai_simulator.traffic.faults import Fault
from workers_ai_simulator.traffic.traffic import Traffic

LLAMA = "@cf/meta/llama-3.2-3b-instruct"
GPT = "@cf/openai/gpt-oss-20b"
PAINTER = "@cf/black-forest-labs/flux-1-schnell"
CALL = ModelCall(LLAMA, {"prompt": "Hello"})
ANSWER = {"response": "Good day", "usage": {"prompt_tokens": 42, "completion_tokens": 2, "total_tokens": 44}}
FRAMES = (
    'data: {"response":"Good"}\n\n',
    'data: {"response":" day"}\n\n',
    'data: {"response":"","usage":{"prompt_tokens":42,"completion_tokens":2}}\n\n',
    "data: [DONE]\n\n",
)


class Clock:
    """A clock that advances only when a test advances it, or sleeps."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gateways(clock: Clock) -> Gateways:
    return Gateways(None, now=clock, sleep=clock.sleep)


class Model:
    """A model that returns the outcomes in turn, the last one repeatedly; an outcome that is an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers) or [ANSWER]
        self.calls = 0

    async def __call__(self) -> Result:
        answer: Any = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            answer = streamed(*cast("tuple[str, ...]", answer))
        return Result(answer, {"cf-ai-req-id": f"request {self.calls}"})


async def streamed(*frames: str) -> AsyncIterator[str]:
    for frame in frames:
        if frame == "cut":
            raise ConnectionAbortedError("cut")
        yield frame


def out_of_capacity() -> UpstreamError:
    return UpstreamError(429, 3040, "Capacity temporarily exceeded, please try again.")


def options(**call_options: Any) -> GatewayOptions:
    return GatewayOptions.from_json({"id": "mine", **call_options})


def last(gateways: Gateways) -> dict[str, Any]:
    return gateways.recent_logs(1)[0]


def create(gateways: Gateways, **settings: Any) -> None:
    needed = {"cache_invalidate_on_update": False, "cache_ttl": 0, "collect_logs": True}
    limits = {"rate_limiting_interval": 0, "rate_limiting_limit": 0}
    gateways.store.create("mine", {**needed, **limits, **settings}, gateways.now_ms)


# ---- logs ----------------------------------------------------------------------------------------------------------


async def test_a_log_has_the_tokens_and_the_cost_recorded_of_the_real_gateway(gateways: Gateways) -> None:
    result = await gateways.run(options(metadata={"user": "anna", "paid": True}), CALL, Model())
    log = last(gateways)
    assert result.answer == ANSWER
    assert result.headers["cf-ai-req-id"] == "request 1"
    assert result.headers["cf-aig-log-id"] == log["id"]
    assert len(log["id"]) == 26
    assert result.headers["cf-aig-cache-status"] == "MISS"
    assert result.headers["cf-aig-step"] == "0"
    assert (log["tokens_in"], log["tokens_out"]) == (42, 2)
    assert log["cost"] == pytest.approx(0.0000028070016503334043, rel=1e-4)
    assert (log["provider"], log["model"], log["path"], log["model_type"]) == (
        "workers-ai", LLAMA, LLAMA, "text-generation",
    )  # fmt: skip
    assert (log["success"], log["status_code"], log["cached"], log["custom_cost"]) == (True, 200, False, False)
    assert log["metadata"] == {"user": "anna", "paid": True}
    assert log["created_at"] == "2027-01-15T08:00:00.000Z"
    assert json.loads(log["request_head"]) == {"prompt": "Hello"}
    assert json.loads(log["response_head"]) == ANSWER
    assert log["response_head_complete"]


async def test_a_failed_call_is_logged_and_its_error_names_the_log(gateways: Gateways) -> None:
    with pytest.raises(UpstreamError) as failure:
        await gateways.run(options(), CALL, Model(out_of_capacity()))
    log = last(gateways)
    assert failure.value.headers["cf-aig-log-id"] == log["id"]
    assert failure.value.response().headers["cf-aig-log-id"] == log["id"]
    assert (log["success"], log["status_code"], log["cost"]) == (False, 429, 0)
    assert "3040" in log["response_head"]


async def test_a_stream_passes_frame_by_frame_and_is_logged_at_its_end(gateways: Gateways, clock: Clock) -> None:
    result = await gateways.run(options(), CALL, Model(FRAMES))
    assert not isinstance(result.answer, dict | list | Media)
    arrived: list[str] = []
    async for frame in result.answer:
        assert gateways.recent_logs() == []
        arrived.append(frame)
        clock.seconds += 1
    log = last(gateways)
    assert tuple(arrived) == FRAMES
    assert log["id"] == result.headers["cf-aig-log-id"]
    assert (log["success"], log["tokens_in"], log["tokens_out"], log["duration"]) == (True, 42, 2, 4000)
    assert log["response_content_type"] == "text/event-stream"
    assert log["response_head"] == "".join(FRAMES)


async def test_a_stream_that_its_reader_leaves_is_logged_with_what_was_read(gateways: Gateways) -> None:
    result = await gateways.run(options(cacheTtl=60), CALL, model := Model(FRAMES))
    frames: Any = result.answer
    assert await anext(frames) == FRAMES[0]
    await frames.aclose()
    log = last(gateways)
    assert (log["success"], log["status_code"], log["tokens_out"]) == (False, 200, 1)
    assert log["response_head"] == FRAMES[0]
    await gateways.run(options(cacheTtl=60), CALL, model)
    assert model.calls == 2, "half an answer must not come from the cache"


async def test_a_stream_that_breaks_off_is_logged_and_not_cached(gateways: Gateways) -> None:
    result = await gateways.run(options(cacheTtl=60), CALL, model := Model((*FRAMES[:2], "cut"), ANSWER))
    with pytest.raises(ConnectionAbortedError):
        await anext_all(result)
    assert (last(gateways)["success"], last(gateways)["tokens_out"]) == (False, 2)
    assert (await gateways.run(options(cacheTtl=60), CALL, model)).answer == ANSWER


async def anext_all(result: Result) -> list[str]:
    assert not isinstance(result.answer, dict | list | Media)
    return [frame async for frame in result.answer]


async def test_a_caller_who_does_not_wait_is_logged(gateways: Gateways) -> None:
    task = asyncio.ensure_future(gateways.run(options(), CALL, never))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (last(gateways)["success"], last(gateways)["status_code"]) == (False, 499)


async def never() -> Result:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_call_or_its_gateway_can_turn_the_log_off(gateways: Gateways) -> None:
    create(gateways, collect_logs=False)
    result = await gateways.run(options(), CALL, Model())
    assert "cf-aig-log-id" not in result.headers
    assert gateways.recent_logs() == []
    logged = await gateways.run(options(collectLog=True), CALL, Model())
    assert [log["id"] for log in gateways.recent_logs()] == [logged.headers["cf-aig-log-id"]]
    await gateways.run(GatewayOptions.from_json({"id": "other", "collectLog": False}), CALL, Model())
    assert len(gateways.recent_logs()) == 1


async def test_a_log_may_leave_the_bodies_out(gateways: Gateways) -> None:
    await gateways.run(options(collectLogPayload=False), CALL, Model())
    log = last(gateways)
    assert (log["request_head"], log["response_head"], log["response_head_complete"]) == ("", "", False)
    assert log["tokens_in"] == 42


async def test_long_bodies_are_cut_and_media_are_only_measured(gateways: Gateways) -> None:
    await gateways.run(options(), ModelCall(LLAMA, {"prompt": "é" * MAX_BODY_BYTES}), Model())
    await gateways.run(options(), ModelCall(PAINTER, {"image": b"1234"}), Model(Media(b"\x89PNG", "image/png")))
    long, media = gateways.recent_logs()
    assert long["request_size"] > MAX_BODY_BYTES
    assert not long["request_head_complete"]
    stored = gateways.logs.find("mine", long["id"])
    assert stored
    assert stored.request
    assert MAX_BODY_BYTES - 2 < len(stored.request.encode()) <= MAX_BODY_BYTES
    assert media["response_head"] == "<4 bytes of image/png>"
    assert media["response_size"] == 4
    assert media["request_head"] == '{"image": "<4 bytes>"}'


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}, {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}),
        ({"user": "u", "nothing": None}, None),
        ({"user": "u", "inner": {"a": 1}}, None),
        ("no object", None),
        ({}, None),
    ],
)
async def test_metadata_is_cut_or_dropped_as_recorded(gateways: Gateways, sent: Any, stored: Any) -> None:
    await gateways.run(options(metadata=sent), CALL, Model())
    assert last(gateways)["metadata"] == stored


PRICES: list[tuple[str, dict[str, Any], Any, float]] = [
    # 4 tiles of 512 by 512 at 4.8 neurons, 4 steps at 9.6
    (PAINTER, {"prompt": "A hill"}, {"image": ""}, 4 * 4.8 + 4 * 9.6),
    (PAINTER, {"prompt": "A hill", "steps": 8}, {"image": ""}, 4 * 4.8 + 8 * 9.6),
    ("@cf/leonardo/phoenix-1.0", {"prompt": "x", "width": 512, "height": 513}, b"", 2 * 530 + 4 * 10),
    ("@cf/openai/whisper-large-v3-turbo", {"audio": ""}, {"transcription_info": {"duration": 90}}, 1.5 * 46.63),
    ("@cf/openai/whisper", {"audio": []}, {"words": [{"end": 3}, {"end": 30}]}, 0.5 * 41.14),
    ("@cf/deepgram/aura-1", {"text": "x" * 500}, b"", 0.5 * 1363.64),
    ("@cf/black-forest-labs/flux-2-klein-9b", {"prompt": "x", "width": "1024"}, {}, 1363.64 + 181.82),
    ("@cf/baai/bge-base-en-v1.5", {"text": ["one two", "three"]}, {"shape": [2, 768]}, 3 * 6058 / 1e6),
    ("@cf/no/such-model", {"prompt": "x"}, {}, 0),
]


@pytest.mark.parametrize(("model", "inputs", "answer", "neurons"), PRICES)
async def test_each_kind_of_model_has_its_price(
    gateways: Gateways, model: str, inputs: dict[str, Any], answer: Any, neurons: float
) -> None:
    answer = Media(answer, "image/png") if isinstance(answer, bytes) else answer
    await gateways.run(options(), ModelCall(model, inputs), Model(answer))
    assert last(gateways)["cost"] == pytest.approx(neurons * 0.011 / 1000)


@pytest.mark.parametrize(
    ("sent", "cost"), [('{"per_token_in": 0.5, "per_token_out": 2}', 25), ('{"total_cost": 3}', 3)]
)
async def test_a_caller_may_say_what_a_call_costs(gateways: Gateways, sent: str, cost: float) -> None:
    costed = GatewayOptions.from_json(from_headers("mine", {"cf-aig-custom-cost": sent}))
    await gateways.run(costed, CALL, Model())
    assert (last(gateways)["cost"], last(gateways)["custom_cost"]) == (cost, True)


async def test_at_most_ten_thousand_logs_are_stored(gateways: Gateways) -> None:
    for number in range(10_003):
        gateways.logs.add(Log(f"log {number}", "mine", number, "workers-ai", LLAMA, LLAMA))
    assert gateways.logs.find("mine", "log 2") is None
    assert gateways.logs.find("mine", "log 3")


async def test_a_page_gets_new_logs(gateways: Gateways) -> None:
    for prompt in "abc":
        await gateways.run(options(), ModelCall(LLAMA, {"prompt": prompt}), Model())
    first, second, third = gateways.recent_logs()
    assert first["number"] < second["number"] < third["number"]
    assert gateways.recent_logs(1) == [third]
    assert gateways.recent_logs(1, after=first["number"]) == [second]
    assert gateways.recent_logs(10, after=third["number"]) == []


async def test_gateways_and_logs_outlive_their_process(tmp_path: Path, clock: Clock) -> None:
    before = Gateways(tmp_path / "data" / "gateway.sqlite", now=clock)
    create(before, cache_ttl=120)
    await before.run(options(metadata={"a": 1}), CALL, Model())
    after = Gateways(tmp_path / "data" / "gateway.sqlite", now=clock)
    assert after.recent_logs() == before.recent_logs()
    assert after.store.get("mine").settings["cache_ttl"] == 120


# ---- cache ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [ANSWER, [{"label": "POSITIVE"}], Media(b"\x89PNG", "image/png")])
async def test_the_cache_answers_until_its_time_is_over(gateways: Gateways, clock: Clock, answer: Any) -> None:
    model = Model(answer)
    first = await gateways.run(options(cacheTtl=60), CALL, model)
    clock.seconds += 59
    second = await gateways.run(options(cacheTtl=60), CALL, model)
    assert (first.headers["cf-aig-cache-status"], second.headers["cf-aig-cache-status"]) == ("MISS", "HIT")
    assert second.answer == answer
    assert model.calls == 1
    log = last(gateways)
    assert log["id"] == second.headers["cf-aig-log-id"] != first.headers["cf-aig-log-id"]
    assert (log["cached"], log["cost"], log["success"]) == (True, 0, True)
    assert log["response_size"] == gateways.recent_logs()[0]["response_size"] > 0
    clock.seconds += 1
    assert (await gateways.run(options(cacheTtl=60), CALL, model)).headers["cf-aig-cache-status"] == "MISS"
    assert model.calls == 2


async def test_a_stream_is_replayed_as_a_stream(gateways: Gateways) -> None:
    model = Model(FRAMES)
    assert tuple(await anext_all(await gateways.run(options(cacheTtl=60), CALL, model))) == FRAMES
    again = await gateways.run(options(cacheTtl=60), CALL, model)
    assert again.headers["cf-aig-cache-status"] == "HIT"
    assert tuple(await anext_all(again)) == FRAMES
    assert model.calls == 1


@pytest.mark.parametrize(
    ("call_options", "call"),
    [
        ({"cacheTtl": 60, "skipCache": True}, CALL),
        ({"cacheTtl": 60, "id": "other"}, CALL),
        ({"cacheTtl": 60}, replace(CALL, model=GPT)),
        ({"cacheTtl": 60}, replace(CALL, inputs={"prompt": "Hello", "seed": 1})),
        ({"cacheTtl": 60}, replace(CALL, dialect="openai")),
        ({"cacheTtl": 60, "cacheKey": "k"}, CALL),
        ({}, CALL),
    ],
)
async def test_another_call_is_not_answered_from_the_cache(
    gateways: Gateways, call_options: dict[str, Any], call: ModelCall
) -> None:
    model = Model()
    await gateways.run(options(cacheTtl=60), CALL, model)
    result = await gateways.run(options(**call_options), call, model)
    assert result.headers["cf-aig-cache-status"] == "MISS"
    assert model.calls == 2


async def test_a_cache_key_finds_an_answer_for_any_inputs_and_lasts_five_minutes(
    gateways: Gateways, clock: Clock
) -> None:
    model = Model()
    await gateways.run(options(cacheKey="k"), CALL, model)
    clock.seconds += 299
    other_call = replace(CALL, inputs={"prompt": "Something else"})
    assert (await gateways.run(options(cacheKey="k"), other_call, model)).answer == ANSWER
    assert model.calls == 1
    clock.seconds += 1
    await gateways.run(options(cacheKey="k"), CALL, model)
    assert model.calls == 2


async def test_inputs_with_bytes_are_cached_by_content(gateways: Gateways) -> None:
    model = Model()
    for sound in (b"one", b"one", b"two"):
        await gateways.run(options(cacheTtl=60), ModelCall(LLAMA, {"audio": sound}), model)
    assert model.calls == 2


async def test_the_gateway_s_ttl_applies_where_the_call_has_none(gateways: Gateways, clock: Clock) -> None:
    create(gateways, cache_ttl=10)
    model = Model()
    await gateways.run(options(), CALL, model)
    clock.seconds += 9
    await gateways.run(options(), CALL, model)
    assert model.calls == 1
    clock.seconds += 1
    await gateways.run(options(), CALL, model)
    assert model.calls == 2


async def test_failures_are_not_cached(gateways: Gateways) -> None:
    model = Model(out_of_capacity(), ANSWER)
    with pytest.raises(UpstreamError):
        await gateways.run(options(cacheTtl=60), CALL, model)
    assert (await gateways.run(options(cacheTtl=60), CALL, model)).answer == ANSWER


# ---- retries, timeout, rate limit ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backoff", "delays"), [("constant", [0.1] * 3), ("linear", [0.1, 0.2, 0.3]), ("exponential", [0.1, 0.2, 0.4])]
)
async def test_a_failed_call_is_retried(gateways: Gateways, clock: Clock, backoff: str, delays: list[float]) -> None:
    model = Model(*[out_of_capacity() for _ in range(3)], ANSWER)
    retries = {"maxAttempts": 4, "retryDelayMs": 100, "backoff": backoff}
    result = await gateways.run(options(retries=retries), CALL, model)
    assert result.answer == ANSWER
    assert result.headers["cf-ai-req-id"] == "request 4"
    assert clock.slept == pytest.approx(delays)
    assert [log["success"] for log in gateways.recent_logs()] == [True]


async def test_the_last_failure_is_the_answer_when_no_attempt_is_left(gateways: Gateways) -> None:
    model = Model(out_of_capacity(), UpstreamError(500, 8007, "Internal"))
    with pytest.raises(UpstreamError, match="8007"):
        await gateways.run(options(retries={"maxAttempts": 2}), CALL, model)
    assert model.calls == 2
    assert last(gateways)["status_code"] == 500


async def test_a_gateway_tries_again_by_its_settings_and_a_call_by_its_own(gateways: Gateways, clock: Clock) -> None:
    create(gateways, retry_max_attempts=3, retry_delay=500, retry_backoff="linear")
    with pytest.raises(UpstreamError):
        await gateways.run(options(), CALL, Model(out_of_capacity()))
    assert clock.slept == [0.5, 1]
    model = Model(out_of_capacity())
    with pytest.raises(UpstreamError):
        await gateways.run(options(retries={"maxAttempts": 1}), CALL, model)
    assert model.calls == 1


async def test_calls_that_are_not_simulated_are_not_retried(gateways: Gateways) -> None:
    model = Model(NotSimulated("This"))
    with pytest.raises(NotSimulated):
        await gateways.run(options(retries={"maxAttempts": 5}), CALL, model)
    assert model.calls == 1


async def test_a_call_fails_when_the_model_does_not_begin_in_time(gateways: Gateways) -> None:
    with pytest.raises(GatewayError, match="3007: The model did not begin to answer within 1 ms"):
        await gateways.run(options(requestTimeoutMs=1), CALL, never)
    assert last(gateways)["status_code"] == 408


async def test_a_timeout_is_retried_and_the_last_attempt_has_none(gateways: Gateways) -> None:
    calls: list[None] = []

    async def slow() -> Result:
        calls.append(None)
        await asyncio.sleep(0.05 if len(calls) == 2 else 10)
        return Result(ANSWER, {})

    impatient = options(requestTimeoutMs=5, retries={"maxAttempts": 2})
    assert (await gateways.run(impatient, CALL, slow)).answer == ANSWER
    assert len(calls) == 2


async def test_a_fixed_window_starts_with_the_clock(gateways: Gateways, clock: Clock) -> None:
    create(gateways, rate_limiting_interval=60, rate_limiting_limit=2)
    clock.seconds += 59
    assert await refusals(gateways, 3) == [False, False, True]
    assert (last(gateways)["status_code"], last(gateways)["success"]) == (429, False)
    clock.seconds += 1
    assert await refusals(gateways, 3) == [False, False, True]


async def test_a_sliding_window_looks_back(gateways: Gateways, clock: Clock) -> None:
    create(gateways, rate_limiting_interval=60, rate_limiting_limit=2, rate_limiting_technique="sliding")
    clock.seconds += 59
    assert await refusals(gateways, 3) == [False, False, True]
    clock.seconds += 60
    assert await refusals(gateways, 1) == [True]
    clock.seconds += 1
    assert await refusals(gateways, 3) == [False, False, True]


async def refusals(gateways: Gateways, count: int) -> list[bool]:
    refused: list[bool] = []
    for _ in range(count):
        try:
            await gateways.run(options(), CALL, Model())
            refused.append(False)
        except GatewayError as error:
            refused.append(str(error) == "2003: Rate limited")
    return refused


async def test_answers_from_the_cache_do_not_count_against_the_rate(gateways: Gateways) -> None:
    create(gateways, rate_limiting_interval=60, rate_limiting_limit=1)
    for status in ("MISS", "HIT", "HIT"):
        result = await gateways.run(options(cacheTtl=60), CALL, Model())
        assert result.headers["cf-aig-cache-status"] == status


# ---- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call_options",
    [
        {"id": ""}, {"id": "a/b"}, {"id": 1}, {"id": "x" * 65}, {"cacheTtl": 59}, {"cacheTtl": 31 * 86400 + 1},
        {"cacheTtl": "soon"}, {"cacheTtl": 60.5}, {"cacheKey": 1}, {"skipCache": "yes"}, {"collectLog": 1},
        {"requestTimeoutMs": 0}, {"requestTimeoutMs": True}, {"retries": 3}, {"retries": {"maxAttempts": 0}},
        {"retries": {"maxAttempts": 6}}, {"retries": {"retryDelayMs": 5001}}, {"retries": {"retryDelayMs": -1}},
        {"retries": {"backoff": "random"}}, {"customCost": {}}, {"customCost": 3}, {"eventId": 3},
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(call_options: dict[str, Any]) -> None:
    with pytest.raises(GatewayError) as refusal:
        options(**call_options)
    assert (refusal.value.status, refusal.value.code) == (400, 7001)


def test_no_options_at_all_are_refused() -> None:
    with pytest.raises(GatewayError):
        GatewayOptions.from_json(None)


def test_headers_mean_the_same_as_options() -> None:
    headers = {
        "cf-aig-cache-key": "k", "cf-aig-cache-ttl": "3600", "cf-aig-skip-cache": "true",
        "cf-aig-metadata": '{"user": "anna"}', "cf-aig-collect-log": "false", "cf-aig-event-id": "e",
        "cf-aig-request-timeout": "500", "cf-aig-max-attempts": "3", "cf-aig-retry-delay": "100",
        "cf-aig-backoff": "linear", "cf-aig-collect-log-payload": "false", "content-type": "application/json",
    }  # fmt: skip
    expected = options(
        cacheKey="k", cacheTtl=3600, skipCache=True, metadata={"user": "anna"}, collectLog=False, eventId="e",
        requestTimeoutMs=500, retries={"maxAttempts": 3, "retryDelayMs": 100, "backoff": "linear"},
        collectLogPayload=False,
    )  # fmt: skip
    assert GatewayOptions.from_json(from_headers("mine", headers)) == expected
    older = {"cf-cache-ttl": "3600", "cf-skip-cache": "true"}
    assert GatewayOptions.from_json(from_headers("mine", older)) == options(cacheTtl=3600, skipCache=True)


@pytest.mark.parametrize(
    "header", [("cf-aig-cache-ttl", "an hour"), ("cf-aig-skip-cache", "1"), ("cf-aig-max-attempts", "many")]
)
def test_invalid_headers_are_refused(header: tuple[str, str]) -> None:
    with pytest.raises(GatewayError):
        GatewayOptions.from_json(from_headers("mine", dict([header])))


# ---- over HTTP -----------------------------------------------------------------------------------------------------


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
async def http(gateways: Gateways, traffic: Traffic) -> AsyncIterator[httpx.AsyncClient]:
    run_model = gateways.through_gateways(Inference(traffic, ScriptedAnswers()).run)
    app = Starlette(routes=[*gateway.routes(gateways, run_model, traffic), *inference.routes(run_model, traffic)])
    headers = {"authorization": "Bearer any"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8788", headers=headers) as client:
        yield client


@pytest.fixture
def sdk(http: httpx.AsyncClient) -> AsyncCloudflare:
    return AsyncCloudflare(api_token="any", base_url="http://127.0.0.1:8788/client/v4", http_client=http, max_retries=0)


async def run_by_binding(http: httpx.AsyncClient, **gateway_options: Any) -> httpx.Response:
    body = {"inputs": {"prompt": "Hello"}, "options": {"gateway": {"id": "mine", **gateway_options}}}
    return await http.post("/ai-gateway/run?version=3", json=body, headers={"cf-consn-model-id": LLAMA})


LOGS = "/ai-gateway/gateways/mine/logs"


async def test_the_binding_runs_reads_the_log_and_gives_feedback(http: httpx.AsyncClient) -> None:
    ran = await run_by_binding(http, metadata={"user": "anna"})
    log_id = ran.headers["cf-aig-log-id"]
    log = (await http.get(f"{LOGS}/{log_id}")).json()["result"]
    assert (log["id"], log["model"], log["metadata"]) == (log_id, LLAMA, {"user": "anna"})
    assert log["tokens_out"] == ran.json()["usage"]["completion_tokens"]
    assert (log["feedback"], log["score"]) == (None, None)
    patched = await http.patch(f"{LOGS}/{log_id}", json={"feedback": 1, "score": 87.5, "metadata": {"checked": None}})
    assert patched.status_code == 200
    patched = await http.patch(f"{LOGS}/{log_id}", json={"feedback": -1})
    log = (await http.get(f"{LOGS}/{log_id}")).json()["result"]
    assert (log["feedback"], log["score"], log["metadata"]) == (-1, 87.5, {"checked": None})


@pytest.mark.parametrize(
    "patch",
    [
        {"feedback": 0}, {"feedback": True}, {"feedback": "1"}, {"score": 101}, {"score": -1}, {"score": "high"},
        {"metadata": []}, {"metadata": {"a": {}}}, {"metadata": dict.fromkeys("abcdef", 1)}, [],
    ],
)  # fmt: skip
async def test_invalid_feedback_is_refused_and_changes_nothing(http: httpx.AsyncClient, patch: Any) -> None:
    log_id = (await run_by_binding(http)).headers["cf-aig-log-id"]
    before = (await http.get(f"{LOGS}/{log_id}")).json()
    refused = await http.patch(f"{LOGS}/{log_id}", json=patch)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == 7001
    assert (await http.get(f"{LOGS}/{log_id}")).json() == before


async def test_a_log_is_only_found_in_its_gateway(http: httpx.AsyncClient) -> None:
    log_id = (await run_by_binding(http)).headers["cf-aig-log-id"]
    for path in (f"{LOGS}/unknown", f"/ai-gateway/gateways/other/logs/{log_id}"):
        for method, sent in (("GET", None), ("PATCH", {"feedback": 1})):
            missing = await http.request(method, path, json=sent)
            # from this the `AiGateway` class makes its AiGatewayLogNotFound
            assert missing.status_code == 404
            assert missing.json()["errors"][0]["message"] == "Log not found"


async def test_the_binding_gets_the_address_of_a_gateway_here(http: httpx.AsyncClient) -> None:
    host = {"host": "workers-binding.ai"}
    universal = await http.get("/ai-gateway/gateways/mine/url/universal", headers=host)
    assert universal.json()["result"] == {"url": "http://127.0.0.1:8788/v1/simulator/mine"}
    provider = (await http.get("/ai-gateway/gateways/mine/url/workers-ai", headers=host)).json()["result"]["url"]
    answer = await http.post(f"{provider}/{LLAMA}", json={"prompt": "Hello"})
    assert "simulated" in answer.json()["result"]["response"]


async def test_a_refusal_has_the_recorded_body_of_a_gateway(http: httpx.AsyncClient, gateways: Gateways) -> None:
    create(gateways, rate_limiting_interval=60, rate_limiting_limit=1)
    await run_by_binding(http)
    refused = await run_by_binding(http)
    assert refused.status_code == 429
    assert refused.json() == {
        "success": False, "result": [], "messages": [], "error": [{"code": 2003, "message": "Rate limited"}],
        "name": "AiGatewayError", "httpCode": 429, "internalCode": 2003,
        "message": "Rate limited", "description": "Rate limited",
    }  # fmt: skip
    assert refused.headers["cf-aig-log-id"]
    assert "retry-after" not in refused.headers


async def test_a_models_error_passes_as_it_is(http: httpx.AsyncClient) -> None:
    body = {"inputs": {"prompt": "Hello"}, "options": {"gateway": {"id": "mine"}}}
    failed = await http.post("/ai-gateway/run?version=3", json=body, headers={"cf-consn-model-id": "@cf/no/such"})
    assert failed.json()["internalCode"] == 5007
    assert failed.headers["cf-aig-log-id"]
    assert failed.headers["cf-ai-req-id"]


async def test_each_attempt_meets_a_fault_of_its_own(http: httpx.AsyncClient, traffic: Traffic) -> None:
    traffic.faults.add(Fault(status=429, code=3040, description="Capacity temporarily exceeded", count=2))
    answered = await run_by_binding(http, retries={"maxAttempts": 3})
    assert answered.status_code == 200
    assert [entry.status for entry in traffic.journal] == [429, 429, 200]


async def test_many_calls_at_once_have_logs_of_their_own(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(run_by_binding(http, metadata={"n": number}) for number in range(50)))
    for number, answer in enumerate(answers):
        log = (await http.get(f"{LOGS}/{answer.headers['cf-aig-log-id']}")).json()["result"]
        assert log["metadata"] == {"n": number}


# ---- the gateway's own endpoints -----------------------------------------------------------------------------------

MINE = "/v1/account/mine"
QUESTION = {"messages": [{"role": "user", "content": "Hello"}]}


async def test_a_gateway_stands_in_for_the_rest_api(http: httpx.AsyncClient) -> None:
    for path in (f"{MINE}/workers-ai/{LLAMA}", f"{MINE}/workers-ai/run/{LLAMA}"):
        answered = await http.post(path, json=QUESTION, headers={"cf-aig-metadata": '{"a": 1}'})
        body = answered.json()
        assert (body["success"], body["errors"]) == (True, [])
        assert "simulated" in body["result"]["response"]
        assert answered.headers["cf-aig-log-id"]
    refused = await http.post(f"{MINE}/workers-ai/@cf/no/such", json=QUESTION)
    assert refused.json()["errors"][0]["code"] == 5007
    assert refused.json()["success"] is False


@pytest.mark.parametrize(
    ("path", "model"), [("workers-ai/v1/chat/completions", LLAMA), ("compat/chat/completions", f"workers-ai/{LLAMA}")]
)
async def test_a_gateway_speaks_the_dialect_of_openai(
    http: httpx.AsyncClient, gateways: Gateways, path: str, model: str
) -> None:
    answered = await http.post(f"{MINE}/{path}", json={**QUESTION, "model": model})
    assert "simulated" in answered.json()["choices"][0]["message"]["content"]
    assert (last(gateways)["model"], last(gateways)["path"]) == (LLAMA, "v1/chat/completions")
    streamed = await http.post(f"{MINE}/{path}", json={**QUESTION, "model": model, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert last(gateways)["tokens_out"] > 0


async def test_a_gateway_caches_over_http(http: httpx.AsyncClient) -> None:
    statuses = [
        (await http.post(f"{MINE}/workers-ai/{LLAMA}", json=QUESTION, headers={"cf-aig-cache-ttl": "60"})).headers
        for _ in range(2)
    ]
    assert [headers["cf-aig-cache-status"] for headers in statuses] == ["MISS", "HIT"]


async def test_sounds_and_pictures_are_sent_as_they_are(http: httpx.AsyncClient, gateways: Gateways) -> None:
    painted = await http.post(f"{MINE}/workers-ai/{PAINTER}", json={"prompt": "A hill"})
    assert painted.json()["result"]["image"]
    answer = await http.post(
        f"{MINE}/workers-ai/@cf/openai/whisper", content=b"no sound", headers={"content-type": "audio/wav"}
    )
    assert answer.json()["errors"][0]["code"] == 3030
    assert last(gateways)["request_head"] == '{"audio": "<8 bytes>"}'


@pytest.mark.parametrize(
    ("body", "code"), [(b"{", 3003), (b'{"a": ' * 100_000, 3003), (b"[]", 5006), (b'{"prompt": 5}', 5006)]
)
async def test_the_endpoint_of_workers_ai_refuses_as_workers_ai_does(
    http: httpx.AsyncClient, body: bytes, code: int
) -> None:
    json_type = {"content-type": "application/json"}
    refused = await http.post(f"{MINE}/workers-ai/{LLAMA}", content=body, headers=json_type)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, code)
    assert refused.json()["errors"][0]["message"].startswith("AiError: ")


@pytest.mark.parametrize(
    ("path", "sent", "status", "code"),
    [
        ("openai/chat/completions", {**QUESTION, "model": "gpt"}, 501, 501),
        ("nobody/chat/completions", {**QUESTION, "model": "x"}, 400, 2008),
        ("compat/chat/completions", {**QUESTION, "model": "openai/gpt"}, 501, 501),
        ("compat/chat/completions", {**QUESTION, "model": LLAMA}, 400, 2008),
        ("compat/chat/completions", QUESTION, 400, 2008),
        ("compat/chat/completions", [], 400, 7001),
    ],
)
async def test_other_providers_are_refused(
    http: httpx.AsyncClient, path: str, sent: Any, status: int, code: int
) -> None:
    refused = await http.post(f"{MINE}/{path}", json=sent)
    assert (refused.status_code, refused.json()["internalCode"]) == (status, code)
    assert ("answer env.AI.run(" in refused.json()["description"]) is (status == 501), "what to do in its place"


async def test_a_gateway_with_authentication_wants_a_token(http: httpx.AsyncClient, gateways: Gateways) -> None:
    create(gateways, authentication=True)
    refused = await http.post(f"{MINE}/workers-ai/{LLAMA}", json=QUESTION)
    assert (refused.status_code, refused.json()["internalCode"]) == (401, 2009)
    token = {"cf-aig-authorization": "Bearer any"}
    assert (await http.post(f"{MINE}/workers-ai/{LLAMA}", json=QUESTION, headers=token)).status_code == 200
    assert (await run_by_binding(http)).status_code == 200, "the binding needs none"


def step(provider: str = "workers-ai", endpoint: str = LLAMA, **more: Any) -> dict[str, Any]:
    return {"provider": provider, "endpoint": endpoint, "headers": {}, "query": QUESTION, **more}


@pytest.mark.parametrize("path", [MINE, "/ai-gateway/universal/run/mine"])
async def test_the_steps_of_a_universal_request_are_tried_in_turn(
    http: httpx.AsyncClient, gateways: Gateways, path: str
) -> None:
    steps = [step("openai", "chat/completions"), step(endpoint="@cf/no/such"), step(), step()]
    answered = await http.post(path, json=steps)
    assert answered.headers["cf-aig-step"] == "2"
    assert "simulated" in answered.json()["result"]["response"]
    tried = [(log["step"], log["provider"], log["status_code"]) for log in gateways.recent_logs()]
    assert tried == [(0, "openai", 501), (1, "workers-ai", 400), (2, "workers-ai", 200)]


async def test_the_last_step_gives_the_error_when_none_answers(http: httpx.AsyncClient) -> None:
    failed = await http.post(MINE, json=[step("openai"), step(endpoint="@cf/no/such")])
    assert failed.json()["errors"][0]["code"] == 5007
    assert failed.headers["cf-aig-step"] == "1"


async def test_a_step_has_headers_and_config_of_its_own(
    http: httpx.AsyncClient, gateways: Gateways, traffic: Traffic
) -> None:
    steps = [step(headers={"cf-aig-metadata": {"step": "own"}, "Cf-Aig-Skip-Cache": True}, config={"maxAttempts": 2})]
    traffic.faults.add(Fault(status=500, code=8007))
    outer = {"cf-aig-metadata": '{"step": "outer"}', "cf-aig-event-id": "event"}
    answered = await http.post(MINE, json=steps, headers=outer)
    assert answered.status_code == 200
    assert answered.headers["cf-aig-event-id"] == "event"
    assert last(gateways)["metadata"] == {"step": "own"}


@pytest.mark.parametrize(
    "sent", [[], {}, [1], "x", [{"provider": "workers-ai"}], [step(headers="x")], [step(config="x")], [step(query=1)]]
)
async def test_an_invalid_universal_request_is_refused(http: httpx.AsyncClient, sent: Any) -> None:
    refused = await http.post(MINE, json=sent)
    assert (refused.status_code, refused.json()["internalCode"]) == (400, 7001)
    for body in (b"{", b"[" * 100_000):
        assert (await http.post(MINE, content=body)).status_code == 400


# ---- the REST API --------------------------------------------------------------------------------------------------

NEEDED: dict[str, Any] = {
    "cache_invalidate_on_update": True, "cache_ttl": 0, "collect_logs": True,
    "rate_limiting_interval": 0, "rate_limiting_limit": 0,
}  # fmt: skip


def needed(**more: Any) -> dict[str, Any]:
    return {**NEEDED, **more}


async def test_the_sdk_makes_changes_lists_and_deletes_gateways(sdk: AsyncCloudflare, clock: Clock) -> None:
    made = await sdk.ai_gateway.create(account_id="any", id="mine", **NEEDED)
    assert (made.id, made.cache_ttl, made.rate_limiting_technique, made.is_default) == ("mine", 0, "fixed", False)
    clock.seconds += 60
    changed = await sdk.ai_gateway.update(
        "mine",
        account_id="any",
        **needed(cache_ttl=300),
        retry_max_attempts=2,
        dlp={"enabled": True, "policies": []},
    )
    current = await sdk.ai_gateway.get("mine", account_id="any")
    assert changed.cache_ttl == current.cache_ttl == 300
    assert current.retry_max_attempts == 2
    assert (current.modified_at - current.created_at).seconds == 60
    assert current.dlp
    await sdk.ai_gateway.create(account_id="any", id="other", **NEEDED)
    assert [gateway.id async for gateway in sdk.ai_gateway.list(account_id="any", per_page=1)] == ["mine", "other"]
    assert [gateway.id async for gateway in sdk.ai_gateway.list(account_id="any", search="oth")] == ["other"]
    assert (await sdk.ai_gateway.delete("mine", account_id="any")).id == "mine"
    with pytest.raises(cloudflare.NotFoundError):
        await sdk.ai_gateway.get("mine", account_id="any")
    url = await sdk.ai_gateway.urls.get("workers-ai", account_id="any", gateway_id="other")
    assert url == "http://127.0.0.1:8788/v1/any/other/workers-ai"


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "a b"}, {"id": ""}, {"cache_ttl": -1}, {"cache_ttl": "60"}, {"collect_logs": None},
        {"rate_limiting_technique": "random"}, {"retry_max_attempts": 6}, {"retry_delay": 60_001},
        {"log_management": 9_999}, {"authentication": 1},
    ],
)  # fmt: skip
async def test_settings_out_of_range_are_refused(sdk: AsyncCloudflare, wrong: dict[str, Any]) -> None:
    with pytest.raises(cloudflare.BadRequestError) as refusal:
        await sdk.ai_gateway.create(account_id="any", **needed(**{"id": "mine", **wrong}))
    assert refusal.value.errors[0].code == 7001


async def test_a_ttl_of_null_is_zero(sdk: AsyncCloudflare) -> None:
    made = await sdk.ai_gateway.create(account_id="any", id="mine", **needed(cache_ttl=None, rate_limiting_limit=None))
    assert (made.cache_ttl, made.rate_limiting_limit) == (0, None)


async def test_a_gateway_is_created_once_and_needs_all_required_settings(
    sdk: AsyncCloudflare, http: httpx.AsyncClient
) -> None:
    await sdk.ai_gateway.create(account_id="any", id="mine", **NEEDED)
    with pytest.raises(cloudflare.ConflictError):
        await sdk.ai_gateway.create(account_id="any", id="mine", **NEEDED)
    for name in NEEDED:
        sent = {"id": "new", **{key: value for key, value in NEEDED.items() if key != name}}
        refused = await http.post("/client/v4/accounts/any/ai-gateway/gateways", json=sent)
        assert refused.json()["errors"] == [{"code": 7001, "message": f"{name}: Required"}]
    with pytest.raises(cloudflare.NotFoundError):
        await sdk.ai_gateway.update("none", account_id="any", **NEEDED)


async def test_an_update_may_empty_the_cache(sdk: AsyncCloudflare, http: httpx.AsyncClient) -> None:
    await run_by_binding(http, cacheTtl=60)
    await sdk.ai_gateway.update("mine", account_id="any", **needed(cache_invalidate_on_update=False))
    assert (await run_by_binding(http, cacheTtl=60)).headers["cf-aig-cache-status"] == "HIT"
    await sdk.ai_gateway.update("mine", account_id="any", **NEEDED)
    assert (await run_by_binding(http, cacheTtl=60)).headers["cf-aig-cache-status"] == "MISS"


async def test_deleting_a_gateway_deletes_its_logs(sdk: AsyncCloudflare, http: httpx.AsyncClient) -> None:
    log_id = (await run_by_binding(http)).headers["cf-aig-log-id"]
    await sdk.ai_gateway.delete("mine", account_id="any")
    assert (await http.get(f"{LOGS}/{log_id}")).status_code == 404


async def filled(http: httpx.AsyncClient, gateways: Gateways, clock: Clock) -> None:
    """Four logs: two of llama, one of which is from the cache; one of gpt, with metadata; one of a failed call."""
    for inputs, model, gateway_options in (
        ({"prompt": "Hello"}, LLAMA, {"cacheTtl": 60, "metadata": {"user": "anna", "agent": "review"}}),
        ({"prompt": "Hello"}, LLAMA, {"cacheTtl": 60}),
        ({"prompt": "A longer question, to be sure"}, GPT, {"metadata": {"user": "bob", "n": 7, "on": True}}),
        ({"prompt": "Hello"}, "@cf/no/such", {"eventId": "lost"}),
    ):
        body = {"inputs": inputs, "options": {"gateway": {"id": "mine", **gateway_options}}}
        await http.post("/ai-gateway/run", json=body, headers={"cf-consn-model-id": model})
        clock.seconds += 1


SEARCHES: list[tuple[dict[str, Any], str]] = [
    ({}, "dcba"),
    ({"order_by_direction": "asc"}, "abcd"),
    ({"direction": "asc"}, "abcd"),
    ({"order_by": "model", "order_by_direction": "asc"}, "abdc"),
    ({"cached": True}, "b"),
    ({"success": False}, "d"),
    ({"model": GPT}, "c"),
    ({"model_type": "text-generation", "success": True, "cached": False}, "ca"),
    ({"provider": "openai"}, ""),
    ({"min_cost": 0.0000001}, "ca"),
    ({"max_tokens_in": 0}, "db"),
    ({"min_total_tokens": 1}, "ca"),
    ({"search": "ANNA"}, "a"),
    ({"start_date": "2027-01-15T08:00:01Z"}, "dcb"),
    ({"end_date": "2027-01-15T08:00:01Z"}, "ba"),
    ({"filters": [{"key": "metadata.value", "operator": "eq", "value": ["bob"]}]}, "c"),
    ({"filters": [{"key": "metadata.value", "operator": "eq", "value": [7]}]}, "c"),
    ({"filters": [{"key": "metadata.value", "operator": "eq", "value": [True]}]}, "c"),
    ({"filters": [{"key": "metadata.key", "operator": "eq", "value": ["user"]}]}, "ca"),
    # recorded: the key and the value need not belong to the same entry
    (
        {
            "filters": [
                {"key": "metadata.key", "operator": "eq", "value": ["n"]},
                {"key": "metadata.value", "operator": "eq", "value": ["bob"]},
            ]
        },
        "c",
    ),
    ({"filters": [{"key": "model", "operator": "contains", "value": ["LLAMA"]}]}, "ba"),
    ({"filters": [{"key": "model", "operator": "neq", "value": [LLAMA]}]}, "dc"),
    ({"filters": [{"key": "model", "operator": "eq", "value": [LLAMA, GPT]}]}, "cba"),
    ({"filters": [{"key": "success", "operator": "eq", "value": [True]}]}, "cba"),
    ({"filters": [{"key": "tokens", "operator": "gt", "value": [0]}]}, "ca"),
    ({"filters": [{"key": "cost", "operator": "lt", "value": [0.0000001]}]}, "db"),
    ({"filters": [{"key": "event_id", "operator": "eq", "value": ["lost"]}]}, "d"),
    ({"filters": [{"key": "created_at", "operator": "gt", "value": ["2027-01-15T08:00:01Z"]}]}, "dc"),
    ({"filters": [{"key": "wholesale", "operator": "eq", "value": [True]}]}, ""),
]


@pytest.mark.parametrize(("query", "matches"), SEARCHES)
async def test_the_sdk_finds_logs(
    sdk: AsyncCloudflare, http: httpx.AsyncClient, gateways: Gateways, clock: Clock, query: Any, matches: str
) -> None:
    await filled(http, gateways, clock)
    names = {log["id"]: name for log, name in zip(gateways.recent_logs(), "abcd", strict=True)}
    listed = [log async for log in sdk.ai_gateway.logs.list("mine", account_id="any", per_page=3, **query)]
    assert "".join(names[log.id] for log in listed) == matches
    if "filters" in query:  # as curl sends them
        filters = {"filters": json.dumps(query["filters"])}
        rows = (await http.get("/client/v4/accounts/any/ai-gateway/gateways/mine/logs", params=filters)).json()
        assert "".join(names[log["id"]] for log in rows["result"]) == matches
        assert rows["result_info"] == {"count": len(matches), "page": 1, "per_page": 20, "total_count": len(matches)}
        assert all("request_head" not in log for log in rows["result"])


@pytest.mark.parametrize(
    "query",
    [
        "filters=x", "filters={}", 'filters=[{"key":"metadata.user","operator":"eq","value":["x"]}]', "filters=[1]",
        'filters=[{"key":"cost","operator":"is","value":[1]}]', 'filters=[{"key":"cost","operator":"eq","value":[]}]',
        'filters=[{"key":"cost","operator":"eq","value":["much"]}]', "filters.key=cost", "order_by=request",
        'filters=[{"key":"model","operator":"eq","value":[{}]}]', "order_by_direction=up", "page=0", "per_page=51",
        "success=1", "min_cost=x", "start_date=yesterday",
    ],
)  # fmt: skip
async def test_an_invalid_search_is_refused(http: httpx.AsyncClient, query: str) -> None:
    await run_by_binding(http)
    refused = await http.get(f"/client/v4/accounts/any/ai-gateway/gateways/mine/logs?{query}")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == 7001


async def test_the_sdk_reads_changes_and_deletes_logs(
    sdk: AsyncCloudflare, http: httpx.AsyncClient, gateways: Gateways, clock: Clock
) -> None:
    await filled(http, gateways, clock)
    first, *_, failed = [log["id"] for log in gateways.recent_logs()]
    where: Any = {"account_id": "any", "gateway_id": "mine"}
    log = await sdk.ai_gateway.logs.get(first, **where)
    assert (log.provider, log.status_code, log.request_head_complete) == ("workers-ai", 200, True)
    assert await sdk.ai_gateway.logs.request(first, **where) == {"prompt": "Hello"}
    answer: Any = await sdk.ai_gateway.logs.response(first, **where)
    assert "simulated" in answer["response"]
    await sdk.ai_gateway.logs.edit(first, **where, score=3)
    await sdk.ai_gateway.logs.delete(
        "mine", account_id="any", filters=[{"key": "success", "operator": "eq", "value": [False]}]
    )
    assert failed not in [log["id"] for log in gateways.recent_logs()]
    await sdk.ai_gateway.logs.delete("mine", account_id="any", limit=1, order_by_direction="asc")
    assert first not in [log["id"] for log in gateways.recent_logs()]
    assert len(gateways.recent_logs()) == 2
    for missing in (sdk.ai_gateway.logs.get, sdk.ai_gateway.logs.request, sdk.ai_gateway.logs.response):
        with pytest.raises(cloudflare.NotFoundError):
            await missing(first, **where)
    with pytest.raises(cloudflare.NotFoundError):
        await sdk.ai_gateway.logs.list("none", account_id="any")


async def test_calls_of_the_gateways_own_apis_are_in_the_journal(http: httpx.AsyncClient, traffic: Traffic) -> None:
    await http.get(f"{LOGS}/unknown")
    (entry,) = traffic.journal
    assert (entry.binding, entry.operation, entry.state, entry.status) == ("AI_GATEWAY", "getLog", "failed", 404)
    traffic.faults.add(Fault(binding="AI_GATEWAY", operation="getUrl", status=503, code=1, description="Away"))
    failed = await http.get("/ai-gateway/gateways/mine/url/universal")
    assert (failed.status_code, failed.json()["errors"]) == (503, [{"code": 1, "message": "Away"}])
