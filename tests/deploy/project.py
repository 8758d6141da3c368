"""A copy of the checkout, in which scripts can be run and files broken."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from tests.checkout import copy_checkout
from tests.deploy.cloudflare_api.account import CloudflareAccount
from tools import ROOT
from tools.setup.install import VENV, WORKER_PACKAGES, WRANGLER

NOT_OURS = ("CLOUDFLARE_", "CF_", "GITHUB_", "AIWORKER_", "COVERAGE_")
"""Prefixes of variables of the user's login, which must not reach a command in the copy. Nor may CI, under which
scripts/deploy prints no new key."""


@dataclass
class Project:
    folder: Path
    account: CloudflareAccount
    environment: dict[str, str] = field(default_factory=dict[str, str])
    """Further environment variables of its commands."""

    @classmethod
    def copy(cls, folder: Path, account: CloudflareAccount) -> "Project":
        """Copy the checkout, with the Worker's packages in python_modules."""
        copy_checkout(folder)
        fill_packages(folder)
        return cls(folder, account)

    def run(self, *command: str | Path, seconds: float = 120, standard_input: str = "") -> "Finished":
        """Run a command in the copy, with the account's token and without anything of this machine's login."""
        done = subprocess.run(
            [str(part) for part in command], cwd=self.folder, env=self._environment(), text=True, check=False,
            input=standard_input, capture_output=True, timeout=seconds,
        )  # fmt: skip
        return Finished(done.returncode, done.stdout, done.stderr)

    def deploy(self, *options: str) -> "Finished":
        return self.run(sys.executable, "scripts/deploy", *options, seconds=300)

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        """Start a command in the copy, as `run` does, and leave it running."""
        return subprocess.Popen(
            [str(part) for part in command], cwd=self.folder, env=self._environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def wrangler(self, *arguments: str, standard_input: str = "") -> "Finished":
        return self.run("node", "--no-warnings", WRANGLER, *arguments, standard_input=standard_input)

    def pywrangler(self, *arguments: str) -> "Finished":
        return self.run(VENV / "bin/pywrangler", *arguments)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith(NOT_OURS)}
        # without the checkout's .venv: the set-up would take its node for the system's
        path = [part for part in os.environ["PATH"].split(os.pathsep) if part != str(VENV / "bin")]
        own = self.folder / ".venv/bin" if (self.folder / ".venv").exists() else VENV / "bin"
        return kept | {
            "CLOUDFLARE_API_BASE_URL": self.account.base_url,
            "CLOUDFLARE_API_TOKEN": self.account.token,
            "PATH": os.pathsep.join([str(own), *path]),
            "WRANGLER_SEND_METRICS": "false",
            "WRANGLER_WRITE_LOGS": "false",
            "NODE_COMPILE_CACHE": str(ROOT / ".aiworker/node-compile-cache"),
            "XDG_CONFIG_HOME": str(self.folder / ".config"),
            "NO_COLOR": "1",
            **self.environment,
        }  # fmt: skip


@dataclass(frozen=True)
class Finished:
    status: int
    output: str
    """Standard output."""
    errors: str
    """Standard error."""

    @property
    def text(self) -> str:
        return self.output + self.errors


def fill_packages(folder: Path) -> None:
    """Fill python_modules as pywrangler would, so that it finds its own sync done and asks no package index."""
    ignored = shutil.ignore_patterns("*.pyc", "__pycache__", ".made-from")
    shutil.copytree(WORKER_PACKAGES, folder / "python_modules", ignore=ignored)
    for token in (folder / "python_modules/.synced", folder / ".venv-workers/.synced"):
        token.parent.mkdir(exist_ok=True)
        token.write_text(version("workers-py"))
