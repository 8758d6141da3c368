"""The documents of a batch, found in its bytes: the place of each, and its fields in the form. Documents are not
parsed."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiworker.errors import ApiError
from aiworker.http.form_parts import FormPart, form_parts
from aiworker.http.messages import Payload
from aiworker.rag import paths

MAX_DOCUMENTS = 1_000
"""Documents of one batch."""
MAX_LINES = 2 * MAX_DOCUMENTS
"""Lines of a batch, empty ones included."""
MAX_FORM_FIELDS = 10
"""Parts of a form beside its files."""
MAX_FIELD_BYTES = 65_536
"""Bytes of a form's texts."""
MAX_BLANK_BYTES = 64
"""Bytes up to which a line is checked for being blank; longer ones are not read for that."""
NEWLINE = ord("\n")


@dataclass(frozen=True)
class Entry:
    """A document of a batch: `size` bytes from `start` on."""

    number: int
    """Number of its line, or of its file in the form, from 1."""
    start: int
    size: int
    path: str = ""
    """Normalized path of a file."""
    media_type: str = ""
    charset: str = ""


def of_lines(payload: Payload) -> list[Entry]:
    """Return the lines that are not empty. Raises ApiError for none, or for too many."""
    entries: list[Entry] = []
    start = number = 0
    while start < payload.size:
        end = payload.find(NEWLINE, start)
        end = payload.size if end < 0 else end
        number += 1
        if number > MAX_LINES:
            raise _too_many()
        if end - start > MAX_BLANK_BYTES or payload.read(start, end).strip():
            entries.append(Entry(number, start, end - start))
        start = end + 1
    return _checked(entries)


async def of_form(payload: Payload, boundary: str) -> tuple[list[Entry], Mapping[str, str]]:
    """Return the files of a form, and its texts by name. Raises ApiError for no file, or for too many parts."""
    parts = await form_parts(payload, boundary, MAX_DOCUMENTS + MAX_FORM_FIELDS)
    files = [part for part in parts if part.file_name is not None]
    # a browser sends an empty file without a name for an input in which no file was chosen
    chosen = [part for part in files if part.size or part.file_name]
    texts = [part for part in parts if part.file_name is None]
    if sum(part.size for part in texts) > MAX_FIELD_BYTES:
        raise ApiError("payload_too_large", f"The form has more than {MAX_FIELD_BYTES:,} bytes outside of its files.")
    fields = {part.name: payload.read(part.start, part.start + part.size).decode(errors="replace") for part in texts}
    return _checked([_file(number, part) for number, part in enumerate(chosen, 1)]), fields


def _file(number: int, part: FormPart) -> Entry:
    path = paths.normalize(part.file_name or "") or f"file-{number}"
    return Entry(number, part.start, part.size, path, part.media_type, part.charset)


def _checked(entries: list[Entry]) -> list[Entry]:
    if not entries:
        raise ApiError("unprocessable", "The batch has no documents.")
    if len(entries) > MAX_DOCUMENTS:
        raise _too_many()
    return entries


def _too_many() -> ApiError:
    return ApiError(
        "payload_too_large", f"A batch has at most {MAX_DOCUMENTS:,} documents: send the others in another one."
    )
