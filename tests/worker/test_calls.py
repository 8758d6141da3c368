"""How the Worker calls models: again, another one, and not for ever; with faults of the simulator."""

import json
import time
from collections.abc import Generator, Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import TLS, DevServer, ErrorOf, Simulator, StartServer, until

NATIVE = "@cf/meta/llama-3.1-8b-instruct-fast"
DEFAULT = "@cf/google/gemma-4-26b-a4b-it"
TOOLS = "@cf/zai-org/glm-4.7-flash"
SECOND = "@cf/meta/llama-3.2-3b-instruct"


def ask(client: httpx.Client, **body: object) -> httpx.Response:
    return client.post("/chat", json={"prompt": "What is a Worker?", "stream": False, **body})


def models(simulator: Simulator) -> list[str]:
    return [entry["model"] for entry in simulator.requests(operation="run")]


def deltas(text: str) -> list[str]:
    """Texts of a stream's frames, up to where it is cut."""
    frames = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith('data: {"response"')]
    return [json.loads(frame)["response"] for frame in frames]


# ---- again ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(429, 3040), (408, 3007), (500, 8007)])
@pytest.mark.parametrize("stream", [False, True])
def test_transient_failures_are_retried_and_the_client_sees_only_the_answer(
    client: httpx.Client, simulator: Simulator, status: int, code: int, stream: bool
) -> None:
    simulator.ignore_past_requests()
    simulator.set_fault(status=status, code=code, count=2)
    response = ask(client, stream=stream)
    assert response.status_code == 200
    assert '"content"' in response.text
    assert [entry["status"] for entry in simulator.requests(operation="run")] == [status, status, 200]
    assert simulator.request(response.headers["x-ai-request-id"])["status"] == 200


@pytest.mark.parametrize("code", [3036, 4006])
def test_a_day_s_neurons_do_not_come_back_and_are_not_asked_for_again(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, code: int
) -> None:
    simulator.ignore_past_requests()
    simulator.set_fault(status=429, code=code, description="no neurons left", count=None)
    response = ask(client)
    assert response.status_code == 429
    error = error_of(response)
    assert (error["type"], error["code"], error["upstream_code"]) == ("rate_limited", 7505, code)
    assert "no neurons left" in error["message"]
    assert models(simulator) == [DEFAULT]


@pytest.mark.parametrize(
    ("status", "code", "ours", "kind"),
    [(500, 8007, 502, "upstream_error"), (408, 3007, 408, "timeout"), (429, 3040, 429, "rate_limited")],
)
def test_a_lasting_failure_is_returned_after_three_attempts(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf, status: int, code: int, ours: int, kind: str
) -> None:
    simulator.ignore_past_requests()
    simulator.set_fault(status=status, code=code, count=None)
    response = ask(client)
    assert response.status_code == ours
    assert (error_of(response)["type"], error_of(response)["upstream_code"]) == (kind, code)
    assert models(simulator) == [DEFAULT] * 3
    # the error is that of the last attempt
    assert response.headers["x-ai-request-id"] == simulator.requests(operation="run")[-1]["id"]


def test_an_answer_without_a_body_is_an_error(client: httpx.Client, simulator: Simulator, error_of: ErrorOf) -> None:
    simulator.set_fault(empty_body=True)
    response = ask(client)
    assert response.status_code == 502
    assert error_of(response)["type"] == "upstream_error"
    assert ask(client).status_code == 200


# ---- streams that break --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut_after_frames", "end_after_frames"])
@pytest.mark.parametrize("frames", [0, 3])
def test_a_stream_that_breaks_off_ends_with_an_error_behind_what_has_come(
    client: httpx.Client, simulator: Simulator, frames: int, fault: str
) -> None:
    whole = deltas(ask(client, stream=True, model=NATIVE).text)
    broken: dict[str, Any] = {fault: frames}
    simulator.set_fault(**broken)
    # a clean end: httpx raises for a body that is cut
    response = ask(client, stream=True, model=NATIVE)
    assert response.status_code == 200
    text, _, error = response.text.partition("event: error\n")
    assert deltas(text) == whole[:frames]
    sent = json.loads(error.removeprefix("data: "))["error"]
    assert sent["type"] == "upstream_error"
    assert sent["request_id"] == response.headers["x-request-id"]
    assert "broke off" in sent["message"]
    assert error.endswith("\n\n")
    assert ask(client).status_code == 200


def test_a_broken_frame_reaches_the_client_as_it_is(client: httpx.Client, simulator: Simulator) -> None:
    simulator.set_fault(broken_frame=1)
    response = ask(client, stream=True)
    assert response.status_code == 200
    assert response.text.endswith("data: [DONE]\n\n")


# ---- another model, and a deadline ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pressed(start_server: StartServer) -> Iterator[DevServer]:
    """A Worker with fallbacks that gives up after three seconds."""
    with start_server(CHAT_MODEL=NATIVE, CHAT_FALLBACKS=f"{SECOND} {TOOLS}", MODEL_SECONDS=3) as server:
        yield server


@pytest.fixture
def hurried(pressed: DevServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=pressed.url, timeout=60, verify=TLS) as client:
        yield client


