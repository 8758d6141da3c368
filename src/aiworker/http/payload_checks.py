"""Bounds on the objects that JavaScript would make of a body, checked on its bytes before anything parses them."""

import asyncio
import re
from collections.abc import AsyncIterator

from aiworker.errors import ApiError
from aiworker.http.messages import Payload

MAX_FIELDS = 100
"""Fields of a query string, a form, or a JSON body with files: each costs at least one call into JavaScript."""
LINE_END = re.compile(rb"^\r?\n")
BLANK_LINE = re.compile(rb"\r?\n\r?\n")
DISPOSITION = re.compile(rb"^content-disposition:[^\r\n]*", re.IGNORECASE | re.MULTILINE)
FIELD_NAME = re.compile(rb";[ \t]*name=\"?([^\";\r\n]*)", re.IGNORECASE)
MAX_PUNCTUATION = 20_000
"""Quotation marks, commas, colons and opening brackets in a JSON body with files; base64 has none of them."""
PUNCTUATION = b'",:[{'
WINDOW_BYTES = 65_536
"""Bytes of a payload that are copied to Python at a time. Larger pieces may not fit between others in Python's memory,
which then grows, and never shrinks again."""
WINDOWS_AT_A_STRETCH = 16
"""Windows that are read before others get their turn."""


async def check_punctuation(payload: Payload) -> None:
    """Raise ApiError `payload_too_large` for JSON from which JavaScript would make too many objects."""
    marks = 0
    async for _, window in windows(payload):
        marks += len(window) - len(window.translate(None, PUNCTUATION))
        if marks > MAX_PUNCTUATION:
            raise ApiError(
                "payload_too_large",
                f"The body has more than {MAX_PUNCTUATION:,} quotation marks, commas, colons and brackets.",
            )


async def delimiter_ends(payload: Payload, delimiter: bytes, maximum: int) -> list[int]:
    """Return the indexes behind the form's delimiters.

    maximum: number of parts. Raises ApiError `invalid_request` for more.
    """
    ends: set[int] = set()
    async for start, window in windows(payload, len(delimiter)):
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


async def windows(payload: Payload, overlap: int = 0) -> AsyncIterator[tuple[int, bytes]]:
    """Yield windows of the payload's bytes, each with its index and with the last `overlap` bytes of the one before."""
    for number, end in enumerate(range(0, payload.size, WINDOW_BYTES), 1):
        start = max(0, end - overlap)
        yield start, payload.read(start, min(payload.size, end + WINDOW_BYTES))
        if number % WINDOWS_AT_A_STRETCH == 0:
            await asyncio.sleep(0)  # other requests get their turn
