"""Fixtures for pytest: a simulator for the session, and its client for each test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every run of pytest loads this plugin, so its imports wait until a fixture is used
    from workers_ai_simulator.client import SimulatorClient

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
    simulator.close()
    simulator.ignore_past_requests()
    yield simulator
    simulator.close()


@pytest.fixture
def scripted_workers_ai(workers_ai_simulator: "SimulatorClient") -> "Iterator[SimulatorClient]":
    """The same client in strict mode: calls that no scripted answer is for fail the test, and so do unused answers."""
    workers_ai_simulator.set_strict()
    yield workers_ai_simulator
    workers_ai_simulator.assert_answers_used()
