"""When a model is asked again, how long is waited, and when another one is asked, with a clock that tests move."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from aiworker.auth.access import Caller, Key
from aiworker.bindings import Inputs, UpstreamResponse
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.models import catalogue, model_call
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_call import FIRST_WAIT, Candidate, ModelCall, run_all
from aiworker.models.model_response import ModelResponse
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeAnswer, FakeRequest, a_context, answered, refused

FIRST = "@cf/meta/llama-3.1-8b-instruct-fast"
SECOND = "@cf/meta/llama-3.2-3b-instruct"
ANSWER = answered({"response": "Hello"})


class Clock:
    """Time that passes only while it is slept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(model_call, "time", clock)
    monkeypatch.setattr(model_call, "asyncio", SimpleNamespace(sleep=clock.sleep))
    return clock


async def run(ai: FakeAi, *models: str, gateway: GatewayOptions | None = None, **variables: Any) -> ModelResponse:
    settings = Settings.read({**VARIABLES, **variables})
    context = a_context(FakeRequest("POST", "/chat"), settings, ai)
    candidates = [Candidate(catalogue.MODELS[each], Inputs({"prompt": each})) for each in models or (FIRST,)]
    return await ModelCall(context, candidates, gateway).run()


async def failure(ai: FakeAi, *models: str, **variables: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await run(ai, *models, **variables)
    return raised.value


# ---- again ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"), [(429, 3040), (408, 3007), (408, 3008), (500, 8007), (502, 0), (503, 1101), (529, 0)]
)
async def test_transient_failures_are_retried(clock: Clock, status: int, code: int) -> None:
    ai = FakeAi(refused(status, code), refused(status, code), ANSWER)
    assert (await run(ai)).raw is ANSWER
    assert ai.models == [FIRST] * 3


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, 3036), (429, 4006), (429, 2003), (400, 5006), (400, 5007), (403, 5018), (413, 5021)],
)
async def test_permanent_failures_are_not_retried(clock: Clock, status: int, code: int) -> None:
    ai = FakeAi(refused(status, code), ANSWER)
    error = await failure(ai, FIRST, SECOND)
    assert error.upstream_code == code
    assert ai.models == [FIRST]
    assert clock.slept == []


@pytest.mark.parametrize(("status", "code"), [(429, 3021), (410, 5028)])
async def test_failures_of_one_model_move_to_the_next_model_at_once(clock: Clock, status: int, code: int) -> None:
    ai = FakeAi(refused(status, code), ANSWER)
    assert (await run(ai, FIRST, SECOND)).model.id == SECOND
    assert clock.slept == []
    assert (await failure(FakeAi(refused(status, code)))).upstream_code == code


async def test_a_broken_connection_is_tried_again_and_a_deadline_is_not(clock: Clock) -> None:
    broken = FakeAi(ApiError("upstream_error", "connection lost"), ANSWER)
    assert (await run(broken)).raw is ANSWER
    late = FakeAi(ApiError("timeout", "too late"), ANSWER)
    error = await failure(late, FIRST, SECOND)
    assert (error.type, error.headers["x-model"]) == ("timeout", FIRST)
    assert late.models == [FIRST]


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_it_is_tried_as_often_as_the_worker_is_told(clock: Clock, attempts: int) -> None:
    ai = FakeAi(refused(500, 8007))
    error = await failure(ai, MODEL_ATTEMPTS=attempts)
    assert (error.type, error.upstream_code) == ("upstream_error", 8007)
    assert len(ai.calls) == attempts


async def test_waits_double_and_vary(clock: Clock) -> None:
    for _ in range(20):
        await failure(FakeAi(refused(500, 8007)), MODEL_ATTEMPTS=4)
    rounds = [clock.slept[start : start + 3] for start in range(0, 60, 3)]
    for number in range(3):
        longest = FIRST_WAIT * 2**number
        waits = [waited[number] for waited in rounds]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 10


async def test_retry_after_is_waited_for(clock: Clock) -> None:
    await run(FakeAi(refused(429, 3040, retry_after="7"), ANSWER))
    assert clock.slept == [7]


async def test_a_retry_after_beyond_the_deadline_is_given_to_the_client_at_once(clock: Clock) -> None:
    ai = FakeAi(refused(429, 3040, retry_after="30"), ANSWER)
    error = await failure(ai, MODEL_SECONDS=30)
    assert error.retry_after == 30
    assert len(ai.calls) == 1
    assert clock.slept == []


