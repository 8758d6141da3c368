"""The simulator as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest

from local import ROOT
from local.processes import end_with_parent


class SimulatorProcess:
    """`workers-ai-simulator` on a free port."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "workers_ai_simulator", "--port", "0", "--tokens-per-second", "0", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "local/simulator/src")}
        self._process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, preexec_fn=end_with_parent
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().removeprefix("Ready on ").strip()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[SimulatorProcess]:
    process = SimulatorProcess("--vectorize-delay", "0")
    yield process
    process.stop()


@pytest.fixture
def http(simulator_process: SimulatorProcess) -> Generator[httpx.Client]:
    with httpx.Client(base_url=simulator_process.url, timeout=10) as client:
        yield client
        client.delete("/simulator/faults")
