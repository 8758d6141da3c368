"""`toMarkdown()`: the Markdown of each format, and its HTTP interface for the binding and the SDK."""

import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import cloudflare
import docx
import httpx
import openpyxl  # pyright: ignore[reportMissingModuleSource]
import pypdf
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas
from starlette.applications import Starlette

from workers_ai_simulator.markdown.conversion import transform
from workers_ai_simulator.markdown.formats import SUPPORTED
from workers_ai_simulator.markdown.models import InputFile
from workers_ai_simulator.markdown.routes import routes
from workers_ai_simulator.markdown.tables import MAX_CELLS
from workers_ai_simulator.traffic.traffic import Traffic

BINDING = "/to-everything/markdown"
REST = "/client/v4/accounts/any/ai/tomarkdown"


# ---- files -------------------------------------------------------------------------------------------------------


def pdf(*pages: str, title: str = "A report") -> bytes:
    content = io.BytesIO()
    canvas = Canvas(content)
    canvas.setTitle(title)
    for page in pages:
        canvas.drawString(72, 720, page)
        canvas.showPage()
    canvas.save()
    return content.getvalue()


def locked(content: bytes, password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(content))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def word(picture: bytes | None = None) -> bytes:
    document = docx.Document()
    document.add_heading("Minutes", 1)
    document.add_paragraph("We met ").add_run("briefly").bold = True
    document.add_paragraph("first", style="List Bullet")
    document.add_paragraph("second", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for place, text in enumerate(("Name", "Age", "Ada", "36")):
        table.cell(place // 2, place % 2).text = text
    if picture:
        document.add_picture(io.BytesIO(picture))
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()


def sheets(**tables: list[list[Any]]) -> bytes:
    book: Any = cast("Any", openpyxl).Workbook()
    book.remove(book.active)
    for title, rows in tables.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def picture(kind: str = "PNG", colour: str = "red") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 20), colour).save(content, kind)
    return content.getvalue()


def repacked(archive: bytes, name: str, part: bytes) -> bytes:
    """The archive with one part replaced."""
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.namelist():
            new.writestr(each, part if each == name else old.read(each))
    return content.getvalue()


def result(name: str, content: bytes | str, mime_type: str = "", **options: Any) -> dict[str, Any]:
    sent = content.encode() if isinstance(content, str) else content
    return transform([InputFile(name, mime_type, sent)], {"conversionOptions": options})[0]


def markdown(name: str, content: bytes | str, mime_type: str = "", **options: Any) -> str:
    converted = result(name, content, mime_type, **options)
    assert converted["format"] == "markdown", converted
    return str(converted["data"])


def error(name: str, content: bytes | str, mime_type: str = "", **options: Any) -> str:
    converted = result(name, content, mime_type, **options)
    assert converted["format"] == "error", converted
    assert "data" not in converted
    assert "tokens" not in converted
    return str(converted["error"])


# ---- documents ---------------------------------------------------------------------------------------------------


def test_a_pdf_has_its_name_its_metadata_and_its_pages() -> None:
    text = markdown("report.pdf", pdf("Hello from page one", "And from two"))
    lines = text.split("\n")
    assert lines[:3] == ["# report.pdf", "## Metadata", "- PDFFormatVersion=1.3"]
    assert {"- IsLinearized=false", "- IsAcroFormPresent=false", "- Title=A report"} <= set(lines)
    assert text.endswith("\n\n## Contents\n### Page 1\nHello from page one\n\n### Page 2\nAnd from two")


def test_the_metadata_of_a_pdf_can_be_left_out() -> None:
    text = markdown("report.pdf", pdf("Hello"), pdf={"metadata": False})
    assert text == "# report.pdf\n## Contents\n### Page 1\nHello"


LEFT = (
    "The ferry leaves the northern quay",
    "every morning at seven, and returns",
    "at noon when the tide allows it to",
)
RIGHT = (
    "enter the harbour. Tickets are sold",
    "in the office and on board. Children",
    "below six travel free of charge.",
)


