"""Copies of the checkout for tests that change its files."""

import contextlib
import shutil
import subprocess
from pathlib import Path

from tools import ROOT

WORKER = ("src", "public", "migrations")
"""Folders of the Worker, beside its wrangler.jsonc."""
INSTALLED = (".venv", "node_modules", ".aiworker")
"""Installed folders: in a copy they are folders of its own, whose entries link to those of the checkout."""


def copy_checkout(folder: Path) -> None:
    """Copy the files of the checkout that git tracks or would track, and link to what is installed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for name in INSTALLED:
        _link_content(ROOT / name, folder / name)


def link_worker(folder: Path) -> Path:
    """Make the folder a project of the Worker with a configuration of its own, and links to its files; return it."""
    for name in WORKER:
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "wrangler.jsonc", folder)
    return folder


def _link_content(installed: Path, folder: Path) -> None:
    """Fill a new folder with links, so that a set-up that begins anew in the copy leaves the checkout's alone."""
    folder.mkdir()
    for entry in installed.iterdir():
        if entry.is_dir() and not entry.name.startswith("run-"):
            (folder / entry.name).symlink_to(entry)
        elif entry.is_file():
            with contextlib.suppress(FileNotFoundError):  # the file that another process was writing has its name now
                shutil.copy(entry, folder)
