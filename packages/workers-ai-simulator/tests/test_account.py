"""Models that the simulated account has: retired ones, and those of the paid plan only."""

import json
from collections.abc import Generator, Iterator

import httpx
import pytest

from running_simulator import SimulatorProcess
from workers_ai_simulator.catalogue import ALIASES, MODELS, PAID_ACCOUNT, RETIRED, Account, find, known
from workers_ai_simulator.errors import UpstreamError

OLD_TUTORIALS = (
    "@cf/meta/llama-2-7b-chat-int8",
    "@cf/microsoft/phi-2",
    "@hf/thebloke/zephyr-7b-beta-awq",
    "@cf/meta/llama-3.1-8b-instruct",
    "@cf/tinyllama/tinyllama-1.1b-chat-v1.0",
)
PAID_ONLY = ("@cf/moonshotai/kimi-k2.6", "@cf/moonshotai/kimi-k2.7-code", "@cf/zai-org/glm-5.2")


def error_of(model: str, account: Account = PAID_ACCOUNT) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        find(model, account)
    return caught.value


@pytest.fixture(scope="module")
def free_simulator() -> Iterator[SimulatorProcess]:
    """A simulator of an account on the free plan that serves retired models."""
    process = SimulatorProcess("--plan", "free", "--retired", "serve")
    yield process
    process.stop()


@pytest.fixture
def free(free_simulator: SimulatorProcess) -> Generator[httpx.Client]:
    with free_simulator.client() as client:
        yield client


def run(http: httpx.Client, model: str) -> httpx.Response:
    body = {"inputs": {"prompt": "Hello"}, "options": {}}
    return http.post("/run?version=3", json=body, headers={"cf-consn-model-id": model})


# ---- retired models ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", OLD_TUTORIALS)
def test_a_model_of_an_old_tutorial_is_retired_not_unknown(http: httpx.Client, model: str) -> None:
    by_binding = run(http, model)
    assert (by_binding.status_code, by_binding.json()["internalCode"]) == (400, 5028)
    by_rest = http.post(f"/client/v4/accounts/any/ai/run/{model}", json={"prompt": "Hello"})
    [error] = by_rest.json()["errors"]
    assert error["code"] == 5028
    assert RETIRED[model].retired_on in error["message"]


@pytest.mark.parametrize("model", RETIRED)
def test_every_retired_model_is_refused_with_the_day_unless_it_has_a_successor(model: str) -> None:
    if model in ALIASES:
        assert find(model).id == ALIASES[model] in MODELS
        return
    error = error_of(model)
    assert (error.code, RETIRED[model].retired_on in error.description) == (5028, True)
    assert find(model, Account(serves_retired=True)).id == model


def test_the_tables_of_models_and_of_retired_models_agree() -> None:
    assert {model.id for model in MODELS.values() if model.deprecated} == RETIRED.keys() & MODELS.keys()
    assert all(each.like in MODELS for each in RETIRED.values() if each.id not in MODELS)
    assert known("@hf/thebloke/llamaguard-7b-awq").task == "guard"


@pytest.mark.parametrize("model", OLD_TUTORIALS)
def test_retired_models_answer_if_the_simulator_serves_them(free: httpx.Client, model: str) -> None:
    answer = run(free, model).json()["response"]
    assert answer.startswith(f"This is a simulated answer in place of {model}.")
    stream = free.post(f"/client/v4/accounts/any/ai/run/{model}", json={"prompt": "Hello", "stream": True})
    assert stream.text.endswith("data: [DONE]\n\n")


def test_a_model_that_never_was_is_unknown(http: httpx.Client, free: httpx.Client) -> None:
    for client in (http, free):
        assert run(client, "@cf/no/such-model").json()["internalCode"] == 5007


# ---- the plan ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [*PAID_ONLY, "@cf/moonshotai/kimi-k2.5"])
def test_the_free_plan_does_not_have_the_largest_models(free: httpx.Client, http: httpx.Client, model: str) -> None:
    refusal = run(free, model)
    assert (refusal.status_code, refusal.json()["internalCode"]) == (403, 5035)
    assert "not available on the Workers Free plan" in refusal.json()["description"]
    chat = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    by_rest = free.post("/client/v4/accounts/any/ai/v1/chat/completions", json=chat)
    assert (by_rest.status_code, by_rest.json()["errors"][0]["code"]) == (403, 5035)
    assert run(http, model).status_code == 200


def test_the_free_plan_has_the_other_models(free: httpx.Client) -> None:
    assert run(free, "@cf/zai-org/glm-4.7-flash").status_code == 200
    assert json.loads(run(free, "@cf/openai/gpt-oss-20b").text)["choices"]
