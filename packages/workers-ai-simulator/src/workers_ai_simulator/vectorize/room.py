"""Room for the vectors of a collection: in memory, or in files that are mapped into memory once they are many.

Pages of a mapped file need not stay in memory: the system writes them to the disk, and reads them again, as it has to.
"""

import contextlib
import itertools
import os
from pathlib import Path
from typing import Protocol

import numpy as np

from workers_ai_simulator.vectorize.models import Floats

Mapping = np.memmap[tuple[int, int], np.dtype[np.float32]]

BLOCK = 65_536
"""Rows that are copied at once."""
SUFFIX = ".growing"


class Room(Protocol):
    """Storage for the matrix of a collection, one row for each vector."""

    def grown(self, matrix: Floats, rows: int) -> Floats:
        """The matrix with room for so many rows; what is in the new ones is undefined."""
        ...

    def owned(self, matrix: Floats) -> Floats:
        """The matrix of a snapshot, as one that may be changed; the snapshot ends with it."""
        ...

    def take(self, matrix: Floats, rows: int, target: Path) -> bool:
        """Turn the first rows of the matrix into the file `target`, if the matrix has a file of its own, and return
        True."""
        ...

    def discard(self, matrix: Floats) -> None:
        """Delete the matrix's own file, if it has one. The matrix must not be used after that."""
        ...


class MemoryRoom:
    """Room in memory alone."""

    def grown(self, matrix: Floats, rows: int) -> Floats:
        grown = np.empty((rows, matrix.shape[1]), dtype=np.float32)
        grown[: len(matrix)] = matrix
        return grown

    def owned(self, matrix: Floats) -> Floats:
        return matrix

    def take(self, matrix: Floats, rows: int, target: Path) -> bool:  # noqa: ARG002
        return False

    def discard(self, matrix: Floats) -> None:
        pass


class FileRoom:
    """Room in memory for less than `minimum` rows, and in files of a folder for more. Raises OSError without space."""

    def __init__(self, folder: Path, minimum: int) -> None:
        self._folder = folder
        self._minimum = minimum
        self._numbers = itertools.count()
        self._files: dict[int, tuple[Path, Mapping]] = {}
        """By the address of a matrix, its file and its mapping."""
        self._snapshots: dict[int, tuple[Path, Path]] = {}
        """By the address of a matrix that has not been changed, its file, and the one that makes it a snapshot."""
        self.clear()

    def clear(self) -> None:
        """Delete the files, including those of a process that was killed."""
        self._files.clear()
        self._snapshots.clear()
        for file in self._folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):  # a system on which files that are mapped cannot be deleted
                file.unlink()

    def grown(self, matrix: Floats, rows: int) -> Floats:
        if rows < self._minimum:
            return MemoryRoom().grown(matrix, rows)
        own = self._files.pop(_address(matrix), None)
        if own:
            return self._mapped(own[0], (rows, matrix.shape[1]))
        file = self._new_file()
        file.touch()
        grown = self._mapped(file, (rows, matrix.shape[1]))
        for start in range(0, len(matrix), BLOCK):
            grown[start : min(start + BLOCK, len(matrix))] = matrix[start : start + BLOCK]
        return grown

    def snapshot(self, file: Path, shape: tuple[int, int], rest: Path) -> Floats:
        """The matrix of a snapshot, which stays one until the matrix is changed. `rest`: file that makes it one."""
        matrix: Floats = np.asarray(np.memmap(file, np.float32, "r", shape=shape))
        self._snapshots[_address(matrix)] = (file, rest)
        return matrix

    def owned(self, matrix: Floats) -> Floats:
        snapshot = self._snapshots.pop(_address(matrix), None)
        if snapshot is None:
            return matrix
        file, rest = snapshot
        rest.unlink()  # deleted first: what it describes is about to change
        return self._mapped(file.replace(self._new_file()), (len(matrix), matrix.shape[1]))

    def _new_file(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{os.getpid()}-{next(self._numbers)}{SUFFIX}"

    def _mapped(self, file: Path, shape: tuple[int, int]) -> Floats:
        """A matrix of this shape in the file, which becomes as long as it needs to be."""
        os.truncate(file, shape[0] * shape[1] * np.dtype(np.float32).itemsize)
        mapping = np.memmap(file, np.float32, "r+", shape=shape)
        matrix: Floats = np.asarray(mapping)
        self._files[_address(matrix)] = (file, mapping)
        return matrix

    def take(self, matrix: Floats, rows: int, target: Path) -> bool:
        own = self._files.pop(_address(matrix), None)
        if not own:
            return False
        file, mapped = own
        mapped.flush()
        os.truncate(file, rows * matrix.shape[1] * matrix.itemsize)
        file.replace(target)
        return True

    def discard(self, matrix: Floats) -> None:
        self._snapshots.pop(_address(matrix), None)
        own = self._files.pop(_address(matrix), None)
        if own:
            own[0].unlink(missing_ok=True)


def _address(matrix: Floats) -> int:
    return matrix.ctypes.data
