"""Fixtures for pytest: a simulator of one's own for the session, and what a test asks of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every run of pytest loads this plugin: what it needs is imported by those who use it
    from workers_ai_simulator.client import SimulatorClient

COMMAND = ["-m", "workers_ai_simulator", "--port", "0", "--tokens-per-second", "0", "--vectorize-delay", "0"]


@pytest.fixture(scope="session")
def workers_ai_simulator_server() -> Iterator[str]:
    """The address of a simulator that lives as long as this session. Override it to name one that is already up."""
    # what can be imported here can be imported there, be it installed or on a path that pytest has added
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, *COMMAND, "--end-with-stdin"]
    # the end of this process, even a violent one, closes the pipe, and the simulator ends by itself
    with subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        ready = process.stdout.readline()
        if not ready.startswith("Ready on "):
            pytest.fail(f"The simulator has not started; it ended with status {process.wait()}", pytrace=False)
        yield ready.removeprefix("Ready on ").strip()
        process.terminate()


@pytest.fixture
def workers_ai_simulator(workers_ai_simulator_server: str) -> "Iterator[SimulatorClient]":
    """What a test asks of the simulator: no faults are set, and the requests are those of this test."""
    from workers_ai_simulator.client import SimulatorClient

    simulator = SimulatorClient(workers_ai_simulator_server)
    simulator.clear_faults()
    simulator.forget_requests()
    yield simulator
    simulator.clear_faults()
