"""Tokens for browsers: what a page may, for how long, signed by the Worker. They are JSON Web Tokens (RFC 7519).

Of that standard only what is needed is taken: HMAC with SHA-256, and one header, so that no token can choose another
algorithm.
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
"""Characters."""
LEEWAY = 30
"""Seconds by which the clocks of two machines may differ."""
MIN_SECRET_LENGTH = 32
"""Characters. Whoever has a token can try secrets at home: it must not be one that people make up (RFC 7518, 3.2)."""


class InvalidToken(Exception):  # noqa: N818 - a sentence for the client
    """The message says why the token does not count."""


@dataclass(frozen=True)
class Token:
    key: str
    """Name of the key that has made it."""
    fingerprint: str
    """`Key.mark` of it."""
    audience: str
    """Origin of the Worker that it is for."""
    scopes: frozenset[str]
    tenant: str
    issued: int
    """Seconds since 1970, as `expires`."""
    expires: int
    origin: str = ""
    """Only pages of this origin may use it; empty for any client."""
    subject: str = ""
    """The user that it is for, by a name of the key's owner."""


def looks_like_token(credential: str) -> bool:
    return credential.startswith("eyJ") and credential.count(".") == 2


def sign(token: Token, secret: str) -> str:
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
    payload = _encoded(json.dumps(claims, separators=(",", ":")).encode())
    return f"{HEADER}.{payload}.{_signature(payload, secret)}"


def is_signed(text: str, secret: str) -> bool:
    """Whether it was signed with the secret, whatever it says."""
    if not (secret and looks_like_token(text) and len(text) <= MAX_LENGTH):
        return False
    header, payload, signature = text.split(".")
    return header == HEADER and hmac.compare_digest(signature.encode(), _signature(payload, secret).encode())


def verify(text: str, secret: str, audience: str, now: float) -> Token:
    """Raises InvalidToken if it was not signed with the secret for that audience, or is over. now: as `expires`."""
    if not is_signed(text, secret):
        raise InvalidToken("This token was not made by this Worker.")
    try:
        token = _claimed(json.loads(_decoded(text.split(".")[1])))
    except (
        binascii.Error,
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
    ) as error:  # signed by somebody else who has the secret
        raise InvalidToken("This token lacks what the tokens of this Worker say.") from error
    if token.audience != audience:
        raise InvalidToken(f"This token is for {token.audience}.")
    if now >= token.expires:
        raise InvalidToken("This token has expired: ask for a new one.")
    if token.issued > now + LEEWAY:
        raise InvalidToken("This token is not valid yet.")
    return token


def _claimed(claims: dict[str, Any]) -> Token:
    """Raises KeyError, TypeError, ValueError or OverflowError for the claims of a token that is not one of these."""
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
    return _encoded(hmac.digest(secret.encode(), f"{HEADER}.{payload}".encode(), hashlib.sha256))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
