"""The Worker's catalogue against the simulator's, which were written down apart from each other's code."""

import json

import pytest

from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.models import catalogue
from aiworker.models.selection import find_model
from aiworker.settings import Settings
from workers_ai_simulator import catalogue as simulated


def test_both_know_the_same_models() -> None:
    offered = {each.id for each in simulated.MODELS.values() if not each.deprecated}
    assert set(catalogue.MODELS) == offered


def test_every_retired_model_has_a_successor_that_is_served() -> None:
    assert set(catalogue.RETIRED) == set(simulated.RETIRED)
    assert not set(catalogue.RETIRED) & set(catalogue.MODELS)
    assert set(catalogue.RETIRED.values()) <= set(catalogue.MODELS)


@pytest.mark.parametrize("retired", [model for model in simulated.MODELS.values() if model.deprecated])
def test_a_successor_takes_what_the_retired_model_took(retired: simulated.Model) -> None:
    successor = catalogue.MODELS[catalogue.RETIRED[retired.id]]
    wanted = {"tools", "json", "vision", "streaming"} & set(retired.abilities)
    assert wanted <= set(successor.abilities.split())


@pytest.mark.parametrize("model_id", ["@cf/meta/llama-3.1-8b-instruct", "@cf/microsoft/phi-2"])
def test_retired_models_are_refused_if_they_are_not_to_be_served(model_id: str) -> None:
    resources = Resources(settings=Settings.read({"RETIRED_MODELS": "refuse", "CHAT_MODEL": model_id}))
    with pytest.raises(ApiError) as raised:
        find_model(resources, resources.settings.models["CHAT_MODEL"], "text-generation")
    assert raised.value.type == "model_not_found"
    assert catalogue.RETIRED[model_id] in raised.value.message


def test_a_successor_is_logged() -> None:
    resources = Resources(settings=Settings.read({}))
    assert find_model(resources, "@cf/microsoft/phi-2", "text-generation").id == "@cf/meta/llama-3.1-8b-instruct-fast"
    assert json.loads(resources.log.line())["retired"] == "@cf/microsoft/phi-2"


def test_the_default_chat_model_takes_tools_json_and_images() -> None:
    model = catalogue.MODELS[Settings.read({}).chat_model]
    assert {"tools", "json", "vision", "streaming"} <= set(model.abilities.split())


@pytest.mark.parametrize("model", catalogue.MODELS.values(), ids=lambda model: model.id)
def test_both_say_the_same_of_a_model(model: catalogue.Model) -> None:
    other = simulated.MODELS[model.id]
    assert model.task == other.task
    assert model.context_window == other.context_window
    assert model.dimensions == other.dimensions
    assert model.dialect == other.dialect
    assert model.deprecated == other.deprecated
    assert model.requests_per_minute == other.rate_limit_per_minute
    # the Worker does not offer asynchronous batches
    assert model.abilities.split() == [ability for ability in other.abilities if ability != "batch"]


@pytest.mark.parametrize("model", catalogue.MODELS.values(), ids=lambda model: model.id)
def test_the_worker_lets_nothing_through_that_the_model_refuses(model: catalogue.Model) -> None:
    if model.task != "text-generation":
        return
    for name, (least, most) in model.sampling.items():
        bounds = simulated.MODELS[model.id].parameters[name]
        assert isinstance(bounds, list), f"{model.id} does not take {name}"
        assert bounds[0] is None or bounds[0] <= least
        assert bounds[1] is None or most <= bounds[1]


def test_an_unknown_id_is_answered_with_those_that_come_near() -> None:
    with pytest.raises(ApiError) as raised:
        catalogue.find("@cf/meta/llama-3.3-70b-instruct-fp8", "text-generation")
    assert raised.value.type == "model_not_found"
    assert "@cf/meta/llama-3.3-70b-instruct-fp8-fast" in raised.value.message
