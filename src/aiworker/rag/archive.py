"""Unpacked size of an archive (DOCX, XLSX, ODT, ODS), read from its directory. Nothing is unpacked.

Source: APPNOTE.TXT of PKWARE, "Central directory structure" and "End of central directory record".
"""

import struct
from collections.abc import Iterator

from aiworker.http.messages import ReadableBytes

MAX_DIRECTORY_BYTES = 1_048_576
"""Bytes of a directory that are read: some 10,000 parts."""
END = struct.Struct("<4s4H2IH")
"""The record at the end: signature, two numbers of disks, two of parts, size and start of the directory, comment."""
END_SIGNATURE = b"PK\x05\x06"
MAX_END_BYTES = END.size + 65_535
PART = struct.Struct("<4s6H3I5H2I")
"""A part's entry in the directory, without its name, extra field and comment."""
PART_SIGNATURE = b"PK\x01\x02"
TEXT_ENDINGS = (b".xml", b".rels")
MIN_RATIO = 1.2
"""Ratio of a part's size to its compressed size from which on it counts as text, whatever its name: pictures are
compressed already.
"""


class UnreadableArchiveError(Exception):
    """A file that is not an archive, or whose directory is not at the place that the format requires."""


def text_size(file: ReadableBytes) -> int:
    """Return the unpacked bytes of an archive's parts that are text. Raises UnreadableArchiveError."""
    return sum(
        size
        for name, compressed, size in _parts(_directory(file))
        if name.lower().endswith(TEXT_ENDINGS) or size > MIN_RATIO * compressed
    )


def _directory(file: ReadableBytes) -> bytes:
    tail = file.read(max(0, file.size - MAX_END_BYTES), file.size)
    at = tail.rfind(END_SIGNATURE)
    if at < 0 or at + END.size > len(tail):
        raise UnreadableArchiveError
    *_, size, start, _ = END.unpack_from(tail, at)
    if size > MAX_DIRECTORY_BYTES or start + size > file.size:
        raise UnreadableArchiveError
    return file.read(start, start + size)


def _parts(directory: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the compressed size and the size of each part."""
    at = 0
    while at < len(directory):
        if at + PART.size > len(directory):
            raise UnreadableArchiveError
        entry = PART.unpack_from(directory, at)
        if entry[0] != PART_SIGNATURE:
            raise UnreadableArchiveError
        compressed, size, name_length, extra_length, comment_length = entry[8:13]
        at += PART.size
        yield directory[at : at + name_length], compressed, size
        at += name_length + extra_length + comment_length
