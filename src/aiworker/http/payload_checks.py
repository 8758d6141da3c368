"""Bounds on the objects that JavaScript would make of a body, checked on its bytes before anything parses them."""

import re
from collections.abc import Iterator

from aiworker.errors import ApiError
from aiworker.http.messages import Payload

MAX_FIELDS = 100
"""Fields of a query string, a form, or a JSON body with files: each costs at least one call into JavaScript."""
MAX_PUNCTUATION = 20_000
"""Quotation marks, commas, colons and opening brackets in a JSON body with files; base64 has none of them."""
PUNCTUATION = b'",:[{'
WINDOW_BYTES = 262_144
"""Bytes of a payload that are copied to Python at a time: its memory never shrinks again."""
BOUNDARY = re.compile(r"boundary=(?:\"([^\"]+)\"|([^\s;]+))", re.IGNORECASE)


def check_punctuation(payload: Payload) -> None:
    """Raise ApiError `payload_too_large` for JSON from which JavaScript would make too many objects."""
    marks = sum(len(window) - len(window.translate(None, PUNCTUATION)) for window in _windows(payload))
    if marks > MAX_PUNCTUATION:
        raise ApiError(
            "payload_too_large",
            f"The body has more than {MAX_PUNCTUATION:,} quotation marks, commas, colons and brackets.",
        )


def check_form_parts(payload: Payload, content_type: str) -> None:
    """Raise ApiError `invalid_request` for a form of more than MAX_FIELDS parts, each of which would be an object."""
    match = BOUNDARY.search(content_type)
    boundary = f"\r\n--{match[1] or match[2]}".encode() if match else b""
    if boundary and sum(each.count(boundary) for each in _windows(payload, len(boundary) - 1)) > MAX_FIELDS + 1:
        raise too_many_fields("The form")


def small_body(payload: Payload, limit: int) -> bytes:
    """Return the bytes of a body; raises ApiError `payload_too_large` if there are more than `limit`."""
    if payload.size > limit:
        raise too_large(limit)
    return payload.read()


def too_many_fields(what: str) -> ApiError:
    return ApiError("invalid_request", f"{what} has more than {MAX_FIELDS} fields.")


def too_large(limit: int) -> ApiError:
    return ApiError("payload_too_large", f"The body is larger than {limit:,} bytes.")


def _windows(payload: Payload, overlap: int = 0) -> Iterator[bytes]:
    """Yield the payload's bytes in windows, each of which repeats the last `overlap` bytes of the one before."""
    for start in range(0, payload.size, WINDOW_BYTES):
        yield payload.read(max(0, start - overlap), min(payload.size, start + WINDOW_BYTES))
