"""The package by itself: installed by pip in an empty environment, and used as its README says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from running_simulator import PACKAGE, SOURCE, end_with_parent

MODULE = SOURCE / "workers_ai_simulator"
DATA_FILES = sorted(
    str(file.relative_to(MODULE.parent))
    for file in MODULE.rglob("*")
    if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".py"
)
"""Files of the package that are no modules."""

ADDRESS = "http://127.0.0.1:8788"
CLIENTS = re.search(r"^## Clients\n(.+?)(?=^## )", (PACKAGE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
SNIPPETS = re.findall(r"^```(\w+)\n(.+?)^```", CLIENTS[1] if CLIENTS else "", re.DOTALL | re.MULTILINE)
SHELL_OF = {"sh": ["sh", "-euc"], "python": [sys.executable, "-c"]}


def ended(command: Sequence[str | Path], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # with an empty home, and without this project on any path
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        command, cwd=folder, env={**clean, "HOME": str(folder), **environment}, text=True, capture_output=True,
        timeout=100, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with only the package and its dependencies."""
    folder = tmp_path_factory.mktemp("standalone")
    created = ended([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder)
    assert created.returncode == 0, created.stderr
    options = ["--quiet", "--disable-pip-version-check", "--no-compile", "--retries", "1"]
    pip = [sys.executable, "-m", "pip", "--python", folder / "venv/bin/python"]
    installed = ended([*pip, "install", *options, PACKAGE], folder)
    if "(from versions: none)" in installed.stderr:
        pytest.skip("pip reaches no package index")
    assert installed.returncode == 0, installed.stderr
    return folder / "venv"


@pytest.fixture(scope="module")
def simulator(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the simulator, started by the installed command with an empty home."""
    home = tmp_path_factory.mktemp("home")
    with subprocess.Popen(
        [environment / "bin/workers-ai-simulator", "--port", "0"],
        cwd=home, env={"HOME": str(home)}, text=True, stdout=subprocess.PIPE, preexec_fn=end_with_parent,
    ) as process:  # fmt: skip
        assert process.stdout
        ready = process.stdout.readline()
        assert ready.startswith("Ready on "), ready
        yield ready.removeprefix("Ready on ").strip()
        process.terminate()


def test_data_files_are_installed(environment: Path) -> None:
    assert {f"workers_ai_simulator/{name}" for name in ("models.json", "miniflare_plugin.cjs", "py.typed")} <= {
        *DATA_FILES
    }
    assert any(name.startswith("workers_ai_simulator/page/") for name in DATA_FILES)
    [packages] = environment.glob("lib/python*/site-packages")
    assert [name for name in DATA_FILES if not (packages / name).is_file()] == []


@pytest.mark.parametrize("number", range(3))
def test_a_client_works_as_pasted_from_the_readme(simulator: str, number: int, tmp_path: Path) -> None:
    language, snippet = SNIPPETS[number]
    assert ADDRESS in snippet
    done = ended([*SHELL_OF[language], snippet.replace(ADDRESS, simulator)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[2, 768]") or "simulated" in done.stdout


def test_the_readme_has_no_other_clients() -> None:
    assert [language for language, _ in SNIPPETS] == ["sh", "python", "python"]


def test_the_page_is_served(simulator: str, tmp_path: Path) -> None:
    page = ended(["curl", "-sf", simulator], tmp_path)
    assert "<title>" in page.stdout
    files = set(re.findall(r'(?:src|href)="([\w./-]+\.(?:js|css|svg))"', page.stdout))
    assert files
    for file in files:
        assert ended(["curl", "-sf", f"{simulator}/{file.lstrip('/')}"], tmp_path).stdout, file


def test_libraries_that_read_files_are_not_loaded_at_the_start(tmp_path: Path) -> None:
    """They would take half of its time."""
    program = "import sys, workers_ai_simulator.server; print(*sys.modules)"
    done = ended([sys.executable, "-c", program], tmp_path, PYTHONPATH=str(SOURCE))
    loaded = set(done.stdout.split())
    assert "workers_ai_simulator.server" in loaded, done.stderr
    assert loaded & {"bs4", "mammoth", "markdownify", "openpyxl", "pypdf"} == set()
