"""Runs the tests of the clients for JavaScript: tests/clients/*.test.mjs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import DevServer
from tools import ROOT


@pytest.mark.parametrize("test", sorted(path.name for path in Path(__file__).parent.glob("*.test.mjs")))
def test_in_node(base_url: str, dev_server: DevServer | None, request: pytest.FixtureRequest, test: str) -> None:
    simulator = dev_server.simulator if dev_server else request.config.getoption("--simulator")
    node = shutil.which("node")
    assert node
    environment = {**os.environ, "AIWORKER_URL": base_url, "AIWORKER_SIMULATOR": str(simulator or "")}
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", Path(__file__).with_name(test)],
        cwd=ROOT, env=environment, text=True, capture_output=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ℹ pass 0" not in done.stdout  # noqa: RUF001 - Node's own sign
