"""Faults and the journal: their effects, and the client, the command and the pytest plugin that use them."""

import json
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest

from running_simulator import ENVIRONMENT, PACKAGE, SimulatorProcess, end_with_parent, until
from workers_ai_simulator.client import LoggedRequest, SimulatorClient, SimulatorError
from workers_ai_simulator.traffic.faults import PARTS, Fault
from workers_ai_simulator.traffic.journal import Entry
from workers_ai_simulator.traffic.traffic import Traffic

pytest_plugins = ["pytester"]

MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"
OTHER = "@cf/openai/gpt-oss-20b"
IMPATIENCE = httpx.Timeout(60, read=0.3)
"""Timeout of a client that gives up while it waits for an answer, but never before its request is sent."""


def run(http: httpx.Client, model: str = MODEL, **inputs: Any) -> httpx.Response:
    """Call a model as the `Ai` class does."""
    headers = {"cf-consn-model-id": model}
    return http.post("/run?version=3", json={"inputs": {"prompt": "Hello", **inputs}, "options": {}}, headers=headers)


def run_over_rest(http: httpx.Client, **inputs: Any) -> httpx.Response:
    return http.post(f"/client/v4/accounts/any/ai/run/{MODEL}", json={"prompt": "Hello", **inputs})


def query(http: httpx.Client) -> httpx.Response:
    """Query an index as the `VectorizeIndexImpl` class does."""
    headers = {"host": "vector-search", "x-simulator-index": "never-written"}
    return http.post("/query", json={"vector": [1, 0], "topK": 1}, headers=headers)


def list_indexes(http: httpx.Client) -> httpx.Response:
    return http.get("/client/v4/accounts/any/vectorize/v2/indexes")


Call = Callable[[httpx.Client], httpx.Response]
CALLS: dict[Call, Callable[[Any], tuple[int, str]]] = {
    # a call → the places of the code and the sentence in its error
    run: lambda body: (body["internalCode"], body["description"]),
    run_over_rest: lambda body: (body["errors"][0]["code"], body["errors"][0]["message"]),
    query: lambda body: (body["code"], body["error"]),
    list_indexes: lambda body: (body["errors"][0]["code"], body["errors"][0]["message"]),
}
STREAMS: list[tuple[str, dict[str, Any]]] = [
    ("/run?version=3", {"inputs": {"prompt": "Hello", "stream": True}, "options": {}}),
    (f"/client/v4/accounts/any/ai/run/{MODEL}", {"prompt": "Hello", "stream": True}),
]


@pytest.fixture
def simulator(simulator_process: SimulatorProcess) -> Generator[SimulatorClient]:
    client = SimulatorClient(simulator_process.url)
    client.clear_faults()
    client.ignore_past_requests()
    yield client
    client.close()


def stream(http: httpx.Client, path: str, body: dict[str, Any], frames: list[str]) -> str:
    """Read a stream into `frames`. Returns the id of its request."""
    with http.stream("POST", path, json=body, headers={"cf-consn-model-id": MODEL}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        frames += (line.removeprefix("data: ") for line in response.iter_lines() if line)
        return response.headers["cf-ai-req-id"]


# ---- what befalls an answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_a_status_and_code_arrive_as_each_api_has_errors(
    http: httpx.Client, simulator: SimulatorClient, call: Call
) -> None:
    simulator.set_fault(status=429, code=3040, description="Capacity temporarily exceeded")
    response = call(http)
    assert response.status_code == 429
    code, words = CALLS[call](response.json())
    assert code == 3040
    assert "Capacity temporarily exceeded" in words
    [entry] = simulator.requests()
    assert (entry["state"], entry["status"]) == ("failed", 429)
    assert call(http).status_code == 200


@pytest.mark.parametrize("call", CALLS)
def test_an_empty_body_is_a_success_without_an_answer(
    http: httpx.Client, simulator: SimulatorClient, call: Call
) -> None:
    simulator.set_fault(empty_body=True)
    response = call(http)
    assert (response.status_code, response.content) == (200, b"")
    assert call(http).json()


