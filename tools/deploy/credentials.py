"""The deployment's two secrets, and the credentials of the smoke test.

The Worker's API_KEYS cannot be read back from Cloudflare, so existing keys are never overwritten: keys are uploaded
only to a deployment without any. `scripts/keys push` replaces them.
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from aiworker.auth import browser_tokens
from aiworker.auth.access import ADMIN, SCOPES, Key
from tools.deploy.account import Account
from tools.deploy.api import NotFoundError
from tools.deploy.errors import DeployError
from tools.deploy.target import Target
from tools.keys import keys
from tools.keys.keys import API_KEYS, TOKEN_SECRET

CALLER = "AIWORKER_KEY"
"""Variable of the environment with an API key of the deployment."""
CHECK = "deploy-check"
"""Name and tenant of the key that the smoke test's tokens are derived from. Nobody has the key itself."""
CHECK_SCOPES = frozenset({"chat", "embed", "image", "rag:read", "rag:write"})
FIRST = "first"
"""Name of the API key that a first deployment makes."""
FIRST_SCOPES = frozenset(SCOPES) - {ADMIN}
TOKEN_SECONDS = 300


@dataclass(frozen=True)
class Secrets:
    """Secrets that the next version brings along."""

    values: dict[str, str]
    """Name → value, of those that the deployment lacks."""
    new_key: str = ""
    """An API key that was made for this deployment, and is shown once."""
    is_from_environment: bool = False
    """Whether `new_key` is $AIWORKER_KEY, which the user has already."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.values))


def deployed_names(account: Account, target: Target) -> set[str]:
    """Return the names of the deployed Worker's secrets; none if there is no Worker."""
    with account.reach(f"list the secrets of the Worker {target.worker}"):
        try:
            return {str(each["name"]) for each in account.api.get("workers/scripts", target.worker, "secrets")}
        except NotFoundError:
            return set()


def missing(target: Target, deployed: set[str]) -> Secrets:
    """Return the secrets to upload: this machine's, else new ones. Nothing is written.

    Raises DeployError where a new key would be printed into the log of a CI run, or what is here cannot be uploaded.
    """
    local = _local(target)
    own = _own_key()
    values: dict[str, str] = {}
    new_key = ""
    if TOKEN_SECRET not in deployed:
        values[TOKEN_SECRET] = local.get(TOKEN_SECRET) or keys.random_text(keys.KEY_BYTES)
    if API_KEYS not in deployed:
        known = list(local.keys())
        if not known:
            new_key = _strong(own) if own else _new_key()
            known.append(Key(FIRST, keys.sha256(new_key), FIRST_SCOPES))
        if own and keys.sha256(own) not in {key.sha256 for key in known}:
            raise DeployError(
                f"{CALLER} is none of the keys in {local.file}, which are uploaded since this deployment has none: "
                f"unset {CALLER}, or set it to one of them."
            )
        if not any(_can_check(key) for key in known):
            known = [key for key in known if key.name != CHECK]
            known.append(Key(CHECK, keys.sha256(keys.random_key()), CHECK_SCOPES, CHECK))
        values[API_KEYS] = keys.to_variable(known)
    _check_sizes(values, local.file)
    return Secrets(values, new_key, is_from_environment=bool(new_key) and new_key == own)


def _check_sizes(values: Mapping[str, str], file: str) -> None:
    """Check the secrets. Raises DeployError for those that Cloudflare or the Worker would refuse."""
    if len(values.get(API_KEYS, "").encode()) > keys.MAX_SECRET_BYTES:
        raise DeployError(
            f"{file} has too many keys: a secret has room for {keys.MAX_SECRET_BYTES:,} bytes. Revoke some with "
            "scripts/keys revoke."
        )
    if TOKEN_SECRET in values and len(values[TOKEN_SECRET]) < browser_tokens.MIN_SECRET_LENGTH:
        raise DeployError(
            f"TOKEN_SECRET in {file} is shorter than {browser_tokens.MIN_SECRET_LENGTH} characters: remove the line, "
            "and a new one is made."
        )


