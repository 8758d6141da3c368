"""Daily budgets of keys: the object that counts, over a real SQLite, and the requests that call it."""

import asyncio
import random
import sqlite3
from collections.abc import Mapping
from typing import Any

import pytest

from aiworker.auth.budget import DAY, BudgetStore, DailyBudget, RequestBudget
from aiworker.bindings import BudgetState, Inputs
from aiworker.errors import ApiError, ClientDisconnected
from aiworker.models import catalogue, estimate
from aiworker.models.model_call import Candidate, ModelCall, run_all
from aiworker.models.model_response import ModelResponse
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeRequest, a_context, answered, refused

NOON = 1_000 * DAY + DAY / 2
CHAT = catalogue.MODELS["@cf/meta/llama-3.1-8b-instruct-fast"]
OTHER = catalogue.MODELS["@cf/openai/gpt-oss-120b"]


class Rows:
    """aiworker.auth.budget.Storage over SQLite in memory."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:")

    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        return [list(row) for row in self._connection.execute(query, values).fetchall()]


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> BudgetStore:
    return BudgetStore(Rows(), clock)


def spent(store: BudgetStore) -> float:
    return store.today()["neurons"]


# ---- the object ----------------------------------------------------------------------------------------------------


def test_a_reservation_counts_until_it_is_settled(store: BudgetStore) -> None:
    assert store.reserve({"a": 10, "b": 5}, daily=100)["is_admitted"]
    assert spent(store) == 15
    store.settle({"a": 2.5})
    assert spent(store) == 7.5
    store.settle({"b": 8})  # more than was reserved
    assert spent(store) == 10.5


def test_a_day_holds_its_budget_and_not_a_millionth_more(store: BudgetStore) -> None:
    assert store.reserve({"a": 100}, daily=100)["is_admitted"]
    refusal = store.reserve({"b": 0.000001}, daily=100)
    assert not refusal["is_admitted"]
    assert refusal["neurons"] == 100
    assert store.reserve({"b": 1}, daily=101)["is_admitted"]  # the owner has given more


def test_all_of_a_request_is_reserved_or_nothing(store: BudgetStore) -> None:
    assert not store.reserve({"a": 60, "b": 60}, daily=100)["is_admitted"]
    assert spent(store) == 0
    store.settle({"a": 60, "b": 60})
    assert spent(store) == 0


def test_hearing_of_something_twice_changes_nothing(store: BudgetStore) -> None:
    for _ in range(2):
        assert store.reserve({"a": 60}, daily=100)["is_admitted"]
    assert spent(store) == 60
    for _ in range(2):
        store.settle({"a": 20})
    assert spent(store) == 20


def test_a_new_day_begins_at_midnight_utc(store: BudgetStore, clock: Clock) -> None:
    store.reserve({"a": 100}, daily=100)
    clock.now = 1_001 * DAY - 1
    last = store.reserve({"b": 1}, daily=100)
    assert (last["is_admitted"], last["seconds_left"]) == (False, 1)
    clock.now = 1_001 * DAY
    first = store.reserve({"b": 1}, daily=100)
    assert (first["is_admitted"], first["neurons"], first["seconds_left"]) == (True, 1, DAY)


def test_a_cost_belongs_to_the_day_on_which_it_was_reserved(store: BudgetStore, clock: Clock) -> None:
    store.reserve({"a": 10}, daily=100)
    clock.now += DAY
    store.settle({"a": 90})
    assert spent(store) == 0
    clock.now += DAY * 2
    assert spent(store) == 0
    store.settle({"a": 90})  # so long after, nobody remembers
    assert spent(store) == 0


def test_a_hundred_thousand_costs_add_up_exactly(store: BudgetStore) -> None:
    chance = random.Random(7)
    costs = {str(number): chance.randrange(1, 10_000_000) / 1e6 for number in range(2_000)}
    for name, cost in costs.items():
        store.reserve({name: cost}, daily=1e9)
        store.settle({name: cost / 2})
    assert spent(store) == sum(round(cost / 2 * 1e6) for cost in costs.values()) / 1e6


# ---- a request -----------------------------------------------------------------------------------------------------


class FakeBudget:
    """aiworker.bindings.Budget over the object itself, with the turns of an event loop in between; fails when told."""

    def __init__(self, store: BudgetStore) -> None:
        self.store = store
        self.failures = 0

    async def reserve(self, charges: Mapping[str, float], daily: float) -> BudgetState:
        await asyncio.sleep(0)
        return BudgetState(**self.store.reserve(charges, daily))

    async def settle(self, costs: Mapping[str, float]) -> None:
        await asyncio.sleep(0)
        self.store.settle(costs)
        if self.failures:  # the answer is lost on its way
            self.failures -= 1
            raise ApiError("unavailable", "gone")

    async def today(self) -> BudgetState:
        return BudgetState(**self.store.today())


def budget_of(store: BudgetStore, daily: float, request_id: str = "req_1") -> RequestBudget:
    budget = RequestBudget()
    budget.charge_to(DailyBudget("The key site", daily, FakeBudget(store)), request_id)
    return budget


async def ask(ai: FakeAi, request_budget: RequestBudget, *candidates: Candidate) -> ModelResponse:
    context = a_context(FakeRequest("POST", "/chat"), Settings.read({**VARIABLES, "MODEL_ATTEMPTS": 1}), ai)
    object.__setattr__(context, "request_budget", request_budget)
    return await ModelCall(context, candidates or [Candidate(CHAT, Inputs({"prompt": "Hello"}))]).run()


async def test_an_answer_costs_what_its_tokens_cost(store: BudgetStore) -> None:
    request_budget = budget_of(store, daily=100)
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100}
    answer = await ask(FakeAi(answered({"response": "Hi", "usage": usage})), request_budget)
    assert spent(store) == pytest.approx(estimate.neurons(CHAT, Inputs({"prompt": "Hello"})), abs=1e-6)
    answer.record_usage((await answer.object())["usage"])
    await request_budget.settle()
    assert spent(store) == pytest.approx((1_000 * 4_119 + 100 * 34_868) / 1e6, abs=1e-6)


async def test_an_answer_that_says_nothing_of_its_cost_costs_the_estimate(store: BudgetStore) -> None:
    request_budget = budget_of(store, daily=100)
    await ask(FakeAi(answered({"response": "Hi"})), request_budget)
    before = spent(store)
    await request_budget.settle()
    assert spent(store) == before > 0


async def test_a_call_that_fails_costs_nothing(store: BudgetStore) -> None:
    request_budget = budget_of(store, daily=100)
    with pytest.raises(ApiError):
        await ask(FakeAi(refused(400, 5006)), request_budget)
    await request_budget.settle()
    assert spent(store) == 0


@pytest.mark.parametrize("failure", [ClientDisconnected(), ApiError("timeout", "late")])
async def test_an_abandoned_call_costs_its_reservation(store: BudgetStore, failure: ApiError) -> None:
    request_budget = budget_of(store, daily=100)
    with pytest.raises(ApiError):
        await ask(FakeAi(failure), request_budget)
    before = spent(store)
    await request_budget.settle()
    assert spent(store) == before > 0


async def test_without_budget_no_model_is_asked(store: BudgetStore) -> None:
    ai = FakeAi(answered({"response": "Hi"}))
    with pytest.raises(ApiError) as raised:
        await ask(ai, budget_of(store, daily=1))
    assert raised.value.type == "budget_exceeded"
    assert raised.value.retry_after == DAY / 2
    assert "The key site has 1 neurons a day" in raised.value.message
    assert "12 h 00 min" in raised.value.message
    assert ai.calls == []
    assert spent(store) == 0


async def test_large_numbers_of_neurons_are_written_out(store: BudgetStore) -> None:
    with pytest.raises(ApiError, match=r"has 1,000,000 neurons a day, .* may cost 2,345,679 more"):
        await budget_of(store, daily=1_000_000).reserve([2_345_678.9])


async def test_the_dearest_of_the_models_that_may_answer_is_reserved(store: BudgetStore) -> None:
    request_budget = budget_of(store, daily=1_000)
    both = [Candidate(model, Inputs({"prompt": "Hello", "max_tokens": 1_000})) for model in (CHAT, OTHER)]
    await ask(FakeAi(answered({"response": "Hi"})), request_budget, *both)
    assert spent(store) == pytest.approx(estimate.neurons(OTHER, both[1].inputs), abs=1e-6)


async def test_cancelled_calls_cost_nothing(store: BudgetStore) -> None:
    context = a_context(
        FakeRequest("POST", "/classify"), Settings.read({**VARIABLES, "MODEL_ATTEMPTS": 1}), FakeAi(refused(400, 5006))
    )
    request_budget = budget_of(store, daily=1_000)
    object.__setattr__(context, "request_budget", request_budget)
    calls = [Candidate(CHAT, Inputs({"prompt": str(number)})) for number in range(20)]

    async def read(answer: ModelResponse) -> None:
        raise AssertionError(answer)

    with pytest.raises(ApiError):
        await run_all(context, calls, read)
    assert spent(store) > 100
    await request_budget.settle()
    # the three that were under way beside the first that failed may have cost something
    assert spent(store) <= 3 * estimate.neurons(CHAT, calls[0].inputs)


async def test_a_settlement_whose_answer_is_lost_is_made_once(
    store: BudgetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_: float) -> None: ...

    request_budget = budget_of(store, daily=100)
    [reservation] = await request_budget.reserve([50])
    reservation.cost = 20
    budget = request_budget.budgets[0].budget
    assert isinstance(budget, FakeBudget)
    budget.failures = 2
    monkeypatch.setattr("aiworker.auth.budget.asyncio.sleep", at_once)
    await request_budget.settle()
    assert spent(store) == 20
    assert budget.failures == 0


async def test_concurrent_requests_never_spend_more_than_there_is(store: BudgetStore) -> None:
    async def one(number: int) -> int:
        try:
            [reservation] = await budget_of(store, 100, f"req_{number}").reserve([1])
        except ApiError:
            return 0
        return round(reservation.reserved)

    admitted = await asyncio.gather(*(one(number) for number in range(250)))
    assert sum(admitted) == 100 == spent(store)


async def test_a_request_counts_in_the_budget_of_its_key_and_in_that_of_the_worker(
    store: BudgetStore, clock: Clock
) -> None:
    of_worker = BudgetStore(Rows(), clock)
    request_budget = budget_of(store, daily=100)
    request_budget.charge_to(DailyBudget("This Worker", 60, FakeBudget(of_worker)), "req_1")
    [reservation] = await request_budget.reserve([50])
    assert spent(store) == spent(of_worker) == 50
    with pytest.raises(ApiError, match="This Worker has 60 neurons a day, of which 50 are spent or reserved"):
        await request_budget.reserve([20])
    assert spent(store) == spent(of_worker) == 50  # what the key had reserved is given back
    reservation.cost = 3
    await request_budget.settle()
    assert spent(store) == spent(of_worker) == 3


async def test_the_error_of_a_shared_budget_does_not_tell_what_others_have_spent(
    store: BudgetStore, clock: Clock
) -> None:
    of_worker = BudgetStore(Rows(), clock)
    of_worker.reserve({"of another key": 37}, 60)
    request_budget = budget_of(store, daily=100)
    request_budget.charge_to(DailyBudget("This Worker", 60, FakeBudget(of_worker), is_shared=True), "req_1")
    with pytest.raises(ApiError) as raised:
        await request_budget.reserve([30])
    assert raised.value.type == "budget_exceeded"
    assert raised.value.message.startswith("This Worker has too few neurons left today: this request may cost 30.")
    assert not any(figure in raised.value.message for figure in ("37", "60", "23"))


async def test_a_budget_out_of_reach_gives_back_what_the_others_have_reserved(store: BudgetStore, clock: Clock) -> None:
    class OutOfReach(FakeBudget):
        async def reserve(self, charges: Mapping[str, float], daily: float) -> BudgetState:
            raise ApiError("unavailable", "The daily budget could not be read")

    request_budget = budget_of(store, daily=100)
    request_budget.charge_to(DailyBudget("This Worker", 60, OutOfReach(BudgetStore(Rows(), clock))), "req_1")
    with pytest.raises(ApiError, match="could not be read"):
        await request_budget.reserve([50])
    assert spent(store) == 0
    assert request_budget.reservations == []


async def test_a_key_without_a_budget_is_not_counted() -> None:
    request_budget = RequestBudget()
    await ask(FakeAi(answered({"response": "Hi"})), request_budget)
    assert request_budget.reservations == []


# ---- estimates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "inputs", "least", "most"),
    [
        ("@cf/meta/llama-3.1-8b-instruct-fast", {"prompt": "a" * 3_000}, 4.119 + 8.9, 4.2 + 9),
        ("@cf/meta/llama-3.1-8b-instruct-fast", {"prompt": "a", "max_tokens": 1_000}, 34.868, 35),
        ("@cf/zai-org/glm-4.7-flash", {"messages": [{"role": "user", "content": "a"}]}, 149, 150),
        ("@cf/baai/bge-base-en-v1.5", {"text": ["a" * 3_000] * 10}, 60, 65),
        ("@cf/baai/bge-reranker-base", {"query": "a" * 300, "contexts": [{"text": "a"}] * 1_000}, 28.3, 36),
        ("@cf/meta/m2m100-1.2b", {"text": "a" * 3_000, "target_lang": "de"}, 62.1, 65),
        ("@cf/black-forest-labs/flux-1-schnell", {"prompt": "a", "steps": 4}, 57.5, 57.7),
        ("@cf/leonardo/lucid-origin", {"prompt": "a", "width": 512, "height": 513, "num_steps": 1}, 1284, 1284),
        ("@cf/deepgram/aura-1", {"text": "a" * 2_000}, 2727, 2728),
        ("@cf/myshell-ai/melotts", {"prompt": "a" * 600}, 18.6, 18.7),
        ("@cf/stabilityai/stable-diffusion-xl-base-1.0", {"prompt": "a"}, estimate.UNPRICED, estimate.UNPRICED),
    ],
)
def test_an_estimate_is_about_what_it_will_cost(model: str, inputs: Any, least: float, most: float) -> None:
    assert least <= estimate.neurons(catalogue.MODELS[model], Inputs(inputs)) <= most


@pytest.mark.parametrize("model", catalogue.MODELS.values(), ids=lambda model: model.id)
def test_every_model_has_an_estimate(model: catalogue.Model) -> None:
    inputs = {"prompt": "Hello", "text": "Hello", "messages": [{"role": "user", "content": "Hello"}]}
    assert estimate.neurons(model, Inputs(inputs)) > 0
