"""Documents for /rag/search in the bench: a local D1 database, made once and copied for each run."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from aiworker.rag.search_text import NORMALIZATION, index_text
from tools import ROOT
from tools.dev import migrations
from tools.dev.plan import ENVIRONMENT
from tools.setup.install import WRANGLER, InstallError

DATABASE = "aiworker"
TENANT = "default"
VERSION = "bench"
"""Version of the one document. tools/bench/model_server answers every vector query with ids of its passages."""
PASSAGES = 200
QUERY = "When does the valve of the second greenhouse open by itself?"

SUBJECTS = ("valve", "fan", "lamp", "pump", "shade", "heater", "sensor", "hub")
DOINGS = (
    "opens when three readings in a row lie below the set point",
    "closes by itself after the time that its schedule says",
    "reports every change to the hub, which keeps a week of them",
    "waits for the second reading before it does anything",
    "can be moved by hand while the green light is on",
)


def passages() -> list[tuple[str, str]]:
    """Return the heading and text of each passage. Full-text search for a valve finds some of them only."""
    return [
        (
            f"The {SUBJECTS[n % len(SUBJECTS)]} of greenhouse {n % 12 + 1}",
            " ".join(
                f"The {SUBJECTS[(n + each) % len(SUBJECTS)]} number {n * 7 + each} {DOINGS[(n + each) % len(DOINGS)]}."
                for each in range(6)
            ),
        )
        for n in range(PASSAGES)
    ]


def made_from() -> tuple[str, ...]:
    return (_rows(), *(path.read_text() for path in sorted((ROOT / "migrations").glob("*.sql"))))


def make(folder: Path) -> None:
    """Make a local state with the database in the folder. Raises InstallError."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file, rows = folder / "wrangler.json", folder / "rows.sql"
    database = {"binding": "DB", "database_name": DATABASE, "migrations_dir": str(ROOT / "migrations")}
    file.write_text(json.dumps({"name": "bench", "compatibility_date": "2026-11-01", "d1_databases": [database]}))
    rows.write_text(_rows())
    _call(migrations.command(DATABASE, file, folder))
    execute = ["d1", "execute", DATABASE, "--local", "--yes", "--file", str(rows)]
    _call(["node", "--no-warnings", str(WRANGLER), *execute, "--config", str(file), "--persist-to", str(folder)])


def copy(folder: Path, state: Path) -> None:
    """Copy the database into a server's new local state."""
    shutil.copytree(folder / "v3", state / "v3")


def _rows() -> str:
    moment = "2026-11-01T00:00:00+00:00"
    # in the form of the Worker's passage_store.scope
    scope = "t" + hashlib.sha256(TENANT.encode()).hexdigest()[:32]
    # one statement each: SQLite limits the length of a statement
    chunks = "".join(
        f"INSERT INTO chunks (version, number, scope, heading, text) "  # noqa: S608 - texts of ours
        f"VALUES ('{VERSION}', {number}, '{scope}', '{heading}', '{text}');\n"
        for number, (heading, text) in enumerate(passages())
    )
    words = "".join(
        "INSERT INTO passage_words (rowid, scope, title, heading, text) "  # noqa: S608 - texts of ours
        f"SELECT row, scope, 'greenhouses', '{index_text(heading)}', '{index_text(text)}' FROM chunks "
        f"WHERE version = '{VERSION}' AND number = {number};\n"
        for number, (heading, text) in enumerate(passages())
    )
    return (
        f"INSERT INTO documents (tenant, id, live_version, created_at) "  # noqa: S608 - texts of ours
        f"VALUES ('{TENANT}', 'greenhouses', '{VERSION}', '{moment}');\n"
        "INSERT INTO versions (id, tenant, document_id, state, title, metadata, media_type, size, fingerprint, chunks, "
        "created_at, updated_at, normalization) "
        f"VALUES ('{VERSION}', '{TENANT}', 'greenhouses', 'indexed', 'Greenhouses', '{{}}', "
        f"'text/markdown', 1, 'bench', {PASSAGES}, '{moment}', '{moment}', {NORMALIZATION});\n"
        f"{chunks}{words}"
    )


def _call(command: list[str]) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **ENVIRONMENT},
        text=True,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise InstallError(f"{done.stdout}{done.stderr}\n\nThis failed: {' '.join(command)}")
