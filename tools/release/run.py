"""Builds the simulator's wheel, source distribution and npm tarball, checks them, and tries each in an empty folder.

Nothing is uploaded: the commands that do it are printed at the end.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT

PACKAGE = ROOT / "packages/workers-ai-simulator"
EXAMPLE = PACKAGE / "examples/chat"
TWINE, PUBLINT, TYPES = "twine==7.0.0", "publint@0.3.25", "@arethetypeswrong/cli@0.18.5"
"""Programs that check packages, run by uv and npx, which download them."""
UV = (sys.executable, "-m", "uv")


class ReleaseError(Exception):
    """The packages may not be published, for the reason in the message."""


@dataclass(frozen=True)
class Packages:
    """The built files."""

    wheel: Path
    source: Path
    tarball: Path


def run(folder: Path, *, rehearse: bool) -> int:
    """Build into the folder, which is emptied, and check. Returns the exit status: 0 if all may be published."""
    try:
        version = _version(rehearse=rehearse)
        packages = _build(folder)
        _check(packages)
        for name, install in (("wheel", packages.wheel), ("source distribution", packages.source)):
            _try(name, install, packages.tarball)
    except ReleaseError as error:
        print(f"\nNot to be published: {error}", file=sys.stderr)
        return 1
    print(f"\nworkers-ai-simulator {version} may be published:")
    print(f"  uv publish {packages.wheel} {packages.source}\n  npm publish {packages.tarball}")
    return 0


def _version(*, rehearse: bool) -> str:
    """The version that both packages and the changelog name. Raises ReleaseError if they differ."""
    versions = {
        "pyproject.toml": tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["version"],
        "package.json": json.loads((PACKAGE / "package.json").read_text())["version"],
        "javascript/version.json": json.loads(
            (PACKAGE / "src/workers_ai_simulator/javascript/version.json").read_text()
        ),
    }
    if len({*versions.values()}) > 1:
        raise ReleaseError(f"the versions differ: {versions}")
    [version] = {*versions.values()}
    has_section = re.search(rf"^## {re.escape(version)}\b", (PACKAGE / "CHANGELOG.md").read_text(), re.MULTILINE)
    if not has_section and not rehearse:
        raise ReleaseError(f"CHANGELOG.md has no section {version}; --rehearse builds and checks without one")
    return version


def _build(folder: Path) -> Packages:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _step("Build", [*UV, "build", "--quiet", "--out-dir", str(folder), str(PACKAGE)])
    _step("Pack", ["npm", "pack", "--silent", "--pack-destination", str(folder), str(PACKAGE)])
    [wheel], [source], [tarball] = folder.glob("*.whl"), folder.glob("*.tar.gz"), folder.glob("*.tgz")
    return Packages(wheel, source, tarball)


def _check(packages: Packages) -> None:
    twine = [*UV, "tool", "run", "--from", TWINE, "twine"]
    _step("twine check", [*twine, "check", "--strict", str(packages.wheel), str(packages.source)])
    _step("publint", ["npx", "--yes", PUBLINT, str(packages.tarball), "--strict"])
    # the main entry point is the plugin, which miniflare loads by name, and which needs no types
    types = [
        "npx",
        "--yes",
        TYPES,
        str(packages.tarball),
        "--profile",
        "esm-only",
        "--entrypoints",
        "testing",
        "config",
    ]
    _step("arethetypeswrong", types)


def _try(name: str, distribution: Path, tarball: Path) -> None:
    """Install a Python distribution and the npm package in an empty folder, and run the doctor in an example there."""
    with tempfile.TemporaryDirectory(prefix="workers-ai-simulator ") as temporary:
        project = Path(temporary) / "chat"
        shutil.copytree(EXAMPLE, project)
        _step(f"Install the {name}", [*UV, "venv", "--quiet", ".venv"], project)
        _step(
            "… with its dependencies",
            [*UV, "pip", "install", "--quiet", "--python", ".venv", str(distribution)],
            project,
        )
        _step(
            "Install the npm package", ["npm", "install", "--no-audit", "--no-fund", "--silent", str(tarball)], project
        )
        _step("Its command", ["npx", "--offline", "workers-ai-simulator", "doctor"], project)


def _step(title: str, command: Sequence[str], folder: Path = ROOT) -> None:
    """Run a command. Raises ReleaseError, with its output, if it fails."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, cwd=folder, env=kept, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {title}", flush=True)
    if done.returncode != 0:
        raise ReleaseError(f"{title} failed:\n{done.stdout}")