@pytest.mark.parametrize("status", [200, 302, 500, 599])
def test_any_status_that_has_a_body_may_be_answered(
    http: httpx.Client, simulator: SimulatorClient, status: int
) -> None:
    simulator.set_fault(status=status, code=1)
    response = run(http)
    assert (response.status_code, response.json()["internalCode"]) == (status, 1)


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize(("path", "body"), STREAMS)
def test_a_cut_stream_is_a_broken_connection_after_exactly_so_many_frames(
    http: httpx.Client, simulator: SimulatorClient, path: str, body: dict[str, Any], after: int
) -> None:
    simulator.set_fault(cut_after_frames=after)
    frames: list[str] = []
    with pytest.raises(httpx.RemoteProtocolError):
        stream(http, path, body, frames)
    assert len(frames) == after
    assert all(json.loads(frame)["response"] for frame in frames)
    [entry] = simulator.requests()
    assert (entry["state"], entry["frames"]) == ("failed", after)


@pytest.mark.parametrize(("path", "body"), STREAMS)
def test_a_stream_that_ends_early_ends_cleanly_and_without_done(
    http: httpx.Client, simulator: SimulatorClient, path: str, body: dict[str, Any]
) -> None:
    simulator.set_fault(end_after_frames=2)
    frames: list[str] = []
    request_id = stream(http, path, body, frames)
    assert len([json.loads(frame) for frame in frames]) == 2
    assert simulator.request(request_id)["state"] == "finished"


@pytest.mark.parametrize(("path", "body"), STREAMS)
def test_a_broken_frame_does_not_harm_those_around_it(
    http: httpx.Client, simulator: SimulatorClient, path: str, body: dict[str, Any]
) -> None:
    simulator.set_fault(broken_frame=2)
    frames: list[str] = []
    request_id = stream(http, path, body, frames)
    assert frames.pop() == "[DONE]"
    with pytest.raises(json.JSONDecodeError):
        json.loads(frames.pop(2))
    assert len([json.loads(frame) for frame in frames]) > 3
    assert simulator.request(request_id)["state"] == "finished"


@pytest.mark.parametrize("call", [run, query])
def test_a_delayed_answer_comes_after_that_of_a_later_request(
    http: httpx.Client, simulator: SimulatorClient, call: Call
) -> None:
    simulator.set_fault(delay=1)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(call, http)
        first = simulator.wait_for_request()
        assert call(http).status_code == 200
        assert late.result(60).status_code == 200
    entries = simulator.requests()
    assert max(entries, key=lambda entry: entry["number"])["id"] == first["id"]
    assert [entry["state"] for entry in entries] == ["finished", "finished"]


def test_a_long_delay_ends_when_the_faults_are_cleared(http: httpx.Client, simulator: SimulatorClient) -> None:
    simulator.set_fault(delay=3600)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(run, http)
        simulator.wait_for_request()
        simulator.clear_faults()
        assert late.result(60).status_code == 200


# ---- a connection that hangs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("hang", [{"hold_response": True}, {"delay": 3600}])
def test_a_client_that_leaves_a_hung_connection_is_noticed(
    http: httpx.Client, simulator: SimulatorClient, call: Call, hang: dict[str, Any]
) -> None:
    simulator.set_fault(**hang)
    with httpx.Client(base_url=http.base_url, headers=http.headers, timeout=IMPATIENCE) as impatient:  # noqa: SIM117
        with pytest.raises(httpx.ReadTimeout):
            call(impatient)
    entry = simulator.wait_for_request()
    assert simulator.request(entry["id"])["state"] == "cancelled"


@pytest.mark.parametrize(("path", "body"), STREAMS)
def test_a_client_that_leaves_a_hung_stream_is_noticed(
    http: httpx.Client, simulator: SimulatorClient, path: str, body: dict[str, Any]
) -> None:
    simulator.set_fault(hold_after_frames=2)
    with http.stream("POST", path, json=body, headers={"cf-consn-model-id": MODEL}) as response:
        frames = (line for line in response.iter_lines() if line)
        assert all(next(frames).startswith("data: ") for _ in range(2))
    entry = simulator.request(response.headers["cf-ai-req-id"])
    assert (entry["state"], entry["frames"]) == ("cancelled", 2)


