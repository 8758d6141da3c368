"""Who calls, and what they may: by an API key, by a token that a key has made for a browser, or as anybody.

Of a key the Worker knows only the SHA-256; `scripts/keys` makes both.
"""

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiworker.auth import browser_tokens
from aiworker.errors import ApiError
from aiworker.http.messages import Request

Scope = Literal["chat", "embed", "text", "image", "audio", "rag:read", "rag:write", "feedback", "admin"]
"""What a key or a token may do."""
RouteScope = Scope | Literal["open", "any"]
"""The scope a route requires. `open`: none, for routes that reveal nothing private and cost nothing; `any`: whichever
key or token."""
ADMIN = "admin"
"""Includes every other scope, and every tenant."""

SCOPES: Mapping[Scope, str] = {
    "chat": "text from a model, and conversations",
    "embed": "vectors and reranking",
    "text": "translation, classification, summaries, structured output",
    "image": "images",
    "audio": "speech to text and text to speech",
    "rag:read": "answers from documents, searches, the list of documents",
    "rag:write": "adding and removing documents",
    "feedback": "rating a logged answer",
    ADMIN: "everything, of every tenant: the gateway's logs too",
}
"""Scope → its description."""

DEFAULT_TENANT = "default"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Of a key or a tenant."""


@dataclass(frozen=True)
class Key:
    """An API key, without what would let anybody use it."""

    name: str
    sha256: str
    """Of the key, hexadecimal."""
    scopes: frozenset[str]
    tenant: str = DEFAULT_TENANT
    """Whose documents and conversations it is for."""
    expires: float | None = None
    """Seconds since 1970."""
    daily_neurons: float | None = None
    """What its calls may cost in a day of UTC; None for as much as they like."""

    @property
    def fingerprint(self) -> str:
        """What tokens carry of it, so that they end with it and not with its name, which the next key may have."""
        return self.sha256[:16]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Key":
        """Raises ValueError or KeyError for what is no key."""
        key = cls(
            name=str(data["name"]),
            sha256=str(data["sha256"]),
            scopes=frozenset(map(str, data["scopes"])),
            tenant=str(data.get("tenant", DEFAULT_TENANT)),
            expires=_number_or_none(data.get("expires")),
            daily_neurons=_number_or_none(data.get("daily_neurons")),
        )
        if not (
            NAME.fullmatch(key.name)
            and NAME.fullmatch(key.tenant)
            and re.fullmatch(r"[0-9a-f]{64}", key.sha256)
            and key.scopes
            and key.scopes <= SCOPES.keys()
        ):
            raise ValueError(key.name)
        return key


def parse_keys(text: str) -> tuple[Key, ...]:
    """The variable API_KEYS, a JSON array. Raises ValueError for what `scripts/keys` would not write."""
    try:
        records = json.loads(text or "[]")
        keys = tuple(Key.from_json(each) for each in records)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(records, list):
        raise ValueError("no array")
    for name in ("name", "sha256"):
        if len({getattr(key, name) for key in keys}) < len(keys):
            raise ValueError(f"two keys of one {name}")
    return keys


def _number_or_none(value: Any) -> float | None:
    """Raises ValueError for what is none: before "not a number", nothing ever expires."""
    if value is None:
        return None
    if isinstance(value, (str, bool)) or not math.isfinite(value) or value < 0:
        raise ValueError(str(value))
    return float(value)


@dataclass(frozen=True)
class Caller:
    """Whoever a request comes from, as far as the Worker lets them."""

    name: str
    """Of the key; `public` without one."""
    scopes: frozenset[str]
    tenant: str | None = None
    """The only tenant that they may name; None for any, as `admin` may."""
    subject: str = ""
    """A user of whoever has the key, as the token says."""
    key: Key | None = None
    has_token: bool = False

    def has_scope(self, scope: str) -> bool:
        return scope in ("open", "any") or scope in self.scopes or ADMIN in self.scopes

    def resolve_tenant(self, asked: str | None) -> str:
        """Whose documents this request is about. Raises ApiError `forbidden` for those of another."""
        if self.tenant is None or asked == self.tenant:
            return asked or DEFAULT_TENANT
        if asked is not None:
            raise ApiError("forbidden", f"This key is for the tenant {self.tenant} only.", param="tenant")
        return self.tenant

    def conversation_key(self, conversation_id: str) -> str:
        """A name for the conversation that no other tenant's and no other user's can have."""
        if self.tenant is None:
            return conversation_id
        # no name of a subject: those without a key never read what those with one have said
        user = self.subject if self.key else "*"
        return f"{self.tenant}/{user}/{conversation_id}"


@dataclass(frozen=True)
class Policy:
    """Whom the Worker serves."""

    keys: tuple[Key, ...]
    token_secret: str
    """Signs tokens; without one there are none."""
    public_scopes: frozenset[str] | None
    """What anybody may without a key; None for nothing."""

    @property
    def mode(self) -> str:
        if self.public_scopes is not None:
            return "public"
        return "keys" if self.keys else "closed"


def identify(request: Request, policy: Policy, scope: str, now: float) -> Caller:
    """Who sends the request, who has the scope. now: seconds since 1970.

    Raises ApiError: `unauthorized` if they do not say who they are, or not truly; `forbidden` if they may not;
    `unavailable` while nobody may.
    """
    if scope == "open":
        return ANYBODY
    caller = _known(request, policy, now)
    if not caller.has_scope(scope):
        who = "Without a key, requests have" if caller.key is None else f"The key {caller.name} has"
        has = ", ".join(sorted(caller.scopes)) or "none"
        raise ApiError("forbidden", f"This route needs the scope {scope}. {who}: {has}.")
    return caller


ANYBODY = Caller("public", frozenset())


def _known(request: Request, policy: Policy, now: float) -> Caller:
    credential = _credential(request)
    if policy.public_scopes is not None:
        return _proven(credential, request, policy, now) or _anybody(policy.public_scopes)
    if not policy.keys:
        raise ApiError(
            "unavailable",
            "This Worker is closed: it has no keys. Make one with scripts/keys and upload it with scripts/keys push; "
            'or, to serve everybody at your cost, set the variable AUTH_MODE to "public".',
        )
    if credential is None:
        raise _unauthorized("Send an API key: authorization: Bearer KEY, or x-api-key: KEY.")
    if browser_tokens.looks_like_token(credential):
        return _by_token(credential, request, policy, now)
    known = _by_key(credential, policy.keys, now)
    if known is None:
        raise _unauthorized("This API key is not known: it may have been revoked.")
    return known


def _proven(credential: str | None, request: Request, policy: Policy, now: float) -> Caller | None:
    """Who it is, where nobody has to say. None for a key that is none: clients that insist on one send any."""
    if not credential:
        return None
    if browser_tokens.is_signed(credential, policy.token_secret):
        return _by_token(credential, request, policy, now)
    return _by_key(credential, policy.keys, now)


def _anybody(scopes: frozenset[str]) -> Caller:
    # without `admin`, what is kept for a tenant's keys is not for everybody
    return Caller("public", scopes, None if ADMIN in scopes else DEFAULT_TENANT)


def _credential(request: Request) -> str | None:
    """Raises ApiError `unauthorized` for what could be read in two ways."""
    bearer, key = request.header("authorization"), request.header("x-api-key")
    if bearer is None:
        return key
    scheme, _, credential = bearer.partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        raise _unauthorized("The header authorization must be: Bearer KEY.")
    if key is not None and key != credential:
        raise _unauthorized("The headers authorization and x-api-key have different keys: send one of them.")
    return credential


def _by_key(credential: str, keys: Iterable[Key], now: float) -> Caller | None:
    digest = hashlib.sha256(credential.encode()).hexdigest()
    # all of them are compared, each in the same time: how long it takes tells nothing
    found = [key for key in keys if hmac.compare_digest(key.sha256, digest)]
    if not found:
        return None
    return _caller(found[0], now)


def _caller(key: Key, now: float) -> Caller:
    if key.expires is not None and now >= key.expires:
        raise _unauthorized(f"The API key {key.name} has expired.")
    return Caller(key.name, key.scopes, None if ADMIN in key.scopes else key.tenant, key=key)


def _by_token(credential: str, request: Request, policy: Policy, now: float) -> Caller:
    try:
        token = browser_tokens.verify(credential, policy.token_secret, request.origin, now)
    except browser_tokens.InvalidToken as error:
        raise _unauthorized(str(error)) from None
    key = next((each for each in policy.keys if each.name == token.key and each.fingerprint == token.fingerprint), None)
    if key is None:
        raise _unauthorized("The API key that made this token was revoked.")
    if token.origin and not _is_from(request, token.origin):
        raise _unauthorized(f"This token is only for pages of {token.origin}.")
    owner = _caller(key, now)
    if owner.tenant not in (None, token.tenant):
        raise _unauthorized(f"The API key that made this token is now for another tenant than {token.tenant}.")
    # a key that has been given less since then has no more to give
    scopes = token.scopes - {ADMIN} if owner.has_scope(ADMIN) else token.scopes & owner.scopes
    return Caller(key.name, scopes, token.tenant, token.subject, key, has_token=True)


def _is_from(request: Request, origin: str) -> bool:
    """Whether a page of that origin has sent it. (To their own origin, browsers send GET without `origin`.)"""
    said = request.header("origin")
    if said is None:
        return request.header("sec-fetch-site") == "same-origin" and request.origin == origin
    return said == origin


def _unauthorized(message: str) -> ApiError:
    return ApiError("unauthorized", message, headers={"www-authenticate": "Bearer"})
