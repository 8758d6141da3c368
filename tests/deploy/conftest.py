"""An account at the stand-in for Cloudflare's API, and a copy of the checkout that is logged in to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.cloudflare_api.account import CloudflareAccount
from tests.deploy.project import Project


@pytest.fixture
def account(tmp_path: Path) -> Iterator[CloudflareAccount]:
    """A new, empty account. Ends with a check that nothing was asked for that the stand-in does not know."""
    with CloudflareAccount(tmp_path / "account") as account:
        yield account
        assert account.unknown_requests() == []


@pytest.fixture
def subdomain(account: CloudflareAccount) -> None:
    """Register a name under workers.dev."""
    account.set_subdomain("tester")


@pytest.fixture
def project(account: CloudflareAccount, tmp_path: Path) -> Project:
    """A copy of the checkout whose commands reach the account."""
    return Project.copy(tmp_path / "project", account)
