"""The check of identifiers and docstrings: tools/check/words.py."""

import json
from pathlib import Path

import pytest

from tools.check import words


def check(root: Path, text: str, allowed: dict[str, str] | None = None, name: str = "src/module.py") -> list[str]:
    """Complaints about a checkout whose only file has this text."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return words.without_allowed(words.refusals(root), allowed or {})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("given = 1", "given"),
        ("_heard: int = 1", "_heard"),
        ("def function(asked: int) -> None: ...", "asked"),
        ("for said in []: ...", "said"),
        ("with open('x') as told: ...", "told"),
        ("all(found for found in [])", "found"),
        ("(found := 1)", "found"),
        ("self.held.found = 1", "found"),
        ("match 1:\n    case found: ...", "found"),
        ("try: ...\nexcept ValueError as given: ...", "given"),
        ("ASKED = 1", "ASKED"),
        ("MOST_TRIES = 1", "MOST_TRIES"),
        ("_LONGEST_LINE = 1", "_LONGEST_LINE"),
        ("LARGEST = 1", "LARGEST"),
        ("DEEPEST_LEVEL = 1", "DEEPEST_LEVEL"),
        ("def forget_document() -> None: ...", "forget_document"),
        ("async def _give_up() -> None: ...", "_give_up"),
        ("def the_bucket() -> None: ...", "the_bucket"),
        ("def by_meaning_of() -> None: ...", "by_meaning_of"),
        ("def test_what_is_no_json() -> None: ...", "test_what_is_no_json"),
        ("class OpaqueValue: ...", "OpaqueValue"),
        ("class KeptImages: ...", "KeptImages"),
        ("class _ClientLeft: ...", "_ClientLeft"),
        ("class Charge: ...", "Charge"),
    ],
)
def test_a_name_is_refused(tmp_path: Path, text: str, name: str) -> None:
    (complaint,) = check(tmp_path, text)
    where, _, instead = complaint.partition(" -> ")
    file, line, refused = where.split(":")
    assert (file, refused) == ("src/module.py", f" {name}")
    assert 1 <= int(line) <= 2
    assert instead


@pytest.mark.parametrize(
    "text",
    [
        "not_found = 1",
        "longest = 1",
        "markdown = 1",
        "MAX_TRIES = 1",
        "def mark_deleted() -> None: ...",
        "def theme() -> None: ...",
        "def test_whatever_passes() -> None: ...",
        "class Charged: ...",
        "print(given)",
        '"""Offers what is asked."""',
        '"""Whether the caller may send it."""',
        '"""Asset that is served."""',
        '"""Sound of a voice."""',
    ],
)
def test_an_ordinary_name_or_docstring_passes(tmp_path: Path, text: str) -> None:
    assert check(tmp_path, text) == []


@pytest.mark.parametrize("start", ["Of each", "So many", "That all", "What it", "As of", "Likewise", "Whether it is"])
def test_a_docstring_that_begins_as_a_fragment_is_refused(tmp_path: Path, start: str) -> None:
    text = f'VALUE = 1\n"""{start} bytes."""\n'
    (complaint,) = check(tmp_path, text)
    assert complaint.startswith(f"src/module.py:2: {start}")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("const asked = 1;", "asked"),
        ("let { options: given = {}, ...rest } = f();", "given"),
        ("for (const [heard] of all) use(heard);", "heard"),
        ("export async function giveUp() {}", "giveUp"),
        ("function* pieces(told, size = 3) {}", "told"),
        ("class KeptImages {}", "KeptImages"),
        ("class List {\n  async #forget(id) {}\n}", "#forget"),
        ("class List {\n  size(said: string): number {\n  }\n}", "said"),
        ("f((found) => 1);", "found"),
        ("f(async (one, { found }) => 1);", "found"),
        ("f(found => 1);", "found"),
        ("try {} catch (given) {}", "given"),
        ("const LONGEST_LINE = 80;", "LONGEST_LINE"),
        ("/** What it sends. */\nconst value = 1;", "What it sends."),
        ("/**\n * Of each item.\n */\nconst value = 1;", "Of each item."),
    ],
)
def test_a_name_in_javascript_is_refused(tmp_path: Path, text: str, name: str) -> None:
    (complaint,) = check(tmp_path, text, name="public/module.ts")
    assert complaint.partition(" -> ")[0].partition(": ")[2] == name.strip("#")


@pytest.mark.parametrize(
    "text",
    [
        "// const asked = 1;",
        "/* function giveUp() {} */",
        "const text = 'const asked = 1';",
        'const text = "function giveUp() {}";',
        "const text = `let told = ${value}`;",
        "const pattern = /let asked = 1/;",
        "if (found(value)) {}",
        "return asked.length;",
        "/** Sends what is given. */\nconst value = 1;",
    ],
)
def test_javascript_without_such_a_name_passes(tmp_path: Path, text: str) -> None:
    assert check(tmp_path, text, name="public/module.ts") == []


def test_code_that_others_wrote_is_not_read(tmp_path: Path) -> None:
    assert check(tmp_path, "const asked = 1;", name="public/vendor/module.js") == []


@pytest.mark.parametrize("name", ["utils", "helpers", "common", "manager"])
def test_a_module_without_a_concept_is_refused(tmp_path: Path, name: str) -> None:
    (complaint,) = check(tmp_path, "", name=f"tools/{name}.py")
    assert complaint.startswith(f"tools/{name}.py:1: {name} -> ")


def test_programs_without_a_suffix_are_read_and_hidden_folders_are_not(tmp_path: Path) -> None:
    assert len(check(tmp_path, "#!/usr/bin/env python3\ngiven = 1\n", name="scripts/run")) == 1
    assert len(check(tmp_path, "given = 1\n", name="tests/.cache/module.py")) == 1


def test_a_file_that_cannot_be_parsed_is_reported(tmp_path: Path) -> None:
    (complaint,) = check(tmp_path, "value = 1\ndef (\n")
    assert complaint.startswith("src/module.py:2: ")


def test_an_entry_with_a_reason_allows_a_name(tmp_path: Path) -> None:
    assert check(tmp_path, "given = 1", {"src/module.py: given": "the name of a statute"}) == []


def test_an_entry_without_a_reason_is_refused(tmp_path: Path) -> None:
    (complaint,) = check(tmp_path, "given = 1", {"src/module.py: given": " "})
    assert "give the reason" in complaint


def test_a_stale_entry_is_refused(tmp_path: Path) -> None:
    (complaint,) = check(tmp_path, "value = 1", {"src/module.py: given": "the name of a statute"})
    assert "remove the entry" in complaint


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    names = [f"the_{number}" for number in range(words.MAX_ALLOWED + 1)]
    text = "\n".join(f"def {name}() -> None: ..." for name in names)
    (complaint,) = check(tmp_path, text, {f"src/module.py: {name}": "reason" for name in names})
    assert "26 entries" in complaint


def test_the_program_prints_complaints_and_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    allowed = tmp_path / "allowed.json"
    allowed.write_text(json.dumps({}))
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr(words, "ALLOWED", allowed)
    check(tmp_path, "given = 1")
    assert words.main([]) == 1
    assert "src/module.py:1: given -> " in capsys.readouterr().out
    assert words.main(["--count"]) == 0
    assert capsys.readouterr().out.split() == ["1", "src"]
    check(tmp_path, "value = 1")
    assert words.main([]) == 0
