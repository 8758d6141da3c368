"""Bounds on the objects that JavaScript would make of a body, checked on its bytes before anything parses them."""

import re
from collections.abc import Collection, Iterable, Iterator

from aiworker.errors import ApiError
from aiworker.http.messages import Payload

MAX_FIELDS = 100
"""Fields of a query string, a form, or a JSON body with files: each costs at least one call into JavaScript."""
MAX_HEAD_BYTES = 65_536
"""Bytes of the heads of all parts of a form. workerd searches a head for its end with a slow regular expression: 20 MB
take nine seconds."""
LINE_END = re.compile(rb"^\r?\n")
BLANK_LINE = re.compile(rb"\r?\n\r?\n")
DISPOSITION = re.compile(rb"^content-disposition:[^\r\n]*", re.IGNORECASE | re.MULTILINE)
FIELD_NAME = re.compile(rb";[ \t]*name=\"?([^\";\r\n]*)", re.IGNORECASE)
FILE_NAME = re.compile(rb";[ \t]*filename\*?=", re.IGNORECASE)
EMPTY_FILE_NAME = re.compile(rb"(;[ \t]*filename=\")\"", re.IGNORECASE)
UNNAMED = ":unnamed:"
"""File name of a part that has none."""
MAX_PUNCTUATION = 20_000
"""Quotation marks, commas, colons and opening brackets in a JSON body with files; base64 has none of them."""
PUNCTUATION = b'",:[{'
WINDOW_BYTES = 262_144
"""Bytes of a payload that are copied to Python at a time: its memory never shrinks again."""


def check_punctuation(payload: Payload) -> None:
    """Raise ApiError `payload_too_large` for JSON from which JavaScript would make too many objects."""
    marks = sum(len(window) - len(window.translate(None, PUNCTUATION)) for _, window in _windows(payload))
    if marks > MAX_PUNCTUATION:
        raise ApiError(
            "payload_too_large",
            f"The body has more than {MAX_PUNCTUATION:,} quotation marks, commas, colons and brackets.",
        )


def form_heads(payload: Payload, boundary: str) -> list[tuple[int, bytes]]:
    """Return the heads of a form's parts, each behind its index. Raises ApiError for a form that takes long to parse.

    `invalid_request` for more than MAX_FIELDS parts, each of which would be an object; a part counts whatever ends the
    line before it. `payload_too_large` for heads of more than MAX_HEAD_BYTES. boundary: the one that the parser gets.
    """
    room = MAX_HEAD_BYTES
    heads: list[tuple[int, bytes]] = []
    for end in delimiter_ends(payload, f"--{boundary}".encode(), MAX_FIELDS):
        following = payload.read(end, end + room)
        head = LINE_END.sub(b"", following, count=1)
        blank = BLANK_LINE.search(head)
        if not blank and not head.startswith(b"--") and end + room < payload.size:
            raise ApiError("payload_too_large", f"The heads of the form's parts exceed {MAX_HEAD_BYTES:,} bytes.")
        room -= blank.end() if blank else 0
        heads.append((end + len(following) - len(head), head[: blank.start()] if blank else b""))
    return heads


def file_name_insertions(heads: Iterable[tuple[int, bytes]], names: Collection[str]) -> list[tuple[int, str]]:
    """Return what to insert, at which index, so that parts of these names have UNNAMED in place of no file name.

    Only by its file name does JavaScript know a file from a text. heads: as `form_heads` returns them.
    """
    insertions: list[tuple[int, str]] = []
    for start, head in heads:
        disposition = DISPOSITION.search(head)
        name = disposition and FIELD_NAME.search(disposition[0])
        if not disposition or not name or name[1].decode(errors="replace") not in names:
            continue
        empty = EMPTY_FILE_NAME.search(disposition[0])
        if empty:
            insertions.append((start + disposition.start() + empty.end(1), UNNAMED))
        elif not FILE_NAME.search(disposition[0]):
            insertions.append((start + disposition.end(), f'; filename="{UNNAMED}"'))
    return insertions


def delimiter_ends(payload: Payload, delimiter: bytes, maximum: int) -> list[int]:
    """Return the indexes behind the form's delimiters.

    maximum: number of parts. Raises ApiError `invalid_request` for more.
    """
    ends: set[int] = set()
    for start, window in _windows(payload, len(delimiter)):
        if not ends and (first := window.find(delimiter)) >= 0:  # the first one need not begin a line
            ends.add(start + first + len(delimiter))
        for line in (b"\n" + delimiter, b"\r" + delimiter):
            at = -1
            while (at := window.find(line, at + 1)) >= 0:
                ends.add(start + at + len(line))
                if len(ends) > maximum + 1:  # the last one ends the form
                    raise too_many_fields("The form", maximum)
    return sorted(ends)


def small_body(payload: Payload, limit: int) -> bytes:
    """Return the bytes of a body; raises ApiError `payload_too_large` if there are more than `limit`."""
    if payload.size > limit:
        raise too_large(limit)
    return payload.read()


def too_many_fields(what: str, maximum: int = MAX_FIELDS) -> ApiError:
    return ApiError("invalid_request", f"{what} has more than {maximum:,} fields.")


def too_large(limit: int) -> ApiError:
    return ApiError("payload_too_large", f"The body is larger than {limit:,} bytes.")


def _windows(payload: Payload, overlap: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield windows of the payload's bytes, each with its index and with the last `overlap` bytes of the one before."""
    for end in range(0, payload.size, WINDOW_BYTES):
        start = max(0, end - overlap)
        yield start, payload.read(start, min(payload.size, end + WINDOW_BYTES))
