from pathlib import Path

import pytest

from tools import ROOT
from tools.dev import configuration, variable_names
from tools.dev.variables import FOR_TESTS, OPEN


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CHAT_MODEL", None),
        ("CHAT_MDEL", "did you mean CHAT_MODEL?"),
        ("chat_model", "did you mean CHAT_MODEL?"),
        ("RATE_LIMIT", "did you mean RATE_LIMITS?"),
        ("WEATHER", "docs/configuration.md lists those that there are."),
    ],
)
def test_a_name_that_the_worker_does_not_know_brings_the_nearest(name: str, words: str | None) -> None:
    sentence = words and f"--var: {name} is no variable of aiworker; {words}"
    assert variable_names.complaint(["AUTH_MODE", name], "--var") == sentence


def test_the_names_that_the_project_sets_by_itself_are_known() -> None:
    own = configuration.read(ROOT / "wrangler.jsonc")
    local = configuration.open_on_localhost(configuration.with_simulators(own, "127.0.0.1:1"), "devbox")
    assert variable_names.complaint({**local["vars"], **FOR_TESTS, **OPEN}, "") is None


def test_names_are_read_as_wrangler_reads_them(tmp_path: Path) -> None:
    file = tmp_path / ".dev.vars"
    assert variable_names.in_file(file) == []
    file.write_text("# A=1\nexport B = 'one\nC=2\n'\n  D: \"E=3\" # F=4\nG=\nH=`I`\r\n\nno assignment\n")
    assert variable_names.in_file(file) == ["B", "D", "G", "H"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NAME=language:string year:number # of books\n", "language:string year:number"),
        ("A=1\nexport NAME=\"a b\"\nB='2'\n", "a b"),
        ("NAME='a # b'\n", "a # b"),
        ("NAME=a\nNAME=b\n", "b"),
        ("NAME=\n", ""),
        ("# NAME=a\nOTHER_NAME=b\n", None),
    ],
)
def test_a_value_is_read_from_a_file(tmp_path: Path, text: str, value: str | None) -> None:
    (tmp_path / ".dev.vars").write_text(text)
    assert variable_names.value_in_file(tmp_path / ".dev.vars", "NAME") == value
