"""The Cloudflare account of a deployment: the login, and the API through Cloudflare's own client."""

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import cloudflare
from cloudflare import Cloudflare

from tools.deploy.commands import NETWORK, CommandError, Commands
from tools.deploy.errors import AGAIN, LOGIN, DeployError, sentence_for
from tools.deploy.target import Target

SECONDS = 30.0
"""Timeout of one request to the API; the client makes up to two further attempts."""
TOO_MANY, SERVER_ERROR = 429, 500
"""HTTP statuses after which the same request may succeed later."""
SCRIPTS = "Workers Scripts: Edit"
SETTINGS = "Account Settings: Read"


@dataclass(frozen=True)
class Account:
    """One account of a login."""

    id: str
    name: str
    """Empty if the login may not read it."""
    api: Cloudflare

    @property
    def title(self) -> str:
        return f"{self.name} ({self.id})" if self.name else self.id

    @contextmanager
    def reach(self, action: str, permission: str = SCRIPTS) -> Generator[None]:
        """Turn the client's errors in the block into DeployError, if the block does not catch them itself.

        action: what the block does, such as "create the R2 bucket aiworker". permission: what it takes.
        """
        with reaching(action, permission):
            yield


NO_ACCOUNT = Account("", "", Cloudflare(api_token="-"))  # noqa: S106 - no token
"""Placeholder where an account is needed and no request is sent to it."""


@contextmanager
def reaching(action: str, permission: str) -> Generator[None]:
    """Translate errors as `Account.reach` does, before the account is known."""
    try:
        yield
    except cloudflare.APIStatusError as error:
        codes = [each.code for each in error.errors if each.code is not None]
        # without errors the answer is a page of a proxy or of Cloudflare's edge, not of the API
        words = "; ".join(f"{each.message} (code {each.code})" for each in error.errors)
        if error.status_code == TOO_MANY or error.status_code >= SERVER_ERROR:
            raise DeployError(
                f"Cloudflare's API could not {action} now (status {error.status_code}{words and ': '}{words}): wait a "
                f"few minutes, {AGAIN}"
            ) from error
        words = words or f"status {error.status_code}"
        raise DeployError(
            sentence_for(codes, action, permission) or f"Cloudflare refused to {action}: {words}. Mend that, {AGAIN}"
        ) from error
    except cloudflare.APIConnectionError as error:
        raise DeployError(f"Cloudflare's API could not be reached to {action}: check the network, {AGAIN}") from error
    except (cloudflare.CloudflareError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DeployError(
            f"Cloudflare's API gave an answer without what is needed to {action}: check that no proxy answers in its "
            f"place, {AGAIN}"
        ) from error


def log_in(target: Target, commands: Commands) -> Account:
    """Find the login and its account. Raises DeployError if there is none, or it is not clear which."""
    login = _credentials(commands)
    base_url = os.environ.get("CLOUDFLARE_API_BASE_URL")
    api = Cloudflare(
        api_token=login.token, api_key=login.key, api_email=login.email, base_url=base_url, timeout=SECONDS
    )
    chosen = os.environ.get("CLOUDFLARE_ACCOUNT_ID") or target.configuration.get("account_id")
    accounts = _accounts(api, required=not chosen)
    if chosen:
        if accounts and chosen not in accounts:
            raise DeployError(
                f"This login has no account {chosen}; it has {_listed(accounts)}. Mend CLOUDFLARE_ACCOUNT_ID or "
                '"account_id" in wrangler.jsonc.'
            )
        return Account(chosen, accounts.get(chosen, ""), api)
    if not accounts:
        raise DeployError(f"Cloudflare shows this login no account: add the permission {SETTINGS} to the API token.")
    if len(accounts) > 1:
        raise DeployError(
            f"This login has several accounts: {_listed(accounts)}. Say which: CLOUDFLARE_ACCOUNT_ID=… scripts/deploy"
        )
    [(account, name)] = accounts.items()
    return Account(account, name, api)


class Credentials(NamedTuple):
    """A token, or the older pair of a key and an e-mail address."""

    token: str | None = None
    key: str | None = None
    email: str | None = None


def _credentials(commands: Commands) -> Credentials:
    """Return wrangler's login: environment variables, else `wrangler login`. Raises DeployError for none."""
    if token := os.environ.get("CLOUDFLARE_API_TOKEN"):
        return Credentials(token)
    if (key := os.environ.get("CLOUDFLARE_API_KEY")) and (email := os.environ.get("CLOUDFLARE_EMAIL")):
        return Credentials(key=key, email=email)
    try:
        return Credentials(json.loads(commands.wrangler("auth", "token", "--json"))["token"])
    except CommandError as error:
        is_offline = NETWORK.search(error.output)
        raise error.explained("renew the login", SETTINGS) if is_offline else DeployError(LOGIN) from error
    except (ValueError, KeyError) as error:
        raise DeployError(LOGIN) from error


def _accounts(api: Cloudflare, *, required: bool) -> dict[str, str]:
    """Return the accounts of the login, id → name; empty if the login may not list them and need not."""
    try:
        with reaching("list the accounts of this login", SETTINGS):
            return {each.id: each.name for each in api.accounts.list()}
    except DeployError as error:
        if required or not isinstance(error.__cause__, cloudflare.PermissionDeniedError):
            raise
        return {}


def _listed(accounts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({account})" for account, name in accounts.items())
