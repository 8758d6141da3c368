"""Long texts of JSON bodies, found without parsing: their bytes stay in JavaScript."""

import re
from collections.abc import AsyncIterator

from aiworker.errors import ApiError
from aiworker.http.messages import Payload
from aiworker.http.payload_checks import windows

LONG_BYTES = 131_072
"""Bytes from which on a JSON string counts as long. Python's memory never shrinks, and each copy of a string takes up
to four bytes a character."""
MAX_STRINGS = 10_000
"""Texts and names of fields in a JSON body, each of which costs Python some microseconds."""
WITHIN = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""The rest of a JSON string, up to its quotation mark, or to a backslash at the end of the window."""


async def long_strings(payload: Payload) -> list[range]:
    """Return the indexes of the long strings of a JSON text, quotation marks included.

    Raises ApiError `payload_too_large` for more than MAX_STRINGS strings.
    """
    matches: list[range] = []
    marks = start = 0
    async for mark in _quotation_marks(payload):
        marks += 1
        if marks > 2 * MAX_STRINGS:
            raise too_many_strings()
        if marks % 2:
            start = mark
        elif mark - start >= LONG_BYTES:
            matches.append(range(start, mark + 1))
    return matches


async def _quotation_marks(payload: Payload) -> AsyncIterator[int]:
    """Yield the indexes of the quotation marks with which strings begin and end."""
    is_inside = is_escaped = False
    async for offset, window in windows(payload):
        at, is_escaped = int(is_escaped), False
        while 0 <= at < len(window):
            at = next(WITHIN.finditer(window, at)).end() if is_inside else window.find(b'"', at)
            if window[at : at + 1] == b'"':
                yield offset + at
                is_inside = not is_inside
                at += 1
            else:
                is_escaped = window[at : at + 1] == b"\\"
                break


def too_many_strings() -> ApiError:
    return ApiError("payload_too_large", f"The body has more than {MAX_STRINGS:,} texts and names of fields.")
