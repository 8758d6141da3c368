"""`POST /tokens`: a token for a browser, made with a key. It can do less than the key, and not for long."""

import time
from datetime import UTC, datetime

from aiworker.auth import signed_tokens
from aiworker.auth.access import ADMIN, Key
from aiworker.auth.signed_tokens import Token
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import parse_json
from aiworker.http.messages import Response, json_response
from aiworker.routes.tokens_schema import TokenRequest


async def create(context: Context) -> Response:
    key, secret = _the_key(context), _the_secret(context)
    asked = await parse_json(TokenRequest, context.request, context.settings.max_body_bytes)
    scopes = _scopes(key, asked)
    now = int(time.time())
    expires = now + asked.seconds if key.expires is None else min(now + asked.seconds, int(key.expires))
    token = Token(
        key=key.name,
        mark=key.mark,
        audience=context.request.origin,
        scopes=scopes,
        tenant=context.caller.the_tenant(asked.tenant),
        issued=now,
        expires=expires,
        origin=asked.origin or "",
        subject=asked.subject or "",
    )
    response = json_response(
        {
            "token": signed_tokens.write(token, secret),
            "expires_at": datetime.fromtimestamp(expires, UTC).isoformat(),
            "scopes": sorted(scopes),
            "tenant": token.tenant,
            "origin": asked.origin,
            "subject": asked.subject,
        },
        201,
    )
    response.headers["cache-control"] = "no-store"
    return response


def _the_key(context: Context) -> Key:
    """Raises ApiError: `forbidden` for a token, which would never end, `unauthorized` for nobody."""
    caller = context.caller
    if caller.has_token:
        raise ApiError("forbidden", "A token cannot make tokens: ask for one with the API key, on your own server.")
    if caller.key is None:
        raise ApiError(
            "unauthorized",
            "Tokens are made with an API key: send one. scripts/keys new makes it.",
            headers={"www-authenticate": "Bearer"},
        )
    return caller.key


def _the_secret(context: Context) -> str:
    """Raises ApiError `unavailable` if the Worker has none."""
    secret = context.settings.policy.token_secret
    if not secret:
        raise ApiError(
            "unavailable",
            "This Worker cannot sign tokens: its secret TOKEN_SECRET is missing. scripts/keys new makes it, "
            "scripts/keys push uploads it.",
        )
    return secret


def _scopes(key: Key, asked: TokenRequest) -> frozenset[str]:
    """Raises ApiError `forbidden` for more than the key has."""
    scopes = frozenset(asked.scopes)
    if ADMIN not in key.scopes and not scopes <= key.scopes:
        has = ", ".join(sorted(key.scopes))
        more = ", ".join(sorted(scopes - key.scopes))
        raise ApiError("forbidden", f"The key {key.name} cannot give {more}: it has {has}.", param="scopes")
    return scopes
