"""Files made from the Worker's sources in the background while scripts/dev runs: byte-code, public/openapi.json.

Nothing waits for them: the Worker compiles modules without byte-code by itself, and the next start finds it.
"""

import asyncio
import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from offline_python_workers import build, compiled, stage
from offline_python_workers.compiled import CompiledModules
from tools import ROOT
from tools.dev.plan import ENVIRONMENT, Command, Plan
from tools.dev.processes import Children
from tools.docs import openapi
from tools.setup.install import BUILT, PYTHON, RUNTIME

COMPILED = BUILT / "compiled"
DESCRIBED = BUILT / "api-described"
"""File with the fingerprints of the sources and of the public/openapi.json made from them."""

MANY_MODULES = 10
"""Number of modules without byte-code from which on the compiler is started after an edit, which takes 800 ms. The
Worker
compiles a module by itself in 3 ms."""

PATIENTLY = ("nice", "-n", "19")
"""Prefix of a command that runs with low priority, after work that the user waits for."""


def compiled_modules() -> CompiledModules:
    """Return the byte-code for the interpreter that is installed."""
    COMPILED.mkdir(exist_ok=True)
    interpreter = (RUNTIME / ".made-from").read_bytes()
    made_by = hashlib.sha256(interpreter + Path(compiled.__file__).read_bytes())
    return CompiledModules(COMPILED, made_by.hexdigest())


@dataclass(frozen=True)
class DerivedFiles:
    """Files made from the sources of one run, by processes that end with `children`."""

    made: Plan
    modules: CompiledModules
    children: Children

    async def keep_current(self, loaded: asyncio.Event) -> None:
        """Make what is out of date each time the Worker has been loaded. Runs until cancelled."""
        worthwhile = 1
        while True:
            await loaded.wait()
            loaded.clear()
            with contextlib.suppress(OSError):  # a file came or went meanwhile: the next load is the next attempt
                await self._describe_api()
                await self._compile(worthwhile)
            worthwhile = MANY_MODULES

    async def _describe_api(self) -> None:
        if self.made.project != ROOT:
            return
        sources = _fingerprint(openapi.SOURCE)
        if _stamp() == _described_by(sources):
            return
        status, printed = await self._run([str(PYTHON), "-m", "tools.docs.openapi"])
        if status == 0:  # otherwise the sources are broken, which the Worker reports
            DESCRIBED.write_text(_described_by(sources))
            print(*printed, sep="\n", end="\n" if printed else "", flush=True)

    async def _compile(self, worthwhile: int) -> None:
        """Compile if at least `worthwhile` modules have no byte-code."""
        pack = self.made.file.parent / stage.PROJECT
        if len(self.modules.missing(pack.read_bytes())) < worthwhile:
            return
        stdlib = RUNTIME / "python_stdlib.zip"
        await self._run(build.modules(pack, self.modules.folder, self.modules.made_by, stdlib))
        self.modules.prune()

    async def _run(self, command: Command) -> tuple[int, list[str]]:
        """Run a command. Returns its exit status and the lines that it printed."""
        child = await self.children.start([*PATIENTLY, *command], ENVIRONMENT, ROOT)
        lines = [line async for line in child.lines()]
        return await child.wait(), lines


def _stamp() -> str:
    return DESCRIBED.read_text() if DESCRIBED.exists() else ""


def _described_by(sources: str) -> str:
    description = openapi.FILE
    written = hashlib.sha256(description.read_bytes() if description.exists() else b"").hexdigest()
    return f"{sources} {written}"


def _fingerprint(folder: Path) -> str:
    """A hash of the names and the content of all Python files in a folder."""
    files = [(path.relative_to(folder), path.read_bytes()) for path in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(repr(files).encode()).hexdigest()
