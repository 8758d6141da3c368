"""Snapshots of collections in files that are mapped into memory: a start need not read every vector from SQLite.

A snapshot is valid for the last mutation that it contains. SQLite is authoritative, and is read if there is no valid
snapshot.
"""

import contextlib
import json
import os
from collections.abc import Container
from pathlib import Path

import numpy as np

from workers_ai_simulator.vectorize.collection import Collection
from workers_ai_simulator.vectorize.models import Index
from workers_ai_simulator.vectorize.room import FileRoom

MIN_VECTORS = 10_000
"""Vectors from which a snapshot is worth its file: SQLite is read in a tenth of a second below."""


class Snapshots:
    """Snapshots of the indexes of a database, in a folder: of each a matrix, and a JSON file that makes it valid."""

    def __init__(self, folder: Path, minimum: int = MIN_VECTORS) -> None:
        """`minimum`: vectors from which an index has a snapshot."""
        self._folder = folder
        self._minimum = minimum
        self.room = FileRoom(folder, minimum)
        """Room for the collections of the database, whose files become snapshots without being written again."""

    def load(self, index: Index) -> Collection | None:
        """The collection after the last mutation of the index; None if there is no such snapshot, or none to read."""
        matrix, rest = self._files(index)
        try:
            stored = json.loads(rest.read_text(encoding="utf-8"))
            shape = (len(stored["ids"]), index.dimensions)
            if matrix.stat().st_size != shape[0] * shape[1] * np.dtype(np.float32).itemsize:
                return None
            loaded = self.room.snapshot(matrix, shape, rest)
            return Collection.from_snapshot(index.metric, loaded, stored, self.room)
        except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def save(self, index: Index, collection: Collection) -> None:
        """Save the collection as that of the index's last mutation, in place of earlier ones. Raises OSError."""
        matrix, rest = self._files(index)
        if len(collection) < self._minimum or rest.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        rows, stored = collection.to_snapshot()
        unfinished = self._folder / f"unfinished-{os.getpid()}"
        if not collection.move_matrix(matrix):
            rows.tofile(unfinished)
            unfinished.replace(matrix)
        unfinished.write_text(json.dumps(stored), encoding="utf-8")
        unfinished.replace(rest)  # written last: it makes the snapshot valid
        self.delete(index.name, {matrix, rest})

    def delete(self, index_name: str, kept: Container[Path] = ()) -> None:
        """Delete the snapshots of an index, but for these files."""
        for file in self._folder.glob(f"{index_name}.*"):
            if file not in kept:
                with contextlib.suppress(OSError):  # a system on which files that are mapped cannot be deleted
                    file.unlink()

    def _files(self, index: Index) -> tuple[Path, Path]:
        name = f"{index.name}.{index.processed_mutation}"
        return self._folder / f"{name}.f32", self._folder / f"{name}.json"
