"""Build, measure and send the upload, and roll it back."""

import gzip
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.deploy.account import Account
from tools.deploy.api import NotFoundError
from tools.deploy.commands import CommandError, Commands
from tools.deploy.errors import AGAIN, DASHBOARD, DeployError
from tools.deploy.target import Target

Plan = Literal["paid", "free"]
MAX_BYTES: Mapping[Plan, int] = {"paid": 10_000_000, "free": 3_000_000}
"""Largest compressed upload of each plan. Source: developers.cloudflare.com/workers/platform/limits, "Worker size"."""
MAX_MODULES_NAMED = 5
"""Number of modules listed when the upload is too large."""
BUILD, UPLOAD = "build the upload", "upload the Worker"
PERMISSION = "Workers Scripts: Edit"
SCRIPTS = "workers/scripts"


@dataclass(frozen=True)
class Bundle:
    """The modules to upload."""

    modules: dict[str, bytes]
    """Path → content."""
    compressed: int
    """Bytes of all modules together, compressed as wrangler does before it counts them."""
    tag: str
    """Fingerprint of modules, configuration and static files, at most 25 characters: the version's tag."""

    def check_size(self, plan: Plan) -> None:
        """Raises DeployError if the plan does not take it."""
        if self.compressed > MAX_BYTES[plan]:
            raise DeployError(
                f"The upload has {_megabytes(self.compressed)} compressed; the {plan} plan takes "
                f"{_megabytes(MAX_BYTES[plan])}. Its largest modules are {self.largest()}: remove what is not needed."
            )

    def largest(self) -> str:
        """The largest modules with their compressed sizes, for people."""
        sizes = {path: _compressed_size(content) for path, content in self.modules.items()}
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:MAX_MODULES_NAMED]
        return ", ".join(f"{path} {_megabytes(sizes[path])}" for path in largest)

    @property
    def size(self) -> str:
        return f"{len(self.modules)} modules, {_megabytes(self.compressed)} compressed"


def build(target: Target, file: Path, commands: Commands) -> Bundle:
    """Bring python_modules up to date and collect what would be uploaded. Raises DeployError if that fails."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            commands.pywrangler("deploy", "--config", file, "--dry-run", "--outdir", folder)
        except CommandError as error:
            raise error.explained(BUILD, PERMISSION) from error
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(Path(folder))}
    files.pop("README.md", None)  # a file that wrangler writes into the folder
    return Bundle(
        modules=files,
        compressed=_compressed_size(b"".join(files.values())),
        tag=_fingerprint(target, files),
    )


def _fingerprint(target: Target, modules: dict[str, bytes]) -> str:
    digest = hashlib.sha256(json.dumps(target.configuration, sort_keys=True).encode())
    assets = target.root / target.configuration.get("assets", {}).get("directory", "public")
    contents = {f"assets/{path.relative_to(assets)}": path.read_bytes() for path in _files(assets)}
    for path, content in sorted({**modules, **contents}.items()):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return f"aiworker-{digest.hexdigest()[:16]}"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Version:
    """The version of the Worker that gets all of its traffic."""

    id: str
    tag: str
    """The fingerprint of what it was made of; empty if it was not made by scripts/deploy, or a secret has changed."""


def is_there(account: Account, target: Target) -> bool:
    """Whether the account has a Worker of this name, whoever made it."""
    with account.reach(f"look for the Worker {target.worker}"):
        try:
            account.api.get(SCRIPTS, target.worker, "script-settings")
        except NotFoundError:
            return False
    return True


def active(account: Account, target: Target) -> Version | None:
    """The version that answers now; None if there is none. Raises DeployError if several share the traffic."""
    with account.reach(f"read the versions of the Worker {target.worker}"):
        try:
            deployments = account.api.get(SCRIPTS, target.worker, "deployments")["deployments"]
            if not deployments:
                return None
            if len(deployments[0]["versions"]) > 1:
                raise DeployError(
                    f"The traffic of {target.worker} is split between versions, which scripts/deploy would end: give "
                    f"one of them all of it in {DASHBOARD}, {AGAIN}"
                )
            version = str(deployments[0]["versions"][0]["version_id"])
            details = account.api.get(SCRIPTS, target.worker, "versions", version)
        except NotFoundError:
            return None
    annotations: dict[str, str] = details.get("annotations") or {}
    return Version(version, annotations.get("workers/tag", ""))


def upload(target: Target, file: Path, tag: str, secrets: dict[str, str], commands: Commands) -> str:
    """Upload a version, give it all traffic, and return its id. Raises DeployError if that fails.

    secrets: those that the Worker lacks; the others stay.
    """
    # beside the configuration: if this run is killed, the next one removes both
    secrets_file = file.with_suffix(".secrets.json")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output.ndjson"
        arguments: list[str | Path] = ["deploy", "--config", file, "--tag", tag, "--message", "scripts/deploy"]
        if secrets:
            secrets_file.touch(mode=0o600)
            secrets_file.write_text(json.dumps(secrets))
            arguments += ["--secrets-file", secrets_file]
        try:
            printed = commands.pywrangler(*arguments, WRANGLER_OUTPUT_FILE_PATH=str(output))
        except CommandError as error:
            raise error.explained(UPLOAD, PERMISSION) from error
        finally:
            secrets_file.unlink(missing_ok=True)
        entries = [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
    version = next((each["version_id"] for each in entries if each["type"] == "deploy"), None)
    if not version:
        raise DeployError(f"The output of wrangler lacks the version of {target.worker}: {printed[-500:]}")
    return str(version)


def roll_back(target: Target, file: Path, version: str, commands: Commands) -> None:
    """Give all traffic to an earlier version. Raises DeployError if that fails."""
    try:
        commands.wrangler(
            "rollback", version, "--config", file, "--name", target.worker, "--yes", "--message", "failed smoke test"
        )
    except CommandError as error:
        raise error.explained(f"go back to version {version}", PERMISSION) from error


def _compressed_size(content: bytes) -> int:
    """Number of bytes after compression with gzip at level 6, as wrangler counts them before an upload."""
    return len(gzip.compress(content, compresslevel=6))


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.2f} MB"
