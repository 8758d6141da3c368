"""The simulator as a process of its own: fixtures, and what tests need around one."""

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
"""Of processes that import the package, installed or not."""

TLS = httpx.create_ssl_context()
"""For clients of any server. They would each make their own, which takes 30 ms: longer than most requests do."""

# linux/prctl.h
PR_SET_PDEATHSIG = 1
"""The signal a process gets when its parent dies."""

_LIBC = ctypes.CDLL(None)


def end_with_parent() -> None:
    """Linux only: get SIGTERM should our parent be killed in a way it cannot answer to (SIGKILL)."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class SimulatorProcess:
    """`workers-ai-simulator` on a free port."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "workers_ai_simulator", "--port", "0", "--tokens-per-second", "0", *arguments]
        path = [str(SOURCE), *os.environ.get("EXTRA_PYTHONPATH", "").split()]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        # a session of its own: a signal for all of pytest's group, as `timeout` sends, does not end it amidst a test
        self._process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, start_new_session=True,
            preexec_fn=end_with_parent,
        )  # fmt: skip
        assert self._process.stdout
        self.url = self._process.stdout.readline().removeprefix("Ready on ").strip()

    def client(self) -> httpx.Client:
        status = self._process.poll()
        assert status is None, f"the simulator has ended with status {status}"
        return httpx.Client(base_url=self.url, headers={"authorization": "Bearer any"}, timeout=10, verify=TLS)

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
    with simulator_process.client() as client:
        yield client
        client.delete("/simulator/faults")


Seen = TypeVar("Seen")


def until(look: Callable[[], Seen], is_there: Callable[[Seen], bool], seconds: float = 20) -> Seen:
    """What `look` sees as soon as it is there: for what a server can only be asked about, not waited for."""
    deadline = time.monotonic() + seconds
    while not is_there(seen := look()):
        assert time.monotonic() < deadline, f"after {seconds} s still {seen!r}"
    return seen
