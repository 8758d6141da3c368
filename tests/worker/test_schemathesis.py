"""Requests made from /openapi.json: each is answered as it says, and none by an error of the server.

A short run of what `scripts/soak --only schemathesis` does for long.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DevServer, StartServer
from tools.soak.run import schemathesis_command

KEY = "aiw_of_this_test_only"


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Iterator[DevServer]:
    """One that wants keys, so that it shows whether they are asked for."""
    keys = [{"name": "test", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "scopes": ["admin"]}]
    variables = {"AUTH_MODE": "keys", "API_KEYS": json.dumps(keys), "TOKEN_SECRET": "s" * 64, "GATEWAY_ID": "default"}
    with start_server(**variables) as server:
        yield server


def test_every_request_is_answered_as_described(server: DevServer, tmp_path: Path) -> None:
    command = schemathesis_command(tmp_path, server.url, KEY, examples=4, seed=1, phases="examples,fuzzing")
    done = subprocess.run(command, cwd=tmp_path, text=True, check=False, capture_output=True, timeout=280)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["failures"] == [], done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["test_cases"]["generated"] >= 150
    assert report["operations"]["tested"] == report["operations"]["total"]
