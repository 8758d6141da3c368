"""Kinds of documents by the bytes of files without a name."""

import io
import zipfile

import pytest

from aiworker.rag import file_kinds

OFFICE = "application/vnd.openxmlformats-officedocument."


def archive(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(name, "application/vnd.oasis.opendocument.text" if name == "mimetype" else "x" * 5_000)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\xef\xbb\xbf<!DOCTYPE html><p>", "text/html"),
        (b'<?xml version="1.0"?><svg/>', "image/svg+xml"),
        (b'<?xml version="1.0"?><a/>', "application/xml"),
        (b"\x89PNG\r\n\x1a\n\0", "image/png"),
        (b"\xff\xd8\xff\0", "image/jpeg"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", None),
        (b"GIF89a\x01\0", None),
        (archive("[Content_Types].xml", "word/document.xml"), f"{OFFICE}wordprocessingml.document"),
        (archive("[Content_Types].xml", "xl/workbook.xml"), f"{OFFICE}spreadsheetml.sheet"),
        (archive("mimetype", "content.xml"), "application/vnd.oasis.opendocument.text"),
        (archive("a.txt"), None),
        ("# Füße".encode(), "text/plain"),
        ("# Füße".encode("utf-16"), "text/plain"),
        (b"\x7fELF\0\0", None),
    ],
)  # fmt: skip
def test_a_document_is_recognised(content: bytes, expected: str | None) -> None:
    assert file_kinds.media_type("", "", content[:4_096] + content[-65_536:]) == expected
