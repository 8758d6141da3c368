"""The set-up: what it says while a step takes long."""

import time

import pytest

from tools.setup import install


def test_a_step_that_takes_long_is_spoken_of_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "FIRST_SECONDS", 0.02)
    with install.progress("npm packages"):
        time.sleep(0.1)
    assert capsys.readouterr().err.splitlines() == [
        "npm packages …", "npm packages … 0 s", "npm packages: done in 0.1 s",
    ]  # fmt: skip
