"""The examples of docs/clients.md, as pasted."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiktoken_cache
from tools import ROOT

EXAMPLES = re.findall(
    r"^```(sh|python|js)\n(.*?)^```$", (ROOT / "docs/clients.md").read_text(), re.DOTALL | re.MULTILINE
)
EXPECTED = [
    "Worker?",
    "Worker?",
    "name='Ann' age=30\n2 vectors of 1024\nhttp",
    "Worker?",
    "Worker?",
    "1024",
    "Worker?",
    "Worker?",
    "Worker?",
    "search_documents",
]
"""Text that each example prints, in the order of the examples."""


def test_all_examples_are_here() -> None:
    assert len(EXAMPLES) == len(EXPECTED)


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_an_example_runs(base_url: str, tmp_path: Path, number: int) -> None:
    language, code = EXAMPLES[number]
    node = shutil.which("node") or "node"
    commands = {"sh": ["bash", "-c"], "python": [sys.executable, "-c"], "js": [node, "--input-type=module", "--eval"]}
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*commands[language], code.replace("http://localhost:8787", base_url)],
        cwd=tmp_path, env={**os.environ, "PATH": path, "LLM_USER_PATH": str(tmp_path), **tiktoken_cache.fill(tmp_path)},
        text=True, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert EXPECTED[number] in done.stdout
