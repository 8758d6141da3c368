"""Encodings of text files, over a stand-in of the platform's bytes."""

import codecs

import pytest

from aiworker.rag.text_encoding import UnknownEncodingError, decode_head, to_utf8

GERMAN = "Die Fähre fährt täglich; Größe, Straße, 12 €."
JAPANESE = "渡し船の料金は大人千二百円です。"
PYTHON_NAMES = {
    **{name: name for name in ("utf-8", "shift_jis", "iso-2022-jp", "windows-1251")},
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "windows-1252": "cp1252",
    "iso-8859-1": "cp1252",
}
"""Encodings of TextDecoder that the tests use → their names in Python."""


class Bytes:
    """Stand-in for a Payload, with the encodings of Python."""

    name = media_type = charset = ""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self.content[start:end]

    def find(self, byte: int, start: int) -> int:
        return self.content.find(byte, start)

    async def is_utf8(self) -> bool:
        return await self.transcode("utf-8") is not None

    async def transcode(self, encoding: str, *, with_mark: bool = False) -> "Bytes | None":
        try:
            text = self.content.decode(PYTHON_NAMES[encoding]).removeprefix("\ufeff")
        except (UnicodeDecodeError, KeyError):
            return None
        return Bytes((codecs.BOM_UTF8 if with_mark else b"") + text.encode())


async def decoded(content: bytes, charset: str = "", *, may_declare: bool = False) -> str:
    file = await to_utf8(Bytes(content), charset, may_declare=may_declare)  # pyright: ignore[reportArgumentType]
    return file.read().decode()


@pytest.mark.parametrize(
    ("content", "charset", "text"),
    [
        (GERMAN.encode(), "", GERMAN),
        (codecs.BOM_UTF8 + GERMAN.encode(), "", GERMAN),
        (codecs.BOM_UTF16_LE + GERMAN.encode("utf-16-le"), "", GERMAN),
        (codecs.BOM_UTF16_BE + GERMAN.encode("utf-16-be"), "", GERMAN),
        (codecs.BOM_UTF16_LE + JAPANESE.encode("utf-16-le"), "utf-8", JAPANESE),
        (GERMAN.encode("utf-16-le"), "", GERMAN),
        (GERMAN.encode("utf-16-be"), "", GERMAN),
        (GERMAN.encode("cp1252"), "", GERMAN),
        (GERMAN.encode("cp1252"), "utf-8", GERMAN),
        (GERMAN.encode("cp1252"), "no-such-encoding", GERMAN),
        ("é".encode("cp1252"), "", "é"),
        (GERMAN.encode(), "iso-8859-1", GERMAN),
        (JAPANESE.encode("shift_jis"), "Shift_JIS", JAPANESE),
        (JAPANESE.encode("iso2022_jp"), "iso-2022-jp", JAPANESE),
        ("Паром отходит утром".encode("cp1251"), "windows-1251", "Паром отходит утром"),
        (b"\x1b[31mred\x1b[0m \x0c", "", "\x1b[31mred\x1b[0m \x0c"),
    ],
)
async def test_a_text_is_decoded(content: bytes, charset: str, text: str) -> None:
    assert await decoded(content, charset) == text


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04\x14\x00\x08\x00\xff\xfe binary",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff",
        JAPANESE.encode("shift_jis"),
        JAPANESE.encode("gb18030") * 3,
        "Паром отходит от причала каждое утро".encode("cp1251"),
        codecs.BOM_UTF16_LE + b"\x00\xd8odd",
        GERMAN.encode("utf-32"),
    ],
)
async def test_a_file_that_is_no_text_fails_instead_of_becoming_rubble(content: bytes) -> None:
    with pytest.raises(UnknownEncodingError, match="UTF-8"):
        await decoded(content)


async def test_utf_8_is_left_as_it_is() -> None:
    file = Bytes(GERMAN.encode())
    assert await to_utf8(file, "") is file  # pyright: ignore[reportArgumentType, reportComparisonOverlap]


@pytest.mark.parametrize("head", ['<meta charset="shift_jis">', '<?xml version="1.0" encoding="shift_jis"?>'])
async def test_a_declaration_is_heeded_and_overruled_by_a_byte_order_mark(head: str) -> None:
    content = (head + JAPANESE).encode("shift_jis")
    assert await decoded(content, may_declare=True) == f"\ufeff{head}{JAPANESE}"


async def test_a_declaration_that_is_not_true_is_overruled() -> None:
    content = f'<meta charset="windows-1252">{GERMAN}'
    assert await decoded(content.encode(), may_declare=True) == f"\ufeff{content}"


async def test_a_text_that_only_speaks_of_a_charset_declares_none() -> None:
    content = f"# About\n\n<meta charset=shift_jis> and {GERMAN}"
    assert await decoded(content.encode("cp1252")) == content


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_first_heading_is_read_in_any_of_them(encoding: str) -> None:
    assert decode_head("# Größe\n".encode(encoding)) == "# Größe\n"
