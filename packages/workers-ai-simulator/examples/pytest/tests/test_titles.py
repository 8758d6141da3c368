"""A program that calls the REST API: the simulator alone, without a Worker."""

import httpx
import pytest
from titles import title


def test_a_title_is_stripped(scripted_workers_ai):
    scripted_workers_ai.set_answer(prompt="It rains", text="Rain\n")
    assert title("It rains in Oslo.", f"{scripted_workers_ai.url}/client/v4", "any", "any") == "Rain"


def test_a_busy_model_is_an_error(workers_ai_simulator):
    workers_ai_simulator.set_fault(status=429, code=3040)
    with pytest.raises(httpx.HTTPStatusError, match="429"):
        title("It rains in Oslo.", f"{workers_ai_simulator.url}/client/v4", "any", "any")
