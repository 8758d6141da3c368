"""The memory snapshot that Cloudflare takes of an uploaded Worker, taken and restored with the npm package pyodide."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import ROOT
from tools.setup.install import WORKER_PACKAGES

PROGRAM = ROOT / "tools/testing/snapshot.mjs"
SOURCE = ROOT / "src"


def run(job: str, source: Path, snapshot: Path, requests: str = "") -> subprocess.CompletedProcess[str]:
    command = ["node", str(PROGRAM), job, str(source), str(WORKER_PACKAGES), str(snapshot)]
    return subprocess.run(command, input=requests, text=True, capture_output=True, check=False)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("snapshot") / "memory"
    done = run("take", SOURCE, file)
    assert done.returncode == 0, done.stderr
    return file


def test_the_restored_worker_answers(snapshot: Path) -> None:
    requests: list[list[str | None]] = [["GET", "/models", None], ["POST", "/chat", "{}"], ["GET", "/nowhere", None]]
    done = run("answer", SOURCE, snapshot, json.dumps(requests))
    assert done.returncode == 0, done.stderr
    answers: list[list[Any]] = json.loads(done.stdout.splitlines()[-1])
    assert [status for status, _ in answers] == [200, 400, 404]
    models, refused, _ = (json.loads(body) for _, body in answers)
    assert len(models["models"]) > 50
    assert refused["error"]["type"] == "invalid_request"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "import functools, js; call = functools.partial(js.Reflect.apply, js.Function.prototype.call)",
            "kept at import",
        ),
        pytest.param("import js; kept = js.Object.new()", "kept at import", marks=pytest.mark.nightly),
        ("import os; os.urandom(8)", "OSError"),
        ("import js; js.crypto.randomUUID()", "entropy is not available"),
        pytest.param("import time; time.time()", "OSError", marks=pytest.mark.nightly),
        ("import datetime; datetime.datetime.now()", "OSError"),
        pytest.param("import js; js.Date.now()", "the clock is not available", marks=pytest.mark.nightly),
        (
            "from workers import import_from_javascript as door; door('cloudflare:workers').env.AI",
            "env is not available",
        ),
    ],
)
def test_a_value_that_cannot_be_in_a_snapshot_is_refused(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "entry.py").write_text(f"{line}\n")
    done = run("take", tmp_path, tmp_path / "memory")
    assert done.returncode == 1
    assert words in done.stderr
    assert not (tmp_path / "memory").exists()
