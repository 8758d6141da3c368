"""The servers that are compared: Workers under `wrangler dev`, started alike, with the bench's own model server."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyjson5

from offline_python_workers import stage
from tools import ROOT
from tools.bench import documents, packages
from tools.bench.client import cpu_nanoseconds
from tools.dev import configuration
from tools.dev.configuration import Configuration
from tools.dev.plan import ENVIRONMENT
from tools.dev.processes import Children
from tools.setup.install import BUILT, RUNTIME, VENV, WORKER_PACKAGES, WRANGLER

PEERS = ROOT / "tools/bench/peers"
MODEL_SERVER = ROOT / "tools/bench/model_server/server.mjs"
READY = re.compile(r"Ready on http://\S+:(\d+)")
STARTING_SECONDS = 90
DIRECT_SOCKET = ROOT / "tools/bench/direct_socket.cjs"
WITHOUT_INSPECTOR: Mapping[str, str] = {"VSCODE_INSPECTOR_OPTIONS": "{}"}
"""Environment in which wrangler expects no inspector."""

AIWORKER, JAVASCRIPT, GUARDED, HONO = "aiworker", "javascript", "javascript-guarded", "hono"
SDK, FASTAPI, EMPTY = "python-sdk", "python-fastapi", "python-empty"
BEFORE = "aiworker-before"
"""aiworker of another checkout, beside this one's: --before."""
MODELS = "models"
"""The model server itself, without a Worker: the part of a figure that no Worker causes."""

KEY = "aiw_bench_0000000000000000000000000000000000000000000"
ADMIN_KEY = f"{KEY}admin"
"""Key with which the counters of aiworker's isolate are read."""
ORIGIN = "https://app.example.com"


def _keys() -> str:
    """Return five keys, like those of a small team. Measured requests use the last one."""
    scopes = ["chat", "embed", "text", "image", "audio", "rag:read", "rag:write", "feedback"]
    texts = {ADMIN_KEY: ["admin"], **{f"{KEY}{number}": scopes for number in range(3)}, KEY: scopes}
    return json.dumps(
        [
            {"name": f"key-{number}", "sha256": hashlib.sha256(text.encode()).hexdigest(), "scopes": granted}
            for number, (text, granted) in enumerate(texts.items())
        ]
    )


VARIABLES: Mapping[str, str] = {
    "AUTH_MODE": "keys",
    "API_KEYS": _keys(),
    "ALLOWED_ORIGINS": ORIGIN,
    "RATE_LIMITS": "on",
    "LOG_PROMPTS": "off",
    "CHAT_MODEL": "@cf/meta/llama-3.1-8b-instruct-fast",
}
"""Variables of aiworker: every protection is on, and the model is the one that the other servers call."""

HEADERS: Mapping[str, str] = {"authorization": f"Bearer {KEY}", "origin": ORIGIN}
"""Headers of every request to every server."""

UNREACHED = 1_000_000_000
"""Requests in ten seconds that aiworker's rate limits allow here, so that they count but refuse nothing."""


class CannotStart(Exception):  # noqa: N818 - a sentence for the user
    """A server of the bench does not start. The message says which, with its output."""


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    process: int
    """Process id of the workerd that runs the Worker, or of the model server."""


def cpu_seconds(process: int) -> float:
    """Return the processor time of a process since its start, in user mode and in the kernel, all threads together."""
    return cpu_nanoseconds(process) / 1e9


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _listener(parent: int, port: int) -> int:
    """Return the process id of the child that listens on a port."""
    listening = _listening_socket(port)
    children = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
    return next(each for each in children if listening in _open_files(each))


def _listening_socket(port: int) -> str:
    """Return the name of the socket that listens on a port, as /proc/PID/fd shows it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":  # linux/tcp_states.h: TCP_LISTEN
            return f"socket:[{fields[9]}]"
    raise ProcessLookupError(f"Nobody listens on port {port}.")


def _open_files(pid: int) -> set[str]:
    seen: set[str] = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # it was closed just now
            seen.add(str(entry.readlink()))
    return seen


# ---- starting --------------------------------------------------------------------------------------------------------


class Site:
    """The folder in which the servers of one run of the bench are laid out and started."""

    def __init__(self, children: Children, folder: Path, before: Path) -> None:
        """Use `laid_out` to make one.

        folder: state of the servers; removed at the end of the run. before: the checkout of BEFORE.
        """
        self._children = children
        self._before = before.absolute()
        self._folder = folder
        self._drains: set[asyncio.Task[None]] = set()
        self._laid_out: list[Path] = []
        self._models = ""

    async def start_models(self) -> Server:
        """Start the model server. Call this first: the Workers need its address."""
        port, process = await self._started(MODELS, ["node", str(MODEL_SERVER), "0"])
        self._models = f"127.0.0.1:{port}"
        return Server(MODELS, port, process)

    async def start(self, name: str) -> Server:
        """Start a server. Raises CannotStart."""
        return await self._started_worker(name, self._lay_out(name))

    async def start_importing(self, main: Path) -> Server:
        """Start a Worker without bindings from a main module. Raises CannotStart."""
        run = self._run_folder("imports")
        own = configuration.read(PEERS / EMPTY / "wrangler.jsonc")
        stage.lay_out(run, main, {}, RUNTIME, WORKER_PACKAGES)
        file = run / "wrangler.json"
        file.write_text(json.dumps(configuration.on_local_runtime(own, main.parent), indent=2))
        return await self._started_worker("imports", file)

    def clear(self) -> None:
        """Remove what was laid out. Call this when the servers have ended."""
        for folder in self._laid_out:
            shutil.rmtree(folder, ignore_errors=True)

    def _lay_out(self, name: str) -> Path:
        """Write the configuration file for wrangler, with the files that it names beside it. Returns its path."""
        run = self._run_folder(name)
        made = _aiworker(run, name, self._before) if name == BEFORE else LAY_OUTS[name](run, name)
        file = run / "wrangler.json"
        file.write_text(json.dumps(configuration.with_simulators(made, self._models), indent=2))
        return file

    def _run_folder(self, name: str) -> Path:
        # scripts/dev tells by the last part, a process id, whether such a folder is in use
        run = BUILT / f"run-bench-{name}-{os.getpid()}"
        shutil.rmtree(run, ignore_errors=True)  # left by an earlier process with the same id
        self._laid_out.append(run)
        return run

    def _state(self, name: str) -> Path:
        state = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))
        documents.copy(packages.DOCUMENTS, state)
        return state

    async def _started_worker(self, name: str, file: Path) -> Server:
        """Start a Worker that listens itself, on a port that is free at the moment."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        _, wrangler = await self._started(name, _wrangler(file, self._state(name)), DIRECT_PORT=str(port))
        return Server(name, port, _listener(wrangler, port))

    async def _started(self, name: str, command: list[str], **environment: str) -> tuple[int, int]:
        """Start a program; return the port that it has printed, and its process id."""
        everything = {**ENVIRONMENT, **WITHOUT_INSPECTOR, "PATH": _path(), **environment}
        child = await self._children.start(command, everything, ROOT)
        lines = child.lines()
        port = await _ready(name, lines)
        drain = asyncio.create_task(_drained(lines))
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)
        return port, child.pid


