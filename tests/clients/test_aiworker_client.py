"""The npm package aiworker-client: packed, installed in an empty folder, compiled, and run against the Worker."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.test_browser import CHROMIUM, needs_chromium
from tests.checkout import link_worker
from tests.conftest import DevServer, StartServer
from tools import ROOT
from tools.client import types

PROGRAMS = Path(__file__).with_name("aiworker_client")
TSC = ROOT / "node_modules/.bin/tsc"
EXAMPLES = re.findall(r"^```(tsx?)\n(.*?)^```$", (types.PACKAGE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
STRICT = (
    "--noEmit", "--strict", "--target", "es2023", "--module", "nodenext", "--jsx", "react-jsx", "--lib", "es2023,dom",
    "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noUnusedLocals", "false", "--types", "node,react",
)  # fmt: skip
PACKAGES_OF_EXAMPLES = ("@types/node", "@types/react", "@types/react-dom", "csstype", "react", "react-dom", "vite")
SCOPES = "chat,embed,text,image,audio,rag:read,rag:write"


@dataclass(frozen=True)
class Keyed:
    """A Worker that wants keys, and one of its keys."""

    server: DevServer
    key: str


def ended(command: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """Output of a command. Fails with all of it if the command does."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, text=True, capture_output=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def link_packages(folder: Path, installed: Path) -> None:
    """Give a folder the packed package, and what the examples use beside it."""
    modules = folder / "node_modules"
    (modules / "@types").mkdir(parents=True)
    for name in PACKAGES_OF_EXAMPLES:
        (modules / name).symlink_to(ROOT / "node_modules" / name)
    (modules / "aiworker-client").symlink_to(installed / "node_modules/aiworker-client")


@pytest.fixture(scope="module")
def keyed(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """Calls each model once, so that a fault reaches the client."""
    project = link_worker(tmp_path_factory.mktemp("project"))
    new = [sys.executable, ROOT / "scripts/keys", "--project", project, "new", "site", "--scopes", SCOPES]
    key = ended(new, project).split()[0]
    with start_server("--project", project, AUTH_MODE="keys", MODEL_ATTEMPTS=1) as server:
        yield Keyed(server, key)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the packed package is installed, and nothing else."""
    package, app = tmp_path_factory.mktemp("package"), tmp_path_factory.mktemp("app")
    for name in ("src", "package.json", "tsconfig.json", "README.md", "CHANGELOG.md", "LICENSE"):
        (shutil.copytree if name == "src" else shutil.copy)(types.PACKAGE / name, package / name)
    ended([TSC], package)
    # tsc has just built it
    tarball = ended(["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", app], package).strip()
    ended(["npm", "install", "--silent", "--offline", "--no-audit", "--no-fund", f"./{tarball}"], app)
    for program in PROGRAMS.iterdir():
        shutil.copy(program, app)
    return app


def test_the_types_are_those_of_the_description() -> None:
    assert types.is_current(), "packages/aiworker-client/src/api.ts is stale: run scripts/check"


def test_the_package_has_what_it_needs_and_nothing_else(installed: Path) -> None:
    package = installed / "node_modules/aiworker-client"
    files = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    modules = {file.stem for file in (types.PACKAGE / "src").iterdir()}
    built = {f"dist/{name}{ending}" for name in modules for ending in (".js", ".d.ts")}
    assert files == {"package.json", "README.md", "CHANGELOG.md", "LICENSE", *built}
    assert sorted(each.name for each in (installed / "node_modules").iterdir() if each.name[0] != ".") == [
        "aiworker-client"
    ]


def test_its_types_and_the_examples_of_its_readme_compile(installed: Path, tmp_path: Path) -> None:
    link_packages(tmp_path, installed)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(PROGRAMS / "types.ts", tmp_path)
    for number, (language, code) in enumerate(EXAMPLES):
        (tmp_path / f"example{number}.{language}").write_text(code)
    assert len(EXAMPLES) == 6
    ended([TSC, *STRICT, *(file.name for file in tmp_path.glob("*.ts*"))], tmp_path)


@pytest.mark.parametrize("test", ["worker.test.mjs", "server.test.mjs"])
def test_it_works(installed: Path, keyed: Keyed, test: str) -> None:
    addresses = {"AIWORKER_URL": keyed.server.url, "AIWORKER_SIMULATOR": keyed.server.simulator}
    output = ended(["node", "--test", "--test-reporter=spec", test], installed, AIWORKER_KEY=keyed.key, **addresses)
    assert "ℹ pass 0" not in output  # noqa: RUF001 - Node's own sign


def test_the_first_example_of_its_readme_runs(installed: Path, keyed: Keyed) -> None:
    code = EXAMPLES[0][1].replace('"http://localhost:8787"', f'"{keyed.server.url}", apiKey: "{keyed.key}"')
    (installed / "example.ts").write_text(code)
    assert "Worker?" in ended(["node", "example.ts"], installed)


@pytest.mark.nightly
@needs_chromium
def test_the_example_app_works_in_a_browser(installed: Path, keyed: Keyed, tmp_path: Path) -> None:
    app = shutil.copytree(ROOT / "examples/react-vite", tmp_path / "app", ignore=shutil.ignore_patterns("node_modules"))
    link_packages(app, installed)
    ended([TSC], app)
    ended([ROOT / "node_modules/.bin/vite", "build", "--logLevel", "warn"], app, VITE_AIWORKER_URL=keyed.server.url)
    addresses = {"AIWORKER_URL": keyed.server.url, "AIWORKER_SIMULATOR": keyed.server.simulator, "CHROMIUM": CHROMIUM}
    test = ["node", "--test", "--test-reporter=spec", "tests/browser/example.test.mjs"]
    ended(test, ROOT, AIWORKER_KEY=keyed.key, EXAMPLE=str(app), **addresses)