def two_columns(rows: Sequence[tuple[str, str]], right: int = 320) -> bytes:
    """A page with a heading over two columns, whose lines are written from left to right."""
    file = io.BytesIO()
    canvas = Canvas(file)
    canvas.setFont("Helvetica", 10)
    canvas.drawString(72, 780, "A heading that stands over both of the columns of this page, and is longer than one")
    for number, texts in enumerate(rows):
        for x, text in zip((72, right), texts, strict=True):
            canvas.drawString(x, 750 - 14 * number, text)
    canvas.save()
    return file.getvalue()


def test_two_columns_of_a_pdf_are_read_one_after_the_other() -> None:
    lines = markdown("a.pdf", two_columns(list(zip(LEFT, RIGHT, strict=True)))).splitlines()
    assert [line for line in lines if line in (*LEFT, *RIGHT)] == [*LEFT, *RIGHT]
    assert lines.index(RIGHT[0]) == lines.index(LEFT[-1]) + 1
    assert any(line.startswith("A heading") for line in lines[: lines.index(LEFT[0])])


def test_columns_of_different_lengths_lose_nothing() -> None:
    rows = [*zip(LEFT, RIGHT, strict=True), ("", "A last line that only the right one has.")]
    text = " ".join(markdown("a.pdf", two_columns(rows)).split())
    assert " ".join((*LEFT, *RIGHT, rows[-1][1])) in text


def test_a_table_of_a_pdf_is_read_by_rows() -> None:
    cells = [("Pump", "12 bar"), ("Valve", "3 bar"), ("Fan", "none at all"), ("Hub", "5 V"), ("Lamp", "7 W")]
    text = " ".join(markdown("a.pdf", two_columns(cells)).split())
    assert " ".join(cell for row in cells for cell in row) in text


def test_a_pdf_that_needs_a_password_is_an_error_and_one_that_only_forbids_changes_is_not() -> None:
    assert "needs a password" in error("secret.pdf", locked(pdf("Hello"), "open sesame"))
    assert "Hello" in markdown("signed.pdf", locked(pdf("Hello"), ""))


def test_html_is_its_content_in_markdown() -> None:
    page = """<!doctype html><html><head><title>A page</title><meta name="description" content="About things">
        <style>p {color: red}</style></head><body><header>Logo</header><nav><a href="/x">Menu</a></nav>
        <h1>Title</h1><script>alert(1)</script><p>Some <b>bold</b> and <a href="https://example.com/a">a link</a>.</p>
        <ul><li>one<li>two<ul><li>inner</ul></ul>
        <pre><code class="language-py">x = 1\ny  = 2</code></pre>
        <table><tr><th>A<th>B<tr><td>1<td>2</table><footer>Imprint</footer></body></html>"""
    text = markdown("page.html", page)
    assert text.startswith(
        "---\ndescription: About things\ntitle: A page\n---\n\n# Title\n\nSome **bold** and [a link]("
    )
    assert "* one\n* two\n  + inner" in text.replace("  * inner", "  + inner")
    assert "```py\nx = 1\ny  = 2\n```" in text
    assert "| A | B |\n| --- | --- |\n| 1 | 2 |" in text
    for absent in ("alert", "color", "Logo", "Menu", "Imprint"):
        assert absent not in text


def test_paragraphs_without_end_tags_are_paragraphs() -> None:
    assert markdown("p.html", "<p>" + "<p>".join(f"number {n}" for n in range(300))).count("\n\n") == 299


def test_a_numbered_list_counts_from_its_start_however_long_it_is() -> None:
    text = markdown("list.html", "<ol start=9><li>nine<li>ten<p>more</ol>")
    assert text == "9. nine\n10. ten\n\n    more"
    assert markdown("long.html", f"<ol>{'<li>x' * 5000}</ol>").endswith("\n5000. x")


