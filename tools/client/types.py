"""Write the types of packages/aiworker-client, src/api.ts, which openapi-typescript makes from public/openapi.json.

python -m tools.client.types            write them if the description or the generator has changed
python -m tools.client.types --check    fail if they were made from others, or edited

The first line of the file has hashes of what it was made from and of the rest of the file, so that a check needs no
generator. It is installed, in .aiworker, when the types have to be written: by the package's own lock, because it needs
an older TypeScript than the one that checks the types here.
"""

import hashlib
import json
import shutil
import subprocess
import sys

from offline_python_workers.atomic import write_atomically
from tools import ROOT
from tools.docs.openapi import FILE as DESCRIPTION
from tools.setup import install

PACKAGE = ROOT / "packages/aiworker-client"
FILE = PACKAGE / "src/api.ts"
GENERATOR = install.BUILT / "client-types"
"""Folder in which the generator is installed."""
NPM_FILES = ("package.json", "package-lock.json")
MADE_BY = "// Made by `python -m tools.client.types`; SHA-256 of what it was made from, and of the rest: "


def is_current() -> bool:
    """Whether the types were made from the present description, and were not edited since."""
    first, _, types = FILE.read_text().partition("\n") if FILE.exists() else ("", "", "")
    return first == _first_line(types)


def main() -> int:
    if is_current():
        return 0
    name = FILE.relative_to(ROOT)
    if "--check" in sys.argv[1:]:
        print(f"{name} was not made from public/openapi.json as it is: run scripts/check.")
        return 1
    types = _generate()
    write_atomically(FILE, f"{_first_line(types)}\n{types}".encode(), folder=install.BUILT)
    print(f"{name} is written.")
    return 0


def _generate() -> str:
    """Return the types that the generator makes. Raises InstallError, or CalledProcessError if it fails."""
    texts = tuple((PACKAGE / name).read_text() for name in NPM_FILES)
    install.run([install.Step("Generator of the client's types", GENERATOR, texts, _install)])
    output = GENERATOR / "api.ts"
    # the command of the package's own script `types`
    command = [str(GENERATOR / "node_modules/.bin/openapi-typescript"), str(DESCRIPTION), "--output", str(output)]
    subprocess.run([*command, "--default-non-nullable", "false"], check=True, capture_output=True)
    return output.read_text()


def _install() -> None:
    GENERATOR.mkdir(parents=True, exist_ok=True)
    for name in NPM_FILES:
        shutil.copy(PACKAGE / name, GENERATOR)
    install.install_npm_packages(GENERATOR)


def _first_line(types: str) -> str:
    npm: dict[str, str] = json.loads((PACKAGE / "package.json").read_text())["devDependencies"]
    made_from = f"{npm['openapi-typescript']}\0{DESCRIPTION.read_text()}"
    return f"{MADE_BY}{_sha256(made_from)} {_sha256(types)}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
