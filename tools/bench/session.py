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
from tools.bench import figures, packages, rows
from tools.bench.client import Job, Samples, fetched
from tools.bench.figures import Result
from tools.bench.rows import Row
from tools.bench.servers import FASTAPI, HONO, MODELS, CannotStart, Server, Site, laid_out
from tools.dev.processes import Children, adopt_orphans, end_orphans, stopping
from tools.setup import install
from tools.setup.install import Step

PACKAGES: Mapping[str, Callable[[], Step]] = {HONO: packages.hono, FASTAPI: packages.fastapi}
"""Server → the step of the set-up that installs what it needs."""
RECORDED = ROOT / "tools/bench/recorded.json"
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

    def say(self, text: str) -> None:
        """Print progress to stderr."""
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", file=sys.stderr, flush=True)

    async def start(self, names: Iterable[str]) -> None:
        wanted = [name for name in dict.fromkeys(names) if name != MODELS]
        self.say(f"starting {', '.join(wanted)}")
        self.servers[MODELS] = await self.site.start_models()
        for server in await asyncio.gather(*(self.site.start(name) for name in wanted)):
            self.servers[server.name] = server

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

    def image_key(self) -> str:
        """Return the key of the one image that the models make."""
        return f"{fetched(self.servers[MODELS].port, '/image.sha256').decode()}.png"

    def write(self, results: Mapping[str, Any]) -> None:
        """Write the figures to the file of --json, if there is one."""
        if self.options.json:
            whole = {"machine": machine(), **results}
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
        async with laid_out(folder) as site, Children() as children:
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
    """Measure and print the table. Returns 1 if, with --guard, a ratio is worse than recorded."""
    options = session.options
    if options.guard and not RECORDED.exists():
        raise CannotMeasure(
            "There is no tools/bench/recorded.json to compare with: make it with scripts/bench --quick --record"
        )
    chosen = _chosen(options)
    await session.start(name for row in chosen for name in row.servers)
    key = session.image_key()
    chosen = _chosen(options, key)
    results: list[Result] = []
    memory: list[dict[str, Any]] = []
    worse: dict[str, str] = {}
    try:
        for row in chosen:
            results += await measured(session, row)
        worse = await _guarded(session, results) if options.guard else {}
        if not options.quick and not options.only:
            memory = await _memory(session)
    finally:  # what has been measured is worth something, whatever comes of the rest
        _show(session, results, memory)
    if options.record:
        _record(results)
    for sentence in worse.values():
        print(f"WORSE  {sentence}")
    return 1 if worse else 0


def _chosen(options: Namespace, image_key: str = "") -> list[Row]:
    known = [row.quick() if options.quick else row for row in rows.rows(image_key)]
    if unknown := set(options.only) - {row.name for row in known}:
        raise CannotMeasure(f"There is no row {', '.join(unknown)}. The rows: {', '.join(row.name for row in known)}")
    return [row for row in known if row.name in options.only or (not options.only and _is_due(row, options))]


def _is_due(row: Row, options: Namespace) -> bool:
    return bool(row.quick_rounds) if options.quick else True


async def measured(session: Session, row: Row, times: int = 1) -> list[Result]:
    count = (row.quick_rounds or row.rounds) if session.options.quick else row.rounds
    session.say(f"{row.name}: {count * times} rounds of {', '.join(row.servers)}")
    return figures.results(row, await session.measure(row.job(session.servers, count * times)))


async def _guarded(session: Session, results: list[Result]) -> dict[str, str]:
    """Return what is worse than recorded when measured a second time, too. The second measurements go into `found`."""
    recorded: dict[str, float] = json.loads(RECORDED.read_text())["ratios"]
    suspects = figures.worse(figures.ratios(results), recorded)
    doubtful = {_row_of(results, name).name: _row_of(results, name) for name in suspects}
    for row in doubtful.values():
        session.say(f"{row.name} seems worse than recorded, which may be noise: once more, {AGAIN} times as long")
        again = await measured(session, row, AGAIN)
        results[:] = [next((new for new in again if new.name == old.name), old) for old in results]
    return figures.worse(figures.ratios(results), recorded)


def _row_of(results: Sequence[Result], name: str) -> Row:
    return next(each.row for each in results if name.startswith(f"{each.name} / "))


async def _memory(session: Session) -> list[dict[str, Any]]:
    from tools.bench import memory

    return await memory.growth(session)


def _show(session: Session, results: list[Result], memory: list[dict[str, Any]]) -> None:
    servers = [name for name in (MODELS, *rows.ALL) if any(name in each.figures for each in results)]
    print(figures.table(results, servers))
    for each in memory:
        print(f"after {each['requests']:,} requests: {each}")
    session.write({"rows": [each.to_json() for each in results], "memory": memory})


def _record(results: Sequence[Result]) -> None:
    record: dict[str, Any] = {"machine": machine(), "ratios": figures.ratios(results)}
    RECORDED.write_text(json.dumps(record, indent=2) + "\n")


def machine() -> Mapping[str, Any]:
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    return {"processor": model, "cores": os.cpu_count(), "system": platform.platform(), "measured": time.strftime("%F")}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
