"""The gate of the API: credentials, accounts and permissions, refused as Cloudflare does."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.deploy.cloudflare_api.envelope import ApiError
from tests.deploy.cloudflare_api.platform import Platform
from tests.deploy.cloudflare_api.settings import Permission

ROOT = "/client/v4"
WELL_FORMED = re.compile(r"Bearer [A-Za-z0-9_-]{40,}")
"""A token that Cloudflare looks up at all; tokens have forty characters or more."""
ACCOUNT = re.compile(rf"{ROOT}/accounts/([^/]+)(.*)")
ACCOUNT_ID = re.compile(r"[0-9a-f]{32}")
ASSETS = re.compile(rf"{ROOT}/accounts/[^/]+/workers/assets/upload(/.*)?")
"""Called with the token of an upload session instead of the API token."""

SERVICES: dict[str, Permission] = {
    "workers": "workers_scripts",
    "containers": "workers_scripts",
    "storage": "workers_scripts",
    "r2": "workers_r2",
    "d1": "d1",
    "vectorize": "vectorize",
    "ai": "workers_ai",
    "workflows": "workflows",
    "queues": "queues",
    "tokens": "api_tokens_read",
}
"""First part of a path below the account → the permission it needs."""


class Gate:
    """Refuses calls of the REST API whose token is unknown or may not do what is asked."""

    def __init__(self, app: ASGIApp, platform: Platform) -> None:
        self._app = app
        self._platform = platform

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(f"{ROOT}/") and not ASSETS.fullmatch(scope["path"]):
            headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
            try:
                self._check_token(scope["path"], headers.get(b"authorization"))
                self._check_permission(scope["path"])
            except ApiError as error:
                await error.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check_token(self, path: str, authorization: str | None) -> None:
        if authorization is None:
            raise ApiError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
        if not WELL_FORMED.fullmatch(authorization):
            chain = [(6111, "Invalid format for Authorization header")]
            raise ApiError(400, 6003, "Invalid request headers", chain)
        if authorization == f"Bearer {self._platform.settings.token}":
            return
        if path.endswith("/tokens/verify"):
            raise ApiError(401, 1000, "Invalid API Token")
        if ACCOUNT.fullmatch(path):
            raise ApiError(401, 10000, "Authentication error")
        raise ApiError(403, 9109, "Invalid access token")

    def _check_permission(self, path: str) -> None:
        held = self._platform.settings.permissions
        if self._platform.settings.token_kind == "account" and re.match(rf"{ROOT}/(user|memberships)\b", path):
            raise _no_user(path)
        if path == f"{ROOT}/memberships" and "memberships" not in held:
            raise ApiError(403, 10000, "Authentication error")
        if path == f"{ROOT}/user" and "user_details_read" not in held:
            raise ApiError(403, 9109, "Unauthorized to access requested resource")
        if re.fullmatch(rf"{ROOT}/user/tokens/(?!verify).+", path) and "api_tokens_read" not in held:
            raise ApiError(403, 9109, "Unauthorized to access requested resource")
        if match := ACCOUNT.fullmatch(path):
            self._check_account(match[1], match[2])

    def _check_account(self, account: str, below: str) -> None:
        held = self._platform.settings.permissions
        if not ACCOUNT_ID.fullmatch(account):
            message = f"Could not route to /accounts/{account}{below}, perhaps your object identifier is invalid?"
            raise ApiError(404, 7003, message)
        is_own = account in {each.id for each in self._platform.settings.accounts}
        if not below and not (is_own and "account_settings_read" in held):
            raise ApiError(403, 9109, "Unauthorized to access requested resource")
        needed = None if below == "/tokens/verify" else SERVICES.get(below.removeprefix("/").partition("/")[0])
        if below and (not is_own or (needed and needed not in held)):
            raise ApiError(403, 10000, "Authentication error")


def _no_user(path: str) -> ApiError:
    """Refuse the token of an account where a user is needed. wrangler knows all three codes."""
    if path == f"{ROOT}/user/tokens/verify":
        return ApiError(401, 1000, "Invalid API Token")
    if path == f"{ROOT}/memberships":
        return ApiError(400, 9106, "Authentication failed (status: 400)")
    return ApiError(403, 9109, "Valid user-level authentication not found")
