"""The Worker's catalogue against the simulator's, which were written down apart from each other's code."""

import pytest

from aiworker.errors import ApiError
from aiworker.models import catalogue
from workers_ai_simulator import catalogue as simulated


def test_both_know_the_same_models() -> None:
    # the Worker does not offer decision models yet
    offered = {model.id for model in simulated.MODELS.values() if model.task != "decision"}
    assert {model for model, row in catalogue.MODELS.items() if row.task != "decision"} == offered


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
