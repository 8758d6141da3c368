"""`scripts/bench --startup`: what importing the Worker's own code costs, module by module, in the real runtime."""

import json
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from tools import ROOT
from tools.bench.client import fetched
from tools.bench.servers import AIWORKER, EMPTY, cpu_seconds, laid_out
from tools.bench.session import Session

STARTS = 5
"""Number of starts of each Worker."""
MODULE = "aiworker.platform.worker"
"""Module that imports all that entry.py does."""
SHOWN_MS = 2.0
"""Least milliseconds, imports included, of the modules that are shown."""
GOAL_MS = 350

Imported = list[dict[str, Any]]


async def measure(session: Session) -> int:
    session.say(f"importing {MODULE} within a request, {STARTS} times, each in a new isolate")
    trees = [await _tree(session, number) for number in range(STARTS)]
    whole = [tree[0]["whole"] for tree in trees]
    tree = min(trees, key=lambda each: each[0]["whole"])
    session.say(f"starting {EMPTY} and {AIWORKER} in turns, {STARTS} times each")
    starts = await _starts(session)
    _show(tree, whole, starts)
    session.write({"modules": tree, "whole_ms": whole, "starts": starts})
    return 0


async def _tree(session: Session, number: int) -> Imported:
    """Measure the imports in a Worker that has the code of aiworker and has imported none of it."""
    async with laid_out(session.folder) as site:
        server = await site.start_importing(_with_entry(session.folder / f"imports-{number}"))
        imported: Imported = json.loads(fetched(server.port, f"/?module={MODULE}"))
    return imported


def _with_entry(folder: Path) -> Path:
    """Copy the Worker's code with tools/bench/imports/entry.py as its main module. Returns that module."""
    shutil.copytree(ROOT / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tools/bench/imports/entry.py", folder)
    return folder / "entry.py"


async def _starts(session: Session) -> dict[str, list[dict[str, float]]]:
    starts: dict[str, list[dict[str, float]]] = {EMPTY: [], AIWORKER: []}
    for number in range(2 * STARTS):
        name = (EMPTY, AIWORKER)[number % 2]
        async with laid_out(session.folder) as site:
            began = time.monotonic()
            server = await site.start(name)
            took = time.monotonic() - began
            starts[name].append({"seconds": took, "cpu_seconds": cpu_seconds(server.process)})
    return starts


def _show(tree: Imported, whole: list[float], starts: dict[str, list[dict[str, float]]]) -> None:
    print("Milliseconds of each module, with what it imports (and its own code alone):\n")
    for row in tree:
        if row["whole"] >= SHOWN_MS:
            print(f"{row['whole']:8.1f} ({row['own']:6.1f})  {'  ' * row['depth']}{row['module']}")
    median = statistics.median(whole)
    verdict = "met" if median <= GOAL_MS else "MISSED"
    print(f"\n{MODULE}: {median:.0f} ms (median of {len(whole)}; {min(whole):.0f} to {max(whole):.0f})")
    print(f"Goal: at most {GOAL_MS} ms, {verdict}.\n")
    for measure in ("seconds", "cpu_seconds"):
        empty, own = (statistics.median(each[measure] for each in starts[name]) for name in (EMPTY, AIWORKER))
        what = "until ready" if measure == "seconds" else "of workerd's processor time until ready"
        print(f"{own:.2f} s {what}; {(own - empty) * 1000:.0f} ms more than an empty Worker (medians of {STARTS})")
