"""`scripts/dev`: run the simulator and wrangler side by side, print one Ready line, reload after an edit."""

import asyncio
import errno
import json
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from offline_python_workers import stage
from tools import ROOT
from tools.dev import cron, migrations, plan, ports
from tools.dev.configuration import ConfigurationError
from tools.dev.derived import DerivedFiles, compiled_modules
from tools.dev.long_steps import LongStep
from tools.dev.output import CRASHED, READY, RELOADED, RELOADING, Output
from tools.dev.plan import ENVIRONMENT, NOTHING_REAL, Plan, RealModels
from tools.dev.processes import Child, Children, adopt_orphans, end_orphans, stopping
from tools.setup.install import BUILT, RUNTIME, WORKER_PACKAGES

MAX_CRASHES = 3
"""Number of crashes of workerd, within CRASH_SECONDS, after which it is started again."""
CRASH_SECONDS = 600.0
NUDGE_SECONDS = 8.0
"""Seconds after which a change is repeated for wrangler, which notices one within 0.2 s, on a busy machine within 2
s."""


@dataclass(frozen=True)
class Reloads:
    """Wrangler's reloads, as its output shows them."""

    noticed: asyncio.Event = field(default_factory=asyncio.Event)
    """Wrangler has noticed a change and reloads. Clear this before the change is made."""
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    """The Worker has been loaded, for the first time or again. Clear this before waiting for the next time."""

    fresh: asyncio.Event = field(default_factory=asyncio.Event)
    """The same, for the cron."""

    def note(self, line: str) -> None:
        if RELOADING.search(line):
            self.noticed.set()
        elif READY.search(line) or RELOADED.search(line):
            self.loaded.set()
            self.fresh.set()


class CannotStart(Exception):  # noqa: N818 - a sentence for the user, not an error of ours
    """The run cannot start. The message says why and what to do."""


