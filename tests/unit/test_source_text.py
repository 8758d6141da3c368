"""Files of kinds that need care: names, code, pages of PDFs."""

import pytest

from aiworker.rag import file_kinds
from aiworker.rag.chunk import chunks
from aiworker.rag.source_text import fenced, with_page_headings

PDF = """# report.pdf
## Metadata
- PDFFormatVersion=1.3
- Title=A report
- xmp:Creator=Somebody

## Contents
### Page 1
Ferries leave at seven.
# Prices
Twelve coins.

### Page 2

### Page 3
The end."""


def whole(markdown: str) -> str:
    return with_page_headings(markdown, "a.pdf", is_first=True, is_last=True)


def test_each_page_of_a_pdf_has_the_file_s_name_and_its_number_as_heading_and_metadata_is_no_passage() -> None:
    passages = list(chunks(with_page_headings(PDF, "Annual  report.pdf", is_first=True, is_last=True)))
    assert [each.heading for each in passages] == ["Annual report.pdf › Page 1", "Annual report.pdf › Page 3"]
    text = "\n".join(each.text for each in passages)
    assert "Twelve coins" in text
    assert "PDFFormatVersion" not in text
    assert "Metadata" not in text


def test_markdown_without_pages_is_kept() -> None:
    assert whole("# A\n\nText.") == "# A\n\nText."
    assert whole("An introduction.\n### Page 1\nText.").startswith("An introduction.")


def test_code_has_no_headings_and_stays_together() -> None:
    code = '# a comment\n\ndef f():\n    """```\n    doc\n    ```"""\n\n# another\nx = 1\n'
    [passage] = chunks(fenced(code, "python"))
    assert passage.heading == ""
    assert code.strip() in passage.text
    assert passage.text.startswith("````python\n")


@pytest.mark.parametrize(
    ("name", "declared", "kind"),
    [
        ("a.py", "application/octet-stream", "text/x-python"),
        ("a.ts", "video/mp2t", "text/typescript"),
        ("README.MD", "", "text/markdown"),
        ("server.log", "", "text/plain"),
        ("a.rst", "", "text/x-rst"),
        ("a.json", "", "application/json"),
        ("a.yml", "", "application/yaml"),
        ("pyproject.toml", "", "application/toml"),
        ("data", "text/csv", "text/csv"),
        ("a.unknown", "application/pdf", "application/pdf"),
        ("a", "application/x-unknown", None),
        *((f"a{extension}", "application/octet-stream", None) for extension in (".pptx", ".epub", ".eml", ".exe")),
    ],
)
def test_a_kind_is_that_of_the_extension_else_the_declared_one(name: str, declared: str, kind: str | None) -> None:
    assert file_kinds.media_type(name, declared, b"%PDF-1.4") == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.4", file_kinds.PDF),
        (b"\n <!DOCTYPE HTML><p>", file_kinds.HTML),
        (b"\x89PNG\r\n\x1a\n\0", "image/png"),
        (b"PK\x03\x04\0[Content_Types].xml word/document.xml", file_kinds.EXTENSIONS[".docx"]),
        (b"PK\x03\x04\0ppt/slides", None),
        (b"MIT License", "text/plain"),
        ("Fähre".encode("utf-16"), "text/plain"),
        (b"\x7fELF\x02\0", None),
    ],
)
@pytest.mark.parametrize(("name", "declared"), [("", ""), ("blob", "application/octet-stream"), ("LICENSE", "")])
def test_the_kind_of_a_file_without_an_extension_is_that_of_its_bytes(
    head: bytes, kind: str | None, name: str, declared: str
) -> None:
    assert file_kinds.media_type(name, declared, head) == kind


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("Annual report.PDF", file_kinds.PDF, "Annual report.PDF"),
        ("page.htm", file_kinds.HTML, "page.htm"),
        ("", file_kinds.PDF, "doc.pdf"),
        ("data", file_kinds.CSV, "data.csv"),
        ("a.txt", file_kinds.CSV, "a.txt.csv"),
        ("../../etc/a\n<b>.pdf", file_kinds.PDF, "etc a b .pdf"),
        ("x" * 300 + ".pdf", file_kinds.PDF, "x" * 196 + ".pdf"),
    ],
)
def test_a_converter_is_told_the_file_s_own_name(name: str, kind: str, expected: str) -> None:
    assert file_kinds.conversion_name(name, kind, "doc") == expected


def test_a_page_that_goes_on_in_the_next_segment_keeps_its_heading() -> None:
    first = with_page_headings("Intro.\n\n### Page 1\n\n", "a.pdf", is_first=True, is_last=False)
    assert first == "Intro.\n\n# a.pdf › Page 1\n\n"
    rest = with_page_headings("## Sea\n\nText.\n\n### Page 2\n\n", "a.pdf", is_first=False, is_last=True)
    assert rest == "### Sea\n\nText."
