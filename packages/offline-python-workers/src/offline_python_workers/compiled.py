"""Byte-code of a Worker's own modules, compiled ahead: a file for each, named by the hash of its inputs.

Byte-code is valid for one interpreter only, so this module has two users: the host's Python imports it to look
byte-code up, and compile.mjs imports it inside Pyodide to make it. Standard library only.
"""

import hashlib
import importlib.util
import json
import marshal
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from offline_python_workers.atomic import write_atomically

HOME = "/session/metadata"
"""Folder of the Worker's modules inside the interpreter: HOME of interpreter.mjs."""

CACHE_TAG = "cpython-314"
"""`sys.implementation.cache_tag` of the interpreter in workerd: the import system looks for byte-code by this name."""

MAX_FILES = 2_000
"""Number of byte-code files kept, those used last: about 25 MB."""


@dataclass(frozen=True)
class CompiledModules:
    folder: Path
    made_by: str
    """Identifies the interpreter and the compiler, so that byte-code of others is never found."""

    def read(self, path: str, source: bytes) -> bytes | None:
        """Return the byte-code of a module, or None if it has not been made.

        path: relative to the folder of the Worker's modules. It is part of what tracebacks show.
        """
        file = self.file(path, source)
        try:
            code = file.read_bytes()
            os.utime(file)  # marked as used, so that `prune` keeps it
        except OSError:  # not compiled, or just removed by another run
            return None
        return code

    def missing(self, pack: bytes) -> set[str]:
        """Return the modules in a pack without byte-code, by the names of the files that would hold it."""
        files = {self.file(path, source) for path, source in unpack(pack) if path.endswith(".py")}
        return {file.name for file in files if not file.exists()}

    def make(self, pack: bytes) -> None:
        """Compile the modules in a pack that have no byte-code; invalid ones are left out. Call this inside Pyodide
        only."""
        for path, source in unpack(pack):
            file = self.file(path, source)
            if not path.endswith(".py") or file.exists():
                continue
            try:
                code = _compiled(path, source)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # the Worker reports the error when it imports the module
            write_atomically(file, code)  # several runs may write the same file, and others read it

    def prune(self, keep: int = MAX_FILES) -> None:
        """Remove the files used longest ago beyond `keep`."""
        with_times: list[tuple[float, Path]] = []
        for file in self.folder.glob("*"):
            try:
                with_times.append((file.stat().st_mtime, file))
            except OSError:  # removed by another run
                continue
        for _, file in sorted(with_times, reverse=True)[keep:]:
            file.unlink(missing_ok=True)

    def file(self, path: str, source: bytes) -> Path:
        """Return the file that holds, or would hold, the byte-code of a module."""
        made_from = hashlib.sha256(f"{self.made_by}\0{path}\0".encode() + source)
        return self.folder / f"{made_from.hexdigest()}.pyc"


def pack(contents: Iterable[tuple[str, bytes]]) -> bytes:
    """Pack files into one, which interpreter.mjs unpacks without copying.

    It has the length of an index (uint32, little endian), the index (JSON pairs of path and size), and the contents in
    the index's order.
    """
    files = list(contents)
    index = json.dumps([[path, len(data)] for path, data in files]).encode()
    return struct.pack("<I", len(index)) + index + b"".join(data for _, data in files)


def unpack(pack: bytes) -> list[tuple[str, bytes]]:
    """Return the paths and contents of a pack's files. Bytes after the pack are ignored."""
    (size,) = struct.unpack_from("<I", pack)
    start = 4 + size
    files: list[tuple[str, bytes]] = []
    for path, length in json.loads(pack[4:start]):
        files.append((path, pack[start : start + length]))
        start += length
    return files


def code_path(path: str) -> str:
    """Return the path at which the import system looks for the byte-code of the module `path`."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name[:-3]}.{CACHE_TAG}.pyc".lstrip("/")


def _compiled(path: str, source: bytes) -> bytes:
    """Return an "unchecked hash" pyc (PEP 552), which the import system takes without a look at the source."""
    code = compile(source, f"{HOME}/{path}", "exec", dont_inherit=True)
    flags = struct.pack("<I", 0b01)
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code)
