"""`scripts/test --fast`: the checks of an edit that take half a minute and no server.

Lint, the types of src/, and the tests that are plain Python run at the same time. scripts/check and scripts/test do the
rest.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT

CHECKS = {
    "Python, lint": ["ruff", "check", "--quiet", "."],
    "Python, format": ["ruff", "format", "--quiet", "--check", "."],
    "Python, types of src": ["pyright", "src"],
}
"""Commands by name. None of them changes a file."""

PACKAGE_TESTS = ROOT / "packages/workers-ai-simulator/tests"
NEEDS_A_PROCESS = ("running_simulator", "http: httpx")
"""Found in the text of the simulator's test files that start it, or use one that runs."""
LONG = ("test_images.py", "test_markdown.py")
"""The simulator's test files that compute for ten seconds each."""


@dataclass(frozen=True)
class Check:
    name: str
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, name: str, command: Sequence[str]) -> "Check":
        process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return cls(name, process)

    def passes(self) -> bool:
        """Wait for the end, and print the name, with the output if it has failed."""
        printed, _ = self.process.communicate()
        is_ok = self.process.returncode == 0
        print(f"{'ok    ' if is_ok else 'FAILED'} {self.name}", flush=True)
        if not is_ok:
            print(printed, flush=True)
        return is_ok


def run(pytest_command: Sequence[str]) -> int:
    """Run the checks and the plain tests. Returns the exit status: 0 if all pass.

    pytest_command: starts pytest; the files are added.
    """
    began = time.monotonic()
    os.environ["PATH"] = f"{ROOT / 'node_modules/.bin'}{os.pathsep}{os.environ['PATH']}"
    tests = subprocess.Popen([*pytest_command, *plain_tests()], cwd=ROOT)
    checks = [Check.start(name, command) for name, command in CHECKS.items()]
    try:
        tests.wait()
        passed = [check.passes() for check in checks]
    finally:
        for process in (tests, *(check.process for check in checks)):
            process.terminate()  # early enough for pytest to end its own processes
            process.wait()
    print(f"In {time.monotonic() - began:.0f} s. The whole: scripts/check and scripts/test.", flush=True)
    return 0 if all(passed) and tests.returncode == 0 else 1


def plain_tests() -> list[str]:
    """Paths of the tests that start no server, without the few that take long."""
    files = [path for path in sorted(PACKAGE_TESTS.glob("test_*.py")) if _is_plain(path)]
    return ["tests/unit", *(str(path.relative_to(ROOT)) for path in files)]


def _is_plain(file: Path) -> bool:
    text = file.read_text()
    return file.name not in LONG and not any(sign in text for sign in NEEDS_A_PROCESS)
