"""The files of one run on this machine: a lock, and the configuration that wrangler reads."""

import contextlib
import fcntl
import json
import os
from collections.abc import Generator
from pathlib import Path

from tools.deploy.errors import DeployError
from tools.deploy.target import Target
from tools.setup.install import BUILT


def file(root: Path) -> Path:
    """Return the path of this run's configuration, beside python_modules, where wrangler looks for packages."""
    return root / f".wrangler-deploy-{os.getpid()}.json"


@contextlib.contextmanager
def alone() -> Generator[None]:
    """Let one deployment of this checkout run at a time. Raises DeployError if another one runs."""
    with (BUILT / "deploy.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DeployError("Another scripts/deploy is running on this machine: wait until it has ended.") from None
        yield


@contextlib.contextmanager
def configured(target: Target, account: str) -> Generator[None]:
    """Write the configuration for the block, and leave wrangler.jsonc as it is. Call this inside `alone`."""
    for leftover in target.root.glob(".wrangler-deploy-*.json"):
        leftover.unlink(missing_ok=True)
    configuration = file(target.root)
    configuration.write_text(json.dumps({**target.configuration, "account_id": account}, indent=2))
    try:
        yield
    finally:
        configuration.unlink(missing_ok=True)
