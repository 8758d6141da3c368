"""Character encodings of text files, whose bytes stay in JavaScript."""

import codecs
import re
from collections.abc import Iterable

from aiworker.http.messages import Payload

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16le",
    codecs.BOM_UTF16_BE: "utf-16be",
}
"""First bytes of a file → its encoding. The longer ones come first: UTF-32's begins with UTF-16's."""
SEVEN_BIT = frozenset(("iso-2022-jp", "csiso2022jp", "utf-16", "utf-16le", "utf-16be"))
"""Encodings whose texts may be valid UTF-8, too."""
FALLBACK = "windows-1252"
NO_1252 = (*range(9), *range(0x0E, 0x1A), *range(0x1C, 0x20), 0x7F, 0x81, 0x8D, 0x8F, 0x90, 0x9D)
"""Bytes that texts in Windows-1252 do not have: control characters, and codes without a character."""
DECLARATION = re.compile(rb"""<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)
SAMPLE_BYTES = 4096
DECLARATION_BYTES = 1024
"""Bytes in which a declaration is looked for. Source: html.spec.whatwg.org, prescan a byte stream"""
MIN_LETTERS = 20
"""Number of letters from which on their kinds tell something about a text."""
UNKNOWN_ENCODING = (
    "The file is not text in an encoding that can be recognised. Save it as UTF-8, or declare its charset in the "
    "file's content type."
)


class UnknownEncodingError(Exception):
    """A file that is not text, or text in an unknown encoding; the message is for its owner."""


async def to_utf8(file: Payload, charset: str, *, may_declare: bool = False) -> Payload:
    """Return a text as UTF-8: the file itself if it is that already.

    The encoding is that of the byte order mark; else UTF-8 if the bytes are valid; else the declared one; else
    Windows-1252.
    charset: encoding that the content type declares; may be empty or wrong.
    may_declare: HTML and XML may declare an encoding, which is no longer true of the result. A byte order mark at its
        start takes precedence over that.
    Raises UnknownEncodingError.
    """
    sample = file.read(0, min(file.size, SAMPLE_BYTES))
    marked = _marked(sample)
    declaration = DECLARATION.search(sample[:DECLARATION_BYTES]) if may_declare else None
    declared = [label.lower() for label in (charset, declaration[1].decode() if declaration else "") if label]
    with_mark = may_declare and (declaration is not None or marked is not None)
    for encoding in [marked] if marked else _candidates(sample, declared):
        if encoding == FALLBACK and FALLBACK not in declared and not _is_western(file, sample):
            continue
        if encoding == "utf-8" and not marked and not with_mark:  # true of nearly all texts
            if await file.is_utf8():
                return file
            continue
        text = await file.transcode(encoding, with_mark=with_mark)
        if text is not None:
            return text
    raise UnknownEncodingError(UNKNOWN_ENCODING)


def decode_head(data: bytes) -> str:
    """Return the start of a text, for its first heading; characters that cannot be decoded are left out."""
    return data.decode(_marked(data) or "utf-8", errors="ignore").lstrip("\ufeff")


def _marked(data: bytes) -> str | None:
    """Return the encoding that a byte order mark names; None if there is none."""
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)


def _candidates(sample: bytes, declared: list[str]) -> Iterable[str]:
    """Return the encodings to try, in order, for a text without a byte order mark."""
    wide = _wide(sample)
    if wide:
        return [wide]
    certain = [label for label in declared if label in SEVEN_BIT and not label.startswith("utf-16")]
    return dict.fromkeys([*certain, "utf-8", *declared, FALLBACK])


def _wide(sample: bytes) -> str | None:
    """Return the UTF-16 that a text without a byte order mark seems to have: every second byte is zero."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = len(sample) / 2
    if odd > half * 0.4 and even < half * 0.05:
        return "utf-16le"
    return "utf-16be" if even > half * 0.4 and odd < half * 0.05 else None


def _is_western(file: Payload, sample: bytes) -> bool:
    """Tell whether a text may be in Windows-1252: mostly English letters, and no bytes that it does not use."""
    high = sum(byte >= 0xC0 for byte in sample)
    letters = high + sum(chr(byte).isalpha() for byte in sample if byte < 0x80)
    if letters >= MIN_LETTERS and high > letters / 2:
        return False
    return all(file.find(byte, 0) < 0 for byte in NO_1252)
