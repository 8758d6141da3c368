"""PDF: its metadata and the text of each page, in upstream's layout."""

import io
from typing import Any, cast

from pypdf import PageObject, PasswordType, PdfReader
from pypdf.errors import DependencyError
from pypdf.generic import DictionaryObject

from workers_ai_simulator.markdown.columns import MIN_LINES, has_columns, in_reading_order
from workers_ai_simulator.markdown.errors import UnconvertibleError
from workers_ai_simulator.markdown.models import InputFile, section
from workers_ai_simulator.markdown.pictures import Embedded

MAX_PAGES = 5000
"""Pages of a file: this simulator's own limit, since upstream documents none."""


def convert_pdf(file: InputFile, options: dict[str, Any]) -> str:
    """Convert to `# name`, `## Metadata` (unless `pdf.metadata` is false), `## Contents`, `### Page 1`, …

    https://developers.cloudflare.com/workers-ai/features/markdown-conversion/usage/binding/ shows the layout. Columns
    are read one after the other. Upstream makes headings and lists of a tagged file's structure; that is not simulated.

    Raises UnconvertibleError for a file that needs a password or has too many pages, and pypdf's own exceptions for a
    broken file.
    """
    reader = PdfReader(io.BytesIO(file.content))
    if reader.is_encrypted and not _is_decrypted(reader):
        raise UnconvertibleError("The PDF is encrypted, and needs a password")
    if len(reader.pages) > MAX_PAGES:
        raise UnconvertibleError(f"The PDF has more than {MAX_PAGES:,} pages")
    lines = [f"# {file.name}"]
    if section(options, "pdf").get("metadata") is not False:
        lines += ["## Metadata", *(f"- {key}={value}" for key, value in _metadata(reader, file.content).items()), ""]
    return "\n".join([*lines, "## Contents", *_pages(reader, Embedded(section(options, "pdf", "images")))]).rstrip()


def _is_decrypted(reader: PdfReader) -> bool:
    """Decrypt a file that is only protected against changes, which opens without a password. True if it opened."""
    try:
        return reader.decrypt("") != PasswordType.NOT_DECRYPTED
    except DependencyError:  # AES, for which pypdf needs another package
        return False


def _metadata(reader: PdfReader, content: bytes) -> dict[str, str]:
    """Metadata with the names of pdf.js."""
    root = reader.root_object
    form: Any = root.get("/AcroForm", DictionaryObject()).get_object()
    flags = {
        "IsLinearized": b"/Linearized" in content[:1024],
        "IsAcroFormPresent": bool(form.get("/Fields")),
        "IsXFAPresent": "/XFA" in form,
        "IsCollectionPresent": "/Collection" in root,
        "IsSignaturesPresent": bool(int(form.get("/SigFlags", 0)) & 1),
    }
    information = {
        str(key).removeprefix("/"): " ".join(str(value).split())
        for key, value in cast("dict[str, Any]", reader.metadata or {}).items()
    }
    version = reader.pdf_header.removeprefix("%PDF-")
    return {"PDFFormatVersion": version, **{key: str(flag).lower() for key, flag in flags.items()}, **information}


def _pages(reader: PdfReader, pictures: Embedded) -> list[str]:
    lines: list[str] = []
    for number, page in enumerate(reader.pages, 1):
        lines += [f"### Page {number}", _text(page).strip()]
        for picture in page.images if pictures.has_budget else ():
            lines.append(pictures.describe(picture.data))
        lines.append("")
    return lines


def _text(page: PageObject) -> str:
    """Text of a page in the order in which people read it: that of the file, unless there are columns."""
    text = page.extract_text()
    if text.count("\n") < 2 * MIN_LINES:
        return text
    try:
        layout = page.extract_text(extraction_mode="layout").split("\n")
    except Exception:  # pypdf's layout is experimental, and fails on some fonts
        return text
    return "\n".join(in_reading_order(layout)) if has_columns(layout) else text
