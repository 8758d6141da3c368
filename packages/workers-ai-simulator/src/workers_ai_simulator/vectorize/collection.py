"""Vectors of one index in memory, searched exactly."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from workers_ai_simulator.vectorize.filters import Condition
from workers_ai_simulator.vectorize.models import Floats, IndexedMetadata, Record, Scalar
from workers_ai_simulator.vectorize.room import MemoryRoom, Room

Mask = npt.NDArray[np.bool_]


COPY_COST = 5
"""Rows scored in the time that copying one row takes, about."""
BLOCK = 16_384
"""Rows of which differences are computed at once, so that they need little memory."""


class Column:
    """One value for each row. Equal values are stored once, so that a condition is tested once for each value."""

    def __init__(self) -> None:
        self._values: list[Scalar] = [None]
        self._codes: dict[tuple[bool, Scalar], int] = {(False, None): 0}
        self._rows: npt.NDArray[np.int32] = np.zeros(64, dtype=np.int32)

    def put(self, row: int, value: Scalar) -> None:
        while row >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        key = (isinstance(value, bool), value)  # True equals 1 in Python, but not in a filter
        if key not in self._codes:
            self._codes[key] = len(self._values)
            self._values.append(value)
        self._rows[row] = self._codes[key]

    def get(self, row: int) -> Scalar:
        return self._values[int(self._rows[row])] if row < len(self._rows) else None

    def to_json(self, count: int) -> dict[str, Any]:
        """The values, and for each of the first `count` rows the number of its value."""
        rows = [*self._rows[:count].tolist(), *[0] * (count - len(self._rows))]
        return {"values": self._values, "rows": rows}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Column":
        column = cls()
        column._values = cast("list[Scalar]", stored["values"])
        column._codes = {(isinstance(value, bool), value): code for code, value in enumerate(column._values)}
        column._rows = np.array(stored["rows"] or [0], dtype=np.int32)
        return column

    def mask(self, test: Callable[[Scalar], bool], count: int) -> Mask:
        """True for each of the first `count` rows whose value passes the test."""
        if len(self._rows) < count:
            self.put(count - 1, self.get(count - 1))
        passes = np.fromiter(map(test, self._values), dtype=bool, count=len(self._values))
        return passes[self._rows[:count]]


class Collection:
    """Vectors as rows of a matrix, which grows by doubling. The last row takes the place of a removed one."""

    def __init__(self, dimensions: int, metric: str, room: Room | None = None) -> None:
        """`room`: where the matrix is; by default in memory."""
        self._metric = metric
        self._room = room or MemoryRoom()
        self._is_snapshot = False
        self._matrix: Floats = np.empty((64, dimensions), dtype=np.float32)
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._namespaces = Column()
        self._properties: dict[str, Column] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, vector_id: str) -> bool:
        return vector_id in self._rows

    def _make_writable(self) -> None:
        if self._is_snapshot:
            self._matrix = self._room.owned(self._matrix)
            self._is_snapshot = False

    def put(self, record: Record) -> None:
        self._make_writable()
        row = self._rows.get(record.id)
        if row is None:
            row = self._rows[record.id] = len(self._ids)
            self._ids.append(record.id)
            if row == len(self._matrix):
                self._matrix = self._room.grown(self._matrix, 2 * row)
        self._matrix[row] = _unit(record.values) if self._metric == "cosine" else record.values
        self._put_indexed(row, record.namespace, record.indexed)

    def _put_indexed(self, row: int, namespace: str | None, indexed: IndexedMetadata) -> None:
        self._namespaces.put(row, namespace)
        for name in self._properties.keys() | indexed.keys():
            self._properties.setdefault(name, Column()).put(row, indexed.get(name))

    def reserve(self, count: int) -> None:
        """Make room for so many vectors. The collection is empty."""
        if count > len(self._matrix):
            self._matrix = self._room.grown(self._matrix, count)

    def append(self, records: Sequence[tuple[str, bytes, str | None, IndexedMetadata]]) -> None:
        """Add many vectors at once: ids that are new, values as float32, namespaces and indexed metadata."""
        start = len(self._ids)
        values: Floats = np.frombuffer(b"".join(each[1] for each in records), dtype=np.float32)
        values = values.reshape(len(records), self._matrix.shape[1])
        self._matrix[start : start + len(records)] = _units(values) if self._metric == "cosine" else values
        for row, (vector_id, _, namespace, indexed) in enumerate(records, start):
            self._rows[vector_id] = row
            self._ids.append(vector_id)
            self._put_indexed(row, namespace, indexed)

    # ---- snapshots ---------------------------------------------------------------------------------------------------

    def to_snapshot(self) -> tuple[Floats, dict[str, Any]]:
        """The matrix, and all else as JSON."""
        count = len(self._ids)
        properties = {name: column.to_json(count) for name, column in self._properties.items()}
        rest = {"ids": self._ids, "namespaces": self._namespaces.to_json(count), "properties": properties}
        return self._matrix[:count], rest

    def move_matrix(self, file: Path) -> bool:
        """Move the matrix to this file, if it is mapped from a file of its own, and return True. The collection ends
        then."""
        return self._room.take(self._matrix, len(self._ids), file)

    def discard(self) -> None:
        """Release its room. The collection must not be used after that."""
        self._room.discard(self._matrix)

    @classmethod
    def from_snapshot(cls, metric: str, matrix: Floats, rest: dict[str, Any], room: Room | None = None) -> "Collection":
        collection = cls(matrix.shape[1], metric, room)
        collection._matrix, collection._is_snapshot = matrix, True
        collection._ids = rest["ids"]
        collection._rows = {vector_id: row for row, vector_id in enumerate(collection._ids)}
        collection._namespaces = Column.from_json(rest["namespaces"])
        collection._properties = {name: Column.from_json(each) for name, each in rest["properties"].items()}
        return collection

    def remove(self, vector_id: str) -> None:
        if vector_id not in self._rows:
            return
        self._make_writable()
        row = self._rows.pop(vector_id)
        last_id = self._ids.pop()
        if last_id != vector_id:
            last = len(self._ids)
            self._matrix[row] = self._matrix[last]
            self._ids[row], self._rows[last_id] = last_id, row
            for column in (self._namespaces, *self._properties.values()):
                column.put(row, column.get(last))

    def search(
        self, query: Floats, top_k: int, namespace: str | None, conditions: Sequence[Condition]
    ) -> list[tuple[str, float]]:
        """Ids and scores of the nearest vectors, nearest first; the smaller id first among equals."""
        rows = self._candidates(namespace, conditions)
        scores = self._scores(query, rows)
        distances = scores if self._metric == "euclidean" else -scores
        count = min(top_k, len(distances))
        # all rows as near as the last match, so that ties do not depend on the order of rows
        threshold = np.partition(distances, count - 1)[count - 1] if count else 0
        nearest = np.flatnonzero(distances <= threshold)
        ids = [self._ids[row] for row in (nearest if rows is None else rows[nearest])]
        ranked = sorted(zip(distances[nearest].tolist(), ids, scores[nearest].tolist(), strict=True))
        return [(vector_id, score) for _, vector_id, score in ranked[:count]]

    def _candidates(self, namespace: str | None, conditions: Sequence[Condition]) -> npt.NDArray[np.intp] | None:
        """Rows that pass the conditions; None for all rows."""
        if namespace is None and not conditions:
            return None
        count = len(self._ids)
        masks = [self._properties.get(name, Column()).mask(test, count) for name, test in conditions]
        if namespace is not None:
            masks.append(self._namespaces.mask(lambda value: value == namespace, count))
        return np.flatnonzero(np.logical_and.reduce(masks))

    def _scores(self, query: Floats, rows: npt.NDArray[np.intp] | None) -> Floats:
        matrix = self._matrix[: len(self._ids)]
        if rows is not None:
            if len(rows) * COPY_COST > len(matrix):
                return self._scores(query, None)[rows]
            matrix = matrix[rows]
        if self._metric == "euclidean":
            blocks = [matrix[start : start + BLOCK] for start in range(0, len(matrix), BLOCK)]
            squares = [np.sum((block - query) ** 2, axis=1, dtype=np.float32) for block in blocks]
            return np.sqrt(np.concatenate(squares)) if squares else np.empty(0, dtype=np.float32)
        return matrix @ (_unit(query) if self._metric == "cosine" else query)


def _unit(values: Floats) -> Floats:
    return _units(values[np.newaxis])[0]


def _units(matrix: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays one. A row has the same result whatever the others are."""
    lengths: Floats = np.sqrt(np.add.reduce(matrix * matrix, axis=1, keepdims=True))
    lengths[lengths == 0] = 1
    return matrix / lengths