def test_requests_held_together_are_released_together(http: httpx.Client, simulator: SimulatorClient) -> None:
    simulator.set_fault(hold_response=True, count=2)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(run, http), pool.submit(query, http)]
        until(simulator.requests, lambda entries: len(entries) == 2)
        assert {entry["state"] for entry in simulator.requests()} == {"received"}
        assert run(http).status_code == 200
        assert not any(each.done() for each in waiting)
        simulator.clear_faults()
        assert [each.result(60).status_code for each in waiting] == [200, 200]


def test_streams_held_together_end_when_released(http: httpx.Client, simulator: SimulatorClient) -> None:
    simulator.set_fault(hold_after_frames=1, count=None)
    arrived: list[list[str]] = [[], []]
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(stream, http, *STREAMS[0], frames) for frames in arrived]
        until(simulator.requests, lambda entries: [entry["frames"] for entry in entries] == [1, 1])
        simulator.clear_faults()
        ids = [each.result(60) for each in waiting]
    assert [simulator.request(request_id)["state"] for request_id in ids] == ["finished", "finished"]
    assert [frames[-1] for frames in arrived] == ["[DONE]", "[DONE]"]


# ---- whom a fault befalls ------------------------------------------------------------------------------------------


def test_a_fault_is_used_up_after_its_count(http: httpx.Client, simulator: SimulatorClient) -> None:
    simulator.set_fault(status=500, count=2)
    assert [run(http).status_code for _ in range(3)] == [500, 500, 200]
    [fault] = simulator.faults()
    assert (fault["applied"], fault["remaining"]) == (2, 0)


def test_a_fault_without_a_count_lasts_until_it_is_cleared(http: httpx.Client, simulator: SimulatorClient) -> None:
    simulator.set_fault(status=500, count=None)
    assert [run(http).status_code for _ in range(3)] == [500, 500, 500]
    [fault] = simulator.faults()
    assert (fault["applied"], fault["remaining"]) == (3, None)
    simulator.clear_faults()
    assert simulator.faults() == []
    assert run(http).status_code == 200


def test_the_first_fault_that_matches_is_used_first(http: httpx.Client, simulator: SimulatorClient) -> None:
    first = simulator.set_fault(status=500)
    second = simulator.set_fault(status=503)
    assert [fault["id"] for fault in simulator.faults()] == [first, second]
    assert [run(http).status_code for _ in range(3)] == [500, 503, 200]


def test_the_same_seed_hits_the_same_requests(http: httpx.Client, simulator: SimulatorClient) -> None:
    def statuses(seed: int) -> list[int]:
        simulator.clear_faults()
        simulator.set_fault(status=500, probability=0.5, seed=seed, count=None)
        return [query(http).status_code for _ in range(20)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)
    assert set(statuses(3)) == {200, 500}
    [fault] = simulator.faults()
    assert fault["applied"] == statuses(3).count(500)


def test_requests_that_are_spared_do_not_count(http: httpx.Client, simulator: SimulatorClient) -> None:
    simulator.set_fault(status=500, probability=0.5, seed=1, count=3)
    statuses = [query(http).status_code for _ in range(40)]
    assert statuses.count(500) == 3
    assert statuses.index(200) < len(statuses) - statuses[::-1].index(500)


def test_a_probability_of_0_hits_none(http: httpx.Client, simulator: SimulatorClient) -> None:
    simulator.set_fault(status=500, probability=0)
    assert {query(http).status_code for _ in range(10)} == {200}


