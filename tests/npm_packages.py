"""Packages of npm that a nightly test installs for itself: they are too large for everybody's set-up."""

import subprocess
from pathlib import Path

import pytest


def install(folder: Path, *packages: str) -> Path:
    """Install packages, each with its version, into a folder; return the folder of their commands.

    Skips the test if npm cannot reach its registry.
    """
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", *packages]
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=600, check=False)
    if done.returncode != 0:
        assert "npm error network" in done.stderr or "ENOTFOUND" in done.stderr, done.stderr
        pytest.skip(f"npm cannot reach its registry for {', '.join(packages)}")
    return folder / "node_modules/.bin"
