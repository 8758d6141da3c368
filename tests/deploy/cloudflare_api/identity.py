"""The caller: user, token, memberships, accounts, and the account's workers.dev subdomain."""

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.deploy.cloudflare_api.envelope import ApiError, Document, answer, json_object, page
from tests.deploy.cloudflare_api.platform import Platform, now
from tests.deploy.cloudflare_api.settings import PERMISSION_GROUPS, TOKEN_ID, Account

ROOT = "/client/v4"
ACCOUNT = f"{ROOT}/accounts/{{account}}"
SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Matches labels that wrangler allows."""

USER: Document = {"id": "00000000000000000000000000000001", "email": "tester@example.com", "username": "tester"}


class Identity:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def routes(self) -> list[BaseRoute]:
        return [
            Route(f"{ROOT}/user", self._user),
            Route(f"{ROOT}/user/tokens/verify", self._verify),
            Route(f"{ROOT}/user/tokens/permission_groups", self._permission_groups),
            Route(f"{ROOT}/user/tokens/{{token}}", self._token),
            Route(f"{ACCOUNT}/tokens/verify", self._verify),
            Route(f"{ACCOUNT}/tokens/permission_groups", self._permission_groups),
            Route(f"{ACCOUNT}/tokens/{{token}}", self._token),
            Route(f"{ROOT}/memberships", self._memberships),
            Route(f"{ROOT}/accounts", self._accounts),
            Route(ACCOUNT, self._account),
            Route(f"{ACCOUNT}/workers/subdomain", self._subdomain),
            Route(f"{ACCOUNT}/workers/subdomain", self._register, methods=["PUT"]),
            Route(f"{ACCOUNT}/workers/subdomains/{{name}}", self._availability),
            Route(f"{ACCOUNT}/workers/account-settings", self._account_settings, methods=["GET", "PUT"]),
        ]

    async def _user(self, _: Request) -> Response:
        return answer(USER)

    async def _verify(self, _: Request) -> Response:
        return answer({"id": TOKEN_ID, "status": "active"})

    async def _token(self, _: Request) -> Response:
        groups = [{"id": name, "name": PERMISSION_GROUPS[name]} for name in sorted(self._platform.settings.permissions)]
        resources = {f"com.cloudflare.api.account.{account.id}": "*" for account in self._platform.settings.accounts}
        policy = {"id": "policy", "effect": "allow", "resources": resources, "permission_groups": groups}
        return answer({"id": TOKEN_ID, "name": "test", "status": "active", "policies": [policy]})

    async def _permission_groups(self, _: Request) -> Response:
        scopes = ["com.cloudflare.api.account"]
        return answer([{"id": each, "name": name, "scopes": scopes} for each, name in PERMISSION_GROUPS.items()])

    async def _memberships(self, request: Request) -> Response:
        accounts = self._platform.settings.accounts
        return page(request, [_membership(account) for account in accounts])

    async def _accounts(self, request: Request) -> Response:
        # a token without "Account Settings Read" sees no account rather than an error
        may_see = "account_settings_read" in self._platform.settings.permissions
        return page(request, [_shown(account) for account in self._platform.settings.accounts] if may_see else [])

    async def _account(self, request: Request) -> Response:
        name = request.path_params["account"]
        return answer(next(_shown(account) for account in self._platform.settings.accounts if account.id == name))

    async def _subdomain(self, request: Request) -> Response:
        label = self._platform.settings.subdomains.get(request.path_params["account"])
        if not label:
            raise ApiError(404, 10007, "You do not have a workers.dev subdomain.")
        return answer({"subdomain": label})

    async def _register(self, request: Request) -> Response:
        label = str((await json_object(request)).get("subdomain", ""))
        account, settings = request.path_params["account"], self._platform.settings
        if not SUBDOMAIN.fullmatch(label) or self._is_taken(label, account):
            raise ApiError(409, 10031, "Subdomain is unavailable, please try a different subdomain")
        if settings.subdomains.get(account, label) != label:
            raise ApiError(409, 10036, "Account already has an associated subdomain.")
        self._platform.change_settings(
            settings.model_copy(update={"subdomains": settings.subdomains | {account: label}})
        )
        return answer({"subdomain": label})

    async def _availability(self, request: Request) -> Response:
        """Answer with 10032 if nobody has that name, as wrangler expects."""
        if self._is_taken(request.path_params["name"], ""):
            raise ApiError(409, 10031, "Subdomain is unavailable, please try a different subdomain")
        raise ApiError(404, 10032, "Subdomain is available.")

    def _is_taken(self, label: str, account: str) -> bool:
        settings = self._platform.settings
        owners = {owner for owner, owned in settings.subdomains.items() if owned == label}
        return label in settings.taken_subdomains or bool(owners - {account})

    async def _account_settings(self, request: Request) -> Response:
        account = request.path_params["account"]
        kept = self._platform.store.get("account-settings", account)
        settings = kept or {"default_usage_model": "standard", "green_compute": False}
        if request.method == "PUT":
            settings = self._platform.store.put(settings | await json_object(request), "account-settings", account)
        return answer(settings)


def _shown(account: Account) -> Document:
    return {"id": account.id, "name": account.name, "type": "standard", "settings": {}, "created_on": now()}


def _membership(account: Account) -> Document:
    roles = ["Super Administrator - All Privileges"]
    return {"id": account.id[::-1], "status": "accepted", "account": _shown(account), "roles": roles}
