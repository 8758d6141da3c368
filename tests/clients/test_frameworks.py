"""Runs the conversations of tests/clients/frameworks, with clients that need a virtual environment of their own."""

import os
import subprocess
from pathlib import Path

import pytest

from tools.setup import install

FOLDER = Path(__file__).with_name("frameworks")


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return install.install_clients()
    except install.InstallError as error:
        pytest.skip(f"the clients cannot be installed: {error}")


@pytest.mark.parametrize("program", sorted(path.name for path in FOLDER.glob("with_*.py")))
def test_a_conversation_works(base_url: str, python: Path, program: str) -> None:
    environment = {
        **os.environ, "AIWORKER_URL": base_url,
        # no table of models from GitHub, no traces to LangSmith
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false",
    }  # fmt: skip
    done = subprocess.run(
        [python, FOLDER / program], env=environment, text=True, capture_output=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
