"""The parts of a form, found in its bytes: their heads in Python, their contents left where they are.

The platform's own parser would copy each file twice, and an isolate has 128 MB.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import unquote

from aiworker.errors import ApiError
from aiworker.http.messages import Payload
from aiworker.http.payload_checks import BLANK_LINE, DISPOSITION, FIELD_NAME, LINE_END, delimiter_ends

MAX_HEAD_BYTES = 4_096
"""Bytes of the head of one part: a file name has up to 1,024 characters."""
MAX_TEXT_BYTES = 1_048_576
"""Bytes of a form's texts together."""
DELIMITER_END = re.compile(rb"--|[ \t]*(?:\r|\n|$)")
"""Text that may follow a delimiter. With any other, the line merely begins like a delimiter."""
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


async def form_parts(payload: Payload, boundary: str, maximum: int) -> list[FormPart]:
    """Return the parts of a form in their order.

    Raises ApiError `invalid_request` for a body that is no form, or one of more than `maximum` parts;
    `payload_too_large` for a part whose head has more than MAX_HEAD_BYTES.
    """
    delimiter = f"--{boundary}".encode()
    heads: list[tuple[int, bytes]] = []
    """Index behind each delimiter, and the bytes that follow it."""
    for end in await delimiter_ends(payload, delimiter, maximum):
        following = payload.read(end, min(payload.size, end + MAX_HEAD_BYTES))
        if DELIMITER_END.match(following):
            heads.append((end, following))
        if following.startswith(b"--"):  # the end of the form
            return [_part(payload, *head, next_end - len(delimiter)) for head, (next_end, _) in pairwise(heads)]
    raise ApiError("invalid_request", "The body has no end of a form with the boundary that its content-type names.")


def form_fields(
    payload: Payload, parts: Iterable[FormPart], files: Collection[str] = ()
) -> Mapping[str, str | Payload]:
    """Return the fields of a form by name, the last one of those that share a name; files without a copy.

    files: names of fields that are files, even without a file name. Texts of a name that ends with `[]` are a list, and
    joined by commas; such files get names with different numbers in the brackets.
    Raises ApiError `payload_too_large` for texts of more than MAX_TEXT_BYTES together.
    """
    fields: dict[str, str | Payload] = {}
    room = MAX_TEXT_BYTES
    for part in parts:
        end = part.start + part.size
        if part.file_name is not None or part.name in files:
            file = payload.slice(part.start, end)
            # a list of files has numbers in its brackets
            name = f"{part.name[:-1]}{len(fields)}]" if part.name.endswith("[]") else part.name
            fields[name] = file.described(part.file_name or "", part.media_type, part.charset)
            continue
        room -= part.size
        if room < 0:
            raise ApiError(
                "payload_too_large", f"The form has more than {MAX_TEXT_BYTES:,} bytes outside of its files."
            )
        text = payload.read(part.start, end).decode(errors="replace")
        earlier = fields.get(part.name)
        is_list = isinstance(earlier, str) and part.name.endswith("[]")
        fields[part.name] = f"{earlier},{text}" if is_list else text
    # a browser sends an empty file without a name for an input in which no file was chosen
    return {name: value for name, value in fields.items() if isinstance(value, str) or value.size or value.name}


def _part(payload: Payload, index: int, following: bytes, end: int) -> FormPart:
    """Return the part between two delimiters.

    index: index after the first one. following: bytes from there on. end: index of the second one.
    """
    head = LINE_END.sub(b"", following.lstrip(b" \t"), count=1)
    blank = BLANK_LINE.search(head)
    if not blank and len(following) == MAX_HEAD_BYTES:
        raise ApiError("payload_too_large", f"The head of a part of the form exceeds {MAX_HEAD_BYTES:,} bytes.")
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