def test_a_selector_keeps_what_it_names_and_nothing_twice() -> None:
    page = "<p>out</p><div class=a>kept <div class=a>inner</div><nav>menu</nav></div>"
    text = markdown("page.html", page, html={"cssSelector": "div.a"})
    assert text.split() == ["kept", "inner", "menu"]
    assert markdown("page.html", page, html={"cssSelector": "article"}) == ""
    assert "cssSelector is not valid" in error("page.html", page, html={"cssSelector": "div["})


@pytest.mark.parametrize(
    ("head", "hostname", "address"),
    [
        ("", None, "/b"),
        ("", "example.com", "https://example.com/b"),
        ("", "http://example.com/a/", "http://example.com/b"),
        ('<base href="https://other.org/x/">', None, "https://other.org/b"),
        ("", "http://[", "/b"),
    ],
)
def test_links_are_resolved(head: str, hostname: str | None, address: str) -> None:
    options: dict[str, Any] = {"html": {"hostname": hostname}} if hostname else {}
    assert markdown("page.html", f'{head}<p><a href="/b">go</a>', **options) == f"[go]({address})"


def test_json_ld_comes_last_and_broken_json_ld_not_at_all() -> None:
    start = '<script type="application/ld+json">'
    page = f'{start}{{"@type": "Thing"}}</script><p>Text{start}{{</script>'
    assert markdown("page.html", page) == 'Text\n\n```json\n{"@type":"Thing"}\n```'


def test_pictures_in_a_page_are_described_on_request_only_and_never_fetched() -> None:
    data = base64.b64encode(picture()).decode()
    page = f'<p>Look:</p><img src="data:image/png;base64,{data}"><img src="http://127.0.0.1:1/x.png">' * 3
    assert markdown("page.html", page) == "Look:\n\nLook:\n\nLook:"
    text = markdown("page.html", page, html={"images": {"convert": True, "maxConvertedImages": 2}})
    assert text.count("[simulated] A landscape PNG image of 40x20 pixels, mostly red") == 2


@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        ("<p>café".encode(), ""),
        ("\ufeff<p>café".encode("utf-16-le"), ""),
        ("<meta charset=iso-8859-1><p>café".encode("cp1252"), ""),
        ('<meta http-equiv=x content="text/html; charset=windows-1252"><p>café'.encode("cp1252"), ""),
        ("<p>café".encode("cp1252"), "text/html; charset=windows-1252"),
        ("<meta charset=unicode_escape><p>café".encode(), ""),
        ("<meta charset=windows-9999><p>café".encode(), ""),
    ],
)
def test_encodings_are_detected(content: bytes, mime_type: str) -> None:
    assert markdown("page.html", content, mime_type).endswith("café")


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert markdown("page.html", b"<p>caf\xe9 is open") == "caf\ufffd is open"


def test_elements_nested_five_thousand_deep_keep_their_text() -> None:
    assert markdown("deep.html", "<p>top</p>" + "<div>" * 5000 + "the <b>bottom</b>" + "</div>" * 5000).split() == [
        "top",
        "the",
        "bottom",
    ]


def test_a_cell_that_spans_a_million_columns_does_not() -> None:
    assert len(markdown("wide.html", "<table><tr><td colspan=1000000>a</table>")) < 100


def test_a_word_document_keeps_its_structure() -> None:
    text = markdown("minutes.docx", word())
    assert text.startswith("# Minutes\n\nWe met **briefly**\n\n* first\n* second\n\n")
    assert "Name" in text.split("| ")[1]
    assert "| Ada | 36 |" in text


def test_pictures_in_a_word_document_are_described_on_request() -> None:
    document = word(picture(colour="blue"))
    assert "simulated" not in markdown("minutes.docx", document)
    assert "mostly blue" in markdown("minutes.docx", document, docx={"images": {"convert": True}})


