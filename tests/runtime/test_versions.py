"""The versions that offline-python-workers is written for. It relies on parts of them that nobody promises to keep."""

import json
import re
from pathlib import Path

import pytest

import offline_python_workers
from tools import ROOT
from tools.setup.install import RUNTIME, WORKER_PACKAGES

WRITTEN_FOR = {
    "wrangler": "4.164.0",
    "workerd": "1.20261117.1",
    "miniflare": "5.20261117.0-beta",
    "pyodide": "314.0.7",
    "workers_runtime_sdk": "1.9.5",
    "pydantic": "2.14.3",
    "pydantic_core": "2.50.4",
}


def installed(name: str) -> str:
    manifest = ROOT / "node_modules" / name / "package.json"
    if manifest.exists():
        return json.loads(manifest.read_text())["version"]
    [metadata] = WORKER_PACKAGES.glob(f"{name}-*.dist-info/METADATA")
    version = re.search(r"^Version: (.+)$", metadata.read_text(), re.MULTILINE)
    assert version
    return version[1]


@pytest.mark.parametrize("name", WRITTEN_FOR)
def test_a_version_has_not_moved(name: str) -> None:
    version = installed(name)
    assert version == WRITTEN_FOR[name], (
        f"{name} has moved from {WRITTEN_FOR[name]} to {version}. offline-python-workers relies on its inside: "
        "run tests/runtime, look at each line marked (*) in its interpreter.mjs, then enter it here."
    )


def test_the_interpreter_is_the_one_that_the_runtime_names() -> None:
    python = re.search(r'"?python"?: ?"([\d.]+)"', (RUNTIME / "lock-info.mjs").read_text())
    named = re.search(
        r'WRITTEN_FOR = "([\d.]+)"', Path(offline_python_workers.__file__).with_name("interpreter.mjs").read_text()
    )
    assert python
    assert named
    assert python[1] == named[1]
