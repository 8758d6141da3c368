"""The npm package: its metadata agree with the Python package's, it has all of its files, and its commands work."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import workers_ai_simulator
from running_simulator import ENVIRONMENT, PACKAGE, SOURCE
from workers_ai_simulator.__main__ import _parser  # pyright: ignore[reportPrivateUsage]

NPM = json.loads((PACKAGE / "package.json").read_text())
PYTHON = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
JAVASCRIPT = SOURCE / "workers_ai_simulator/javascript"
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")


def test_both_packages_have_the_same_name_version_and_license() -> None:
    assert {name: NPM[name] for name in ("name", "version", "license")} == {
        name: PYTHON[name] for name in ("name", "version", "license")
    }
    assert workers_ai_simulator.__version__ == PYTHON["version"]
    assert json.loads((JAVASCRIPT / "version.json").read_text()) == PYTHON["version"]


def test_dev_hands_every_option_of_the_simulator_on_that_has_a_value() -> None:
    listed = re.search(r"SIMULATOR_OPTIONS = \[(.+?)\]", (JAVASCRIPT / "arguments.mjs").read_text(), re.DOTALL)
    assert listed
    actions = _parser()._actions  # pyright: ignore[reportPrivateUsage] - argparse shows them nowhere else
    options = {each.option_strings[-1] for each in actions if each.option_strings and each.nargs is None}
    # dev chooses the address itself
    assert set(re.findall(r'"(--[\w-]+)"', listed[1])) == options - {"--host", "--port", "--allowed-host"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the npm package as npm would install it, and a stand-in of the miniflare that wrangler brings."""
    modules = tmp_path / "node_modules"
    for name in ("package.json", *NPM["files"]):
        copied = modules / NPM["name"] / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        if (PACKAGE / name).is_dir():
            shutil.copytree(PACKAGE / name, copied)
        else:
            shutil.copy(PACKAGE / name, copied)
    (modules / "miniflare").mkdir()
    (modules / "miniflare/index.js").write_text("exports.ProxyNodeBinding = class {};")
    return tmp_path


def node(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", *arguments], cwd=project, env={**ENVIRONMENT, "WORKERS_AI_SIMULATOR_PYTHON": sys.executable},
        text=True, capture_output=True, timeout=100, check=False,
    )  # fmt: skip


@needs_node
def test_a_project_imports_all_that_the_package_exports(project: Path) -> None:
    names = [f"{NPM['name']}/{name}".removesuffix("/.") for name in ("testing", "config", ".")]
    program = f"for (const name of {json.dumps(names)}) console.log(...Object.keys(await import(name)));"
    done = node(project, "--input-type=module", "-e", program)
    testing, config, plugin = done.stdout.splitlines()
    assert testing.split() == ["SimulatorClient", "SimulatorError", "startSimulator", "useSimulator"], done.stderr
    assert config.split() == ["simulatedWorker"]
    assert "plugins" in plugin.split()
    for export in NPM["exports"].values():
        files = [export] if isinstance(export, str) else [*export.values()]
        assert [name for name in files if not (project / "node_modules" / NPM["name"] / name).is_file()] == []


@needs_node
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["dev", "--help"], 0, "start the simulator and your own wrangler dev"),
        (["--help"], 0, "--tokens-per-second"),
        (["--version"], 0, PYTHON["version"]),
        (["faults", "--url", "http://127.0.0.1:1"], 1, "No simulator answers on"),
        (["dev"], 1, "workers-ai-simulator: No wrangler.json, wrangler.jsonc, wrangler.toml in "),
        (["init", "everything", "--config", "wrangler.toml"], 1, "There is no init everything"),
        (["init", "--env", "staging"], 1, "init does not take --env: init [env|vitest|vite] [--config FILE]"),
        (["doctor", "--config=none.toml"], 1, "none.toml."),
        (["doctor"], 1, "ok    workers-ai-simulator"),
    ],
)
def test_the_command(project: Path, arguments: list[str], status: int, words: str) -> None:
    done = node(project, f"node_modules/{NPM['name']}/{NPM['bin'][NPM['name']]}", *arguments)
    assert words in done.stdout + done.stderr
    assert done.returncode == status
    assert "    at " not in done.stderr


@needs_node
@pytest.mark.parametrize("tool", ["vitest", "vite"])
def test_init_writes_the_configuration_of_the_example(project: Path, tool: str) -> None:
    (project / "wrangler.toml").write_text('name = "mine"')
    command = [f"node_modules/{NPM['name']}/{NPM['bin'][NPM['name']]}", "init", tool]
    packages = f"{tool} @cloudflare/{tool}-plugin"
    assert (
        node(project, *command).stdout
        == f"{tool}.config.mts is written. Run: npm install --save-dev {packages} && npx {tool}\n"
    )
    example = (PACKAGE / "examples" / tool / f"{tool}.config.mts").read_text()
    assert (project / f"{tool}.config.mts").read_text() == example
    assert node(project, *command).stdout.startswith(f"{tool}.config.mts is there already.")


@needs_node
def test_the_parts_of_the_commands() -> None:
    done = node(PACKAGE, "--test", "--test-reporter=tap", "tests/javascript/project.test.mjs")
    assert done.returncode == 0, done.stdout


@needs_node
def test_the_simulator_ends_with_the_shell_that_npx_puts_between(project: Path) -> None:
    """A shell between passes no signal on: its end is the only sign."""
    command = f"node node_modules/{NPM['name']}/{NPM['bin'][NPM['name']]} --port 0; :"
    npx = {"npm_execpath": "npx", "WORKERS_AI_SIMULATOR_PYTHON": sys.executable}
    with subprocess.Popen(
        ["sh", "-c", command], cwd=project, env={**ENVIRONMENT, **npx}, text=True, stdout=subprocess.PIPE,
        start_new_session=True,
    ) as shell:  # fmt: skip
        try:
            assert shell.stdout
            assert shell.stdout.readline().startswith("Ready on http://")
            shell.kill()
            assert shell.stdout.read() == ""  # as soon as every process that writes to it has ended
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)


@needs_node
def test_the_python_package_has_the_commands_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workers_ai_simulator", "doctor"],
        cwd=tmp_path, env=ENVIRONMENT, text=True, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    ok, wrong = done.stdout.splitlines()
    assert ok.endswith(f"runs by: {sys.executable} -m workers_ai_simulator")
    assert wrong.startswith("WRONG No wrangler.json")
    without_node = subprocess.run(
        [sys.executable, "-m", "workers_ai_simulator", "dev"],
        cwd=tmp_path, env={**ENVIRONMENT, "PATH": "/nowhere"}, text=True, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert "dev needs Node.js" in without_node.stderr
