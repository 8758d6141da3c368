"""The Worker's own modules, byte-compiled ahead: a file for each, named by the hash of what it is made from.

Byte-code is valid for one interpreter only, so this file has two readers: the host's Python imports it to look
byte-code up, and compile.mjs runs it as text inside Pyodide, which makes it. Standard library only.
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

HOME = "/session/metadata"
"""The Worker's folder for its modules: what interpreter.mjs calls HOME."""

CACHE_TAG = "cpython-314"
"""`sys.implementation.cache_tag` of the interpreter in workerd: the import system looks for byte-code by this name."""

MAX_FILES = 2_000
"""Number of byte-code files kept, those used last: about twenty versions of every module of aiworker, 25 MB."""


@dataclass(frozen=True)
class CompiledModules:
    folder: Path
    made_by: str
    """Identifies the interpreter and the compiler: byte-code of others is never found."""

    def read(self, path: str, source: bytes) -> bytes | None:
        """The byte-code of a module, or None if it has not been made.

        path: relative to the folder of the Worker's modules. It is part of what tracebacks show.
        """
        file = self.file(path, source)
        try:
            code = file.read_bytes()
            os.utime(file)  # used now: `prune` keeps it
        except OSError:  # not made, or just removed by another run
            return None
        return code

    def missing(self, pack: bytes) -> set[str]:
        """The modules in a pack that have no byte-code, by the name of the file that would hold it."""
        files = {self.file(path, source) for path, source in unpack(pack) if path.endswith(".py")}
        return {file.name for file in files if not file.exists()}

    def make(self, pack: bytes) -> None:
        """Compile the modules in a pack that have no byte-code. Inside Pyodide only; invalid ones are left out."""
        for path, source in unpack(pack):
            file = self.file(path, source)
            if not path.endswith(".py") or file.exists():
                continue
            try:
                code = _compiled(path, source)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue  # the Worker says why when it imports the module
            # several runs may write the same file, and others read it: never half a file
            whole = file.with_suffix(f".{os.urandom(4).hex()}.new")
            whole.write_bytes(code)
            whole.replace(file)

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
        """Where the byte-code of a module is, or would be."""
        made_from = hashlib.sha256(f"{self.made_by}\0{path}\0".encode() + source)
        return self.folder / f"{made_from.hexdigest()}.pyc"


def pack(contents: Iterable[tuple[str, bytes]]) -> bytes:
    """Files as one: the length of an index (uint32, little endian), the index (JSON pairs of path and size), the
    contents in the index's order. interpreter.mjs unpacks it without copying."""
    files = list(contents)
    index = json.dumps([[path, len(data)] for path, data in files]).encode()
    return struct.pack("<I", len(index)) + index + b"".join(data for _, data in files)


def unpack(pack: bytes) -> list[tuple[str, bytes]]:
    """The paths and contents of a pack's files. What follows the pack is ignored."""
    (size,) = struct.unpack_from("<I", pack)
    start = 4 + size
    files: list[tuple[str, bytes]] = []
    for path, length in json.loads(pack[4:start]):
        files.append((path, pack[start : start + length]))
        start += length
    return files


def code_path(path: str) -> str:
    """Where the import system looks for the byte-code of the module `path`."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name[:-3]}.{CACHE_TAG}.pyc".lstrip("/")


def _compiled(path: str, source: bytes) -> bytes:
    """An "unchecked hash" pyc (PEP 552): the import system takes it without a look at the source."""
    code = compile(source, f"{HOME}/{path}", "exec", dont_inherit=True)
    flags = struct.pack("<I", 0b01)
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code)