@pytest.mark.parametrize("name", ["book.xlsx", "book.xlsm", "BOOK.XLSX"])
def test_a_workbook_is_a_heading_and_a_table_for_each_sheet(name: str) -> None:
    text = markdown(name, sheets(Prices=[["item", "a|b"], ["tea", 2.5], [None, None], [None, True]], Empty=[]))
    assert text == (f"# {name}\n\n## Prices\n\n| item | a\\|b |\n| --- | --- |\n| tea | 2.5 |\n|  | True |\n\n## Empty")


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ("a,b\n1,2\n", "| a | b |"),
        ("a;b\n1,5;2,5\n", "| a | b |"),
        ("a\tb\n1\t2\n", "| a | b |"),
        ('"a, b",c\r\n"x ""y""\nz",2\r\n', "| a, b | c |"),
        ("alone\nvalue\n", "| alone |"),
        ("\ufeffa,b\n1,2\n", "| a | b |"),
    ],
)
def test_csv_is_a_table_whatever_its_delimiter(content: str, header: str) -> None:
    assert markdown("data.csv", content, "application/vnd.ms-excel").split("\n")[0] == header


def test_xml_is_kept_as_code() -> None:
    assert markdown("feed.xml", "<a><b>1</b></a>\n") == "```xml\n<a><b>1</b></a>\n```"


# ---- pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("extension", "kind"), [("jpg", "JPEG"), ("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
def test_a_picture_is_described_and_says_that_it_is_simulated(extension: str, kind: str) -> None:
    text = markdown(f"cat.{extension}", picture(kind))
    assert text.startswith(f"[simulated] A landscape {kind} image of 40x20 pixels, mostly red")


def test_the_language_of_a_description_is_mentioned() -> None:
    assert "Spanish" in markdown("cat.png", picture(), image={"descriptionLanguage": "es"})
    assert "“es”" in markdown("cat.svg", "<svg/>", image={"descriptionLanguage": "es"})


def test_an_svg_is_described_by_its_size_and_words() -> None:
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 12"><title>A house</title><path/><text>Hi</text></svg>'
    )
    text = markdown("house.svg", drawing)
    assert text == "[simulated] An SVG drawing of 24 by 12 with 3 elements. Its words: “A house”, “Hi”."


# ---- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.xlsx", "a.png", "a.svg", "a.xml"])
def test_a_corrupt_or_empty_file_is_an_error(name: str) -> None:
    assert error(name, b"\x00\x01 this is none of it")
    assert error(name, b"PK\x03\x04" + bytes(100))
    assert error(name, b"") == "The file is empty"


@pytest.mark.parametrize("content", [pdf("Hello")[:300], word()[:2000], sheets(a=[[1]])[:2000], picture()[:60]])
def test_half_a_file_is_an_error(content: bytes) -> None:
    extension = {b"%P": "pdf", b"PK": "docx", b"\x89P": "png"}[content[:2]]
    assert error(f"half.{extension}", content)


@pytest.mark.parametrize("extension", ["odt", "ods", "numbers", "xls", "xlsb", "et"])
def test_formats_that_are_not_simulated_are_an_error(extension: str) -> None:
    assert f".{extension}" in [each["extension"] for each in SUPPORTED]
    assert "not simulated" in error(f"file.{extension}", b"anything")


@pytest.mark.parametrize(("name", "mime_type"), [("note.txt", "text/plain"), ("film.mp4", "video/mp4"), ("file", "")])
def test_a_type_that_upstream_does_not_list_is_an_error(name: str, mime_type: str) -> None:
    assert (mime_type or "unknown") in error(name, b"anything", mime_type)


@pytest.mark.parametrize(
    ("name", "mime_type", "detected"),
    [
        ("page.html", "", "text/html"),
        ("page.html", "application/octet-stream", "text/html"),
        ("page.htm", "text/plain", "text/html"),
        ("page", "text/html; charset=utf-8", "text/html"),
        ("page.php", "TEXT/HTML", "text/html"),
    ],
)
def test_the_type_is_that_of_the_name_else_the_declared_one(name: str, mime_type: str, detected: str) -> None:
    converted = result(name, "<p>Hi", mime_type)
    assert (converted["mimeType"], converted["data"]) == (detected, "Hi")


