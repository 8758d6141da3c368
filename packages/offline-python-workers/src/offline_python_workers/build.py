"""Build what a machine needs once: the interpreter, and a Worker's packages, byte-compiled by Pyodide in Node.js.

Node.js runs in a project whose node_modules has the npm package `pyodide`. Standard library only.
"""

from pathlib import Path

COMPILER = Path(__file__).with_name("compile.mjs")

PYODIDE_WHEELS = [
    *("--only-binary", ":all:", "--implementation", "cp"),
    *("--python-version", "314", "--abi", "cp314", "--platform", "pyemscripten_2026_0_wasm32"),
]
"""pip's options for wheels that run on Pyodide 314 (CPython 3.14, PEP 783's platform of 2026)."""


def interpreter(folder: Path) -> list[str]:
    """The command that makes a folder with the interpreter."""
    return ["node", str(COMPILER), "runtime", str(folder)]


def packages(folder: Path) -> list[str]:
    """The command that byte-compiles installed packages in place."""
    return ["node", str(COMPILER), "packages", str(folder)]


def modules(pack: Path, folder: Path, made_by: str, stdlib: Path) -> list[str]:
    """The command that byte-compiles a Worker's own modules: see `compiled.CompiledModules`.

    pack: the Worker's modules. folder: where byte-code goes. stdlib: python_stdlib.zip of the interpreter's folder.
    """
    return ["node", str(COMPILER), "project", str(pack), str(folder), made_by, str(stdlib)]
