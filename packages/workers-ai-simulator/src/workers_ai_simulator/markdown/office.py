"""DOCX and XLSX: zip archives of XML, which are looked at before they are unpacked."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any, cast

import mammoth  # pyright: ignore[reportMissingTypeStubs]
import openpyxl  # pyright: ignore[reportMissingModuleSource]

from workers_ai_simulator.markdown.html import html_to_markdown
from workers_ai_simulator.markdown.pictures import Embedded
from workers_ai_simulator.markdown.source import SentFile, Unconvertible, section
from workers_ai_simulator.markdown.tables import MOST_CELLS, table
from workers_ai_simulator.markdown.xml import check_xml

MOST_UNPACKED = 100 * 1024 * 1024
"""Bytes of all parts of a file together; this simulator's own bound. Upstream documents none."""

ENCRYPTED = bytes.fromhex("d0cf11e0a1b11ae1")
"""How OLE containers begin: what Office saves with a password, and the formats before 2007."""


def convert_docx(file: SentFile, options: dict[str, Any]) -> str:
    """Headings, paragraphs, lists, tables, links; embedded pictures if `docx.images.convert`.

    Raises Unconvertible for a file that is no archive, encrypted, too large, or not safe to read; what mammoth raises
    for one that is no DOCX.
    """
    _check_archive(file.content)
    result: Any = cast("Any", mammoth).convert_to_html(io.BytesIO(file.content))
    return html_to_markdown(str(result.value), Embedded(section(options, "docx", "images")))


def convert_xlsx(file: SentFile, _: dict[str, Any]) -> str:
    """A heading and a table for each sheet, with the values that were last computed.

    Raises as convert_docx does, and Unconvertible for too many cells.
    """
    _check_archive(file.content)
    book = cast("Any", openpyxl).load_workbook(io.BytesIO(file.content), read_only=True, data_only=True)
    parts = [f"# {file.name}"]
    cells = 0
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what the file says of its own size may be wrong
        rows = list(_filled(sheet.iter_rows(values_only=True), MOST_CELLS - cells))
        parts += [f"## {sheet.title}", table(rows, cells)]
        cells += sum(len(row) for row in rows)
    return "\n\n".join(part for part in parts if part)


def _filled(rows: Iterable[tuple[Any, ...]], most: int) -> Iterable[tuple[Any, ...]]:
    """Rows with a value in them. Raises Unconvertible once they have more than `most` cells."""
    for row in rows:
        if any(value is not None for value in row):
            most -= len(row)
            if most < 0:
                raise Unconvertible(f"The file has more than {MOST_CELLS:,} cells")
            yield row


def _check_archive(content: bytes) -> None:
    if content.startswith(ENCRYPTED):
        raise Unconvertible("The file is encrypted, or of a format before Office 2007")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # a part never yields more than the size that it is said to have
            if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
                raise Unconvertible(f"The file has more than {MOST_UNPACKED // 2**20} MB unpacked")
            for part in archive.infolist():
                if part.filename.endswith((".xml", ".rels")):
                    check_xml(archive.read(part))
    except zipfile.BadZipFile:
        raise Unconvertible("The file is corrupt: it is no archive of Office") from None
