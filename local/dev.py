"""`scripts/dev`: the simulator and wrangler side by side, one Ready line, reload on an edit."""

import asyncio
import json
import os
import re
import shutil
import socket
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import watchfiles

from local import ROOT, configuration
from local.configuration import Configuration, ConfigurationError
from local.install import BUILT, PYTHON, RUNTIME, VENV, WORKER_PACKAGES, WRANGLER
from local.processes import Child, adopt_orphans, end_orphans, stopping
from local.runtime import stage

SOURCE = ROOT / "src"

ENVIRONMENT = {
    "WRANGLER_SEND_METRICS": "false",
    "WRANGLER_HIDE_BANNER": "true",
    "WRANGLER_WRITE_LOGS": "false",
    # the Request.cf object is looked up on the network at every start otherwise
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",
    # Node keeps wrangler's 15 MB compiled: about 0.4 s less at each start
    "NODE_COMPILE_CACHE": str(BUILT / "node-compile-cache"),
    "PYTHONPATH": str(ROOT / "local/simulator/src"),
    "NO_COLOR": "1",
}

READY = re.compile(r"Ready on (http://\S+)")
NOISE = re.compile(
    r"""^\s*$                                       # wrangler spaces its paragraphs
    | ^\s*[├│┌└] | ^[─]+$ | wrangler\ \d           # tables and rules
    | Processing\ .*\ configuration: | "unsafe"\ fields\ are\ experimental
    | Your\ Worker\ has\ access\ to | ^Binding\s+Resource | ^env\.\S+\s
    | Attaching\ additional\ modules | Starting\ local\ server | Reloading\ local\ server
    | Unable\ to\ fetch\ the\ `Request\.cf` | Ignoring\ duplicate\ module
    | Using\ vars\ defined\ in | Local\ server\ updated\ and\ ready
    """,
    re.VERBOSE,
)
"""What wrangler says that is no news to whoever started it here."""


class CannotStart(Exception):  # noqa: N818 - a sentence for the user, not an error of ours
    """The run cannot start; the message says why and what to do."""


