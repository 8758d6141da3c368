"""The local databases' tables: `wrangler d1 migrations apply`, when there is something to apply."""

import hashlib
import json
from pathlib import Path

from local.configuration import Configuration
from local.install import WRANGLER

STAMP = "migrations-applied.json"
"""In the folder of the local state: database → fingerprint of the migrations that it has."""


def due(configuration: Configuration, state: Path) -> dict[str, str]:
    """Databases whose migrations have changed since they were applied to this state → their fingerprints."""
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


def _applied(state: Path) -> dict[str, str]:
    stamp = state / STAMP
    return json.loads(stamp.read_text()) if stamp.exists() else {}


def _fingerprint(folder: Path) -> str:
    texts = [f"{path.name}\0{path.read_text()}" for path in sorted(folder.glob("*.sql"))]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
