"""Conversion of files: one result for each, also for a file that fails."""

import uuid
from collections.abc import Callable
from typing import Any

from workers_ai_simulator.markdown.errors import UnconvertibleError
from workers_ai_simulator.markdown.formats import (
    CSV,
    DOCX,
    HTML,
    JPEG,
    MIME_TYPES,
    PDF,
    PNG,
    SVG,
    WEBP,
    XLSM,
    XLSX,
    XML,
)
from workers_ai_simulator.markdown.html import convert_html
from workers_ai_simulator.markdown.models import InputFile, section
from workers_ai_simulator.markdown.office import convert_docx, convert_xlsx
from workers_ai_simulator.markdown.pdf import convert_pdf
from workers_ai_simulator.markdown.pictures import convert_picture
from workers_ai_simulator.markdown.plain import without_markdown
from workers_ai_simulator.markdown.tables import convert_csv
from workers_ai_simulator.markdown.xml import convert_svg, convert_xml
from workers_ai_simulator.text import tokens

Converter = Callable[[InputFile, dict[str, Any]], str]

CONVERTERS: dict[str, Converter] = {
    PDF: convert_pdf,
    JPEG: convert_picture,
    PNG: convert_picture,
    WEBP: convert_picture,
    SVG: convert_svg,
    HTML: convert_html,
    XML: convert_xml,
    XLSX: convert_xlsx,
    XLSM: convert_xlsx,
    DOCX: convert_docx,
    CSV: convert_csv,
}
"""Type → its converter. The other types of `MIME_TYPES` are not simulated, and get an error that says so."""


def transform(files: list[InputFile], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Convert each file. Returns `ConversionResponse`s in the order of the files.

    `options` are `ConversionRequestOptions`, of which only `conversionOptions` are used. A result is `{id, name,
    mimeType, format: "markdown" | "text", tokens, data}` or `{id, name, mimeType, format: "error", error}`. Takes
    seconds for files of megabytes, so call it in a thread.
    """
    conversion_options = section(options, "conversionOptions")
    return [_result(file, conversion_options) for file in files]


def _result(file: InputFile, options: dict[str, Any]) -> dict[str, Any]:
    mime_type = _mime_type(file)
    result: dict[str, Any] = {"id": str(uuid.uuid4()), "name": _encodable(file.name), "mimeType": _encodable(mime_type)}
    try:
        data = _converted(file, mime_type, options)
    except UnconvertibleError as error:
        return {**result, "format": "error", "error": _encodable(str(error))}
    except Exception as error:  # each library raises its own kinds of exceptions for files that it cannot read
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return {**result, "format": "error", "error": _encodable(f"The file cannot be read as {mime_type}: {reason}")}
    is_plain = section(options, "output").get("format") == "text"
    data = _encodable(without_markdown(data) if is_plain else data)
    return {**result, "format": "text" if is_plain else "markdown", "tokens": len(tokens(data)), "data": data}


def _encodable(text: str) -> str:
    """The text without unpaired surrogates, which some files contain and UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()


def _converted(file: InputFile, mime_type: str, options: dict[str, Any]) -> str:
    if mime_type not in MIME_TYPES.values():
        raise UnconvertibleError(f"Files of this type cannot be converted: {mime_type or 'unknown'}")
    if mime_type not in CONVERTERS:
        raise UnconvertibleError(f"Converting {mime_type} is not simulated; Cloudflare converts it")
    if not file.content.strip():
        raise UnconvertibleError("The file is empty")
    return CONVERTERS[mime_type](file, options)


def _mime_type(file: InputFile) -> str:
    """Type of the file by the extension of its name, else the declared type.

    Upstream's examples send Blobs without a type, or with `application/octet-stream`, and get the right type back.
    Which of the two wins if they disagree is not documented. The name is more reliable, since browsers on Windows
    declare a CSV file `application/vnd.ms-excel`.
    """
    dot = file.name.rfind(".")
    extension = file.name[dot:].lower() if dot >= 0 else ""
    return MIME_TYPES.get(extension) or file.mime_type.partition(";")[0].strip().lower()
