"""The tables of the local databases, by `wrangler d1 migrations apply` when there is something to apply."""

import contextlib
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from tools.dev.configuration import Configuration
from tools.setup.install import BUILT, WRANGLER

STAMP = "migrations-applied.json"
"""File in the folder of the local state: database → fingerprint of the migrations applied to it."""

PREPARED = BUILT / "databases"
"""Folder of new databases with their tables, named by their fingerprints. Copying one takes no time; wrangler takes
seconds."""
DATABASES = "v3/d1"
"""Folder of all databases in a state."""


def due(configuration: Configuration, state: Path) -> dict[str, str]:
    """Return the databases whose migrations have changed since they were applied to this state → fingerprints."""
    applied = _applied(state)
    wanted = {
        database["database_name"]: _fingerprint(Path(database["migrations_dir"]))
        for database in configuration.get("d1_databases", [])
        if "migrations_dir" in database
    }
    return {name: fingerprint for name, fingerprint in wanted.items() if applied.get(name) != fingerprint}


def command(database: str, file: Path, state: Path) -> list[str]:
    apply = ["d1", "migrations", "apply", database, "--local"]
    return ["node", "--no-warnings", str(WRANGLER), *apply, "--config", str(file), "--persist-to", str(state)]


def note(applied: dict[str, str], state: Path) -> None:
    state.mkdir(parents=True, exist_ok=True)
    (state / STAMP).write_text(json.dumps({**_applied(state), **applied}))


def copy_prepared(configuration: Configuration, due: dict[str, str], state: Path) -> bool:
    """Copy prepared databases into a state without any. Returns whether there were prepared ones for it."""
    prepared = _prepared(configuration, due)
    if not prepared.exists() or not is_new(state):
        return False
    databases = state / DATABASES
    copy = databases.with_name("d1-copied-in-part")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(prepared, copy).rename(databases)
    return True


def keep_prepared(configuration: Configuration, applied: dict[str, str], state: Path) -> None:
    """Keep the databases of a state that was new before these migrations, for the next new state."""
    PREPARED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as folder:
        copy = shutil.copytree(state / DATABASES, Path(folder) / "d1")
        with contextlib.suppress(OSError):  # another run was first
            copy.rename(_prepared(configuration, applied))


def is_new(state: Path) -> bool:
    return not (state / DATABASES).exists()


def _prepared(configuration: Configuration, fingerprints: dict[str, str]) -> Path:
    wrangler = (WRANGLER.parent.parent / "package.json").read_text()
    made_of = json.dumps([configuration["d1_databases"], fingerprints, wrangler])
    return PREPARED / hashlib.sha256(made_of.encode()).hexdigest()


def _applied(state: Path) -> dict[str, str]:
    stamp = state / STAMP
    return json.loads(stamp.read_text()) if stamp.exists() else {}


def _fingerprint(folder: Path) -> str:
    texts = [f"{path.name}\0{path.read_text()}" for path in sorted(folder.glob("*.sql"))]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
