"""Kinds of files that become documents, by their names and media types."""

import codecs
import re
from collections.abc import Mapping

from aiworker.http.media import detect_image_type

PDF = "application/pdf"
HTML, CSV, XML, SVG = "text/html", "text/csv", "application/xml", "image/svg+xml"
CONVERTED: Mapping[str, str] = {
    ".pdf": PDF,
    ".html": HTML,
    ".htm": HTML,
    ".csv": CSV,
    ".xml": XML,
    ".svg": SVG,
    ".png": "image/png",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
}
"""File extension → media type, of the files that the AI binding converts.

Source: developers.cloudflare.com/workers-ai/features/markdown-conversion/supported-formats
"""
TEXTS: Mapping[str, str] = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".log": "text/plain",
    ".rst": "text/x-rst",
}
"""File extension → media type, of texts that are read as Markdown, which most of them resemble."""
CODE: Mapping[str, tuple[str, str]] = {
    ".py": ("text/x-python", "python"),
    ".js": ("text/javascript", "javascript"),
    ".mjs": ("text/javascript", "javascript"),
    ".jsx": ("text/jsx", "jsx"),
    ".ts": ("text/typescript", "typescript"),
    ".tsx": ("text/tsx", "tsx"),
    ".json": ("application/json", "json"),
    ".jsonl": ("application/jsonl", "json"),
    ".yaml": ("application/yaml", "yaml"),
    ".yml": ("application/yaml", "yaml"),
    ".toml": ("application/toml", "toml"),
    ".ini": ("text/x-ini", "ini"),
    ".sql": ("application/sql", "sql"),
    ".sh": ("text/x-shellscript", "sh"),
    ".css": ("text/css", "css"),
    ".java": ("text/x-java", "java"),
    ".c": ("text/x-c", "c"),
    ".h": ("text/x-c", "c"),
    ".cpp": ("text/x-c++", "cpp"),
    ".cs": ("text/x-csharp", "csharp"),
    ".go": ("text/x-go", "go"),
    ".rs": ("text/x-rust", "rust"),
    ".rb": ("text/x-ruby", "ruby"),
    ".php": ("application/x-php", "php"),
}
"""File extension → media type and name of the language, of texts in which `#` makes no heading."""

EXTENSIONS: Mapping[str, str] = {**CONVERTED, **TEXTS, **{name: kind for name, (kind, _) in CODE.items()}}
"""File extension → media type, of all kinds of files that are taken."""
PLAIN = frozenset(TEXTS.values())
LANGUAGES: Mapping[str, str] = dict(CODE.values())
"""Media type of code → language."""
DECLARING = frozenset((HTML, XML, SVG))
"""Media types of texts that may declare their own encoding."""
TEXTUAL = PLAIN | LANGUAGES.keys() | DECLARING | {CSV}
ARCHIVES = frozenset(CONVERTED[extension] for extension in (".docx", ".xlsx", ".odt", ".ods"))
"""Media types of files that are ZIP archives."""
UNDECLARED = ("", "application/octet-stream")
"""Media types that tell nothing about a file."""
SIGNATURES: Mapping[bytes, str] = {
    b"%PDF-": PDF,
    b"<!doctype html": HTML,
    b"<html": HTML,
    b"<svg": SVG,
    b"<?xml": XML,
}
"""First bytes of a file other than an image → media type. Letters may be small or capital."""
ZIP = b"PK\x03\x04"
ZIP_PARTS = {b"opendocument.text": ".odt", b"opendocument.spreadsheet": ".ods", b"word/": ".docx", b"xl/": ".xlsx"}
"""Names of parts in an archive → extension of the kind of document that it is."""
EXTENSION = re.compile(r"\.\w+$")
MAX_NAME_CHARACTERS = 200
UNSAFE = re.compile(r"[\s/\\<>:\"|?*\x00-\x1f\x7f]+")


def media_type(name: str, declared: str, ends: bytes) -> str | None:
    """Return the media type of a file; None for a kind that is not taken.

    It is that of the extension, else the declared one, else, if nothing is declared, that of the bytes.
    ends: the first bytes, followed by the last ones.
    """
    extension = _extension(name)
    if extension in EXTENSIONS:
        return EXTENSIONS[extension]
    if declared in EXTENSIONS.values():
        return declared
    return _kind_of(ends) if not extension and declared in UNDECLARED else None


def _kind_of(ends: bytes) -> str | None:
    """Return the media type that the ends of a file reveal; text if they are of no known kind."""
    start = ends[:64].lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower()
    for signature, kind in SIGNATURES.items():
        if start.startswith(signature.lower()):
            return SVG if kind == XML and b"<svg" in ends else kind
    if image := detect_image_type(ends):
        return image if image in CONVERTED.values() else None
    if ends.startswith(ZIP):
        return next((EXTENSIONS[extension] for part, extension in ZIP_PARTS.items() if part in ends), None)
    is_wide = ends.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "text/plain" if is_wide or b"\0" not in ends else None


def is_converted(kind: str) -> bool:
    """Tell whether the AI binding converts files of a media type to Markdown."""
    return kind in CONVERTED.values()


def conversion_name(name: str, kind: str, document_id: str) -> str:
    """Return the file's own name, else the document's id, with an extension by which converters know the kind."""
    name = UNSAFE.sub(" ", name[-MAX_NAME_CHARACTERS:]).strip(" .") or document_id
    if EXTENSIONS.get(_extension(name)) == kind:
        return name
    return name + next((extension for extension, each in EXTENSIONS.items() if each == kind), "")


def _extension(name: str) -> str:
    match = EXTENSION.search(name.lower())
    return match[0] if match else ""
