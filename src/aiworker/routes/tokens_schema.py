"""The body of `POST /tokens`."""

import re
from typing import Annotated

from pydantic import Field, field_validator

from aiworker.auth.access import ADMIN, SCOPES
from aiworker.http.body import Schema
from aiworker.routes.rag_schema import Name

LONGEST_SECONDS = 86_400
ORIGIN = re.compile(r"https://[a-z0-9.-]+(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
"""As browsers write it: in small letters, without a path. Over plain HTTP only of this machine."""
GIVEN = tuple(scope for scope in SCOPES if scope != ADMIN)


class TokenRequest(Schema):
    scopes: Annotated[list[str], Field(min_length=1, max_length=len(GIVEN))]
    """What the token may: some of what the key may, never `admin`."""
    origin: Annotated[str, Field(max_length=255)] | None = None
    """Only pages of this origin may use it (`https://app.example.com`); any client if it is left out."""
    seconds: Annotated[int, Field(ge=60, le=LONGEST_SECONDS)] = 900
    """How long it holds, at most as long as the key."""
    subject: Name | None = None
    """The user that it is for, by your name for them: their conversations and their rate limit are their own."""
    tenant: Name | None = None
    """Whose documents and conversations it is for. The key's own if it is left out; another only for an `admin` key."""

    @field_validator("scopes")
    @classmethod
    def _are_scopes(cls, scopes: list[str]) -> list[str]:
        if not set(scopes) <= set(GIVEN):
            raise ValueError(f"must be some of {', '.join(GIVEN)}")
        return scopes

    @field_validator("origin")
    @classmethod
    def _is_origin(cls, origin: str | None) -> str | None:
        if origin is not None and not ORIGIN.fullmatch(origin):
            raise ValueError(
                "must be an origin, such as https://app.example.com or http://localhost:3000, without a path"
            )
        return origin
