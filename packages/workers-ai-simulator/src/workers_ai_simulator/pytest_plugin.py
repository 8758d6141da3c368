"""Fixtures for pytest: a simulator, or a Worker with one, for the session, and the simulator's client for each test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every run of pytest loads this plugin, so its imports wait until a fixture is used
    from workers_ai_simulator.client import SimulatorClient
    from workers_ai_simulator.simulated_worker import SimulatedWorker

COMMAND = ["-m", "workers_ai_simulator", "--port", "0", "--tokens-per-second", "0", "--vectorize-delay", "0"]


@pytest.fixture(scope="session")
def workers_ai_simulator_server() -> Iterator[str]:
    """Address of a simulator that runs for the session. Override the fixture to name one that runs already."""
    # the subprocess finds the package as this process does, installed or on a path that pytest has added
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, *COMMAND, "--end-with-stdin"]
    # when this process ends, even when it is killed, the pipe closes and the simulator exits by itself
    with subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        ready = process.stdout.readline()
        if not ready.startswith("Ready on "):
            pytest.fail(f"The simulator did not start; it exited with status {process.wait()}", pytrace=False)
        yield ready.removeprefix("Ready on ").strip()
        process.terminate()


@pytest.fixture
def workers_ai_simulator(workers_ai_simulator_server: str) -> "Iterator[SimulatorClient]":
    """Client of the simulator, without faults, scripted answers and the requests of earlier tests."""
    from workers_ai_simulator.client import SimulatorClient

    simulator = SimulatorClient(workers_ai_simulator_server)
    yield from _cleared(simulator)


@pytest.fixture
def scripted_workers_ai(workers_ai_simulator: "SimulatorClient") -> "Iterator[SimulatorClient]":
    """The same client in strict mode: calls without a scripted answer fail the test, and so do unused answers."""
    workers_ai_simulator.set_strict()
    yield workers_ai_simulator
    workers_ai_simulator.assert_answers_used()


@pytest.fixture(scope="session")
def simulated_worker_options() -> list[str]:
    """Options of `workers-ai-simulator dev` for the Worker, as `["--cwd", "worker"]`. Override the fixture."""
    return []


@pytest.fixture(scope="session")
def simulated_worker_process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, simulated_worker_options: list[str]
) -> "Iterator[SimulatedWorker]":
    """The Worker of pytest's root folder in `wrangler dev`, for the session, with data of its own."""
    from workers_ai_simulator.simulated_worker import SimulatedWorker, WorkerStartError

    try:
        worker = SimulatedWorker(request.config.rootpath, tmp_path_factory.mktemp("worker"), simulated_worker_options)
    except WorkerStartError as error:
        pytest.fail(f"The Worker did not start: {error}", pytrace=False)
    yield worker
    worker.stop()


@pytest.fixture
def simulated_worker(simulated_worker_process: "SimulatedWorker") -> "Iterator[SimulatedWorker]":
    """The Worker: its `url`, and `ai`, the client of its simulator in its initial state. Stored data stays."""
    for _ in _cleared(simulated_worker_process.ai):
        yield simulated_worker_process


@pytest.fixture
def scripted_worker(simulated_worker: "SimulatedWorker") -> "Iterator[SimulatedWorker]":
    """The same in strict mode: calls without a scripted answer fail the test, and so do unused answers."""
    simulated_worker.ai.set_strict()
    yield simulated_worker
    simulated_worker.ai.assert_answers_used()


def _cleared(simulator: "SimulatorClient") -> "Iterator[SimulatorClient]":
    """The client, without faults, scripted answers and earlier requests, which are cleared again when it is resumed."""
    simulator.close()
    simulator.ignore_past_requests()
    yield simulator
    simulator.close()