def run(options: Namespace) -> int:
    """Serve until asked to stop. Returns the exit status: 0 when asked to, 1 if it could not start or broke."""
    adopt_orphans()
    try:
        return asyncio.run(_serve(options))
    except (CannotStart, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        end_orphans()


def dry_run(options: Namespace) -> int:
    """Print the configuration and the commands of a run, and start nothing."""
    try:
        config = derive(options, "127.0.0.1:8788")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    file = configuration_file(options, "<pid>")
    commands: dict[str, list[str]] = {}
    if not options.remote:
        commands["simulator"] = [str(part) for part in simulator_command(options, 8788)]
    commands["wrangler"] = [str(part) for part in wrangler_command(options, file, options.port)]
    print(json.dumps({"configuration": config, "commands": commands}, indent=2))
    return 0


def derive(options: Namespace, simulator: str) -> Configuration:
    """The configuration of this run, with the simulator at `simulator` (host:port)."""
    config = configuration.read(ROOT / "wrangler.jsonc")
    if not options.official:
        config = configuration.on_local_runtime(config, ROOT)
    if options.remote:
        config = configuration.with_remote(config)
    else:
        config = configuration.with_simulators(config, simulator)
    return configuration.open_on_localhost(config)


def simulator_command(options: Namespace, port: int) -> list[str | Path]:
    command: list[str | Path] = [PYTHON, "-m", "workers_ai_simulator", "--port", str(port)]
    return [*command, "--tokens-per-second", str(options.tokens_per_second)]


def wrangler_command(options: Namespace, config: Path, port: int) -> list[str | Path]:
    # pywrangler brings the Worker's packages up to date and passes the rest on to wrangler
    command: list[str | Path] = (
        [VENV / "bin/pywrangler", "dev"] if options.official else ["node", "--no-warnings", WRANGLER, "dev"]
    )
    command += ["--config", config, "--ip", options.host, "--port", str(port)]
    command += ["--persist-to", Path(options.persist_to).resolve()]
    command += ["--show-interactive-dev-session=false", "--inspector-port=0"]
    for name in (".dev.vars", ".env"):
        if (ROOT / name).exists():
            command += ["--env-file", ROOT / name]
    return command


async def _serve(options: Namespace) -> int:
    stopped = asyncio.create_task(stopping().wait())
    port = _free_port(options.host, options.port)
    simulator_port = _free_port("127.0.0.1", 0)
    async with AsyncExitStack() as stack:
        tasks = {stopped}
        if not options.remote:
            command = simulator_command(options, simulator_port)
            simulator = await Child.start("simulator", command, ENVIRONMENT, ROOT)
            stack.push_async_callback(simulator.stop)
            tasks.add(asyncio.create_task(_show_simulator(simulator)))
        config = derive(options, f"127.0.0.1:{simulator_port}")
        file = stack.enter_context(_laid_out(options, config))
        wrangler = await Child.start("wrangler", wrangler_command(options, file, port), ENVIRONMENT, ROOT)
        stack.push_async_callback(wrangler.stop)
        tasks.add(asyncio.create_task(_show_wrangler(wrangler)))
        if not options.official:
            tasks.add(asyncio.create_task(_restage_on_edit(file.parent)))
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        for task in done:
            task.result()
        return 0 if stopped in done else 1


def _free_port(host: str, port: int) -> int:
    """`port` if nobody has it, any free one for 0.

    Raises CannotStart if it is taken: wrangler would quietly take another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} of {host} cannot be used: {error.strerror}.\n"
                f"Choose another one: scripts/dev --port {port + 1}"
            ) from error
        return int(probe.getsockname()[1])


async def _show_simulator(simulator: Child) -> None:
    """Print what the simulator says; ends when it does."""
    async for line in simulator.lines():
        ready = READY.search(line)
        print(f"Simulator on {ready[1]}" if ready else f"simulator: {line}", flush=True)
    print(f"The simulator ended with status {await simulator.wait()}.", file=sys.stderr)


async def _show_wrangler(wrangler: Child) -> None:
    """Print what wrangler and the Worker say, without the noise; ends when wrangler does."""
    unshown: list[str] | None = []
    async for line in wrangler.lines():
        if ready := READY.search(line):
            unshown = None
            port = ready[1].rpartition(":")[2]
            print(f"Ready on http://localhost:{port}", flush=True)
        elif unshown is not None and NOISE.search(line):
            unshown.append(line)
        elif not NOISE.search(line):
            print(re.sub(r"^\[wrangler:info\] ", "", line), flush=True)
    if unshown:  # it never got ready: what is noise otherwise may say why
        print("\n".join(unshown), file=sys.stderr)
    print(f"wrangler ended with status {await wrangler.wait()}.", file=sys.stderr)


@contextmanager
def _laid_out(options: Namespace, config: Configuration) -> Iterator[Path]:
    """The files that wrangler reads for this run, gone when it ends; yields the configuration's path."""
    _remove_leftovers()
    file = configuration_file(options, str(os.getpid()))
    try:
        if not options.official:
            stage.lay_out(file.parent, SOURCE, RUNTIME, WORKER_PACKAGES)
        file.write_text(json.dumps(config, indent=2))
        yield file
    finally:
        _remove(file)


def configuration_file(options: Namespace, run: str) -> Path:
    # for a Python main module wrangler looks for python_modules/ beside the configuration
    return ROOT / f".wrangler-official-{run}.json" if options.official else BUILT / f"run-{run}/wrangler.json"


def _remove_leftovers() -> None:
    """What runs that were killed have left."""
    for file in (*ROOT.glob(".wrangler-official-*.json"), *BUILT.glob("run-*/wrangler.json")):
        [run] = re.findall(r"\d+", f"{file.parent.name}{file.name}" if file.parent != ROOT else file.name)
        if not Path(f"/proc/{run}").exists():
            _remove(file)


def _remove(file: Path) -> None:
    if file.parent == ROOT:
        file.unlink(missing_ok=True)
    else:
        shutil.rmtree(file.parent, ignore_errors=True)


async def _restage_on_edit(folder: Path) -> None:
    async for changes in watchfiles.awatch(SOURCE):
        edited = sorted(str(Path(path).relative_to(ROOT)) for _, path in changes)
        print(f"Reloading: {', '.join(edited)}", flush=True)
        stage.update(folder, SOURCE)
