"""The command serves a Worker, and an edit of a module reloads it.

Needs the npm packages `pyodide` and `wrangler` in a node_modules above this folder, and packages for Pyodide with the
SDK in $OFFLINE_PYTHON_WORKERS_PACKAGES; a checkout of aiworker has them where its set-up puts them.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).resolve()
CHECKOUT = HERE.parents[3]
PACKAGES = Path(os.environ.get("OFFLINE_PYTHON_WORKERS_PACKAGES", CHECKOUT / ".aiworker/worker-packages"))
NODE_MODULES = next((each for each in (p / "node_modules" for p in HERE.parents) if (each / "pyodide").is_dir()), None)

ENTRY = """
from greeting import TEXT
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"{TEXT} {self.env.NAME}")
"""
CONFIGURATION = """{
  // comments are allowed
  "name": "greeter", "main": "src/entry.py", "compatibility_date": "2026-11-01",
  "compatibility_flags": ["python_workers"], "vars": { "NAME": "world" },
}"""


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    if NODE_MODULES is None or not (PACKAGES / "workers").is_dir():
        pytest.skip("needs node_modules with pyodide and wrangler, and packages for Pyodide")
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "src").mkdir()
    (tmp_path / "src/entry.py").write_text(ENTRY)
    (tmp_path / "src/greeting.py").write_text('TEXT = "hello"\n')
    (tmp_path / "wrangler.jsonc").write_text(CONFIGURATION)
    return tmp_path


@pytest.fixture
def url(worker: Path, tmp_path: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "offline_python_workers", str(worker), "--packages", str(PACKAGES), "--"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE.parents[1] / "src"),
        "WRANGLER_SEND_METRICS": "false",
        "CI": "1",
    }
    output = tmp_path / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--port=0", "--inspector-port=0"],
            env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        url = wait_for_address(output, process)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    assert status == 128 + signal.SIGINT
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def wait_for_address(output: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 180  # it compiles the interpreter and the packages first
    while (match := re.search(r"Ready on (http://\S+)", output.read_text())) is None:
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)
    return match[1]


def wait_for_answer(url: str, expected: str) -> None:
    deadline = time.monotonic() + 180
    text = ""
    while text != expected:
        assert time.monotonic() < deadline, f"still {text!r}"
        time.sleep(0.2)
        try:
            text = httpx.get(url, timeout=60).text
        except httpx.HTTPError as error:
            text = repr(error)


def test_a_worker_is_served_and_reloads(url: str, worker: Path) -> None:
    wait_for_answer(url, "hello world")
    (worker / "src/greeting.py").write_text('TEXT = "good morning"\n')
    wait_for_answer(url, "good morning world")


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ("{", "is not valid JSON"),
        (CONFIGURATION.replace("2026-11-01", "2025-01-01"), "compatibility_date must be 2026-09-08 or later"),
        (CONFIGURATION.replace("entry.py", "entry.js"), "main must be the Worker's Python module"),
        (CONFIGURATION, "lacks the SDK"),
    ],
)
def test_a_worker_that_cannot_run_is_refused(tmp_path: Path, configuration: str, words: str) -> None:
    (tmp_path / "wrangler.jsonc").write_text(configuration)
    command = [sys.executable, "-m", "offline_python_workers", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "src")}
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert re.search(words, done.stderr)
