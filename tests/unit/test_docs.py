"""Documents that repeat what the code says must say the same."""

import re
from pathlib import Path

import pytest

from tools import ROOT
from tools.docs import links, openapi, parameters, site, tables
from tools.docs.markdown import table


def test_the_description_of_the_api_is_what_the_code_says() -> None:
    assert openapi.is_current(), "public/openapi.json is stale: run scripts/check"


def test_the_tables_are_what_the_code_says() -> None:
    assert not tables.stale(), "tables of docs/ are stale: run scripts/check"


def test_every_table_stands_in_one_place() -> None:
    texts = [file.read_text() for file in (*tables.DOCS.glob("*.md"), tables.SIMULATOR / "README.md")]
    assert sorted(region[1] for text in texts for region in tables.REGION.finditer(text)) == sorted(tables.TABLES)


def test_a_stale_table_is_named_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("Before.\n\n<!-- table: errors -->\nold\n<!-- end of table -->\n\nAfter.\n")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "DOCS", tmp_path)
    assert tables.main(["--check"]) == 1
    assert "page.md" in capsys.readouterr().out
    assert tables.main([]) == 0
    assert tables.main(["--check"]) == 0
    text = page.read_text()
    assert text.startswith("Before.\n\n<!-- table: errors -->\n\n| Status | `type`")
    assert text.endswith("|\n\n<!-- end of table -->\n\nAfter.\n")


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        tables.updated("<!-- table: nothing -->\n<!-- end of table -->\n")


def test_a_table_leaves_out_columns_without_cells_and_escapes_bars() -> None:
    assert table(("A", "B", "C"), [("1", "", "x|y"), (12, "", "z\n")]) == (
        "| A   | C    |\n| --- | ---- |\n| 1   | x\\|y |\n| 12  | z    |\n"
    )


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 2_000}, "text (1 to 2,000 characters)"),
        ({"type": ["number", "null"], "minimum": 0}, "number (0 or more); or `null`"),
        ({"type": "array", "maxItems": 3, "items": {"type": "integer"}}, "list (up to 3) of whole number"),
        (
            {"type": "array", "items": {"anyOf": [{"type": "string"}, {"const": 1}]}},
            "list of (text; or `1`)",
        ),
        ({"enum": ["a", 2, None], "type": ["string", "number", "null"]}, "`a`, `2`, `null`"),
        ({"type": "string", "format": "binary"}, "file"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "text like `^[a-z]+$`"),
        ({}, "anything"),
        ({"$ref": "#/components/schemas/Stages"}, "[Stages](#stages)"),
    ],
)
def test_a_schema_in_words(schema: parameters.Json, words: str) -> None:
    assert parameters.accepted(schema) == words


MARKDOWN = sorted(
    str(file.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "packages/*/*.md", "packages/*/examples/*/*.md", "examples/*/*.md")
    for file in ROOT.glob(pattern)
)


@pytest.mark.parametrize("page", MARKDOWN)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    assert links.problems(page) == []


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (
        "# One `two`: three\n\n[a](page.md#one-two-three) [b](#one) [c](../docs/none.md) [d](https://example.com/x)"
        "\n\n```md\n[e](none.md)\n```\n\n`[f](none.md)` ![g](none.png)\n"
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text(page)
    monkeypatch.setattr(links, "ROOT", tmp_path)
    assert [line.rpartition(" ")[2] for line in links.problems("docs/page.md")] == [
        "([b](#one))", "([c](../docs/none.md))", "(![g](none.png))",
    ]  # fmt: skip


def test_every_page_is_in_the_navigation_of_the_site_once() -> None:
    assert sorted(page for _, page in site.navigation()) == sorted(site.sources())


def test_a_page_of_the_site_links_to_pages_and_to_the_repository(tmp_path: Path) -> None:
    site.stage(tmp_path / "site", "https://example.com/repository")
    start = (tmp_path / "site/docs/index.md").read_text()
    assert "](tutorial.md)" in start
    assert "](console.png)" in start
    assert "](simulator.md)" in start
    assert "listed in [API and errors](api.md)," in (tmp_path / "site/docs/troubleshooting.md").read_text()
    assert "](https://example.com/repository/packages)" in start
    assert (
        "[src/aiworker/tools.py](https://example.com/repository/src/aiworker/tools.py)"
        in (tmp_path / "site/docs/tools.md").read_text()
    )
    assert "functions of src/aiworker/tools.py, which" in site.Site.make(None).page(
        "tools.md"
    )  # no repository is known
    assert (tmp_path / "site/docs/console.png").exists()
    assert 'src="mermaid.tiny.js"' in (tmp_path / "site/docs/architecture.md").read_text()
    assert "mermaid" not in start


CODE = re.sub(
    r'"\s*\n\s*f?"', "",
    "".join(
        file.read_text()
        for folder in ("src", "tools", "scripts", "packages/offline-python-workers/src")
        for file in sorted((ROOT / folder).rglob("*"))
        if file.suffix in ("", ".py", ".cjs", ".mjs") and file.is_file()
    ),
)  # fmt: skip
"""The program's text, with texts that go on in the next line in one piece."""


def test_sentences_of_troubleshooting_are_the_program_s() -> None:
    rows = re.findall(r"^\| `([^`]+)`[^|]*\|", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
    sentences = [row for row in rows if row != "blocked by CORS policy"]  # the browser's
    assert len(sentences) > 20
    pieces = {piece.strip() for sentence in sentences for piece in sentence.split("…")}
    assert sorted(piece for piece in pieces if piece not in CODE) == []


GUIDES = ("CONTRIBUTING.md", "AGENTS.md")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)\)")
PATH = re.compile(r"(?<![\w./])((?:src|packages|tools|tests|scripts|docs|public|migrations)/[\w./-]*\w)")
COMMAND = re.compile(r"^(scripts/\w+)(?: (--[\w-]+))?|`(scripts/\w+) (--[\w-]+)", re.MULTILINE)
MODULE = re.compile(r"python -m ([\w.]+)")


@pytest.mark.parametrize("guide", GUIDES)
def test_paths_that_a_guide_names_exist(guide: str) -> None:
    prose = FENCE.sub("", (ROOT / guide).read_text())
    paths = {*LINK.findall(prose), *PATH.findall(prose)}
    assert len(paths) > 3
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("guide", GUIDES)
def test_commands_that_a_guide_names_exist(guide: str) -> None:
    text = (ROOT / guide).read_text()
    commands = {(match[1] or match[3], match[2] or match[4] or "") for match in COMMAND.finditer(text)}
    assert ("scripts/test", "--fast") in commands
    for script, option in commands:
        assert option in (ROOT / script).read_text(), f"{script} {option}"
    for module in MODULE.findall(text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module


@pytest.mark.parametrize("guide", GUIDES)
def test_the_readme_links_to_the_guides(guide: str) -> None:
    assert f"]({guide})" in (ROOT / "README.md").read_text()
