"""docs/access.md: every promise names the tests that keep it, and these tests exist."""

import re

import pytest

from tools import ROOT

ROW = re.compile(r"^\| (?P<promise>.+?) +\| (?P<tests>`.*`) +\|$", re.MULTILINE)
_, _, PROMISES = (ROOT / "docs/access.md").read_text().partition("## What is promised")
ROWS = [(row["promise"], re.findall(r"`([^`]+)`", row["tests"])) for row in ROW.finditer(PROMISES)]


def is_defined(source: str, name: str) -> bool:
    """Whether a test file has a test of this name: a Python function, or the title of one of Node's tests."""
    return re.search(rf'^(async )?def {re.escape(name)}\(|^test\("{re.escape(name)}"', source, re.MULTILINE) is not None


def test_every_line_of_the_tables_is_read() -> None:
    lines = [line for line in PROMISES.splitlines() if line.startswith("|")]
    heads = [line for line in lines if re.fullmatch(r"\|( -+ \|)+", line)]
    assert len(ROWS) == len(lines) - 2 * len(heads) > 30


@pytest.mark.parametrize(("promise", "tests"), ROWS, ids=[promise[:60] for promise, _ in ROWS])
def test_the_tests_of_a_promise_exist(promise: str, tests: list[str]) -> None:
    assert tests
    for test in tests:
        file, _, name = test.partition("::")
        assert is_defined((ROOT / file).read_text(), name), f"{promise}: there is no test {test}"
