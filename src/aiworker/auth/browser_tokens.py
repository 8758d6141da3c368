"""Tokens for browsers: a page's scopes and their expiry, signed by the Worker as JSON Web Tokens (RFC 7519).

The only header is the one for HMAC with SHA-256, so that no token can choose another algorithm.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
MAX_LENGTH = 4_096
"""Characters of a token. Longer ones are invalid."""
LEEWAY = 30
"""Seconds by which the clocks of two machines may differ."""
MIN_SECRET_LENGTH = 32
"""Characters. Whoever has a token can guess its secret offline, so it must be a random one (RFC 7518, section 3.2)."""


class InvalidToken(Exception):  # noqa: N818 - a sentence for the client
    """A token that gives no access; the message says why."""


@dataclass(frozen=True)
class Token:
    """The claims of a token."""

    key: str
    """Name of the key that has made it."""
    fingerprint: str
    """`Key.fingerprint` of that key."""
    audience: str
    """Origin of the Worker that it is for."""
    scopes: frozenset[str]
    tenant: str
    issued: int
    """Seconds since 1970."""
    expires: int
    """Seconds since 1970."""
    origin: str = ""
    """The only origin whose pages may use it; empty for any client."""
    subject: str = ""
    """The end user that it is for, by a name that the key's owner chose."""


def looks_like_token(credential: str) -> bool:
    """Tell whether the text has the form of a JSON Web Token, which no API key has."""
    return credential.startswith("eyJ") and credential.count(".") == 2


def sign(token: Token, secret: str) -> str:
    """Return the token as text, signed with the secret."""
    claims: dict[str, Any] = {
        "iss": token.key,
        "key": token.fingerprint,
        "aud": token.audience,
        "scope": " ".join(sorted(token.scopes)),
        "tenant": token.tenant,
        "iat": token.issued,
        "exp": token.expires,
        "origin": token.origin,
        "sub": token.subject,
    }
    payload = _encode(json.dumps(claims, separators=(",", ":")).encode())
    return f"{HEADER}.{payload}.{_signature(payload, secret)}"


def is_signed(text: str, secret: str) -> bool:
    """Tell whether the text is a token signed with the secret; its claims are not checked."""
    if not (secret and looks_like_token(text) and len(text) <= MAX_LENGTH):
        return False
    header, payload, signature = text.split(".")
    return header == HEADER and hmac.compare_digest(signature.encode(), _signature(payload, secret).encode())


def verify(text: str, secret: str, audience: str, now: float) -> Token:
    """Return the claims of a valid token. now: seconds since 1970.

    Raises InvalidToken unless it was signed with the secret, for this audience, and is valid now.
    """
    if not is_signed(text, secret):
        raise InvalidToken("This token was not made by this Worker.")
    try:
        token = _to_token(json.loads(_decode(text.split(".")[1])))
    except (
        binascii.Error,
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
    ) as error:  # signed by somebody else who has the secret
        raise InvalidToken("This token lacks claims that the tokens of this Worker have.") from error
    if token.audience != audience:
        raise InvalidToken(f"This token is for {token.audience}.")
    if now >= token.expires:
        raise InvalidToken("This token has expired: ask for a new one.")
    if token.issued > now + LEEWAY:
        raise InvalidToken("This token is not valid yet.")
    return token


def _to_token(claims: dict[str, Any]) -> Token:
    """Read the claims; raises KeyError, TypeError, ValueError or OverflowError if one is missing or invalid."""
    return Token(
        key=_text(claims["iss"]),
        fingerprint=_text(claims["key"]),
        audience=_text(claims["aud"]),
        scopes=frozenset(_text(claims["scope"]).split()),
        tenant=_text(claims["tenant"]),
        issued=int(claims["iat"]),
        expires=int(claims["exp"]),
        origin=_text(claims["origin"]),
        subject=_text(claims["sub"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _signature(payload: str, secret: str) -> str:
    return _encode(hmac.digest(secret.encode(), f"{HEADER}.{payload}".encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
