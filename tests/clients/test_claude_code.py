"""Claude Code itself, without a screen: its conversations, its tools, and the Worker as its MCP server."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import npm_packages
from tools import ROOT

VERSION = "2.1.332"
DOCS = (ROOT / "docs/clients.md").read_text()
QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
"""Keeps it from calling anybody but the Worker."""

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_packages.install(tmp_path_factory.mktemp("claude-code"), f"@anthropic-ai/claude-code@{VERSION}")


def snippet(heading: str, language: str, base_url: str) -> str:
    """The example below a heading of docs/clients.md, pointed at the server."""
    text = DOCS.partition(f"\n## {heading}\n")[2]
    match = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert match
    return match[1].replace("http://localhost:8787", base_url)


def say(commands: Path, folder: Path, base_url: str, text: str, *options: str) -> dict[str, Any]:
    """Send a prompt to Claude Code, started as docs/clients.md says; return what it reports."""
    program = snippet("Claude Code", "text", base_url).removesuffix("claude\n")
    program += 'exec claude --print "$0" --output-format json "$@"\n'
    environment = {"PATH": f"{commands}:{os.environ['PATH']}", "HOME": str(folder), **QUIET}
    done = subprocess.run(
        ["bash", "-c", program, text, *options], cwd=folder, env=environment, text=True, capture_output=True,
        stdin=subprocess.DEVNULL, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert (report["subtype"], report["is_error"]) == ("success", False)
    return report


def test_a_question_is_answered(commands: Path, tmp_path: Path, base_url: str) -> None:
    report = say(commands, tmp_path, base_url, "What is a Worker?", "--tools", "")
    assert "in place of @cf/moonshotai/kimi-k2.6" in report["result"]
    assert report["usage"]["input_tokens"] > 100
    assert report["usage"]["output_tokens"] > 0


def test_it_reads_a_file_that_the_model_wants(commands: Path, tmp_path: Path, base_url: str) -> None:
    (tmp_path / "notes.txt").write_text("The lighthouse keeper is called Ada.\n")
    prompt = f'Read the file "{tmp_path / "notes.txt"}"'
    report = say(commands, tmp_path, base_url, prompt, "--tools", "Read", "--allowedTools", "Read")
    assert report["num_turns"] == 2
    assert "The tool Read answered" in report["result"]
    assert "called Ada" in report["result"]


def test_all_of_its_tools_are_taken(commands: Path, tmp_path: Path, base_url: str) -> None:
    report = say(commands, tmp_path, base_url, "Hello")
    assert report["usage"]["input_tokens"] > 5_000


def test_it_uses_the_workers_tools(commands: Path, tmp_path: Path, base_url: str) -> None:
    servers = tmp_path / "servers.json"
    servers.write_text(snippet("An MCP host", "json", base_url))
    options = ["--tools", "", "--mcp-config", str(servers), "--strict-mcp-config", "--allowedTools", "mcp__aiworker"]
    report = say(commands, tmp_path, base_url, "List the documents of aiworker", *options)
    assert report["num_turns"] == 2
    assert "The tool mcp__aiworker__list_documents answered" in report["result"]