@pytest.mark.parametrize("retry_after", ["soon", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT", ""])
async def test_a_retry_after_that_is_no_number_of_seconds_is_passed_over(clock: Clock, retry_after: str) -> None:
    await run(FakeAi(refused(429, 3040, retry_after=retry_after), ANSWER))
    assert len(clock.slept) == 1
    assert clock.slept[0] <= FIRST_WAIT


async def test_each_attempt_has_only_the_time_that_is_left(clock: Clock) -> None:
    ai = FakeAi(refused(429, 3040, retry_after="4"), ANSWER)
    await run(ai, MODEL_SECONDS=10)
    assert [call[3] for call in ai.calls] == [10, 6]


class SlowAi(FakeAi):
    """Every call takes so many seconds."""

    def __init__(self, clock: Clock, seconds: float, *answers: UpstreamResponse) -> None:
        super().__init__(*answers)
        self._clock = clock
        self._takes = seconds

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> UpstreamResponse:
        self._clock.now += self._takes
        return await super().run(model, inputs, options, seconds)


async def test_the_duration_of_an_attempt_counts_against_the_deadline(clock: Clock) -> None:
    ai = SlowAi(clock, 8, refused(429, 3040, retry_after="4"))
    error = await failure(ai, MODEL_SECONDS=10)
    assert error.upstream_code == 3040
    assert len(ai.calls) == 1
    assert clock.slept == []


async def test_no_other_model_is_asked_when_the_time_is_over(clock: Clock) -> None:
    ai = SlowAi(clock, 10, refused(500, 8007))
    assert (await failure(ai, FIRST, SECOND, MODEL_SECONDS=10)).upstream_code == 8007
    assert ai.models == [FIRST]


# ---- another model -------------------------------------------------------------------------------------------------


async def test_a_busy_model_is_not_waited_for_where_another_can_answer(clock: Clock) -> None:
    ai = FakeAi(refused(429, 3040), ANSWER)
    answer = await run(ai, FIRST, SECOND)
    assert answer.headers["x-model"] == answer.model.id == SECOND
    assert ai.models == [FIRST, SECOND]
    assert [call[1] for call in ai.calls] == [{"prompt": FIRST}, {"prompt": SECOND}]
    assert clock.slept == []


async def test_a_failing_model_is_tried_again_before_another_is_asked(clock: Clock) -> None:
    ai = FakeAi(refused(500, 8007), refused(500, 8007), refused(500, 8007), ANSWER)
    await run(ai, FIRST, SECOND)
    assert ai.models == [FIRST, FIRST, FIRST, SECOND]


async def test_only_a_model_that_is_not_the_last_may_turn_away_at_once(clock: Clock) -> None:
    ai = FakeAi(refused(429, 3040), refused(429, 3040), ANSWER)
    await run(ai, FIRST, SECOND)
    assert [call[2].get("rejectIfBusy") for call in ai.calls] == [True, None, None]


async def test_the_last_error_is_the_client_s(clock: Clock) -> None:
    ai = FakeAi(refused(429, 3040), refused(400, 5006))
    error = await failure(ai, FIRST, SECOND)
    assert error.upstream_code == 5006
    assert error.headers["x-model"] == SECOND


# ---- what is sent, and what comes back -----------------------------------------------------------------------------


async def test_a_gateway_is_asked_only_where_there_is_one(clock: Clock) -> None:
    ai = FakeAi(ANSWER)
    await run(ai)
    assert ai.calls[0][2] == {"returnRawResponse": True}
    await run(ai, GATEWAY_ID="mine", gateway=GatewayOptions(skip_cache=True, cache_ttl=60, metadata={"a": 1}))
    sent = {"id": "mine", "skipCache": True, "cacheTtl": 60, "metadata": {"a": 1}}
    assert ai.calls[1][2] == {"returnRawResponse": True, "gateway": sent}
    with pytest.raises(ApiError) as raised:
        await run(ai, gateway=GatewayOptions(skip_cache=True))
    assert raised.value.param == "gateway"
    assert len(ai.calls) == 2


async def test_several_answers_come_in_the_order_of_their_questions() -> None:
    ai = FakeAi(*(answered(number) for number in range(10)))
    context = a_context(FakeRequest("POST", "/embed"), Settings.read(VARIABLES), ai)
    candidate = Candidate(catalogue.MODELS[FIRST], Inputs({}))
    assert await run_all(context, [candidate] * 10, ModelResponse.json) == list(range(10))


async def test_the_first_of_several_that_fails_is_the_error_and_no_more_are_asked() -> None:
    ai = FakeAi(ANSWER, refused(400, 5006))
    context = a_context(FakeRequest("POST", "/embed"), Settings.read(VARIABLES), ai)
    candidate = Candidate(catalogue.MODELS[FIRST], Inputs({}))
    with pytest.raises(ApiError) as raised:
        await run_all(context, [candidate] * 50, ModelResponse.json)
    assert raised.value.upstream_code == 5006
    assert len(ai.calls) < 10


async def test_an_answer_that_is_no_json_says_what_it_is_instead() -> None:
    broken: UpstreamResponse = refused(200, 0)
    context = a_context(FakeRequest("POST", "/chat"), Settings.read(VARIABLES), FakeAi(broken))
    answer = await ModelCall(context, [Candidate(catalogue.MODELS[FIRST], Inputs({}))]).run()
    assert (await answer.json())["internalCode"] == 0
    for text in ("<html>", "", "[" * 5_000 + "]" * 5_000):
        unread = ModelResponse(catalogue.MODELS[FIRST], type(ANSWER)(200, text))
        with pytest.raises(ApiError) as raised:
            await unread.json()
        assert raised.value.type == "upstream_error"
        assert (text[:100] or "nothing") in raised.value.message


async def test_cache_keys_differ_between_tenants_and_users() -> None:
    keys: list[str] = []
    for tenant, subject in (("acme", ""), ("acme", "ada"), ("globex", ""), (None, "")):
        ai = FakeAi(answered({}))
        settings = Settings.read({**VARIABLES, "GATEWAY_ID": "mine"})
        caller = Caller("a key", frozenset({"chat"}), tenant, subject, key=Key("a key", "", frozenset({"chat"})))
        context = a_context(FakeRequest("POST", "/chat"), settings, ai, caller)
        candidate = Candidate(catalogue.MODELS[FIRST], Inputs({"prompt": "Hello"}))
        await ModelCall(context, [candidate], GatewayOptions(cache_key="weather")).run()
        keys.append(ai.calls[0][2]["gateway"]["cacheKey"])
    assert keys == [f"{owner}  {FIRST} whole weather" for owner in ("acme//", "acme/ada/", "globex//", "")]


def through_gateway(tenant: str | None, subject: str = "") -> tuple[Context, FakeAi]:
    """A request of a caller of this tenant, whose calls go through a gateway."""
    ai = FakeAi(FakeAnswer(200, "{}", content_type="application/json", cf_aig_log_id="LOG"))
    settings = Settings.read({**VARIABLES, "GATEWAY_ID": "mine"})
    caller = Caller("a key", frozenset({"chat"}), tenant, subject, key=Key("a key", "", frozenset({"chat"})))
    return a_context(FakeRequest("POST", "/chat"), settings, ai, caller), ai


async def test_equal_requests_of_two_tenants_share_no_cached_answer_though_none_has_a_cache_key() -> None:
    keys: list[str | None] = []
    cases = [("acme", "", "Hello"), ("acme", "", "Hello"), ("acme", "ada", "Hello"), ("globex", "", "Hello")]
    for tenant, subject, prompt in [*cases, ("acme", "", "Bye")]:
        context, ai = through_gateway(tenant, subject)
        call = [Candidate(catalogue.MODELS[FIRST], Inputs({"prompt": prompt}))]
        await ModelCall(context, call, GatewayOptions(cache_ttl=60)).run()
        keys.append(ai.calls[0][2]["gateway"]["cacheKey"])
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


async def test_the_gateway_s_own_cache_is_not_used_for_tenants_who_do_not_ask_for_it() -> None:
    call = [Candidate(catalogue.MODELS[FIRST], Inputs({}))]
    for options in (None, GatewayOptions(metadata={"team": "docs"}), GatewayOptions(skip_cache=False)):
        context, ai = through_gateway("acme")
        await ModelCall(context, call, options).run()
        assert ai.calls[0][2]["gateway"]["skipCache"] is True
    context, ai = through_gateway(None)
    await ModelCall(context, call).run()
    assert ai.calls[0][2]["gateway"] == {"id": "mine"}


async def test_no_cache_key_of_a_client_is_one_of_another_request_s_content() -> None:
    context, ai = through_gateway("acme")
    call = [Candidate(catalogue.MODELS[FIRST], Inputs({"prompt": "Hello"}))]
    await ModelCall(context, call, GatewayOptions(cache_ttl=60)).run()
    of_content = ai.calls[0][2]["gateway"]["cacheKey"]
    for planted in (of_content, of_content.partition("whole ")[2]):
        await ModelCall(context, call, GatewayOptions(cache_key=planted)).run()
        assert ai.calls[-1][2]["gateway"]["cacheKey"] != of_content


async def test_the_id_of_a_log_is_its_tenant_s_own() -> None:
    call = [Candidate(catalogue.MODELS[FIRST], Inputs({}))]
    acme, globex, everybody = (through_gateway(tenant)[0] for tenant in ("acme", "globex", None))
    shown = (await ModelCall(acme, call).run()).headers["x-gateway-log-id"]
    assert acme.own_log_id(shown) == everybody.own_log_id(shown) == "LOG"
    for text in (shown, "LOG"):
        with pytest.raises(ApiError) as caught:
            globex.own_log_id(text)
        assert caught.value.type == "not_found"
    assert (await ModelCall(everybody, call).run()).headers["x-gateway-log-id"] == "LOG"
