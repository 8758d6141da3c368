"""The files in which the local runtime keeps a database or a bucket, opened while it runs."""

import hashlib
import hmac
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

SECONDS_TO_WAIT = 20
"""Longest wait while the Worker has a lock."""


def object_file(state: Path, service: str, class_name: str, name: str) -> Path:
    """The SQLite file of the simulator object that has this name (a database's id, a bucket's name).

    Its name is the Durable Object id that workerd derives with `idFromName`: 16 bytes of an HMAC of the name, then 16
    of an HMAC of those, under the SHA-256 of the namespace's unique key.
    """
    unique_key = f"miniflare-{class_name}"
    key = hashlib.sha256(unique_key.encode()).digest()
    start = hmac.digest(key, name.encode(), hashlib.sha256)[:16]
    end = hmac.digest(key, start, hashlib.sha256)[:16]
    return state / "v3" / service / unique_key / f"{(start + end).hex()}.sqlite"


@contextmanager
def opened(file: Path) -> Generator[sqlite3.Connection]:
    """A connection in autocommit mode, closed behind the block; the file is made if it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, timeout=SECONDS_TO_WAIT, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
