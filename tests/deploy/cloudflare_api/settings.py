"""Settings of the account for tests: its token's permissions, plan, limits and subdomains."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Permission = Literal[
    "account_settings_read",
    "api_tokens_read",
    "d1",
    "memberships",
    "queues",
    "user_details_read",
    "vectorize",
    "workers_ai",
    "workers_r2",
    "workers_scripts",
    "workflows",
]
"""Permissions of the token. All but the reading ones mean "edit"."""

PERMISSION_GROUPS: dict[Permission, str] = {
    "account_settings_read": "Account Settings Read",
    "api_tokens_read": "API Tokens Read",
    "d1": "D1 Write",
    "memberships": "Memberships Read",
    "queues": "Queues Write",
    "user_details_read": "User Details Read",
    "vectorize": "Vectorize Write",
    "workers_ai": "Workers AI Write",
    "workers_r2": "Workers R2 Storage Write",
    "workers_scripts": "Workers Scripts Write",
    "workflows": "Workflows Write",
}
"""Cloudflare's names of the permission groups."""

Plan = Literal["free", "paid"]
TokenKind = Literal["user", "account"]
"""Kind of token: made in a user's profile, or in an account, where it belongs to no user."""

ACCOUNT_ID = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
TOKEN = "test-token-0123456789abcdefghijklmnopqrs"
TOKEN_ID = "0123456789abcdef0123456789abcdef"


class Account(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = ACCOUNT_ID
    name: str = "Test account"


def _usual_permissions() -> set[Permission]:
    # Cloudflare's template "Edit Cloudflare Workers" does not let a token read itself
    return {*get_args(Permission)} - {"api_tokens_read"}


class Settings(BaseModel):
    """Everything a test can set. Kept in the store; unset fields have these defaults."""

    model_config = ConfigDict(extra="forbid")

    token: str = TOKEN
    token_kind: TokenKind = "user"
    permissions: set[Permission] = Field(default_factory=_usual_permissions)
    accounts: list[Account] = Field(default_factory=lambda: [Account()])
    plan: Plan = "free"
    r2_enabled: bool = True
    max_databases: int = 10
    """Number of D1 databases that each account may have: the limit of the free plan."""
    subdomains: dict[str, str] = Field(default_factory=lambda: {ACCOUNT_ID: "test-account"})
    """Account id → its label under workers.dev. An account that is not listed has not registered one."""
    taken_subdomains: set[str] = Field(default_factory=set[str])
    """Labels that other accounts have."""
    edge_script: str | None = None
    """Name of the Worker that the edge serves; None: the one activated last."""
