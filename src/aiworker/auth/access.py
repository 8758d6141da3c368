"""Identification of callers and their rights: by an API key, by a browser token made with a key, or as the public.

The Worker knows only the SHA-256 of a key; `scripts/keys` makes both.
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
from aiworker.conversation_owner import ConversationOwner
from aiworker.errors import ApiError
from aiworker.http.messages import Request

Scope = Literal["chat", "embed", "text", "image", "audio", "rag:read", "rag:write", "feedback", "admin"]
"""A right of a key or a token."""
RouteScope = Scope | Literal["open", "any"]
"""The scope that a route requires. `open`: none, for routes that reveal nothing private and cost nothing. `any`: any
key or token."""
ADMIN = "admin"
"""The scope that includes every other scope, and every tenant."""

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
"""Valid names of keys and tenants."""


@dataclass(frozen=True)
class Key:
    """An API key as the Worker stores it: without the secret itself."""

    name: str
    sha256: str
    """SHA-256 of the secret, in hexadecimal."""
    scopes: frozenset[str]
    tenant: str = DEFAULT_TENANT
    """Tenant whose documents and conversations the key can use."""
    expires: float | None = None
    """Seconds since 1970; None if the key does not expire."""
    daily_neurons: float | None = None
    """Neurons that its calls may cost in a day of UTC; None for no limit."""

    @property
    def fingerprint(self) -> str:
        """First 16 digits of the SHA-256. Tokens carry it, so that they end with this key, not with its name."""
        return self.sha256[:16]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Key":
        """Read a key. Raises ValueError, KeyError or TypeError if a field is missing or invalid."""
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
    """Read the variable API_KEYS, a JSON array. Raises ValueError for anything that `scripts/keys` would not write."""
    try:
        records = json.loads(text or "[]")
        keys = tuple(Key.from_json(each) for each in records)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(records, list):
        raise ValueError("no array")
    for name in ("name", "sha256"):
        if len({getattr(key, name) for key in keys}) < len(keys):
            raise ValueError(f"two keys with the same {name}")
    return keys


def _number_or_none(value: Any) -> float | None:
    """Return a finite number of 0 or more, or None. Raises ValueError otherwise: no key would expire before NaN."""
    if value is None:
        return None
    if isinstance(value, (str, bool)) or not math.isfinite(value) or value < 0:
        raise ValueError(str(value))
    return float(value)


@dataclass(frozen=True)
class Caller:
    """The sender of a request, and their rights."""

    name: str
    """Name of the key; `public` without one."""
    scopes: frozenset[str]
    tenant: str | None = None
    """The only tenant that they may name; None for any, as with `admin`."""
    subject: str = ""
    """The end user for whom the token was made, by a name that the key's owner chose; empty without one."""
    key: Key | None = None
    """The key that was sent, or that made the token; None for the public."""
    has_token: bool = False
    """The caller has sent a browser token."""

    def has_scope(self, scope: str) -> bool:
        """Tell whether the caller may use a route with this scope, a RouteScope."""
        return scope in ("open", "any") or scope in self.scopes or ADMIN in self.scopes

    def resolve_tenant(self, requested: str | None) -> str:
        """Return the tenant of the request, by default the caller's. Raises ApiError `forbidden` for any other."""
        if self.tenant is None or requested == self.tenant:
            return requested or DEFAULT_TENANT
        if requested is not None:
            raise ApiError("forbidden", f"This key is for the tenant {self.tenant} only.", param="tenant")
        return self.tenant

    @property
    def owner(self) -> str:
        """Owner of what the caller stores (tenant, key, user); empty for callers that many share: the public, and
        tokens for nobody in particular."""
        if self.key is None or (self.has_token and not self.subject):
            return ""
        return f"{self.tenant or ''}/{self.key.name}/{self.subject}"

    @property
    def conversation_owner(self) -> ConversationOwner:
        """The owner of the caller's conversations: the tenant and the subject."""
        if self.tenant is None:
            return ConversationOwner(None)
        # "*" is no valid subject: callers without a key never read conversations of those with one
        return ConversationOwner(self.tenant, self.subject if self.key else "*")