@asynccontextmanager
async def laid_out(folder: Path, before: Path = ROOT) -> AsyncGenerator[Site]:
    """Yield a site. Its servers end with the block, and their files are removed. before: the checkout of BEFORE."""
    children = Children()
    site = Site(children, folder, before)
    try:
        async with children:
            yield site
    finally:
        site.clear()


def _wrangler(file: Path, state: Path) -> list[str]:
    node = ["node", "--no-warnings", "--require", str(DIRECT_SOCKET), str(WRANGLER)]
    command = [*node, "dev", "--config", str(file), "--persist-to", str(state)]
    return [*command, "--ip", "127.0.0.1", "--port", "0", "--inspector-port=0", "--show-interactive-dev-session=false"]


def _path() -> str:
    return f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"


async def _ready(name: str, lines: AsyncIterator[str]) -> int:
    """Wait for the server's port. Raises CannotStart."""
    printed: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(STARTING_SECONDS):
            async for line in lines:
                if match := READY.search(line):
                    return int(match[1])
                printed.append(line)
    raise CannotStart(f"{name} did not start:\n" + "\n".join(printed))


async def _drained(lines: AsyncIterator[str]) -> None:
    """Read the output to its end, so that the program does not block: aiworker writes a line for each request."""
    async for _ in lines:
        pass


# ---- laying out: each makes the folder, and returns the Worker's configuration ---------------------------------------


def _javascript(run: Path, name: str) -> Configuration:
    shutil.copytree(PEERS / name, run, ignore=shutil.ignore_patterns("wrangler.jsonc"))
    (run / "node_modules").symlink_to(packages.HONO)
    return _peer(name)


def _guarded(run: Path, _: str) -> Configuration:
    made = _javascript(run, JAVASCRIPT) | {"name": f"bench-{GUARDED}", "main": "guarded.js"}
    return configuration.with_variables(
        {**made, "ratelimits": _uncut(configuration.read(ROOT / "wrangler.jsonc"))}, **VARIABLES
    )


def _uncut(own: Configuration) -> list[Configuration]:
    """Return aiworker's rate limits, raised so that they refuse nothing."""
    return [{**each, "simple": {**each["simple"], "limit": UNREACHED}} for each in own.get("ratelimits", [])]


def _python(run: Path, name: str, installed: Path = WORKER_PACKAGES) -> Configuration:
    project = PEERS / name
    own = configuration.read(project / "wrangler.jsonc")
    stage.lay_out(run, project / own["main"], {}, RUNTIME, installed)
    return configuration.on_local_runtime(own, project)


def _fastapi(run: Path, name: str) -> Configuration:
    return _python(run, name, packages.FASTAPI)


def _aiworker(run: Path, _: str, project: Path = ROOT) -> Configuration:
    own = configuration.read(project / "wrangler.jsonc")
    stage.lay_out(run, project / own["main"], configuration.configured_classes(own), RUNTIME, WORKER_PACKAGES)
    # the console's files: wrangler asks two Workers of its own about them before each request, and the peers have none
    own.pop("assets", None)
    made = configuration.on_local_runtime({**own, "ratelimits": _uncut(own)}, project)
    return configuration.with_variables(made, **VARIABLES)


def _peer(name: str) -> Configuration:
    """Return the configuration of a JavaScript peer."""
    return pyjson5.loads((PEERS / name / "wrangler.jsonc").read_text())


LAY_OUTS = {
    AIWORKER: _aiworker,
    JAVASCRIPT: _javascript,
    GUARDED: _guarded,
    HONO: _javascript,
    SDK: _python,
    FASTAPI: _fastapi,
    EMPTY: _python,
}
