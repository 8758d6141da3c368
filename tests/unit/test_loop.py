"""Additions of scripts/test and scripts/nightly to pytest: nothing is hidden, and the exit status is right."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.conftest import unmeasured
from tools import ROOT
from tools.testing import fast, nightly
from tools.testing.nightly import Part
from tools.testing.slowest_first import SLOWEST

TESTS = """
import os
import pytest
from hypothesis import settings

def test_passes(): pass
def test_fails(): assert 1 == 2, "the reason"
@pytest.mark.skip(reason="not today")
def test_is_skipped(): pass
@pytest.fixture
def broken():
    yield
    raise ValueError("in the teardown")
def test_breaks_afterwards(broken): pass
def test_is_expected_to_fail(): pytest.xfail("known")
def test_crashes():
    if os.environ.get("CRASH"): os._exit(9)
"""


def run_tests(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    for name in ("a", "b"):
        (folder / f"test_{name}.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tools.testing.progress", "-o", "console_output_style=classic"]
    # without the plugins that take seconds to load
    own = {**unmeasured(), "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [*command, "-ra", "-p", "xdist", "--rootdir", folder, *options, folder], cwd=folder, env=own | environment,
        text=True, capture_output=True, timeout=100, check=False,
    )  # fmt: skip


def test_progress_names_each_file_and_each_failure_and_hides_nothing(tmp_path: Path) -> None:
    done = run_tests(tmp_path)
    assert done.returncode == 1
    assert "\r" not in done.stdout
    assert " 0/2 files  1/12 tests] FAILED test_a.py::test_fails" in done.stdout
    summary = "test_a.py: 3 passed, 1 failed, 1 skipped, 1 error, 1 xfailed in "
    assert f" 1/2 files  6/12 tests] {summary}" in done.stdout
    assert " 2/2 files 12/12 tests] test_b.py: " in done.stdout
    assert "FAILED test_b.py::test_fails - AssertionError: the reason" in done.stdout
    assert "ERROR test_b.py::test_breaks_afterwards - ValueError: in the teardown" in done.stdout
    assert "2 failed, 6 passed, 2 skipped, 2 xfailed, 2 errors in" in done.stdout


def test_a_process_that_crashes_fails_the_run(tmp_path: Path) -> None:
    done = run_tests(tmp_path, "-n1", "--dist=loadfile", "--max-worker-restart=0", "-k", "crashes or passes", CRASH="1")
    assert done.returncode == 1
    assert "FAILED test_a.py::test_crashes" in done.stdout
    assert "test_a.py: 1 passed, 1 error in " in done.stdout


def test_a_run_without_failures_ends_with_success(tmp_path: Path) -> None:
    assert run_tests(tmp_path, "-k", "passes").returncode == 0


def test_the_fast_loop_fails_if_a_check_or_a_test_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fast, "plain_tests", list[str])
    for check, tests, status in (("pass", "pass", 0), ("exit('bad')", "pass", 1), ("pass", "exit(1)", 1)):
        monkeypatch.setattr(fast, "CHECKS", {"a check": [sys.executable, "-c", check]})
        assert fast.run([sys.executable, "-c", tests]) == status
    assert "FAILED a check\nbad" in capfd.readouterr().out


def test_the_fast_loop_has_the_tests_that_start_no_server() -> None:
    files = fast.plain_tests()
    assert files[0] == "tests/unit"
    assert "packages/workers-ai-simulator/tests/test_vision.py" in files
    assert "packages/workers-ai-simulator/tests/test_gateway.py" not in files


def test_the_files_that_come_first_are_there() -> None:
    assert [file for file in SLOWEST if not (ROOT / file).is_file()] == []


def test_a_part_of_the_night_that_fails_ends_neither_the_others_nor_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setattr(
        nightly,
        "PARTS",
        {
            "bad": Part("fails", (sys.executable, "-c", "exit(3)")),
            "good": Part("passes", (sys.executable, "-c", f"open({str(seen)!r}, 'w')"), {"SOME": "thing"}),
        },
    )
    assert nightly.run(["bad", "good"]) == 1
    assert seen.exists()
    assert nightly.run(["good"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("ok", "FAILED"))] == [
        ["FAILED", "bad"], ["ok", "good"], ["ok", "good"],
    ]  # fmt: skip


def test_no_example_of_hypothesis_has_a_time_limit() -> None:
    assert settings().deadline is None