@pytest.mark.parametrize(
    ("criteria", "statuses"),
    [
        ({"binding": "AI"}, [500, 500, 500, 200, 200]),
        ({"binding": "VECTORIZE"}, [200, 200, 200, 500, 500]),
        ({"operation": "run"}, [500, 500, 500, 200, 200]),
        ({"operation": "query"}, [200, 200, 200, 500, 200]),
        ({"model": MODEL}, [500, 200, 500, 200, 200]),
        ({"model": OTHER}, [200, 500, 200, 200, 200]),
        ({"binding": "VECTORIZE", "operation": "run"}, [200] * 5),
        ({"binding": "AI", "operation": "run", "model": OTHER}, [200, 500, 200, 200, 200]),
        ({"binding": "AI_GATEWAY"}, [200] * 5),
        ({}, [500] * 5),
    ],
)
def test_a_fault_is_for_its_binding_operation_and_model(
    http: httpx.Client, simulator: SimulatorClient, criteria: dict[str, Any], statuses: list[int]
) -> None:
    simulator.set_fault(status=500, count=None, **criteria)
    answers = [run(http), run(http, OTHER), run_over_rest(http), query(http), list_indexes(http)]
    assert [answer.status_code for answer in answers] == statuses


# ---- faults that cannot be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "part", "allowed"),
    [
        ({"statsu": 500}, "statsu", "status"),
        ({"released": True}, "released", "status"),
        ({"status": 99}, "status", "from 200 to 599"),
        ({"status": 100}, "status", "from 200 to 599"),
        ({"status": 204}, "status", "without 204 and 304"),
        ({"status": 600}, "status", "from 200 to 599"),
        ({"status": "500"}, "status", "a whole number"),
        ({"status": 500.0}, "status", "a whole number"),
        ({"status": True}, "status", "a whole number"),
        ({"status": 500, "code": None}, "code", "a whole number"),
        ({"status": 500, "description": 5}, "description", "a string"),
        ({"status": 500, "probability": 1.5}, "probability", "from 0 to 1"),
        ({"status": 500, "probability": -0.1}, "probability", "from 0 to 1"),
        ({"status": 500, "probability": float("nan")}, "probability", "from 0 to 1"),
        ({"status": 500, "seed": "one"}, "seed", "a whole number, or null"),
        ({"status": 500, "count": 0}, "count", "of at least 1, or null"),
        ({"status": 500, "count": -1}, "count", "of at least 1, or null"),
        ({"status": 500, "binding": "R2"}, "binding", "one of AI, VECTORIZE, AI_GATEWAY, AI_SEARCH, or null"),
        ({"status": 500, "binding": ["AI"]}, "binding", "one of AI, VECTORIZE, AI_GATEWAY, AI_SEARCH, or null"),
        ({"status": 500, "model": 5}, "model", "a string, or null"),
        ({"status": 500, "operation": {}}, "operation", "a string, or null"),
        ({"delay": -1}, "delay", "from 0 to 3600"),
        ({"delay": 10**400}, "delay", "from 0 to 3600"),
        ({"delay": float("inf")}, "delay", "from 0 to 3600"),
        ({"delay": None}, "delay", "from 0 to 3600"),
        ({"empty_body": 1}, "empty_body", "true or false"),
        ({"hold_response": "yes"}, "hold_response", "true or false"),
        ({"hold_after_frames": -1}, "hold_after_frames", "of at least 0, or null"),
        ({"cut_after_frames": -1}, "cut_after_frames", "of at least 0, or null"),
        ({"cut_after_frames": 1.5}, "cut_after_frames", "of at least 0, or null"),
        ({"broken_frame": -1}, "broken_frame", "of at least 0, or null"),
        ({"tokens_per_second": -1}, "tokens_per_second", "from 0 to 1000000, or null"),
        ({}, None, "status"),
        ({"code": 3040}, None, "at least one of"),
        ({"empty_body": False, "count": 5}, None, "at least one of"),
        ([], None, "an object"),
        ("status", None, "an object"),
    ],
)
def test_an_invalid_fault_is_refused_with_its_part_and_the_valid_values(
    http: httpx.Client, fault: Any, part: str | None, allowed: str
) -> None:
    body = json.dumps(fault)  # NaN included, which httpx refuses to send
    response = http.post("/simulator/faults", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    error = response.json()
    assert error["part"] == part
    assert allowed in error["allowed"]
    assert error["error"]
    assert part is None or part in error["error"]
    assert http.get("/simulator/faults").json() == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"status=500"])
