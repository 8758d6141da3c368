"""`POST /tokens`."""

import re
import time
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, Field, field_validator

from aiworker.auth import browser_tokens
from aiworker.auth.access import ADMIN, SCOPES, Key
from aiworker.auth.browser_tokens import Token
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import JSON, Schema, parse_json
from aiworker.http.messages import Response, json_response
from aiworker.rag.document_fields import Name
from aiworker.routing import Returns, route

MAX_SECONDS = 86_400
ORIGIN = re.compile(r"https://[a-z0-9.-]+(:[0-9]{1,5})?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
"""An origin as browsers send it: lower case, no path. Plain HTTP only on this machine."""
GRANTABLE = tuple(scope for scope in SCOPES if scope != ADMIN)
"""Scopes that a token may have."""


class TokenRequest(Schema):
    scopes: Annotated[list[str], Field(min_length=1, max_length=len(GRANTABLE))]
    """Scopes of the token: some of the key's, never `admin`."""
    origin: Annotated[str, Field(max_length=255)] | None = None
    """Only pages of this origin may use the token (`https://app.example.com`); any client if left out."""
    seconds: Annotated[int, Field(ge=60, le=MAX_SECONDS)] = 900
    """Lifetime of the token; it never outlives the key."""
    subject: Name | None = None
    """Your name for the user that the token is for, who gets conversations and a rate limit of their own."""
    tenant: Name | None = None
    """The tenant whose documents and conversations the token reaches; the key's own if left out. Only an `admin` key
    may name another."""

    @field_validator("scopes")
    @classmethod
    def _check_scopes(cls, scopes: list[str]) -> list[str]:
        if not set(scopes) <= set(GRANTABLE):
            raise ValueError(f"must be some of {', '.join(GRANTABLE)}")
        return scopes

    @field_validator("origin")
    @classmethod
    def _check_origin(cls, origin: str | None) -> str | None:
        if origin is not None and not ORIGIN.fullmatch(origin):
            raise ValueError(
                "must be an origin, such as https://app.example.com or http://localhost:3000, without a path"
            )
        return origin


class CreatedToken(BaseModel):
    token: str
    """Sent in place of a key: `authorization: Bearer TOKEN`."""
    expires_at: str
    """ISO 8601, in UTC."""
    scopes: list[str]
    tenant: str
    origin: str | None
    subject: str | None


@route(
    "POST", "/tokens", scope="any", rate="model", tag="About",
    body={JSON: TokenRequest}, returns=Returns(CreatedToken, "The token.", 201),
    example={"scopes": ["chat"], "seconds": 600},
)  # fmt: skip
async def create_token(context: Context) -> Response:
    """Create a token for a browser.

    Called with an API key, from your own server. The token can do less than the key, expires, and, with `origin`, works
    only on pages of that origin.
    """
    key, secret = _key(context), _secret(context)
    body = await parse_json(TokenRequest, context.request, context.settings.max_body_bytes)
    scopes = _scopes(key, body)
    now = int(time.time())
    expires = now + body.seconds if key.expires is None else min(now + body.seconds, int(key.expires))
    token = Token(
        key=key.name,
        fingerprint=key.fingerprint,
        audience=context.request.origin,
        scopes=scopes,
        tenant=context.caller.resolve_tenant(body.tenant),
        issued=now,
        expires=expires,
        origin=body.origin or "",
        subject=body.subject or "",
    )
    response = json_response(
        {
            "token": browser_tokens.sign(token, secret),
            "expires_at": datetime.fromtimestamp(expires, UTC).isoformat(),
            "scopes": sorted(scopes),
            "tenant": token.tenant,
            "origin": body.origin,
            "subject": body.subject,
        },
        201,
    )
    response.headers["cache-control"] = "no-store"
    return response


def _key(context: Context) -> Key:
    """Raises ApiError: `forbidden` for a caller with a token, which could renew itself for ever, `unauthorized` for an
    anonymous caller."""
    caller = context.caller
    if caller.has_token:
        raise ApiError("forbidden", "A token cannot create tokens: use the API key, on your own server.")
    if caller.key is None:
        raise ApiError(
            "unauthorized",
            "Only an API key can create tokens: send one. scripts/keys new creates it.",
            headers={"www-authenticate": "Bearer"},
        )
    return caller.key


def _secret(context: Context) -> str:
    """Raises ApiError `not_configured` if the Worker has none."""
    secret = context.settings.policy.token_secret
    if not secret:
        raise ApiError(
            "not_configured",
            "This Worker cannot sign tokens: its secret TOKEN_SECRET is missing. scripts/keys new creates it, "
            "scripts/keys push uploads it.",
        )
    return secret


def _scopes(key: Key, body: TokenRequest) -> frozenset[str]:
    """Raises ApiError `forbidden` for scopes that the key lacks."""
    scopes = frozenset(body.scopes)
    if ADMIN not in key.scopes and not scopes <= key.scopes:
        own = ", ".join(sorted(key.scopes))
        missing = ", ".join(sorted(scopes - key.scopes))
        raise ApiError("forbidden", f"The key {key.name} cannot give {missing}: it has {own}.", param="scopes")
    return scopes