def test_one_failure_leaves_the_other_results_alone() -> None:
    files = [InputFile("a.html", "", b"<p>a"), InputFile("b.pdf", "", b"no"), InputFile("c.html", "", b"<p>c")]
    results = transform(files, {})
    assert [each["format"] for each in results] == ["markdown", "error", "markdown"]
    assert [each["name"] for each in results] == ["a.html", "b.pdf", "c.html"]
    assert len({each["id"] for each in results}) == 3


@pytest.mark.parametrize(("name", "part"), [("a.docx", "word/document.xml"), ("a.xlsx", "xl/workbook.xml")])
def test_archives_that_unpack_to_too_much_are_refused(name: str, part: str) -> None:
    whole = word() if name == "a.docx" else sheets(a=[[1]])
    bomb = repacked(whole, part, bytes(101 * 1024 * 1024))
    assert len(bomb) < 1_000_000
    assert "100 MB unpacked" in error(name, bomb)


ENTITY = '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]>'


def test_entities_are_refused_wherever_xml_is_read() -> None:
    document = repacked(word(), "word/document.xml", f"<?xml version='1.0'?>{ENTITY}<a>&e;</a>".encode())
    assert "entities" in error("a.docx", document)
    assert "entities" in error("a.xml", f"{ENTITY}<a>&e;</a>")
    assert "entities" in error("a.svg", f"{ENTITY}<svg><text>&e;</text></svg>")


def test_a_workbook_with_a_password_is_an_error() -> None:
    assert "encrypted" in error("a.xlsx", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(1000))