def test_a_fault_that_is_no_json_is_refused(http: httpx.Client, body: bytes) -> None:
    response = http.post("/simulator/faults", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert "JSON" in response.json()["error"]
    assert http.get("/simulator/faults").json() == []


def test_setting_a_fault_answers_all_of_its_parts(http: httpx.Client) -> None:
    response = http.post("/simulator/faults", json={"status": 500, "count": 3})
    assert response.status_code == 201
    fault = response.json()
    assert set(fault) == {"id", "applied", "remaining", *PARTS}
    assert (fault["status"], fault["applied"], fault["remaining"]) == (500, 0, 3)
    assert http.get("/simulator/faults").json() == [fault]


# ---- the request log -----------------------------------------------------------------------------------------------


def test_the_journal_is_filtered(http: httpx.Client, simulator: SimulatorClient) -> None:
    run(http)
    run(http, OTHER)
    query(http)

    def operations(**criteria: Any) -> list[tuple[str, str]]:
        return [(entry["operation"], entry["model"]) for entry in simulator.requests(**criteria)]

    assert operations() == [("run", MODEL), ("run", OTHER), ("query", "")]
    assert operations(binding="AI") == [("run", MODEL), ("run", OTHER)]
    assert operations(binding="AI", model=OTHER) == [("run", OTHER)]
    assert operations(operation="query") == [("query", "")]
    assert operations(binding="VECTORIZE", operation="run") == []


def test_the_journal_has_the_changes_since_a_change(http: httpx.Client, simulator: SimulatorClient) -> None:
    run(http)
    [first] = simulator.requests()
    assert simulator.requests(since=first["number"]) == []
    with ThreadPoolExecutor(1) as pool:
        awaited = pool.submit(simulator.requests, since=first["number"], seconds=20, binding="AI")
        query(http)  # not the request that is awaited
        run(http, OTHER)
        [second, *_] = awaited.result(60)
    assert second["model"] == OTHER


def test_a_request_is_waited_for_until_the_time_is_over(http: httpx.Client, simulator: SimulatorClient) -> None:
    simulator.set_fault(hold_response=True)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(run, http)
        entry = simulator.wait_for_request(model=MODEL)
        assert simulator.request(entry["id"], seconds=0)["state"] == "received"
        assert simulator.request(entry["id"], state="received,streaming")["state"] == "received"
        simulator.clear_faults()
        waiting.result(60)
    assert simulator.request(entry["id"])["state"] == "finished"
    with pytest.raises(SimulatorError, match="No such request came within 0 s"):
        simulator.wait_for_request(model=OTHER, seconds=0)
    with pytest.raises(SimulatorError, match="no request unknown among"):
        simulator.request("unknown", seconds=0)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("requests?since=x", "since"),
        ("requests?since=-1", "since"),
        ("requests?since=1&seconds=x", "seconds"),
        ("requests?since=1&seconds=-1", "seconds"),
        ("requests?seconds=nan", "seconds"),
        ("requests?binding=ai", "binding"),
        ("requests/any?seconds=x", "seconds"),
        ("requests/any?state=done", "state"),
        ("requests/any?state=", "state"),
    ],
)
def test_a_bad_query_is_refused(http: httpx.Client, path: str, name: str) -> None:
    response = http.get(f"/simulator/{path}")
    assert response.status_code == 400
    assert response.json()["error"].startswith(f"{name} must be ")


# ---- the client ----------------------------------------------------------------------------------------------------


def test_the_client_knows_requests_as_the_journal_writes_them() -> None:
    described, written = get_type_hints(LoggedRequest), get_type_hints(Entry)
    assert described == written
    assert [field.name for field in fields(Fault)] == list(PARTS)


