"""How much an archive unfolds to, before anything is unfolded."""

import io
import os
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.rag import archive, upload
from aiworker.rag.conversion_limits import MAX_CONVERTED_BYTES, MAX_UNFOLDED_BYTES
from aiworker.rag.document_fields import DocumentFields
from tools.soak import worst_files


class File:
    """A Payload reduced to the methods that an upload calls."""

    name, media_type, charset = "a.docx", "", ""

    def __init__(self, content: bytes, name: str = "a.docx") -> None:
        self.size = len(content)
        self.name = name
        self._content = content

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._content[start:end]

    async def sha256(self) -> str:
        return "0"


def file(content: bytes, name: str = "a.docx") -> Any:
    return File(content, name)


def archived(parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive_file:
        for name, content in parts.items():
            archive_file.writestr(name, content)
        archive_file.comment = b"a comment at the end"
    return packed.getvalue()


def test_texts_count_as_they_unfold_and_pictures_do_not() -> None:
    picture = os.urandom(50_000)
    content = archived({"word/document.xml": b"a" * 90_000, "word/media/a.png": picture, "_rels/.rels": b"b" * 10})
    assert archive.text_size(file(content)) == 90_010


def test_a_text_is_one_whatever_its_name() -> None:
    assert archive.text_size(file(archived({"word/media/a.png": b"a" * 90_000}))) == 90_000
    assert archive.text_size(file(archived({"word/document.XML": b"a" * 90_000}, zipfile.ZIP_STORED))) == 90_000


def damaged(content: bytes) -> Iterator[bytes]:
    yield b""
    yield b"PK\x03\x04" + b"no archive" * 20
    yield content[:-30]
    yield content.replace(b"PK\x01\x02", b"PK\x01\x03")
    yield content[100:]
    yield content + b"x" * archive.MAX_END_BYTES


def test_a_damaged_archive_is_one() -> None:
    for content in damaged(archived({"word/document.xml": os.urandom(500)})):
        with pytest.raises(archive.UnreadableArchiveError):
            archive.text_size(file(content))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", worst_files.docx(MAX_UNFOLDED_BYTES, repeated=True)),
        ("a.html", b"<p>" + b"a" * MAX_CONVERTED_BYTES),
        ("a.csv", b"a," * (MAX_CONVERTED_BYTES // 2 + 1)),
        ("a.pdf", b"%PDF-1.7" + bytes(MAX_CONVERTED_BYTES)),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(MAX_CONVERTED_BYTES)),
    ],
)
async def test_a_file_that_would_not_fit_into_memory_is_refused_before_it_is_converted(
    name: str, content: bytes
) -> None:
    with pytest.raises(ApiError) as raised:
        await upload.of_file(DocumentFields(), file(content, name))
    assert (raised.value.type, raised.value.param) == ("payload_too_large", "file")
    assert "save it as plain text" in raised.value.message


async def test_a_text_that_is_not_converted_may_be_longer() -> None:
    taken = await upload.of_file(DocumentFields(), file(b"a" * (MAX_CONVERTED_BYTES + 1), "a.txt"))
    assert taken.media_type == "text/plain"


async def test_a_damaged_archive_is_refused() -> None:
    with pytest.raises(ApiError) as raised:
        await upload.of_file(DocumentFields(), file(b"PK\x03\x04 and no directory", "a.xlsx"))
    assert (raised.value.type, raised.value.param) == ("unprocessable", "file")
