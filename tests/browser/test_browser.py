"""Runs the tests of the console and of the simulator's page, which are JavaScript: tests/browser/*.test.mjs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DevServer, StartServer
from tools import ROOT

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
needs_chromium = pytest.mark.skipif(
    not Path(CHROMIUM).exists(), reason="needs Chromium: apt-get install chromium, or set CHROMIUM"
)


@pytest.fixture(scope="module")
def paced_server(start_server: StartServer) -> Iterator[DevServer]:
    """A model that takes its time, as a person in front of the page would see it."""
    with start_server("--tokens-per-second", "60") as server:
        yield server


def run(test: str, **environment: str) -> None:
    node = shutil.which("node")
    assert node
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", Path(__file__).with_name(test)],
        cwd=ROOT, env={**os.environ, **environment}, text=True, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ℹ pass 0" not in done.stdout  # noqa: RUF001 - Node's own sign


def test_events() -> None:
    run("events.test.mjs")


@pytest.mark.timeout(300)
@needs_chromium
@pytest.mark.parametrize("test", ["console.test.mjs", "readme.test.mjs", "pages.test.mjs"])
def test_in_a_browser(paced_server: DevServer, test: str) -> None:
    run(test, AIWORKER_URL=paced_server.url, AIWORKER_SIMULATOR=paced_server.simulator, CHROMIUM=CHROMIUM)


@pytest.mark.timeout(300)
@needs_chromium
def test_simulator_page() -> None:
    simulator = str(ROOT / "packages/workers-ai-simulator/src")
    run("simulator.test.mjs", PYTHON=sys.executable, PYTHONPATH=simulator, CHROMIUM=CHROMIUM)