def test_the_client_raises_the_simulator_s_error(simulator: SimulatorClient) -> None:
    with pytest.raises(SimulatorError, match="status must be a whole number from 200 to 599") as caught:
        simulator.set_fault(status=700)
    assert caught.value.status == 400


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "no address", "ftp://127.0.0.1:1"])
def test_the_client_says_when_there_is_no_simulator(url: str) -> None:
    with pytest.raises(SimulatorError, match=f"No simulator answers on {url}") as caught:
        SimulatorClient(url).faults()
    assert caught.value.status is None


# ---- the command ---------------------------------------------------------------------------------------------------


def command(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers_ai_simulator", *arguments],
        env={**ENVIRONMENT, "WORKERS_AI_SIMULATOR": url}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def printed(*arguments: str, url: str) -> str:
    done = command(*arguments, url=url)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_command_sets_lists_and_clears_faults(http: httpx.Client, simulator: SimulatorClient) -> None:
    url = simulator.url
    options = ["--status", "429", "--code", "3040", "--model", MODEL, "--binding", "AI", "--operation", "run"]
    assert "is set" in printed("fault", *options, "--count", "2", "--url", url, url="http://127.0.0.1:1")
    printed("fault", "--cut-after-frames", "3", "--count", "none", "--probability", "0.5", "--seed", "1", url=url)
    printed("fault", "--hold", "--delay", "0.5", "--broken-frame", "0", "--empty-body", url=url)
    assert run(http).json()["internalCode"] == 3040

    set_parts = [
        {name: fault[name] for name, part in PARTS.items() if fault[name] != part.default}
        for fault in simulator.faults()
    ]
    assert set_parts == [
        {"binding": "AI", "operation": "run", "model": MODEL, "count": 2, "status": 429, "code": 3040},
        {"cut_after_frames": 3, "count": None, "probability": 0.5, "seed": 1},
        {"hold_response": True, "delay": 0.5, "broken_frame": 0, "empty_body": True},
    ]
    lines = printed("faults", url=url).splitlines()
    assert len(lines) == 3
    assert "applied 1, remaining 1" in lines[0]
    assert "status=429" in lines[0]
    assert "remaining all" in lines[1]
    assert [json.loads(line) for line in printed("faults", "--json", url=url).splitlines()] == simulator.faults()
    printed("faults", "--clear", url=url)
    assert simulator.faults() == []


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_a_fault_is_an_option_of_the_command(part: str, fault_help: str) -> None:
    assert f"--{part.replace('_', '-')}" in fault_help


@pytest.fixture(scope="module")
def fault_help() -> str:
    return printed("fault", "--help", url="")


def test_the_command_prints_requests(http: httpx.Client, simulator: SimulatorClient) -> None:
    http.post("/run", content=b"")
    request_id = run(http, OTHER).headers["cf-ai-req-id"]
    query(http)
    listed = printed("requests", "--binding", "AI", "--model", OTHER, url=simulator.url).splitlines()
    assert any(OTHER in line and "finished" in line and request_id in line for line in listed)
    assert all(OTHER in line for line in listed)
    entries = [json.loads(line) for line in printed("requests", "--json", url=simulator.url).splitlines()]
    assert entries[-1]["operation"] == "query"
    assert request_id in [entry["id"] for entry in entries]


def _as_in_a_terminal() -> None:
    """Restore the default action of SIGINT, which shells make background jobs, and so these tests, ignore."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_command_follows_requests_until_it_is_interrupted(http: httpx.Client, simulator: SimulatorClient) -> None:
    follow = [sys.executable, "-m", "workers_ai_simulator", "requests", "--follow", "--json", "--url", simulator.url]
    first = run(http).headers["cf-ai-req-id"]
    with subprocess.Popen(
        follow, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, preexec_fn=_as_in_a_terminal
    ) as process:
        assert process.stdout
        seen = (json.loads(line) for line in process.stdout)
        assert next(entry for entry in seen if entry["id"] == first)["state"] == "finished"
        frames: list[str] = []
        streamed = stream(http, *STREAMS[0], frames)
        entry = next(seen)
        assert (entry["id"], entry["state"], entry["frames"]) == (streamed, "finished", len(frames))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["fault", "--status", "700"], 2, "status must be a whole number from 200 to 599"),
        (["fault", "--status", "many"], 2, "--status"),
        (["fault", "--count", "many", "--status", "500"], 2, "--count"),
        (["fault", "--binding", "R2", "--status", "500"], 2, "R2"),
        (["fault"], 2, "no effect"),
        (["fault", "--statsu", "500"], 2, "--statsu"),
        (["falut"], 2, "falut"),
        (["fault", "--status", "500", "--url", "http://127.0.0.1:1"], 1, "No simulator answers on http://127.0.0.1:1"),
        (["faults", "--url", "http://127.0.0.1:1"], 1, "No simulator answers on http://127.0.0.1:1"),
        (["requests", "--follow", "--url", "http://127.0.0.1:1"], 1, "No simulator answers on http://127.0.0.1:1"),
    ],
)
def test_the_command_says_what_is_wrong(
    simulator: SimulatorClient, arguments: list[str], status: int, words: str
) -> None:
    done = command(*arguments, url=simulator.url)
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert simulator.faults() == []


def test_a_fault_leaves_no_trace_of_an_exception_in_the_simulator_s_output(tmp_path: Path) -> None:
    start = [sys.executable, "-m", "workers_ai_simulator", "--port", "0", "--end-with-stdin"]
    with (tmp_path / "errors").open("w+") as errors:
        with subprocess.Popen(
            start, env=ENVIRONMENT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            preexec_fn=end_with_parent,
        ) as process:  # fmt: skip
            assert process.stdout
            url = process.stdout.readline().removeprefix("Ready on ").strip()
            simulator = SimulatorClient(url)
            simulator.set_fault(cut_after_frames=1)
            simulator.set_fault(hold_response=True)
            with httpx.Client(base_url=url, timeout=60) as http, pytest.raises(httpx.RemoteProtocolError):
                stream(http, *STREAMS[0], [])
            with httpx.Client(base_url=url, timeout=IMPATIENCE) as http, pytest.raises(httpx.ReadTimeout):
                run(http)
            left = simulator.wait_for_request()
            assert simulator.request(left["id"])["state"] == "cancelled"
        # its standard input is closed now, which has ended it
        assert process.returncode == 0
        errors.seek(0)
        assert errors.read() == ""


# ---- the pytest plugin ---------------------------------------------------------------------------------------------

USERS_TESTS = f"""
import json
import urllib.error
import urllib.request

import pytest


def ask(simulator):
    body = json.dumps({{"inputs": {{"prompt": "Hello"}}, "options": {{}}}}).encode()
    headers = {{"cf-consn-model-id": "{MODEL}", "content-type": "application/json"}}
    return urllib.request.urlopen(urllib.request.Request(simulator.url + "/run", body, headers), timeout=60)


def test_one(workers_ai_simulator):
    workers_ai_simulator.set_fault(status=429, code=3040, count=5)
    with pytest.raises(urllib.error.HTTPError, match="429"):
        ask(workers_ai_simulator)
    assert [entry["status"] for entry in workers_ai_simulator.requests(binding="AI")] == [429]


def test_another(workers_ai_simulator, workers_ai_simulator_server):
    assert workers_ai_simulator.url == workers_ai_simulator_server
    assert workers_ai_simulator.faults() == []
    assert workers_ai_simulator.requests() == []
    assert ask(workers_ai_simulator).status == 200
    assert [entry["state"] for entry in workers_ai_simulator.requests()] == ["finished"]


def test_with_a_script(scripted_workers_ai):
    scripted_workers_ai.set_answer(prompt="Hello", text="Hi there!")
    assert json.load(ask(scripted_workers_ai))["response"] == "Hi there!"
    scripted_workers_ai.assert_asked(prompt="Hello", times=1)


def test_without_what_it_expects(scripted_workers_ai):
    scripted_workers_ai.set_answer(prompt="Goodbye", text="Bye!")


def test_with_a_call_that_it_does_not_expect(scripted_workers_ai):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(scripted_workers_ai)


def test_the_last(workers_ai_simulator):
    assert workers_ai_simulator.answers() == []
    assert "simulated" in json.load(ask(workers_ai_simulator))["response"]
"""

STUCK_TEST = """
import threading

def test_that_does_not_end(workers_ai_simulator):
    print(workers_ai_simulator.url, flush=True)
    threading.Event().wait()
"""

PLUGIN = ["-p", "workers_ai_simulator.pytest_plugin"]


def test_the_installed_plugin_gives_each_test_a_simulator_without_faults_and_earlier_requests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # metadata as of an installation, from the same lines
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    installed = pytester.mkdir(f"{project['name'].replace('-', '_')}-{project['version']}.dist-info")
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    [(name, module)] = project["entry-points"]["pytest11"].items()
    (installed / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    pytester.makepyfile(USERS_TESTS)
    result = pytester.runpytest_subprocess()
    # a test whose script is not kept to passes its own assertions, and fails at its end
    result.assert_outcomes(passed=6, errors=2)
    result.stdout.fnmatch_lines(
        ["*Answers that no call got: *Goodbye*", f"*Unexpected call of {MODEL} with the prompt*"]
    )


def test_the_plugin_s_simulator_ends_with_pytest_even_when_that_is_killed(pytester: pytest.Pytester) -> None:
    path = pytester.makepyfile(STUCK_TEST)
    stuck = [sys.executable, "-m", "pytest", "-s", "-q", *PLUGIN, str(path)]
    with subprocess.Popen(
        stuck, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, preexec_fn=end_with_parent
    ) as process:
        assert process.stdout
        url = next(line for line in process.stdout if line.startswith("http")).strip()
        process.kill()
    until(lambda: is_listening(url), lambda listening: not listening)


def is_listening(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((httpx.URL(url).host, httpx.URL(url).port)) == 0


def test_the_plugin_says_when_the_simulator_does_not_start(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import pytest
        from workers_ai_simulator import pytest_plugin

        pytest_plugin.COMMAND += ["--no-such-option"]
    """)
    path = pytester.makepyfile(STUCK_TEST)
    started = [sys.executable, "-m", "pytest", *PLUGIN, str(path)]
    done = subprocess.run(started, env=ENVIRONMENT, capture_output=True, text=True, timeout=100, check=False)
    assert "The simulator did not start; it exited with status 2" in done.stdout
    assert "--no-such-option" in done.stdout


