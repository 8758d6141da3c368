"""scripts/ingest: a folder of files becomes documents."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.worker.conftest import TENANT, Documents
from tools import ROOT

Ingest = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "readme.md": "# Hello\n\nThe word is walrus.",
        "guides/a.md": "# A\n\nThe word is gazelle.",
        "guides/über.txt": "Grüße.",
        "guides/page.html": "<h1>Page</h1><p>The word is ocelot.</p>",
        ".hidden/b.md": "# Hidden",
        "movie.mp4": "\0\0\0",
        "empty.md": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def ingest(base_url: str, documents: Documents) -> Ingest:
    """Run scripts/ingest; return its outcome and its exit status."""

    def run(*arguments: str | Path) -> dict[str, Any]:
        command = [sys.executable, ROOT / "scripts/ingest", "--url", base_url, "--tenant", TENANT, "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        outcome = json.loads(done.stdout) if done.stdout.startswith("{") else {"output": done.stdout}
        return {**outcome, "status": done.returncode, "errors": done.stderr}

    assert documents.all() == []
    return run


def test_a_folder_is_indexed_once(ingest: Ingest, folder: Path, documents: Documents) -> None:
    first = ingest(folder, "--folder", "manual", "--metadata", "year=2026")
    assert (first["status"], first["indexed"], first["unchanged"], first["failed"]) == (0, 4, 0, []), first
    assert [each["path"] for each in first["skipped"]] == ["manual/empty.md", "manual/movie.mp4"]
    assert documents.search("gazelle", filter={"year": 2026})[0]["title"] == "a.md"
    again = ingest(folder, "--folder", "manual", "--metadata", "year=2026")
    assert (again["status"], again["indexed"], again["unchanged"]) == (0, 0, 4)

    (folder / "guides/a.md").write_text("# A\n\nThe word is antelope.")
    changed = ingest(folder, "--folder", "manual", "--metadata", "year=2026")
    assert (changed["indexed"], changed["unchanged"]) == (1, 3)
    assert "antelope" in documents.search("antelope")[0]["text"]
    assert len(documents.all()) == 4


def test_a_dry_run_sends_nothing(ingest: Ingest, folder: Path, documents: Documents) -> None:
    outcome = ingest(folder, "--dry-run")
    assert outcome["status"] == 0
    assert outcome["output"].splitlines()[:4] == ["guides/a.md", "guides/page.html", "guides/über.txt", "readme.md"]
    assert documents.all() == []


def test_a_file_that_fails_is_told(ingest: Ingest, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 /Encrypt")
    outcome = ingest(folder)
    assert (outcome["status"], outcome["indexed"]) == (1, 4)
    [failed] = outcome["failed"]
    assert failed["path"] == "broken.pdf"
    assert "encrypted" in failed["reason"]


def test_a_wrong_call_says_what_is_wrong(ingest: Ingest, tmp_path: Path) -> None:
    missing = ingest(tmp_path / "nothing")
    assert missing["status"] == 1
    assert "There is no " in missing["errors"]
    assert ingest(tmp_path, "--metadata", "no value")["status"] == 2
