"""When a model that fails is left alone, and when it is asked again, with a clock that tests move."""

from collections.abc import Callable
from typing import Any

import pytest

from aiworker.bindings import Inputs
from aiworker.context import Context
from aiworker.errors import ApiError, ClientDisconnected
from aiworker.models import breaker as module
from aiworker.models import catalogue
from aiworker.models.breaker import FAILURES, REST, WITHIN, Breaker
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeRequest, a_context, answered, refused

FIRST = "@cf/meta/llama-3.1-8b-instruct-fast"
SECOND = "@cf/meta/llama-3.2-3b-instruct"
ANSWER = answered({"response": "Hello"})
FAILURE = refused(500, 8007)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def is_admitted(breaker: Breaker, model: str = FIRST) -> bool:
    try:
        breaker.allow(model)
    except ApiError:
        return False
    return True


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.record_failure(FIRST)


def test_a_model_is_left_alone_after_so_many_failures_in_a_row(clock: Clock) -> None:
    breaker = Breaker()
    fail(breaker, FAILURES - 1)
    assert is_admitted(breaker)
    breaker.record_success(FIRST)
    fail(breaker, FAILURES - 1)
    assert is_admitted(breaker)
    assert breaker.open_circuits == []
    breaker.record_failure(FIRST)
    assert not is_admitted(breaker)
    assert is_admitted(breaker, SECOND)
    assert breaker.open_circuits == [FIRST]


def test_failures_that_lie_apart_do_not_count_together(clock: Clock) -> None:
    breaker = Breaker()
    for _ in range(3 * FAILURES):
        breaker.record_failure(FIRST)
        clock.now += WITHIN / (FAILURES - 1) + 0.1
        assert is_admitted(breaker)


def test_the_error_says_when_the_model_is_called_again(clock: Clock) -> None:
    breaker = Breaker()
    fail(breaker, FAILURES)
    clock.now += 2.5
    with pytest.raises(ApiError) as raised:
        breaker.allow(FIRST)
    assert raised.value.type == "unavailable"
    assert raised.value.retry_after == REST - 2
    assert FIRST in raised.value.message


def test_after_a_rest_one_call_may_try_and_decides(clock: Clock) -> None:
    breaker = Breaker()
    fail(breaker, FAILURES)
    for _ in range(2):
        clock.now += REST
        assert [is_admitted(breaker) for _ in range(3)] == [True, False, False]
        breaker.record_failure(FIRST)
    clock.now += REST
    assert is_admitted(breaker)
    breaker.record_success(FIRST)
    assert all(is_admitted(breaker) for _ in range(3))
    fail(breaker, FAILURES - 1)
    assert is_admitted(breaker)


def test_a_trial_that_never_ends_is_not_the_last(clock: Clock) -> None:
    breaker = Breaker()
    fail(breaker, FAILURES)
    clock.now += REST
    assert is_admitted(breaker)
    clock.now += REST
    assert is_admitted(breaker)


# ---- in a call ---------------------------------------------------------------------------------------------------


@pytest.fixture
def context(clock: Clock) -> Callable[..., Context]:
    breaker = Breaker()

    def made(ai: FakeAi, **variables: Any) -> Context:
        settings = Settings.read({**VARIABLES, "MODEL_ATTEMPTS": 1, **variables})
        context = a_context(FakeRequest("POST", "/chat"), settings, ai)
        object.__setattr__(context, "breaker", breaker)
        return context

    return made


async def run(context: Context, *models: str) -> ModelResponse:
    return await ModelCall(
        context, [Candidate(catalogue.MODELS[each], Inputs({})) for each in models or (FIRST,)]
    ).run()


async def fail_calls(context: Context, times: int) -> None:
    for _ in range(times):
        with pytest.raises(ApiError):
            await run(context)


@pytest.mark.parametrize(
    "failure",
    [FAILURE, refused(408, 3007), refused(429, 3040), ApiError("timeout", ""), ApiError("upstream_error", "")],
)
async def test_a_model_that_fails_is_not_asked(context: Callable[..., Context], failure: Any) -> None:
    ai = FakeAi(failure)
    await fail_calls(context(ai), FAILURES)
    with pytest.raises(ApiError) as raised:
        await run(context(ai))
    assert (raised.value.type, raised.value.headers["x-model"]) == ("unavailable", FIRST)
    assert len(ai.calls) == FAILURES


@pytest.mark.parametrize("failure", [refused(400, 5006), refused(429, 3036), refused(429, 3021), ClientDisconnected()])
async def test_failures_that_are_not_the_model_s_do_not_count(context: Callable[..., Context], failure: Any) -> None:
    ai = FakeAi(failure)
    await fail_calls(context(ai), 2 * FAILURES)
    assert len(ai.calls) == 2 * FAILURES


async def test_another_model_answers_at_once(context: Callable[..., Context]) -> None:
    await fail_calls(context(FakeAi(FAILURE)), FAILURES)
    ai = FakeAi(ANSWER)
    assert (await run(context(ai), FIRST, SECOND)).model.id == SECOND
    assert ai.models == [SECOND]


async def test_a_success_makes_it_well(context: Callable[..., Context], clock: Clock) -> None:
    await fail_calls(context(FakeAi(FAILURE)), FAILURES)
    clock.now += REST
    ai = FakeAi(ANSWER)
    for _ in range(3):
        assert (await run(context(ai))).model.id == FIRST


@pytest.mark.parametrize("failure", [refused(400, 5006), ClientDisconnected()])
async def test_a_trial_that_tells_nothing_of_the_model_is_followed_by_another(
    context: Callable[..., Context], clock: Clock, failure: Any
) -> None:
    await fail_calls(context(FakeAi(FAILURE)), FAILURES)
    clock.now += REST
    await fail_calls(context(FakeAi(failure)), 1)
    assert (await run(context(FakeAi(ANSWER)))).model.id == FIRST


async def test_it_can_be_switched_off(context: Callable[..., Context]) -> None:
    ai = FakeAi(FAILURE)
    await fail_calls(context(ai, BREAKER="off"), 2 * FAILURES)
    assert len(ai.calls) == 2 * FAILURES