HEAVY = {"numpy", "PIL", "starlette", "uvicorn"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("__main__", HEAVY),  # imported by every command, though only the simulator itself needs them
        ("client", HEAVY),
        ("pytest_plugin", {*HEAVY, "asyncio", "urllib.request"}),  # imported by every run of pytest
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(module: str, heavy: set[str]) -> None:
    program = f"import sys, workers_ai_simulator.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert f"workers_ai_simulator.{module}" in loaded
    assert not heavy & loaded


# ---- streams without a pace ----------------------------------------------------------------------------------------

FRAMES = [f"data: {number}\n\n" for number in range(200)]


async def chunks(fault: Fault | None = None) -> tuple[list[str], Entry]:
    """Texts of a stream that are each written at once, and its entry in the journal."""
    traffic, entry = Traffic(0), Entry("AI", "run")
    await traffic.journal.add(entry)
    return [chunk async for chunk in traffic.stream(entry, FRAMES, fault)], entry


async def test_frames_without_a_pace_are_written_together_after_the_first() -> None:
    written, entry = await chunks()
    assert written[0] == FRAMES[0]
    assert "".join(written) == "".join(FRAMES)
    assert len(written) < len(FRAMES) / 10
    assert (entry.state, entry.frames) == ("finished", len(FRAMES))


async def test_a_fault_of_a_frame_still_finds_it() -> None:
    written, entry = await chunks(Fault(broken_frame=3, end_after_frames=5))
    assert written == [*FRAMES[:3], "data\n\n", FRAMES[4]]
    assert (entry.state, entry.frames) == ("finished", 5)
