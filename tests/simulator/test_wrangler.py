"""wrangler's own commands, with the simulator in place of Cloudflare's API."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from running_simulator import SimulatorProcess
from tools.setup.install import WRANGLER

CHAT = "@cf/meta/llama-3.1-8b-instruct-fast"

Wrangler = Callable[..., str]


@pytest.fixture
def wrangler(simulator_process: SimulatorProcess, tmp_path: Path) -> Wrangler:
    """Run the unmodified wrangler, with the simulator in place of Cloudflare's API. Returns its output."""
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
            cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_wrangler_lists_the_models(wrangler: Wrangler) -> None:
    assert CHAT in [model["name"] for model in json.loads(wrangler("ai", "models", "list", "--json"))]


def test_wrangler_s_own_commands_work_against_it(wrangler: Wrangler, tmp_path: Path) -> None:
    vector = {"id": "one", "values": [1, 0, 0], "metadata": {"kind": "a"}}
    (tmp_path / "vectors.ndjson").write_text(json.dumps(vector))
    created = wrangler("vectorize", "create", "wrangled", "--dimensions=3", "--metric=cosine")
    assert "Successfully created" in created
    wrangler("vectorize", "create-metadata-index", "wrangled", "--propertyName=kind", "--type=string")
    assert "kind" in wrangler("vectorize", "list-metadata-index", "wrangled")
    wrangler("vectorize", "insert", "wrangled", "--file=vectors.ndjson")
    assert "wrangled" in wrangler("vectorize", "list")
    assert "one" in wrangler("vectorize", "list-vectors", "wrangled")
    query = ("query", "wrangled", "--vector", "1", "0", "0", "--filter", '{"kind": "a"}')
    assert "one" in wrangler("vectorize", *query)
    wrangler("vectorize", "delete", "wrangled", "--force")
    assert "wrangled" not in wrangler("vectorize", "list")
