"""An account at the stand-in for Cloudflare's API, and a copy of the checkout that is logged in to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.cloudflare_api.account import CloudflareAccount
from tests.deploy.project import Project


class Accounts:
    """Empty accounts: the one before, if nothing was made in it, else one at a new process, which takes seconds."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._account: CloudflareAccount | None = None

    def empty(self) -> CloudflareAccount:
        if self._account is None:
            self._account = CloudflareAccount(self._folders.mktemp("account") / "data")
            self._account.start()
        return self._account

    def take_back(self) -> None:
        """Make the account ready for the next test, or end its process."""
        if self._account and self._account.was_changed:
            self.stop()
        elif self._account:
            self._account.reset()

    def stop(self) -> None:
        account, self._account = self._account, None
        if account:
            account.stop()


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    accounts = Accounts(tmp_path_factory)
    yield accounts
    accounts.stop()


@pytest.fixture
def account(accounts: Accounts) -> Iterator[CloudflareAccount]:
    """An empty account. Ends with a check that nothing was asked for that the stand-in does not know."""
    account = accounts.empty()
    try:
        yield account
        assert account.unknown_requests() == []
    finally:
        accounts.take_back()


@pytest.fixture
def subdomain(account: CloudflareAccount) -> None:
    """Register a name under workers.dev."""
    account.set_subdomain("tester")


@pytest.fixture
def project(account: CloudflareAccount, tmp_path: Path) -> Project:
    """A copy of the checkout whose commands reach the account."""
    return Project.copy(tmp_path / "project", account)
