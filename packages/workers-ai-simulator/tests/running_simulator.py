"""The simulator as a process of its own: fixtures and helpers for tests."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

PACKAGE = Path(__file__).resolve().parent.parent
"""The package's folder."""
SOURCE = PACKAGE / "src"

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE)}
"""Environment of processes that import the package, installed or not."""

TLS = httpx.create_ssl_context()
"""TLS context shared by all clients: creating one takes 30 ms, longer than most requests."""

# linux/prctl.h
PR_SET_PDEATHSIG = 1
"""Option of prctl: the signal that a process gets when its parent dies."""

_LIBC = ctypes.CDLL(None)


def end_with_parent() -> None:
    """Have this process get SIGTERM when its parent dies, even by SIGKILL. Linux only."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class SimulatorProcess:
    """`workers-ai-simulator` on a free port."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "workers_ai_simulator", "--port", "0", "--tokens-per-second", "0", *arguments]
        path = [str(SOURCE), *os.environ.get("EXTRA_PYTHONPATH", "").split()]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        # a session of its own, so that a signal to pytest's process group, as of `timeout`, does not end it in a test
        self._process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, start_new_session=True,
            preexec_fn=end_with_parent,
        )  # fmt: skip
        assert self._process.stdout
        self.url = self._process.stdout.readline().removeprefix("Ready on ").strip()

    def client(self) -> httpx.Client:
        status = self._process.poll()
        assert status is None, f"the simulator has ended with status {status}"
        return httpx.Client(base_url=self.url, headers={"authorization": "Bearer any"}, timeout=60, verify=TLS)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(60)


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[SimulatorProcess]:
    process = SimulatorProcess("--vectorize-delay", "0")
    yield process
    process.stop()


@pytest.fixture
def http(simulator_process: SimulatorProcess) -> Generator[httpx.Client]:
    with simulator_process.client() as client:
        yield client
        client.delete("/simulator/faults")
        client.delete("/simulator/answers")


Value = TypeVar("Value")


def until(look: Callable[[], Value], is_there: Callable[[Value], bool], seconds: float = 60) -> Value:
    """Poll `look` until `is_there` accepts its value, and return the value. Fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not is_there(value := look()):
        assert time.monotonic() < deadline, f"after {seconds} s still {value!r}"
        time.sleep(0.02)
    return value
