"""A model that keeps failing, as clients see it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aiworker.models.breaker import FAILURES, REST
from tests.conftest import DevServer, ErrorOf, Simulator, StartServer

FIRST = "@cf/meta/llama-3.1-8b-instruct-fast"
SECOND = "@cf/meta/llama-3.2-3b-instruct"


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Iterator[DevServer]:
    """A Worker with a fallback, and with the breaker, which other tests' servers do without."""
    with start_server(BREAKER="on", MODEL_ATTEMPTS=1, CHAT_MODEL=FIRST, CHAT_FALLBACKS=SECOND) as server:
        yield server


@pytest.fixture(autouse=True)
def only_own_calls(simulator: Simulator) -> None:
    simulator.ignore_past_requests()


def ask(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("/chat", json={"prompt": "Hello", "stream": False, **body})


def asked(simulator: Simulator) -> list[str]:
    return [entry["model"] for entry in simulator.requests(operation="run")]


def open_circuits(client: httpx.Client) -> list[str]:
    return client.get("/health").json()["isolate"]["open_circuits"]


def test_a_model_that_keeps_failing_is_not_asked_and_others_answer(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf
) -> None:
    simulator.set_fault(model=FIRST, status=500, code=8007, count=None)
    for _ in range(FAILURES):
        assert open_circuits(client) == []
        assert ask(client, model=FIRST).status_code == 502
    assert open_circuits(client) == [FIRST]
    simulator.ignore_past_requests()
    refused = ask(client, model=FIRST)
    assert refused.status_code == 503
    assert error_of(refused)["type"] == "unavailable"
    assert 1 <= int(refused.headers["retry-after"]) <= REST
    assert refused.headers["x-model"] == FIRST
    openai = client.post("/v1/chat/completions", json={"model": FIRST, "messages": [{"role": "user", "content": "Hi"}]})
    assert openai.status_code == 503
    assert "x-should-retry" not in openai.headers
    # who names no model has the fallback at once, and other models are as they were
    assert ask(client).headers["x-model"] == SECOND
    assert ask(client, model=SECOND).status_code == 200
    assert asked(simulator) == [SECOND, SECOND]


def test_errors_of_clients_do_not_count(client: httpx.Client, simulator: Simulator) -> None:
    simulator.set_fault(model=SECOND, status=400, code=5006, count=2 * FAILURES)
    for _ in range(2 * FAILURES):
        assert ask(client, model=SECOND).status_code == 400
    assert ask(client, model=SECOND).status_code == 200
    assert SECOND not in open_circuits(client)


def test_health_tells_of_the_isolate_in_numbers(client: httpx.Client) -> None:
    before, after = (client.get("/health").json()["isolate"] for _ in range(2))
    assert after["requests"] == before["requests"] + 1
    assert after["open_streams"] == 0
    assert 10_000 < after["objects"] < 1_000_000
    assert 10_000_000 < after["memory_bytes"] < 128_000_000
