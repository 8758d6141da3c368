"""`scripts/bench --cold`: a new isolate that starts from its memory snapshot, until it has answered."""

import asyncio
import json
import os
import random
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools import ROOT
from tools.bench.figures import Ratio, number
from tools.bench.servers import AIWORKER, PEERS, SDK
from tools.bench.session import CannotMeasure, Session
from tools.docs import markdown
from tools.setup.install import WORKER_PACKAGES

PROGRAM = ROOT / "tools/testing/snapshot.mjs"
"""Takes a snapshot as Cloudflare does at an upload, and answers requests from it, with the npm package pyodide."""
STARTS = 20
"""Number of starts of each."""
GOAL = 1.2
"""Largest multiple of the SDK-only Worker's processor time that aiworker may take."""


@dataclass(frozen=True)
class Case:
    """A Worker, and the first request that it gets."""

    worker: str
    path: str
    status: int

    @property
    def title(self) -> str:
        return f"{self.worker}, `GET {self.path}`"


REFERENCE = Case(SDK, "/nothing", 404)
CASES = (REFERENCE, Case(AIWORKER, "/nothing", 404), Case(AIWORKER, "/health", 200))
SOURCES: Mapping[str, Path] = {SDK: PEERS / SDK / "src", AIWORKER: ROOT / "src"}


@dataclass
class Starts:
    """Milliseconds of each start, with that of Node.js."""

    cpu: list[float] = field(default_factory=list[float])
    total: list[float] = field(default_factory=list[float])


async def measure(session: Session) -> int:
    for worker in SOURCES:
        session.say(f"taking the snapshot of {worker}")
        _run("take", worker, session.folder)
    session.say(f"{STARTS} starts of each")
    measured = {case: Starts() for case in CASES}
    for start in range(STARTS):
        for case in random.Random(start).sample(CASES, len(CASES)):
            _measure_into(measured[case], case, session.folder)
            await asyncio.sleep(0)  # Ctrl-C ends the run here
    print(_table(measured))
    session.write({case.title: asdict(starts) for case, starts in measured.items()})
    return 0


def _measure_into(starts: Starts, case: Case, folder: Path) -> None:
    began, before = time.monotonic(), os.times()
    output = _run("answer", case.worker, folder, json.dumps([["GET", case.path, None]]))
    after = os.times()
    starts.total.append((time.monotonic() - began) * 1000)
    used = after.children_user + after.children_system - before.children_user - before.children_system
    starts.cpu.append(used * 1000)
    [[status, _]] = json.loads(output.splitlines()[-1])
    if status != case.status:
        raise CannotMeasure(f"{case.title} is answered with {status}, not {case.status}.")


def _run(job: str, worker: str, folder: Path, requests: str = "") -> str:
    """Run a job of the program; return what it prints. Raises CannotMeasure if it fails."""
    snapshot = folder / f"snapshot-{worker}"
    command = ["node", str(PROGRAM), job, str(SOURCES[worker]), str(WORKER_PACKAGES), str(snapshot)]
    done = subprocess.run(command, input=requests, text=True, capture_output=True, check=False)
    if done.returncode:
        raise CannotMeasure(done.stderr)
    return done.stdout


def _table(measured: Mapping[Case, Starts]) -> str:
    head = ("a new isolate, until it answers", "processor ms", "ms", f"÷ {SDK}", "target")
    return markdown.table(head, (_line(case, starts, measured[REFERENCE]) for case, starts in measured.items()))


def _line(case: Case, starts: Starts, reference: Starts) -> tuple[str, ...]:
    cells = (case.title, number(_mean(starts.cpu)), number(_mean(starts.total)))
    if case == REFERENCE:
        return (*cells, "", "")
    ratio = Ratio.of(starts.cpu, reference.cpu)
    verdict = "met" if ratio.value <= GOAL else "MISSED"
    return (*cells, f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})", f"≤ {GOAL}: {verdict}")


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
