"""What only the bench needs: installed when it is, each step done again when what it is made from changes."""

import shutil
import subprocess
import tempfile
import tomllib

from tools import ROOT
from tools.bench import documents
from tools.setup.install import BUILT, PYODIDE_WHEELS, PYTHON, RUNTIME, InstallError, Step

PACKAGES = BUILT / "bench-packages"
HONO = PACKAGES / "hono/node_modules"
FASTAPI = PACKAGES / "fastapi"
DOCUMENTS = PACKAGES / "documents"

HONO_PIN = "hono@4.13.19"
FASTAPI_PINS = (
    "fastapi==0.165.0",
    "starlette==1.10.0",
    "anyio==4.16.0",
    "idna==3.20",
    "annotated-doc==0.0.7",
    "opentelemetry-api==1.45.2",
)
"""FastAPI and what it brings beside pydantic, whose version is the Worker's."""


def hono() -> Step:
    return Step("Hono", HONO, (HONO_PIN,), _install_hono)


def fastapi() -> Step:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shared = [*project["project"]["dependencies"], *project["tool"]["uv"]["constraint-dependencies"]]
    # for the interpreter that is installed now
    made_from = (*FASTAPI_PINS, *shared, (RUNTIME / ".made-from").read_text())
    return Step("FastAPI for Pyodide", FASTAPI, made_from, lambda: _install_fastapi(shared))


def searched() -> Step:
    return Step("Documents to search", DOCUMENTS, documents.made_from(), lambda: documents.make(DOCUMENTS))


def _install_hono() -> None:
    folder = HONO.parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')  # else npm would look for one further up
    _call("npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", HONO_PIN)


def _install_fastapi(shared: list[str]) -> None:
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PACKAGES) as folder:
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _call(*pip, *PYODIDE_WHEELS, "--target", folder, *FASTAPI_PINS, *shared)
        _call("node", "tools/runtime/compile.mjs", "packages", folder)
        shutil.rmtree(FASTAPI, ignore_errors=True)
        shutil.copytree(folder, FASTAPI)


def _call(*command: str) -> None:
    """Raises InstallError with what the command has printed if it fails."""
    done = subprocess.run(command, cwd=ROOT, text=True, check=False, capture_output=True)
    if done.returncode != 0:
        raise InstallError(f"{done.stdout}{done.stderr}\n\nThis failed: {' '.join(command)}")