def test_too_many_cells_are_an_error() -> None:
    assert "cells" in error("a.csv", ",".join("x" * 1000) + "\n" + "a\n" * (MAX_CELLS // 1000))
    assert "cells" in error("a.csv", "a,b\n" * (MAX_CELLS // 2 + 1))
    assert "cells" in error("a.xlsx", sheets(a=[[None] * 16_000 + [1]] * 32))


# ---- options -----------------------------------------------------------------------------------------------------


def test_plain_text_has_no_markup() -> None:
    page = "<h2>Title</h2><p>A <b>bold</b> <a href='/x'>link</a>, 2 * 3<ul><li>one</ul><table><tr><th>A<th>B</table>"
    converted = result("page.html", page, output={"format": "text"})
    assert converted["format"] == "text"
    assert converted["data"].split("\n\n") == ["Title", "A bold link, 2 * 3", "one", "A\tB"]
    assert converted["tokens"] < result("page.html", page)["tokens"]


@pytest.mark.parametrize("options", [{"html": None}, {"html": []}, {"pdf": "x"}, {"output": {"format": 3}}])
def test_malformed_options_are_ignored(options: dict[str, Any]) -> None:
    assert markdown("page.html", "<p>Hi", **options) == "Hi"


# ---- the wire ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=routes(Traffic())))
    async with httpx.AsyncClient(transport=transport, base_url="https://workers-binding.ai") as client:
        yield client


def sent(name: str, content: bytes, mime_type: str) -> dict[str, str]:
    """A file, as the `ToMarkdownService` class sends it."""
    return {"name": name, "mimeType": mime_type, "data": base64.b64encode(content).decode()}


async def test_the_binding_gets_a_result_for_each_file(client: httpx.AsyncClient) -> None:
    body = {
        "files": [sent("a.html", b"<h1>Hi</h1>", "text/html"), sent("b.pdf", b"no", "application/pdf")],
        "options": {"conversionOptions": {"output": {"format": "text"}}, "extraHeaders": {}},
    }
    response = await client.post(f"{BINDING}/transformer", json=body)
    assert response.status_code == 200
    first, second = response.json()["result"]
    assert first == {
        "id": first["id"],
        "name": "a.html",
        "mimeType": "text/html",
        "format": "text",
        "tokens": 1,
        "data": "Hi",
    }
    assert {**second, "error": ""} == {
        "id": second["id"],
        "name": "b.pdf",
        "mimeType": "application/pdf",
        "format": "error",
        "error": "",
    }


async def test_the_binding_may_send_no_options_and_no_files(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{BINDING}/transformer", json={"files": []})
    assert response.json()["result"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 3003),
        (b"[]", 3003),
        (b'{"files": {}}', 3003),
        (b'{"files": ["x"]}', 3003),
        (b'{"files": [{"name": 1, "data": ""}]}', 3003),
        (b'{"files": [], "options": []}', 3003),
        (b'{"files": [{"name": "a.html", "data": "***"}]}', 5004),
        (b'{"files": [{"name": "a.html", "data": null}]}', 5006),
    ],
)
async def test_the_binding_gets_errors_from_which_it_can_throw(
    client: httpx.AsyncClient, body: bytes, code: int
) -> None:
    response = await client.post(f"{BINDING}/transformer", content=body)
    assert response.status_code == 400
    assert [each["code"] for each in response.json()["errors"]] == [code]
    assert response.json()["errors"][0]["message"]


async def test_unpaired_surrogates_in_a_name_or_a_file_do_not_fail(client: httpx.AsyncClient) -> None:
    page = b'<script type="application/ld+json">"a\\ud800"</script>'
    body = {"files": [sent("a\ud800.html", page, "text/html"), sent("b.\ud800", b"x", "\ud800")]}
    response = await client.post(f"{BINDING}/transformer", content=json.dumps(body))
    first, second = response.json()["result"]
    assert (first["name"], first["data"]) == ("a?.html", '```json\n"a?"\n```')
    assert (second["name"], second["format"]) == ("b.?", "error")


@pytest.mark.parametrize("path", [f"{BINDING}/supported", f"{REST}/supported"])
async def test_supported_lists_what_upstream_lists(client: httpx.AsyncClient, path: str) -> None:
    formats = (await client.get(path)).json()["result"]
    assert {"extension": ".pdf", "mimeType": "application/pdf"} in formats
    assert len(formats) == 19


async def test_the_rest_api_takes_a_form(client: httpx.AsyncClient) -> None:
    files = [("files", ("a.html", b"<a href='/x'>go</a>", "text/html")), ("files", ("c.csv", b"a,b", "text/csv"))]
    options = json.dumps({"html": {"hostname": "example.com"}})
    response = await client.post(REST, files=files, data={"conversionOptions": options})
    assert response.json()["success"] is True
    assert [each["data"] for each in response.json()["result"]] == [
        "[go](https://example.com/x)",
        "| a | b |\n| --- | --- |",
    ]


@pytest.mark.parametrize(
    "request_parts",
    [
        {"json": {}},
        {"data": {"files": "text"}},
        {"files": {"other": b"x"}},
        {"files": {"files": ("a.html", b"x")}, "data": {"conversionOptions": "no JSON"}},
        {"files": {"files": ("a.html", b"x")}, "data": {"conversionOptions": "[]"}},
        {"content": b"--x", "headers": {"content-type": "multipart/form-data; boundary=y"}},
        {"content": b"--x", "headers": {"content-type": "multipart/form-data"}},
    ],
)
async def test_the_rest_api_refuses_other_bodies(client: httpx.AsyncClient, request_parts: dict[str, Any]) -> None:
    response = await client.post(REST, **request_parts)
    assert (response.status_code, response.json()["success"]) == (400, False)
    assert response.json()["errors"][0]["code"] == 3003


async def test_the_official_python_library_reads_the_formats() -> None:
    # its transform() is not tested: in 5.9.0 it fails before it sends the request
    http_client = httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=routes(Traffic()))))
    base_url = "https://simulator/client/v4"
    async with cloudflare.AsyncCloudflare(api_token="any", base_url=base_url, http_client=http_client) as sdk:
        formats = {each.extension: each.mime_type async for each in sdk.ai.to_markdown.supported(account_id="any")}
    assert formats[".html"] == "text/html"
