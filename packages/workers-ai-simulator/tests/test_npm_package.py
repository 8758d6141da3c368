"""The npm package: its metadata agree with the Python package's, and its module is the Miniflare plugin."""

import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import workers_ai_simulator
from running_simulator import PACKAGE

NPM = json.loads((PACKAGE / "package.json").read_text())
PYTHON = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")


def test_both_packages_have_the_same_name_version_and_license() -> None:
    assert {name: NPM[name] for name in ("name", "version", "license")} == {
        name: PYTHON[name] for name in ("name", "version", "license")
    }
    assert workers_ai_simulator.__version__ == PYTHON["version"]


@needs_node
def test_a_project_requires_the_plugin_by_the_package_s_name(tmp_path: Path) -> None:
    modules = tmp_path / "node_modules"
    for name in ("package.json", *NPM["files"]):
        file = modules / NPM["name"] / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, file)
    # a stand-in; the real one comes with wrangler
    (modules / "miniflare").mkdir()
    (modules / "miniflare/index.js").write_text("exports.ProxyNodeBinding = class {};")
    program = 'import("workers-ai-simulator").then(({ plugins }) => console.log(...Object.keys(plugins)))'
    done = subprocess.run(
        ["node", "-e", program], cwd=tmp_path, text=True, capture_output=True, timeout=100, check=True
    )
    assert done.stdout.split() == [NPM["name"]]
