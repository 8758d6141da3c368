"""`scripts/bench`: start the servers, measure them row by row with the client, and show the figures."""

import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools import ROOT
from tools.bench import figures, packages, published, rows
from tools.bench.client import Job, Samples
from tools.bench.figures import Result
from tools.bench.rows import Row
from tools.bench.servers import (
    AIWORKER,
    BEFORE,
    FASTAPI,
    GUARDED,
    HONO,
    JAVASCRIPT,
    MODELS,
    SDK,
    CannotStart,
    Server,
    Site,
    laid_out,
)
from tools.dev.processes import Children, adopt_orphans, end_orphans, stopping
from tools.setup import install
from tools.setup.install import Step

PACKAGES: Mapping[str, Callable[[], Step]] = {HONO: packages.hono, FASTAPI: packages.fastapi}
"""Server → the step of the set-up that installs what it needs."""
NEEDED = (MODELS, JAVASCRIPT, GUARDED, SDK, AIWORKER, BEFORE)
"""Servers without which nothing is measured; the others are left out if they do not start."""
AGAIN = 3
"""Factor of the rounds with which a row that seems worse than recorded is measured again."""


class CannotMeasure(Exception):  # noqa: N818 - a sentence for the user
    """Nothing could be measured. The message says why."""


@dataclass
class Session:
    """One run of the bench."""

    options: Namespace
    children: Children
    """Processes of the client."""
    site: Site
    folder: Path
    servers: dict[str, Server] = field(default_factory=dict[str, Server])
    began: float = field(default_factory=time.monotonic)
    conditions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The machine and the command."""

    def __post_init__(self) -> None:
        flags = [f"--{name}" for name in ("quick", "record") if getattr(self.options, name)]
        self.conditions = {**machine(), "command": " ".join(["scripts/bench", *flags])}

    def say(self, text: str) -> None:
        """Print progress to stderr."""
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", file=sys.stderr, flush=True)

    async def start(self, names: Iterable[str]) -> None:
        """Start servers. Raises CannotStart for one that is NEEDED; the others are left out if they do not start."""
        wanted = [name for name in dict.fromkeys(names) if name != MODELS]
        self.say(f"starting {', '.join(wanted)}")
        self.servers[MODELS] = await self.site.start_models()
        for name in wanted:  # one after the other: together, on few cores, they may exceed the time limit for a start
            try:
                self.servers[name] = await self.site.start(name)
            except CannotStart as error:
                if name in NEEDED:
                    raise
                self.say(f"without {name}: {error}")

    async def measure(self, job: Job) -> dict[str, Samples]:
        """Run a job with the client. Raises CannotMeasure if a server does not answer as expected."""
        job_file, result_file = self.folder / "job.json", self.folder / "result.json"
        job_file.write_text(job.to_json())
        command = [sys.executable, "-m", "tools.bench.client", str(job_file), str(result_file)]
        child = await self.children.start(command, {}, ROOT)
        output = [line async for line in child.lines()]
        if await child.wait() != 0:
            raise CannotMeasure("\n".join(output))
        samples: dict[str, Any] = json.loads(result_file.read_text())
        return {name: Samples(**each) for name, each in samples.items()}

    def write(self, results: Mapping[str, Any]) -> None:
        """Write the figures to the file of --json, if there is one."""
        if self.options.json:
            whole = {"machine": self.conditions, **results}
            Path(self.options.json).write_text(json.dumps(whole, indent=2) + "\n")


def run(options: Namespace, work: Callable[[Session], Awaitable[int]]) -> int:
    """Do the work in a session, and end all that it has started. Returns the exit status."""
    adopt_orphans()
    try:
        install.run(_steps(options))
        return asyncio.run(_run(options, work))
    except (CannotStart, CannotMeasure, install.InstallError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        end_orphans()


def _steps(options: Namespace) -> list[Step]:
    wanted = {name for row in _chosen(options) for name in row.servers}
    return [packages.searched(), *(step() for name, step in PACKAGES.items() if name in wanted)]


async def _run(options: Namespace, work: Callable[[Session], Awaitable[int]]) -> int:
    stop = stopping()
    with tempfile.TemporaryDirectory(prefix="aiworker-bench-") as name:
        folder = Path(name)
        async with laid_out(folder, Path(options.before or ROOT)) as site, Children() as children:
            return await _unless_stopped(work(Session(options, children, site, folder)), stop)


async def _unless_stopped(work: Awaitable[int], stop: asyncio.Event) -> int:
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (working, stopping):
        task.cancel()
    await asyncio.gather(working, stopping, return_exceptions=True)  # what it has started itself is stopped first
    return working.result() if working.done() and not working.cancelled() else 130


# ---- comparing -------------------------------------------------------------------------------------------------------


async def compare(session: Session) -> int:
    """Measure and print the table. Returns 1 if a row failed or, with --guard, a ratio is worse than recorded."""
    options = session.options
    chosen = _chosen(options)
    await session.start(name for row in chosen for name in row.servers)
    results: list[Result] = []
    memory: list[dict[str, Any]] = []
    problems: list[str] = []
    try:
        await _warm_up(session, chosen)
        for row in chosen:
            problems += await _measured_into(results, session, row)
        if options.guard:
            problems += [f"WORSE  {each}" for each in (await _guarded(session, results)).values()]
        if not options.quick and not options.only:
            memory = await _memory(session)
    finally:  # saved now: a later row may fail
        print(figures.table(results))
        for each in memory:
            print(f"after {each['requests']:,} requests: {each}")
        session.write({"rows": [each.to_json() for each in results], "memory": memory})
    for problem in problems:
        print(problem)
    if options.record and not problems:
        _record(session, results, memory)
    return 1 if problems else 0


def _chosen(options: Namespace) -> list[Row]:
    known = [_with_options(row, options) for row in rows.rows()]
    if unknown := set(options.only) - {row.name for row in known}:
        raise CannotMeasure(f"There is no row {', '.join(unknown)}. The rows: {', '.join(row.name for row in known)}")
    return [row for row in known if row.name in options.only or (not options.only and _is_due(row, options))]


def _with_options(row: Row, options: Namespace) -> Row:
    row = row.quick() if options.quick else row
    return row.beside(BEFORE) if options.before else row


def _is_due(row: Row, options: Namespace) -> bool:
    return bool(row.quick_rounds) if options.quick else True


async def _warm_up(session: Session, chosen: Sequence[Row]) -> None:
    """Send some requests of each row, until V8 has compiled most of what serves them: it does so in other threads."""
    session.say("warming up")
    for row in chosen:
        if row.clients == 1:
            await session.measure(row.job(session.servers, 10))


async def _measured_into(results: list[Result], session: Session, row: Row) -> list[str]:
    """Measure a row and add its results. Returns the failures: a row that fails twice does not end the run."""
    problem = ""
    for _ in range(2):
        try:
            results += await measured(session, row)
        except CannotMeasure as error:
            problem = f"FAILED  {row.name}: {error}"
            session.say(problem)
        else:
            return []
    return [problem]


async def measured(session: Session, row: Row, times: int = 1) -> list[Result]:
    count = (row.quick_rounds or row.rounds) if session.options.quick else row.rounds
    session.say(f"{row.name}: {count * times} rounds of {', '.join(row.servers)}")
    return figures.results(row, await session.measure(row.job(session.servers, count * times)))


async def _guarded(session: Session, results: list[Result]) -> dict[str, str]:
    """Return what is worse than recorded when measured a second time, too. `results` gets the second measurements."""
    recorded = figures.guarded_ratios(published.results())
    suspects = figures.worse(figures.guarded_ratios(results), recorded)
    doubtful = {name.partition(" / ")[0] for name in suspects}
    for row in (row for row in _chosen(session.options) if row.name in doubtful):
        session.say(f"{row.name} seems worse than recorded, which may be noise: once more, {AGAIN} times as long")
        again = await measured(session, row, AGAIN)
        results[:] = [next((new for new in again if new.name == old.name), old) for old in results]
    return figures.worse(figures.guarded_ratios(results), recorded)


async def _memory(session: Session) -> list[dict[str, Any]]:
    from tools.bench import memory

    return await memory.growth(session)


def _record(session: Session, results: Sequence[Result], memory: Sequence[Mapping[str, Any]]) -> None:
    """Write the figures for the guard and for docs/performance.md."""
    record = {"machine": session.conditions, "rows": [each.to_json() for each in results], "memory": memory}
    published.RECORDED.write_text(json.dumps(record, indent=2) + "\n")
    from tools.docs import tables

    tables.main([])


def machine() -> Mapping[str, Any]:
    """Return facts about the machine and this run. `load` is the number of processes that other work keeps ready."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "measured": time.strftime("%F"),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
