"""Runs the conversations of tests/clients/frameworks, with clients that need a virtual environment of their own.

What docs/clients.md shows of a client runs as pasted, before its conversation and in the same process: such clients
take seconds to be imported.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tools import ROOT
from tools.setup import install

FOLDER = Path(__file__).with_name("frameworks")
EXAMPLES = dict(
    re.findall(r"^## ([^\n]*)\n\n```py\n(.*?)^```$", (ROOT / "docs/clients.md").read_text(), re.DOTALL | re.MULTILINE)
)
"""Heading of docs/clients.md → the example below it."""
SHOWN = {
    "with_langgraph.py": "LangGraph",
    "with_openai_agents.py": "OpenAI's Agents SDK",
    "with_pydantic_ai.py": "pydantic-ai",
}
"""Conversation → heading of its client's example."""


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return install.install_clients()
    except install.InstallError as error:
        pytest.skip(f"the clients cannot be installed: {error}")


def test_all_examples_are_run() -> None:
    assert set(EXAMPLES) == set(SHOWN.values())


@pytest.mark.parametrize("program", sorted(path.name for path in FOLDER.glob("with_*.py")))
def test_a_conversation_works(base_url: str, python: Path, program: str) -> None:
    environment = {
        **os.environ, "AIWORKER_URL": base_url,
        # no table of models from GitHub, no traces to LangSmith
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false",
    }  # fmt: skip
    example = EXAMPLES[SHOWN[program]].replace("http://localhost:8787", base_url) if program in SHOWN else ""
    conversation = f"import runpy\nrunpy.run_path({str(FOLDER / program)!r}, run_name='__main__')"
    done = subprocess.run(
        [python, "-c", f"{example}\n{conversation}"],
        cwd=FOLDER, env=environment, text=True, capture_output=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not example or "23 degrees in Paris" in done.stdout
