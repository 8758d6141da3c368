"""Credentials in what is recorded: names of headers and fields whose values are left out."""

import re
from typing import Any

REMOVED = "<not recorded>"
"""Text in place of a credential."""
FIELDS = (
    "authorization", "proxy-authorization", "cf-aig-authorization", "api-key", "x-api-key", "x-auth-key",
    "x-goog-api-key", "cf-access-client-secret",
)  # fmt: skip
"""Headers with credentials that also occur in JSON: in the steps of a universal request, and in options."""
HEADERS = (*FIELDS, "cookie", "set-cookie")
"""Headers with credentials, in lower case."""

_FIELD = re.compile(rf"""("(?:{"|".join(FIELDS)})"\s*:\s*")(?:[^"\\]|\\.)*""", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """A JSON text, also one that was cut, without the values of fields that carry credentials."""
    return _FIELD.sub(lambda match: f"{match[1]}{REMOVED}", text)


def recorded(name: str, value: Any) -> Any:
    """The value of a field, unless it is a credential."""
    return REMOVED if isinstance(value, str) and name.lower() in FIELDS else value
