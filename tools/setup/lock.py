"""Lock every distribution that the lists in pyproject.toml install, by version and hash, in requirements/.

python -m tools.setup.lock             write the locks that do not fit the lists; versions stay where possible
python -m tools.setup.lock --upgrade   write all locks, with the newest versions that the lists allow
python -m tools.setup.lock --check     fail if a lock does not fit the lists

A lock is a requirements file by `uv pip compile`, for pip (`--require-hashes --requirement FILE`) and uv alike. It has
the hashes of all wheels of a version and no addresses, so it fits every platform and every mirror. uv.lock would hold
the addresses of one index.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from tools import ROOT

FOLDER = ROOT / "requirements"
UV = ROOT / ".venv/bin/uv"
PROJECT, SIMULATOR = "pyproject.toml", "packages/workers-ai-simulator/pyproject.toml"

MACHINE = ("--universal", "--python-version", "3.11")
"""CPython 3.11 and newer, on any system: requirements that differ between them have markers."""
# Wheels of all platforms are locked, so that uv need not know the platform of 2026, which pip names.
PYODIDE = ("--python-version", "3.14", "--python-platform", "wasm32-pyodide2025")
"""The Python in workerd. Its markers are resolved here, because pip would evaluate them for the machine's Python."""

LOCKS: Mapping[str, tuple[str, ...]] = {
    "development": (*MACHINE, PROJECT, SIMULATOR, "--group", "dev", "--group", f"{SIMULATOR}:test"),
    "node": (*MACHINE, "--group", "node"),
    "setup": (*MACHINE, "--group", "setup"),
    "worker": (*PYODIDE, PROJECT, "--group", "worker"),
    "clients": (*MACHINE, "--group", "clients"),
    "docs": (*MACHINE, "--group", "docs"),
    "bench": (*PYODIDE, PROJECT, "--group", "bench"),
}
"""Name of each lock → what `uv pip compile` makes it from."""

MADE_FROM = "# Made by `python -m tools.setup.lock` from lists with the SHA-256 "


def path(name: str) -> Path:
    """The file of a lock."""
    return FOLDER / f"{name}.txt"


def is_current(name: str) -> bool:
    """Whether a lock was made from the lists as they are now."""
    return path(name).is_file() and path(name).read_text().startswith(_first_line(name))


def main() -> int:
    options = [option for option in sys.argv[1:] if option == "--upgrade"]
    names = [name for name in LOCKS if options or not is_current(name)]
    files = ", ".join(str(path(name).relative_to(ROOT)) for name in names)
    if names and "--check" in sys.argv[1:]:
        print(f"{files}: not what pyproject.toml lists. Run: python -m tools.setup.lock")
        return 1
    for name in names:
        _write(name, options)
    if names:
        print(f"Written: {files}")
    return 0


def _write(name: str, options: list[str]) -> None:
    """Let uv write a lock. It reads the file first, and keeps the versions in it."""
    path(name).parent.mkdir(exist_ok=True)
    command = [UV, "pip", "compile", "--quiet", "--generate-hashes", "--no-annotate", "--no-header", *LOCKS[name]]
    subprocess.run([*command, *options, "--output-file", path(name)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    path(name).write_text(_first_line(name) + path(name).read_text())


def _first_line(name: str) -> str:
    made_from = json.dumps([LOCKS[name], _lists(PROJECT), _lists(SIMULATOR)])
    return f"{MADE_FROM}{hashlib.sha256(made_from.encode()).hexdigest()}.\n"


def _lists(file: str) -> list[object]:
    content = tomllib.loads((ROOT / file).read_text())
    settings = content.get("tool", {}).get("uv", {})
    return [content["project"]["dependencies"], content["dependency-groups"], settings.get("constraint-dependencies")]


if __name__ == "__main__":
    sys.exit(main())
