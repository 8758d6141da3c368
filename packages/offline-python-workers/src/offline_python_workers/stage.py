"""Lay out the module folder of one local run, which wrangler reads, uploads to workerd and watches.

main.mjs                  exports the classes of the Worker's main module
entry.mjs                 names that module, and its folder for people
*.mjs, bridge.py          of this package
pyodide.asm.*, *.zip      the interpreter, made by `build.interpreter`
packages.pack             the Worker's packages, byte-compiled
project.pack              src/ and its byte-code: one file, so that one edit is one reload
python_modules/workers/   the JavaScript modules of the `workers` SDK
"""

import ast
import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from offline_python_workers.atomic import write_atomically
from offline_python_workers.compiled import CompiledModules, code_path, pack, unpack

RUNTIME_FILES = ("interpreter.mjs", "sdk.mjs", "worker.mjs", "bridge.py")
INTERPRETER_FILES = (
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "lock-info.mjs",
)

RULES: list[dict[str, Any]] = [
    {"type": "ESModule", "globs": ["*.mjs", "python_modules/**/*.js"], "fallthrough": False},
    {"type": "CompiledWasm", "globs": ["*.wasm"], "fallthrough": False},
    {"type": "Text", "globs": ["bridge.py"], "fallthrough": False},
    {"type": "Data", "globs": ["*.zip", "*.pack"], "fallthrough": False},
]
"""Kind of each file of the folder for wrangler (its `rules`)."""

KINDS = {
    "WorkerEntrypoint": "entrypoint",
    "DurableObject": "durableObject",
    "WorkflowEntrypoint": "workflow",
}
"""Base class of the `workers` SDK → function of worker.mjs that exports such a class."""

PROJECT = "project.pack"
"""File of the Worker's own modules. wrangler reloads when it changes."""


def lay_out(
    folder: Path,
    main: Path,
    configured: dict[str, str],
    runtime: Path,
    packages: Path,
    compiled: CompiledModules | None = None,
    excluded: Iterable[str] = (),
    project: Path | None = None,
) -> None:
    """Fill the new `folder` for the Worker of the module `main`.

    configured: classes that the main module exports by the Worker's configuration, name to kind.
    runtime, packages: folders that the commands of `build` have filled.
    compiled: byte-code of the Worker's own modules. Without it the Worker compiles them all.
    excluded: patterns of the packages' files that are not uploaded (`python_modules.exclude` of wrangler.jsonc).
    project: folder from which tracebacks name the Worker's own files; without it, from the main module's folder.
    """
    here = Path(__file__).parent
    folder.mkdir(parents=True, mode=0o700)  # the configuration's variables may be secrets
    for name in RUNTIME_FILES:
        shutil.copy(here / name, folder)
    for name in INTERPRETER_FILES:
        _link(runtime / name, folder / name)
    for module in packages.glob("workers/*.js"):
        _link(module, folder / "python_modules" / module.relative_to(packages))
    _write(folder / "packages.pack", pack(_contents(packages, _shipped(packages, excluded))))
    sources = main.parent.relative_to(project or main.parent).as_posix()
    entry = {"module": main.stem, "sources": "" if sources == "." else f"{sources}/"}
    _write(folder / "entry.mjs", f"export default {json.dumps(entry)};\n".encode())
    update(folder, main, configured, compiled)


def update(folder: Path, main: Path, configured: dict[str, str], compiled: CompiledModules | None = None) -> bool:
    """Bring the folder up to date with edited files beside `main`; wrangler reloads when a file's content changes.

    Returns whether one did. Byte-code that has been made meanwhile is no change: it is added with the next change.
    """
    sources = pack(_contents(main.parent, _project_files(main.parent)))
    packed = folder / PROJECT
    # the sources come first and include their length, so equal beginnings are equal sources
    changed = not (packed.exists() and packed.read_bytes().startswith(sources))
    if changed:
        _write(packed, sources + (_byte_code(sources, compiled) if compiled else pack([])))
    exports, exported = folder / "main.mjs", exported_classes(main)
    if exported is None and exports.exists():
        return changed  # bindings refer to the classes of a broken file, too: the earlier ones stay
    return _write(exports, main_module(configured | (exported or {})).encode()) or changed


def exported_classes(main: Path) -> dict[str, str] | None:
    """Return the classes that a main module defines, name to kind; None while it is missing or not valid Python.

    The text is parsed rather than imported: wrangler needs the exports before any Python runs. Classes that the module
    imports are known from the configuration.
    """
    try:
        tree = ast.parse(main.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    pins: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            kind = next((KINDS[base] for base in bases if base in KINDS), None)
            if kind:
                pins[node.name] = kind
    return pins


def main_module(exports: dict[str, str]) -> str:
    lines = [f"import {{ {', '.join(sorted(set(KINDS.values())))} }} from './worker.mjs';"]
    for name, kind in exports.items():
        target = "export default" if name == "Default" else f"export const {name} ="
        lines.append(f"{target} {kind}('{name}');")
    if "Default" not in exports:
        lines.append("export default entrypoint('Default');")
    return "\n".join(lines) + "\n"


def _byte_code(sources: bytes, compiled: CompiledModules) -> bytes:
    """Return a second pack, with the existing byte-code of these sources. The Worker compiles the others itself."""
    modules = [(path, compiled.read(path, source)) for path, source in unpack(sources) if path.endswith(".py")]
    return pack((code_path(path), code) for path, code in modules if code is not None)


def _contents(root: Path, files: Iterable[Path]) -> Iterable[tuple[str, bytes]]:
    for path in sorted(files):
        with contextlib.suppress(FileNotFoundError):  # editors make and remove files of their own
            yield str(path.relative_to(root)), path.read_bytes()


def _project_files(source: Path) -> list[Path]:
    return [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def _shipped(packages: Path, excluded: Iterable[str]) -> list[Path]:
    """Return the files of the installed packages that a deployed Worker can import."""
    unused = {".pyi", ".typed", ".js"}
    # except byte-code, which saves a local run the time that the memory snapshot saves a deployed Worker
    exclusions = [_expression(pattern) for pattern in excluded if not pattern.endswith(".pyc")]
    return [
        path
        for path in packages.rglob("*")
        if path.is_file()
        and path.suffix not in unused
        and path.name != ".made-from"
        and not any(each.fullmatch(path.relative_to(packages).as_posix()) for each in exclusions)
    ]


def _expression(pattern: str) -> re.Pattern[str]:
    """Return a regular expression for a pattern of wrangler: `*` stands for a part of a name, `**` for any folders."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(parts.get(each) or re.escape(each) for each in re.findall(r"\*\*/|\*\*|.", pattern)))


def _link(original: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(original, link)
    except OSError:  # another file system
        shutil.copy(original, link)


def _write(path: Path, content: bytes) -> bool:
    """Write a file unless it has this content. Returns whether it had another."""
    if path.exists() and path.read_bytes() == content:
        return False
    # written beside the folder first: wrangler may read the file at any time, and reacts to new files in the folder
    write_atomically(path, content, folder=path.parent.parent)
    return True
