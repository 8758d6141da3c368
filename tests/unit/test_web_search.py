"""The tool web_search: offered if a provider is named, paid from the budget, checked whatever the provider answers."""

import dataclasses
import json
from typing import Any

import pytest

from aiworker.auth.access import Caller
from aiworker.auth.budget import DailyBudget
from aiworker.bindings import BudgetState
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.models import tool_selection
from aiworker.routes.mcp import tools
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeAnswer, FakeRequest, a_context, answered

PAGE = {"url": "https://site.example/a", "title": "A", "description": "About A", "faviconUrl": "https://site.example/i"}
RESULTS = answered({"items": [PAGE], "metadata": {"query": "rain", "requestId": "1", "latencyMs": 5}})


class FakeBudget:
    """aiworker.bindings.Budget: what is left, and what was reserved and settled."""

    def __init__(self, left: float) -> None:
        self.left = left
        self.reserved: list[float] = []
        self.settled: list[float] = []

    async def reserve(self, charges: Any, daily: float) -> BudgetState:
        self.reserved += charges.values()
        return BudgetState("2026-11-30", 0, 3_600, is_admitted=sum(charges.values()) <= self.left)

    async def settle(self, costs: Any) -> None:
        self.settled += costs.values()

    async def today(self) -> BudgetState:
        raise NotImplementedError


def a_search(*answers: Any, budget: FakeBudget | None = None, **variables: Any) -> tuple[Context, FakeAi]:
    ai = FakeAi(*answers)
    settings = Settings.read({**VARIABLES, "WEB_SEARCH": "ceramic", **variables})
    context = a_context(FakeRequest("POST", "/chat"), settings, ai)
    if budget:
        context.request_budget.charge_to(DailyBudget("The key web", 100, budget), "req_1")
    return context, ai


async def call(context: Context, arguments: str = '{"query": "rain"}') -> Any:
    selected = await tool_selection.select(context, ["web_search"])
    return json.loads(await selected["web_search"].call(arguments))


async def test_without_a_provider_there_is_no_such_tool() -> None:
    context, _ = a_search(RESULTS, WEB_SEARCH="off")
    assert "web_search" not in await tool_selection.select(context, None)
    assert "web_search" not in tools.allowed(context)
    with pytest.raises(ApiError, match="no tool web_search"):
        await call(context)


async def test_a_model_gets_the_pages_without_more() -> None:
    context, ai = a_search(RESULTS, WEB_SEARCH="exa", GATEWAY_ID="mine")
    assert await call(context) == [{name: PAGE[name] for name in ("title", "url", "description")}]
    request = {"gatewayId": "mine", "query": "rain", "limit": 5, "provider": "exa"}
    assert ai.calls == [("web search", request, {}, 30.0)]


async def test_without_a_gateway_of_its_own_the_account_s_is_used() -> None:
    context, ai = a_search(RESULTS)
    await call(context, '{"query": "rain", "limit": 10}')
    assert (ai.calls[0][1]["gatewayId"], ai.calls[0][1]["limit"]) == ("default", 10)


async def test_an_agent_gets_the_same_tool() -> None:
    context, _ = a_search(RESULTS)
    context = dataclasses.replace(context, caller=Caller("agent", frozenset({"chat"})))
    tool = tools.allowed(context)["web_search"]
    assert tool.listing["inputSchema"]["required"] == ["query"]
    assert json.loads((await tool.run(context, {"query": "rain"}, {})).text)[0]["url"] == PAGE["url"]
    assert (await tool.run(context, {"query": ""}, {})).is_error


@pytest.mark.parametrize(
    "arguments",
    ["{}", '{"query": ""}', '{"query": 5}', '{"query": "a", "limit": 0}', '{"query": "a", "limit": 11}',
     '{"query": "a", "provider": "exa"}', json.dumps({"query": "a" * 1_025}), "no JSON"],
)  # fmt: skip
async def test_wrong_arguments_search_nothing(arguments: str) -> None:
    context, ai = a_search(RESULTS)
    assert "Invalid arguments" in (await call(context, arguments))["error"]
    assert ai.calls == []


@pytest.mark.parametrize(
    "answer",
    [
        FakeAnswer(200, "no JSON"), FakeAnswer(200, "[" * 5_000), answered([]), answered({}), answered({"items": {}}),
        FakeAnswer(400, '{"errors": [{"code": 7001, "message": "no key mine is stored"}]}'), FakeAnswer(500, ""),
        ApiError("upstream_error", "The web could not be searched: no result after 30 seconds"),
    ],
)  # fmt: skip
async def test_whatever_fails_is_told_to_the_model(answer: Any) -> None:
    context, _ = a_search(answer)
    assert set(await call(context)) == {"error"}


async def test_odd_results_are_left_out_and_long_ones_cut() -> None:
    odd = [None, "a", {"title": "no address"}, {"url": 5}, {**PAGE, "title": None, "description": "a" * 9_000}]
    context, _ = a_search(answered({"items": odd}))
    [page] = await call(context)
    assert (set(page), len(page["description"])) == ({"url", "description"}, 2_000)


async def test_a_search_is_paid_in_neurons_and_logged() -> None:
    budget = FakeBudget(left=100)
    context, _ = a_search(RESULTS, budget=budget)
    await call(context)
    await context.request_budget.settle()
    assert budget.reserved == budget.settled == [pytest.approx(22.727, abs=0.001)]  # $0.25 / 1,000 at $0.011 / 1,000
    assert json.loads(context.log.line())["neurons"] == pytest.approx(22.727, abs=0.001)


async def test_a_refused_search_costs_nothing() -> None:
    budget = FakeBudget(left=100)
    context, _ = a_search(FakeAnswer(400, ""), budget=budget)
    await call(context)
    await context.request_budget.settle()
    assert (budget.settled, context.log.neurons) == ([0], None)


async def test_a_budget_that_is_too_small_is_told_to_the_model() -> None:
    context, ai = a_search(RESULTS, budget=FakeBudget(left=20))
    assert "neurons" in (await call(context))["error"]
    assert ai.calls == []
