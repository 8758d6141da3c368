"""The simulator as a process of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import httpx
import pytest

from local import ROOT
from local.install import WRANGLER
from local.processes import end_with_parent
from tests.conftest import TLS


class SimulatorProcess:
    """`workers-ai-simulator` on a free port."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "workers_ai_simulator", "--port", "0", "--tokens-per-second", "0", *arguments]
        path = [str(ROOT / "local/simulator/src"), *os.environ.get("EXTRA_PYTHONPATH", "").split()]
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


Wrangler = Callable[..., str]


@pytest.fixture
def wrangler(simulator_process: SimulatorProcess, tmp_path: Path) -> Wrangler:
    """Runs wrangler, unchanged, with the simulator in the place of Cloudflare's API, and gives what it prints."""
    node = shutil.which("node")
    assert node
    environment = {
        **os.environ,
        "CLOUDFLARE_API_BASE_URL": f"{simulator_process.url}/client/v4",
        "CLOUDFLARE_API_TOKEN": "any",
        "CLOUDFLARE_ACCOUNT_ID": "account",
        "WRANGLER_SEND_METRICS": "false",
        "NO_COLOR": "1",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [node, "--no-warnings", WRANGLER, *arguments],
            cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
