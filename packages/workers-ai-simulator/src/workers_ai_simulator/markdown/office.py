"""DOCX and XLSX: zip archives of XML, which are checked before they are unpacked."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any, cast

import mammoth  # pyright: ignore[reportMissingTypeStubs]
import openpyxl  # pyright: ignore[reportMissingModuleSource]

from workers_ai_simulator.markdown.errors import UnconvertibleError
from workers_ai_simulator.markdown.html import html_to_markdown
from workers_ai_simulator.markdown.models import InputFile, section
from workers_ai_simulator.markdown.pictures import Embedded
from workers_ai_simulator.markdown.tables import MAX_CELLS, table
from workers_ai_simulator.markdown.xml import check_xml

MAX_UNPACKED_BYTES = 100 * 1024 * 1024
"""Bytes of all parts of a file together: this simulator's own limit, since upstream documents none."""

OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
"""First bytes of OLE containers: files that Office saves with a password, and formats before 2007."""


def convert_docx(file: InputFile, options: dict[str, Any]) -> str:
    """Convert headings, paragraphs, lists, tables, links; describe embedded pictures if `docx.images.convert`.

    Raises UnconvertibleError for a file that is no archive, encrypted, too large, or not safe to read, and mammoth's
    own exceptions for an archive that is no DOCX.
    """
    _check_archive(file.content)
    result: Any = cast("Any", mammoth).convert_to_html(io.BytesIO(file.content))
    return html_to_markdown(str(result.value), Embedded(section(options, "docx", "images")))


def convert_xlsx(file: InputFile, _: dict[str, Any]) -> str:
    """Convert each sheet to a heading and a table, with the values last computed.

    Raises as `convert_docx` does, and UnconvertibleError for too many cells.
    """
    _check_archive(file.content)
    book = cast("Any", openpyxl).load_workbook(io.BytesIO(file.content), read_only=True, data_only=True)
    parts = [f"# {file.name}"]
    cells = 0
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # the size that the file declares may be wrong
        rows = list(_filled_rows(sheet.iter_rows(values_only=True), MAX_CELLS - cells))
        parts += [f"## {sheet.title}", table(rows, cells)]
        cells += sum(len(row) for row in rows)
    return "\n\n".join(part for part in parts if part)


def _filled_rows(rows: Iterable[tuple[Any, ...]], max_cells: int) -> Iterable[tuple[Any, ...]]:
    """Rows with a value in them. Raises UnconvertibleError once they have more than `max_cells` cells."""
    for row in rows:
        if any(value is not None for value in row):
            max_cells -= len(row)
            if max_cells < 0:
                raise UnconvertibleError(f"The file has more than {MAX_CELLS:,} cells")
            yield row


def _check_archive(content: bytes) -> None:
    """Check that the archive is safe to unpack: its size, and the XML in it. Raises UnconvertibleError otherwise."""
    if content.startswith(OLE_MAGIC):
        raise UnconvertibleError("The file is encrypted, or of a format before Office 2007")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # unpacking a part yields no more bytes than its declared size
            if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise UnconvertibleError(f"The file has more than {MAX_UNPACKED_BYTES // 2**20} MB unpacked")
            for part in archive.infolist():
                if part.filename.endswith((".xml", ".rels")):
                    check_xml(archive.read(part))
    except zipfile.BadZipFile:
        raise UnconvertibleError("The file is corrupt: it is no archive of Office") from None