@pytest.fixture
def its_simulator(pressed: DevServer) -> Generator[Simulator]:
    simulator = Simulator(pressed.simulator)
    simulator.ignore_past_requests()
    yield simulator
    simulator.close()


def test_another_model_answers_at_once_when_one_is_busy(hurried: httpx.Client, its_simulator: Simulator) -> None:
    its_simulator.set_fault(model=NATIVE, status=429, code=3040, count=None)
    response = ask(hurried)
    assert response.status_code == 200
    assert response.headers["x-model"] == SECOND
    first, second = its_simulator.requests(operation="run")
    assert (first["model"], second["model"]) == (NATIVE, SECOND)
    assert first["options"]["rejectIfBusy"] is True


def test_the_last_model_may_not_turn_away_at_once(hurried: httpx.Client, its_simulator: Simulator) -> None:
    for model in (NATIVE, SECOND):
        its_simulator.set_fault(model=model, status=429, code=3040, count=None)
    response = ask(hurried)
    assert response.headers["x-model"] == TOOLS
    options = [entry["options"] for entry in its_simulator.requests(operation="run")]
    assert [each.get("rejectIfBusy") for each in options] == [True, True, None]


def test_a_model_that_fails_is_asked_three_times_before_another(
    hurried: httpx.Client, its_simulator: Simulator
) -> None:
    its_simulator.set_fault(model=NATIVE, status=500, code=8007, count=None)
    assert ask(hurried, stream=True).headers["x-model"] == SECOND
    assert models(its_simulator) == [NATIVE] * 3 + [SECOND]


def test_a_model_that_cannot_do_what_is_asked_is_passed_over(hurried: httpx.Client, its_simulator: Simulator) -> None:
    its_simulator.set_fault(model=NATIVE, status=429, code=3040, count=None)
    # glm has no top_k, and does not take prompts raw
    response = ask(hurried, raw=True, top_k=5)
    assert response.headers["x-model"] == SECOND
    its_simulator.set_fault(model=SECOND, status=429, code=3040, count=None)
    its_simulator.ignore_past_requests()
    assert ask(hurried, raw=True, top_k=5).status_code == 429
    assert set(models(its_simulator)) == {NATIVE, SECOND}


def test_answers_from_documents_are_retried_too(hurried: httpx.Client, its_simulator: Simulator) -> None:
    hurried.post("/rag/documents", json={"id": "bees", "text": "# Bees\n\nBees make honey."}).raise_for_status()
    until(
        lambda: hurried.get("/rag/documents/bees").json(), lambda document: document["state"] == "indexed", seconds=60
    )
    its_simulator.set_fault(model=NATIVE, status=429, code=3040, count=None)
    response = hurried.post("/rag", json={"query": "What do bees make?", "stream": False})
    assert response.headers["x-model"] == SECOND
    assert "honey" in response.json()["answer"]
    named = hurried.post("/rag", json={"query": "What do bees make?", "stream": False, "model": NATIVE})
    assert named.status_code == 429


def test_a_model_that_the_client_names_is_the_only_one(hurried: httpx.Client, its_simulator: Simulator) -> None:
    its_simulator.set_fault(model=NATIVE, status=429, code=3040, count=None)
    response = ask(hurried, model=NATIVE)
    assert response.status_code == 429
    assert response.headers["x-model"] == NATIVE
    assert models(its_simulator) == [NATIVE] * 3
    assert not any("rejectIfBusy" in entry["options"] for entry in its_simulator.requests(operation="run"))


def test_an_error_of_the_request_is_not_tried_on_another(hurried: httpx.Client, its_simulator: Simulator) -> None:
    its_simulator.set_fault(model=NATIVE, status=400, code=5006)
    assert ask(hurried).status_code == 400
    assert models(its_simulator) == [NATIVE]


def test_a_model_that_does_not_answer_in_time_is_given_up(
    hurried: httpx.Client, its_simulator: Simulator, error_of: ErrorOf
) -> None:
    its_simulator.set_fault(hold_response=True, count=None)
    began = time.monotonic()
    response = ask(hurried)
    took = time.monotonic() - began
    assert response.status_code == 408
    error = error_of(response)
    assert (error["type"], error["upstream_code"]) == ("timeout", None)
    assert took > 2.9
    assert models(its_simulator) == [NATIVE]
    its_simulator.clear_faults()
    assert ask(hurried).status_code == 200


def test_a_stream_that_takes_too_long_ends_with_an_error(hurried: httpx.Client, its_simulator: Simulator) -> None:
    its_simulator.set_fault(hold_after_frames=2)
    response = ask(hurried, stream=True)
    text, _, error = response.text.partition("event: error\n")
    assert len(deltas(text)) == 2
    sent = json.loads(error.removeprefix("data: "))["error"]
    assert sent["request_id"] == response.headers["x-request-id"]
    assert its_simulator.request(response.headers["x-ai-request-id"])["state"] == "cancelled"


def test_a_slow_model_may_take_what_time_there_is(hurried: httpx.Client, its_simulator: Simulator) -> None:
    its_simulator.set_fault(delay=1)
    response = ask(hurried)
    assert response.status_code == 200
    assert int(response.headers["server-timing"].removeprefix("model;dur=").partition(",")[0]) >= 1000