def run(options: Namespace) -> int:
    """Serve until asked to stop. Returns the exit status: 0 when asked to, 1 if it could not start or broke."""
    adopt_orphans()
    try:
        real = _real_models(options)
        return asyncio.run(_serve(options, real))
    except KeyboardInterrupt:  # while a model is downloaded
        return 1
    except (CannotStart, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        end_orphans()


def dry_run(options: Namespace) -> int:
    """Print the configuration and the commands of a run, and start nothing."""
    try:
        print(plan.make(options, options.port, 8788, "<pid>", _real_models(options, is_dry=True)).to_json())
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _real_models(options: Namespace, is_dry: bool = False) -> RealModels:
    """The real models that the options ask for. Raises ConfigurationError if they cannot be used."""
    if not (options.models or options.chat_models or options.embeddings):
        return NOTHING_REAL
    from tools.dev import real_models  # imported here, since it takes a moment and few runs need it

    return real_models.asked_for(options) if is_dry else real_models.find(options)


async def _serve(options: Namespace, real: RealModels) -> int:
    stop = stopping()
    port, simulator_port = _free_port(options.host, options.port), ports.claim()
    made = plan.make(options, port, simulator_port, str(os.getpid()), real)
    with _laid_out(made):
        async with Children() as children:
            return await _run_until_one_ends(made, children, stop, options, port)


async def _run_until_one_ends(
    made: Plan, children: Children, stop: asyncio.Event, options: Namespace, port: int
) -> int:
    tasks: set[asyncio.Task[object]] = {asyncio.create_task(stop.wait())}
    if made.simulator:
        simulator = await children.start(made.simulator, ENVIRONMENT, ROOT)
        tasks.add(asyncio.create_task(_show_simulator(simulator)))
    tables = asyncio.create_task(_migrate(made, children))
    await asyncio.wait({tables, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    if not tables.done():  # Ctrl-C, or the simulator has ended
        return 0 if stop.is_set() else 1
    tables.result()
    reloads = Reloads()
    tasks.add(asyncio.create_task(run_wrangler(made, children, reloads, options)))
    if made.configuration.get("triggers", {}).get("crons"):
        tasks.add(asyncio.create_task(cron.fire(options.host, port, reloads.fresh)))
    if not made.is_official:
        derived = DerivedFiles(made, compiled_modules(), children)
        tasks.add(asyncio.create_task(_restage_on_edit(made, reloads)))
        tasks.add(asyncio.create_task(derived.keep_current(reloads.loaded)))
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    for task in done:
        task.result()
    return 0 if stop.is_set() else 1


async def _migrate(made: Plan, children: Children) -> None:
    """Bring the local databases up to date. Raises CannotStart if a migration fails."""
    due = {} if made.simulator is None else migrations.due(made.configuration, made.state)
    if due and not migrations.copy_prepared(made.configuration, due, made.state):
        await _apply(due, made, children)
    if due:
        migrations.note(due, made.state)


async def _apply(due: dict[str, str], made: Plan, children: Children) -> None:
    is_new = migrations.is_new(made.state)
    step = LongStep()
    for database in due:
        step.start(f"Preparing the database {database}")
        child = await children.start(migrations.command(database, made.file, made.state), ENVIRONMENT, made.project)
        output = [line async for line in child.lines()]
        if await child.wait() != 0:
            raise CannotStart(f"The migrations of {database} could not be applied:\n" + "\n".join(output))
    step.end()
    if is_new:
        migrations.keep_prepared(made.configuration, due, made.state)


def _free_port(host: str, port: int) -> int:
    """Return `port`, or any free one for 0.

    Raises CannotStart if it is taken: wrangler would take another one without a word.
    """
    try:
        if port == 0:
            return ports.claim(host)
        ports.check(host, port)
    except OSError as error:
        sentence = f"Port {port} of {host} cannot be used: {error.strerror}."
        other = ports.next_free(host, port + 1) if error.errno in (errno.EADDRINUSE, errno.EACCES) else None
        raise CannotStart(f"{sentence}\nThis one is free: scripts/dev --port {other}" if other else sentence) from error
    return port


async def _show_simulator(simulator: Child) -> None:
    """Print the simulator's output until it ends."""
    async for line in simulator.lines():
        ready = READY.search(line)
        print(f"Simulator on {ready[1]}" if ready else f"simulator: {line}", flush=True)
    print(f"The simulator ended with status {await simulator.wait()}.", file=sys.stderr)


async def run_wrangler(made: Plan, children: Children, reloads: Reloads, options: Namespace) -> None:
    """Run wrangler until it ends, and again when workerd has crashed.

    wrangler would start workerd by itself, but its proxy may go on waiting for the crashed one.
    """
    crashes: list[float] = []
    while True:
        wrangler = await children.start(made.wrangler, made.environment, made.project)
        if not await _has_crashed(wrangler, reloads, Output(made, options.host, options.log)):
            print(f"wrangler ended with status {await wrangler.wait()}.", file=sys.stderr)
            return
        await wrangler.stop()
        now = asyncio.get_running_loop().time()
        crashes = [*(crash for crash in crashes if now - crash < CRASH_SECONDS), now]
        if len(crashes) > MAX_CRASHES:
            print(f"workerd has crashed {len(crashes)} times in {CRASH_SECONDS / 60:g} minutes.", file=sys.stderr)
            return
        print(f"workerd has crashed: starting it again ({len(crashes)} of {MAX_CRASHES}) …", flush=True)


async def _has_crashed(wrangler: Child, reloads: Reloads, output: Output) -> bool:
    """Print the output of wrangler and the Worker. Returns True when workerd crashes, False at the end."""
    try:
        async for line in wrangler.lines():
            reloads.note(line)
            if CRASHED.search(line):
                return True
            output.take(line)
    finally:
        output.end()
    output.explain()
    return False


@contextmanager
def _laid_out(made: Plan) -> Generator[None]:
    """Write the files that wrangler reads for this run. They are removed when the block ends."""
    for leftover in (*made.project.glob(".wrangler-official-*"), *BUILT.glob("run-*")):
        if not _is_running(leftover):
            _remove(leftover)
    run = made.file if made.is_official else made.file.parent
    for earlier in (run, made.env_file):  # left by a process with the same id, as in containers, where ids repeat
        _remove(earlier)
    try:
        if not made.is_official:
            excluded = made.configuration.get("python_modules", {}).get("exclude", [])
            byte_code = compiled_modules()
            stage.lay_out(run, made.main, made.classes, RUNTIME, WORKER_PACKAGES, byte_code, excluded, made.project)
        _write_privately(made.file, json.dumps(made.configuration, indent=2))
        _write_privately(made.env_file, made.env)
        yield
    finally:
        _remove(run)
        _remove(made.env_file)


def _write_privately(file: Path, content: str) -> None:
    """Write a new file that other users of the machine cannot read: it may hold secrets."""
    with open(file, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as private:
        private.write(content)


def _is_running(run: Path) -> bool:
    """Whether the run that these files belong to still runs. Their name ends in its process id."""
    try:
        os.kill(int(run.stem.rpartition("-")[2]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:  # another user's process
        return True
    return True


def _remove(run: Path) -> None:
    if run.is_dir():
        shutil.rmtree(run, ignore_errors=True)
    else:
        run.unlink(missing_ok=True)


async def _restage_on_edit(made: Plan, reloads: Reloads) -> None:
    compiled = compiled_modules()
    async for changes in watchfiles.awatch(made.main.parent):  # pyright: ignore[reportUnknownMemberType]
        reloads.noticed.clear()
        if stage.update(made.file.parent, made.main, made.classes, compiled):
            print(f"Reloading: {', '.join(sorted({Path(path).name for _, path in changes}))}", flush=True)
            await ensure_noticed(reloads.noticed, (made.file.parent / stage.PROJECT).touch, NUDGE_SECONDS)


async def ensure_noticed(noticed: asyncio.Event, show_again: Callable[[], None], seconds: float) -> None:
    """Repeat a change that wrangler has not noticed in time: its watcher misses one now and then.

    A change that it has noticed is loading, however long that takes. Repeating it would load it twice.
    """
    for _ in range(2):
        try:
            async with asyncio.timeout(seconds):
                await noticed.wait()
        except TimeoutError:
            show_again()
        else:
            return