def _own_key() -> str:
    """Return $AIWORKER_KEY. Raises DeployError if it cannot be sent: the client's own message would show it."""
    key = os.environ.get(CALLER, "")
    if not re.fullmatch(r"[!-~]*", key):
        raise DeployError(f"{CALLER} has a space, a line break or another character that no key has: set it anew.")
    return key


def _strong(key: str) -> str:
    """Check a key that will give access to the deployment. Raises DeployError if it could be guessed."""
    if not re.fullmatch(rf"{keys.PREFIX}[A-Za-z0-9_-]{{43,}}", key):
        raise DeployError(
            f"{CALLER} becomes the first key of this deployment, and could be guessed: set it to {keys.PREFIX} and 43 "
            "random letters and digits, such as scripts/keys new makes."
        )
    return key


def _new_key() -> str:
    if os.environ.get("CI"):
        raise DeployError(
            "This deployment has no API key yet, and a new one would be printed into the log of this CI run: set "
            f"the secret {CALLER} to a key of your own (aiw_ and 43 random letters and digits), or deploy once from "
            "your machine."
        )
    return keys.random_key()


def keep(target: Target, secrets: Secrets) -> str:
    """Write uploaded secrets into the file of this machine, which has a key's SHA-256 only.

    Returns a note for the user, empty if there is nothing to note.
    """
    note = keys.shadowing_note(target.root, target.environment) if secrets.values else ""
    if secrets.values:
        with keys.changing(target.root, target.environment) as variables:
            for name, value in secrets.values.items():
                variables.set(name, value)
    return note


@dataclass(frozen=True)
class Caller:
    """The caller that sends the smoke test's requests."""

    credential: Callable[[], str]
    """Makes the credential to send; empty for none. A token is new each time: one may expire in a slow test."""
    title: str
    """A name of the caller for people."""
    is_certain: bool = False
    """Whether the deployment must know the credential, so that a 401 is a failure."""

    may_lack_scopes: bool = False
    """True for a user's key, which may lack scopes that the smoke test needs."""

    @property
    def headers(self) -> dict[str, str]:
        credential = self.credential()
        return {"authorization": f"Bearer {credential}"} if credential else {}


NOBODY = Caller(str, "nobody")


def caller(target: Target, address: str, uploaded: Secrets) -> Caller:
    """Return the caller of $AIWORKER_KEY, else of a token for five minutes that this machine signs, else nobody."""
    if key := os.environ.get(CALLER):
        return Caller(lambda: key, f"${CALLER}", is_certain=True, may_lack_scopes=True)
    local = _local(target)
    secret = local.get(TOKEN_SECRET)
    maker = next((key for key in local.keys() if _can_check(key)), None)  # noqa: SIM118 - no mapping
    if not secret or maker is None:
        return NOBODY
    # the Worker's own view of its address: in small letters, without the default port
    url = httpx.URL(address)
    audience = f"{url.scheme}://{url.netloc.decode()}"
    return Caller(
        lambda: _token(maker, audience, secret),
        f"a token of the key {maker.name}",
        is_certain=set(uploaded.names) == {API_KEYS, TOKEN_SECRET},
    )


def _token(maker: Key, audience: str, secret: str) -> str:
    now = int(time.time())
    token = browser_tokens.Token(
        key=maker.name,
        fingerprint=maker.fingerprint,
        audience=audience,
        scopes=CHECK_SCOPES,
        tenant=CHECK,
        issued=now - browser_tokens.LEEWAY,  # this machine's clock may be ahead of Cloudflare's
        expires=now + TOKEN_SECONDS,
    )
    return browser_tokens.sign(token, secret)


def _can_check(key: Key) -> bool:
    """Whether tokens of the key have all scopes of the smoke test, for a tenant of its own."""
    is_alive = key.expires is None or key.expires > time.time() + TOKEN_SECONDS
    return is_alive and (ADMIN in key.scopes or (key.tenant == CHECK and key.scopes >= CHECK_SCOPES))


def _local(target: Target) -> keys.Variables:
    """Read this machine's secrets. Raises DeployError if its file is ambiguous."""
    try:
        variables = keys.read(target.root, target.environment)
        variables.get(TOKEN_SECRET)
        variables.keys()
    except keys.CannotDo as error:
        raise DeployError(str(error)) from error
    return variables