@dataclass(frozen=True)
class Policy:
    """The rules by which the Worker accepts callers."""

    keys: tuple[Key, ...]
    token_secret: str
    """Secret that signs tokens; if it is empty, no token is valid."""
    public_scopes: frozenset[str] | None
    """Scopes of callers without a key; None if a key is required."""

    @property
    def log_secret(self) -> str:
        """Secret that binds the ids of logs to tenants: TOKEN_SECRET, else the hashes of all keys, which only the owner
        has."""
        return self.token_secret or " ".join(sorted(key.sha256 for key in self.keys))

    @property
    def mode(self) -> str:
        """`public`, `keys`, or `closed` if keys are required and there are none."""
        if self.public_scopes is not None:
            return "public"
        return "keys" if self.keys else "closed"


def identify(request: Request, policy: Policy, scope: str, now: float) -> Caller:
    """Return the caller, who has the scope. now: seconds since 1970.

    Raises ApiError `unauthorized` for a missing or invalid key or token, `forbidden` if the caller lacks the scope,
    `unavailable` if the Worker has no keys and is not public.
    """
    if scope == "open":
        return ANYBODY
    caller = _authenticate(request, policy, now)
    if not caller.has_scope(scope):
        who = "Without a key, requests have" if caller.key is None else f"The key {caller.name} has"
        has = ", ".join(sorted(caller.scopes)) or "none"
        raise ApiError("forbidden", f"This route needs the scope {scope}. {who}: {has}.")
    return caller


ANYBODY = Caller("public", frozenset())
"""The caller of an `open` route, who is not identified."""


def _authenticate(request: Request, policy: Policy, now: float) -> Caller:
    credential = _credential(request)
    if policy.public_scopes is not None:
        return _try_credential(credential, request, policy, now) or _public_caller(policy.public_scopes)
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
    caller = _by_key(credential, policy.keys, now)
    if caller is None:
        raise _unauthorized("This API key is not known: it may have been revoked.")
    return caller


def _try_credential(credential: str | None, request: Request, policy: Policy, now: float) -> Caller | None:
    """Identify the caller of a public Worker; None for an unknown key: some clients require one, and send any text."""
    if not credential:
        return None
    if browser_tokens.is_signed(credential, policy.token_secret):
        return _by_token(credential, request, policy, now)
    return _by_key(credential, policy.keys, now)


def _public_caller(scopes: frozenset[str]) -> Caller:
    # without `admin`, the public must not see what belongs to the tenants of keys
    return Caller("public", scopes, None if ADMIN in scopes else DEFAULT_TENANT)


def _credential(request: Request) -> str | None:
    """Return the key or token of the headers; raises ApiError `unauthorized` if they are malformed or differ."""
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
    """Return the caller with this key, None if it is unknown; raises ApiError `unauthorized` if it has expired."""
    digest = hashlib.sha256(credential.encode()).hexdigest()
    # every key is compared, each in constant time, so that the time taken reveals nothing
    matches = [key for key in keys if hmac.compare_digest(key.sha256, digest)]
    if not matches:
        return None
    return _caller(matches[0], now)


def _caller(key: Key, now: float) -> Caller:
    """Return the key's owner; raises ApiError `unauthorized` if the key has expired."""
    if key.expires is not None and now >= key.expires:
        raise _unauthorized(f"The API key {key.name} has expired.")
    return Caller(key.name, key.scopes, None if ADMIN in key.scopes else key.tenant, key=key)


def _by_token(credential: str, request: Request, policy: Policy, now: float) -> Caller:
    """Return the caller with this token; raises ApiError `unauthorized` if it or its key is not valid."""
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
    # the token never has more scopes than its key has now
    scopes = token.scopes - {ADMIN} if owner.has_scope(ADMIN) else token.scopes & owner.scopes
    return Caller(key.name, scopes, token.tenant, token.subject, key, has_token=True)


def _is_from(request: Request, origin: str) -> bool:
    """Tell whether a page of that origin has sent the request. (Browsers omit `origin` of a GET to the same origin.)"""
    sender = request.header("origin")
    if sender is None:
        return request.header("sec-fetch-site") == "same-origin" and request.origin == origin
    return sender == origin


def _unauthorized(message: str) -> ApiError:
    return ApiError("unauthorized", message, headers={"www-authenticate": "Bearer"})
