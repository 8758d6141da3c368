"""The header `Content-Type` of forms, read by the grammar of RFC 9110, sections 5.6 and 8.3.1."""

import re

from aiworker.errors import ApiError
from aiworker.http.body import FORM

MAX_LENGTH = 1_000
"""Characters of a form's content type; browsers send fewer than 100."""
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"'
TYPE = re.compile(rf"[ \t]*({_WORD}/{_WORD})[ \t]*")
PARAMETER = re.compile(rf";[ \t]*(?:({_WORD})=({_WORD}|{_QUOTED}))?[ \t]*")
BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
"""The boundaries of RFC 2046, section 5.1.1, none of whose characters needs an escape in quotes."""


def read_boundary(content_type: str) -> str:
    """Return the boundary that a form's content type names, without quotes or escapes.

    Raises ApiError `invalid_request` for a header that is malformed, or that does not name exactly one valid boundary:
    two programs that read such a header could find different parts in the same body.
    """
    parameters = _parameters(content_type[:MAX_LENGTH])
    boundaries = [value for name, value in parameters if name == "boundary"]
    if len(content_type) > MAX_LENGTH or len(boundaries) != 1 or not BOUNDARY.fullmatch(boundaries[0]):
        raise ApiError(
            "invalid_request", f"The header content-type must be {FORM} with one boundary, such as {form_type('x')}."
        )
    return boundaries[0]


def form_type(boundary: str) -> str:
    """Return the content type of a form with this boundary, in the one form that every parser reads alike."""
    return f'{FORM}; boundary="{boundary}"'


def _parameters(content_type: str) -> list[tuple[str, str]]:
    """Return the names, in lower case, and the values of the parameters; none if the header is malformed."""
    parameters: list[tuple[str, str]] = []
    match = TYPE.match(content_type)
    while match and match.end() < len(content_type):
        match = PARAMETER.match(content_type, match.end())
        if match and match[1]:
            parameters.append((match[1].lower(), _unquoted(match[2])))
    return parameters if match else []


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
