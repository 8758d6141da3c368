"""The edge: runs the active version of one Worker in the project's local runtime, on a fixed port."""

import asyncio
import contextlib
import re
import shutil
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tests.deploy.cloudflare_api import edge_files
from tests.deploy.cloudflare_api.envelope import Document
from tools.dev.plan import ENVIRONMENT
from tools.dev.processes import Child
from tools.setup.install import WRANGLER

READY = re.compile(r"Ready on http")
SHOWS_VALUES = re.compile(r"^\s*env\.")
"""wrangler's table of bindings, which shows the values of variables: kept out of the log."""
LINES_KEPT = 300

Condition = Literal["empty", "starting", "ready", "failed"]


@dataclass(frozen=True)
class Active:
    script: Document
    version: Document


class FindActive(Protocol):
    """Find the version to serve: the given Worker's, or that of the one that the settings name; None for nothing."""

    def __call__(self, account: str, name: str) -> Active | None: ...


class Edge:
    """Serves one version at a time. Activation is asked for at once and happens soon after, as in production."""

    def __init__(self, data: Path, port: int, simulator: str) -> None:
        self._data = data
        self._port = port
        self._simulator = simulator
        self._wanted: tuple[str, str] | None = None
        self._changed = asyncio.Event()
        self._served: Active | None = None
        self._child: Child | None = None
        self._condition: Condition = "empty"
        self.log: deque[str] = deque(maxlen=LINES_KEPT)

    def activate(self, account: str, name: str) -> None:
        """Serve the active version of this Worker from soon on."""
        self._wanted = account, name
        self._changed.set()

    def deactivate(self, account: str, name: str) -> None:
        """Serve nothing from soon on, if it is this Worker that is served."""
        if self._wanted == (account, name):
            self._wanted = None
            self._changed.set()

    @property
    def condition(self) -> Condition:
        return "starting" if self._changed.is_set() else self._condition

    def describe(self) -> Document:
        return {
            "condition": self.condition,
            "script": self._served.script["name"] if self._served else None,
            "version_id": self._served.version["id"] if self._served else None,
            "log": list(self.log),
        }

    async def run(self, find: FindActive) -> None:
        """Follow the activations until cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                active = find(*self._wanted) if self._wanted else None
                if active is None or self._served is None or active.version["id"] != self._served.version["id"]:
                    self._condition = "starting" if active else "empty"
                    await self._stop()
                    await self._start(active)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        child, self._child, self._served = self._child, None, None
        if child:
            await child.stop()

    async def _start(self, active: Active | None) -> None:
        if active is None:
            return
        self._served = active
        self.log.clear()
        runs = self._data / "edge"
        shutil.rmtree(runs, ignore_errors=True)
        runs.mkdir(parents=True)
        folder = runs / "run"
        try:
            file = await asyncio.to_thread(
                edge_files.lay_out, folder, self._data, active.script, active.version, self._simulator
            )
        except Exception as error:
            self.log.append(repr(error))
            self._condition = "failed"
            return
        self._child = await Child.start(self._command(file), ENVIRONMENT, folder)
        self._reader = asyncio.create_task(self._read(self._child))

    def _command(self, file: Path) -> list[str]:
        command = ["node", "--no-warnings", str(WRANGLER), "dev", "--config", str(file)]
        command += ["--ip", "127.0.0.1", "--port", str(self._port), "--persist-to", str(self._data / "state")]
        return [*command, "--show-interactive-dev-session=false", "--inspector-port=0"]

    async def _read(self, child: Child) -> None:
        async for line in child.lines():
            if not SHOWS_VALUES.search(line):
                self.log.append(line)
            if READY.search(line) and child is self._child:
                self._condition = "ready"
        if child is self._child:
            self._condition = "failed"
        with contextlib.suppress(ProcessLookupError):
            await child.wait()
