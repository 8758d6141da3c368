"""The files that a run of scripts/ingest would send, and those that the Worker does not take."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiworker.rag import file_kinds, paths
from aiworker.rag.text_encoding import SAMPLE_BYTES
from aiworker.rag.upload import TAIL_BYTES, fingerprint

MAX_FILE_BYTES = 26_214_400
"""Bytes of one file: the default of MAX_DOCUMENT_BYTES, less the form around it."""


@dataclass(frozen=True)
class Source:
    """A file to send."""

    path: str
    """Normalized path in the folder of the documents, as the Worker gets it."""
    file: Path
    size: int
    media_type: str

    @property
    def id(self) -> str:
        return paths.document_id(self.path)

    def fingerprint(self, metadata: Mapping[str, Any]) -> str:
        """Return the Worker's fingerprint of the file's document. metadata: that of all documents of the run."""
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        return fingerprint(digest, self.media_type, paths.title(self.path), None, paths.metadata(self.path, metadata))


@dataclass(frozen=True)
class Skipped:
    """A file that is not sent."""

    path: str
    reason: str


def find(roots: Sequence[Path], folder: str) -> tuple[list[Source], list[Skipped]]:
    """Return the files below the roots, in the order of their paths, and those that are not taken.

    folder: in which the documents are. Hidden files and folders are left out; links to folders are not followed.
    """
    sources: dict[str, Source] = {}
    skipped: list[Skipped] = []
    for root in roots:
        for file in _files(root):
            relative = file.relative_to(root) if root.is_dir() else Path(file.name)
            path = paths.normalize(f"{folder}/{relative.as_posix()}")
            source = _source(path, file)
            if path in sources:
                source = Skipped(path, f"{sources[path].file} has the same path.")
            if isinstance(source, Source):
                sources[path] = source
            else:
                skipped.append(source)
    return sorted(sources.values(), key=lambda source: source.path), skipped


def batches(sources: Iterable[Source], max_files: int, max_bytes: int) -> Iterator[list[Source]]:
    """Yield groups of at most so many files, which have so many bytes together unless it is a single one."""
    batch: list[Source] = []
    size = 0
    for source in sources:
        if batch and (len(batch) == max_files or size + source.size > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(source)
        size += source.size
    if batch:
        yield batch


def _files(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    for entry in sorted(root.iterdir()):
        if entry.name.startswith(".") or (entry.is_dir() and entry.is_symlink()):
            continue
        yield from _files(entry)


def _source(path: str, file: Path) -> Source | Skipped:
    try:
        size = file.stat().st_size
        with file.open("rb") as content:
            start = content.read(SAMPLE_BYTES)
            content.seek(max(0, size - TAIL_BYTES))
            end = content.read()
    except OSError as error:
        return Skipped(path, f"It cannot be read: {error.strerror}.")
    kind = file_kinds.media_type(path, "", start + end)
    if kind is None:
        return Skipped(path, "Files of this kind are not taken.")
    if not size:
        return Skipped(path, "It is empty.")
    if size > MAX_FILE_BYTES:
        return Skipped(path, f"It has {size:,} bytes; at most {MAX_FILE_BYTES:,} are taken.")
    return Source(path, file, size, kind)
