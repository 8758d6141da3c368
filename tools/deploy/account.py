"""The Cloudflare account of a deployment: the login, and the API through Cloudflare's own client."""

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tools.deploy.api import ApiError, CloudflareApi, Credentials
from tools.deploy.commands import NETWORK, CommandError, Commands
from tools.deploy.errors import AGAIN, LOGIN, DeployError, sentence_for
from tools.deploy.target import Target

FORBIDDEN = 403
SCRIPTS = "Workers Scripts: Edit"
SETTINGS = "Account Settings: Read"


@dataclass(frozen=True)
class Account:
    """One account of a login."""

    id: str
    name: str
    """Empty if the login may not read it."""
    api: CloudflareApi
    """The API's client for the account's paths."""

    @property
    def title(self) -> str:
        return f"{self.name} ({self.id})" if self.name else self.id

    @contextmanager
    def reach(self, action: str, permission: str = SCRIPTS) -> Generator[None]:
        """Turn errors of the API in the block into DeployError, if the block does not catch them itself.

        action: what the block does, such as "create the R2 bucket aiworker". permission: permission that it needs.
        """
        with reaching(action, permission):
            yield


def placeholder() -> Account:
    """Return a stand-in account, for code that needs one but sends no requests."""
    return Account("", "", CloudflareApi.log_in(Credentials()))


@contextmanager
def reaching(action: str, permission: str) -> Generator[None]:
    """Translate errors as `Account.reach` does, before the account is known."""
    try:
        yield
    except ApiError as error:
        codes = [each.code for each in error.refusals if each.code is not None]
        words = str(error)
        if error.is_temporary:
            raise DeployError(
                f"Cloudflare's API could not {action} now (status {error.status}{words and ': '}{words}): wait a "
                f"few minutes, {AGAIN}"
            ) from error
        words = words or f"status {error.status}"
        raise DeployError(
            sentence_for(codes, action, permission) or f"Cloudflare refused to {action}: {words}. Mend that, {AGAIN}"
        ) from error
    except httpx.TransportError as error:
        raise DeployError(f"Cloudflare's API could not be reached to {action}: check the network, {AGAIN}") from error
    except (httpx.HTTPError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DeployError(
            f"Cloudflare's API gave an answer without what is needed to {action}: check that no proxy answers in its "
            f"place, {AGAIN}"
        ) from error


def log_in(target: Target, commands: Commands) -> Account:
    """Find the login and its account. Raises DeployError if there is none, or it is not clear which."""
    api = CloudflareApi.log_in(_credentials(commands), os.environ.get("CLOUDFLARE_API_BASE_URL"))
    chosen = os.environ.get("CLOUDFLARE_ACCOUNT_ID") or target.configuration.get("account_id")
    accounts = _accounts(api, required=not chosen)
    if chosen:
        if accounts and chosen not in accounts:
            raise DeployError(
                f"This login has no account {chosen}; it has {_listed(accounts)}. Mend CLOUDFLARE_ACCOUNT_ID or "
                '"account_id" in wrangler.jsonc.'
            )
        return Account(chosen, accounts.get(chosen, ""), api.of_account(chosen))
    if not accounts:
        raise DeployError(f"Cloudflare shows this login no account: add the permission {SETTINGS} to the API token.")
    if len(accounts) > 1:
        raise DeployError(
            f"This login has several accounts: {_listed(accounts)}. Say which: CLOUDFLARE_ACCOUNT_ID=… scripts/deploy"
        )
    [(account, name)] = accounts.items()
    return Account(account, name, api.of_account(account))


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


def _accounts(api: CloudflareApi, *, required: bool) -> dict[str, str]:
    """Return the accounts of the login, id → name; empty if the login may not list them and need not."""
    try:
        with reaching("list the accounts of this login", SETTINGS):
            return {each["id"]: each["name"] for each in api.pages("accounts")}
    except DeployError as error:
        cause = error.__cause__
        if not required and isinstance(cause, ApiError) and cause.status == FORBIDDEN:
            return {}
        raise


def _listed(accounts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({account})" for account, name in accounts.items())
