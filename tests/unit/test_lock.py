"""The locks: every distribution and npm package that the set-up installs, by version and hash, without addresses."""

import json
import re
from pathlib import Path

import pytest

from tools import ROOT
from tools.setup import lock

REQUIREMENT = re.compile(r"([a-z0-9-]+)==([^ ]+)(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


def versions(name: str) -> dict[str, str]:
    return {match[1]: match[2] for match in REQUIREMENT.finditer(lock.path(name).read_text())}


@pytest.mark.parametrize("name", lock.LOCKS)
def test_a_lock_has_versions_and_hashes_and_nothing_else(name: str) -> None:
    first, _, requirements = lock.path(name).read_text().partition("\n")
    assert first.startswith(lock.MADE_FROM)
    assert requirements
    assert REQUIREMENT.sub("", requirements) == ""


@pytest.mark.parametrize("name", lock.LOCKS)
def test_a_lock_fits_the_lists_of_pyproject(name: str) -> None:
    assert lock.is_current(name), "run: python -m tools.setup.lock"


def test_a_changed_list_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    project = (ROOT / lock.PROJECT).read_text()
    (tmp_path / lock.SIMULATOR).parent.mkdir(parents=True)
    (tmp_path / lock.SIMULATOR).write_text((ROOT / lock.SIMULATOR).read_text())
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    for text, fits in (
        (project, True),
        (project + "# a comment\n", True),
        (project.replace("ruff==", "ruff>="), False),
    ):
        (tmp_path / lock.PROJECT).write_text(text)
        assert lock.is_current("development") is fits


def test_the_worker_runs_and_is_tested_on_the_same_versions() -> None:
    """pywrangler, which knows only pyproject.toml, gives a deployment the versions of the lock too."""
    worker, development = versions("worker"), versions("development")
    assert worker.items() <= development.items()
    assert versions("setup").items() <= development.items()
    pinned = re.findall(r'"([a-z-]+)==([^"]+)"', (ROOT / lock.PROJECT).read_text())
    assert worker.items() <= set(pinned)


@pytest.mark.parametrize("folder", [".", "packages/aiworker-client", "tools/docs"])
def test_npm_packages_have_hashes_and_no_addresses(folder: str) -> None:
    packages = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]
    project = packages.pop("")
    assert packages
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in packages.values())
    wanted = json.loads((ROOT / folder / "package.json").read_text())
    assert all(project.get(kind) == wanted.get(kind) for kind in ("dependencies", "devDependencies"))
