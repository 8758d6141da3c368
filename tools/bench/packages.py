"""Packages that only the bench needs: installed when a row needs them, each by a step of the set-up."""

import subprocess

from tools import ROOT
from tools.bench import documents
from tools.setup import install
from tools.setup.install import BUILT, InstallError, Step

PACKAGES = BUILT / "bench-packages"
HONO = PACKAGES / "hono/node_modules"
FASTAPI = PACKAGES / "fastapi"
DOCUMENTS = PACKAGES / "documents"

HONO_PIN = "hono@4.13.19"


def hono() -> Step:
    return Step("Hono", HONO, (HONO_PIN,), _install_hono)


def fastapi() -> Step:
    """FastAPI and what it needs beside pydantic, whose version is the Worker's."""
    return install.worker_packages("FastAPI for Pyodide", "bench", FASTAPI)


def searched() -> Step:
    return Step("Documents to search", DOCUMENTS, documents.made_from(), lambda: documents.make(DOCUMENTS))


def _install_hono() -> None:
    """Raises InstallError with npm's output if it fails."""
    folder = HONO.parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')  # or npm would use one of a folder above
    npm = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", HONO_PIN]
    done = subprocess.run(npm, cwd=ROOT, text=True, check=False, capture_output=True)
    if done.returncode != 0:
        raise InstallError(f"{done.stdout}{done.stderr}\n\nThis failed: {' '.join(npm)}")
