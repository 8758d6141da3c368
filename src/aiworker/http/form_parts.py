"""The parts of a form, found in its bytes: their heads in Python, their contents left where they are.

For forms of many files, each of which the platform would make an object.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import unquote

from aiworker.errors import ApiError
from aiworker.http.messages import Payload
from aiworker.http.payload_checks import BLANK_LINE, DISPOSITION, FIELD_NAME, LINE_END, delimiter_ends

MAX_HEAD_BYTES = 4_096
"""Bytes of the head of one part: a file name has up to 1,024 characters."""
DELIMITER_END = re.compile(rb"--|[ \t]*(?:\r|\n|$)")
"""Text behind a delimiter; before anything else, the line only begins like one."""
FILE_NAME = re.compile(rb';[ \t]*filename="((?:[^"\\\r\n]|\\[^\r\n])*)"|;[ \t]*filename=([^";\r\n]*)', re.IGNORECASE)
ENCODED_FILE_NAME = re.compile(rb";[ \t]*filename\*=utf-8'[^';]*'([^;\r\n]*)", re.IGNORECASE)
CONTENT_TYPE = re.compile(rb"^content-type:[ \t]*([^;\r\n]*)([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
CHARSET = re.compile(rb"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)


@dataclass(frozen=True)
class FormPart:
    """A part of a form; its content is `size` bytes of the body from `start` on."""

    name: str
    start: int
    size: int
    file_name: str | None = None
    """Name of a file, which may be empty; None for a text."""
    media_type: str = ""
    """Media type that the client gives, without parameters."""
    charset: str = ""
    """Character encoding that the client gives."""


def form_parts(payload: Payload, boundary: str, maximum: int) -> list[FormPart]:
    """Return the parts of a form in their order.

    Raises ApiError `invalid_request` for a body that is no form, or one of more than `maximum` parts.
    """
    delimiter = f"--{boundary}".encode()
    heads: list[tuple[int, bytes]] = []
    """Index behind each delimiter, and the bytes that follow it."""
    for end in delimiter_ends(payload, delimiter, maximum):
        following = payload.read(end, min(payload.size, end + MAX_HEAD_BYTES))
        if DELIMITER_END.match(following):
            heads.append((end, following))
        if following.startswith(b"--"):  # the end of the form
            return [_part(payload, *head, next_end - len(delimiter)) for head, (next_end, _) in pairwise(heads)]
    raise ApiError("invalid_request", "The body has no end of a form with the boundary that its content-type names.")


def _part(payload: Payload, index: int, following: bytes, end: int) -> FormPart:
    """Return the part between two delimiters.

    index: behind the first one; following: the bytes from there. end: where the second one begins.
    """
    head = LINE_END.sub(b"", following.lstrip(b" \t"), count=1)
    blank = BLANK_LINE.search(head)
    disposition = DISPOSITION.search(head[: blank.start()]) if blank else None
    name = disposition and FIELD_NAME.search(disposition[0])
    if not (blank and disposition and name):
        raise ApiError("invalid_request", "A part of the form has no head that names it.")
    start = index + len(following) - len(head) + blank.end()
    end -= 2 if payload.read(end - 2, end) == b"\r\n" else 1
    declared = CONTENT_TYPE.search(head[: blank.start()])
    charset = CHARSET.search(declared[2]) if declared else None
    return FormPart(
        name=name[1].decode(errors="replace"),
        start=start,
        size=max(0, end - start),
        file_name=_file_name(disposition[0]),
        media_type=declared[1].strip().lower().decode(errors="replace") if declared else "",
        charset=charset[1].decode() if charset else "",
    )


def _file_name(disposition: bytes) -> str | None:
    """Return the file's name; browsers write a quotation mark in it as `%22`, other clients as `\\"`."""
    encoded = ENCODED_FILE_NAME.search(disposition)
    if encoded:
        return unquote(encoded[1].decode(errors="replace"))
    plain = FILE_NAME.search(disposition)
    if not plain:
        return None
    name = (plain[2] if plain[1] is None else plain[1]).decode(errors="replace")
    return re.sub(r'\\(["\\])', r"\1", name).replace("%22", '"')
