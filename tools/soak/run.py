"""`scripts/soak`: prove that the Worker stays up under load and faults, with slow readers, schemathesis and fuzzing.

It starts a server of its own: with keys, as a deployment has them, without rate limits, on simulated models.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import secrets
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tools import ROOT
from tools.dev.processes import Child, Children, adopt_orphans, end_orphans, stopping
from tools.setup.install import PYTHON
from tools.soak import attacks, inspector, memory, readers, traffic
from tools.soak.inspector import Inspector
from workers_ai_simulator.client import SimulatorClient
from workers_ai_simulator.traffic.journal import ENDED

STARTING_SECONDS = 120
SAMPLES_EVERY = 30.0
"""Seconds of load between two pauses, in which the heap is measured."""
QUIET_SECONDS = 30.0
"""Longest time that streams may take to end after the last request, in seconds."""
CALM_SHARE = 0.1
"""Share of the time, at its end, without faults, in which every 5xx counts."""
MAX_GROWTH = 0.03
"""Largest allowed growth of the heap from the second third of the samples to the last. Tables that are made at first
use are there before."""
SHOWN_EVERY = 5.0
PACE = 300
"""Tokens a second of the simulated models, slow enough for clients to disconnect in the middle of a stream."""
CASES = 5_000
"""Minimum number of requests that schemathesis has to make."""
SCOPES = ["chat", "embed", "text", "image", "audio", "rag:read", "rag:write", "feedback", "admin"]
KEY_VARIABLE = "AIWORKER_KEY"
Figures = dict[str, Any]


class CannotSoak(Exception):  # noqa: N818 - a sentence for the user
    """Nothing could be measured. The message says why."""


@dataclass(frozen=True)
class Site:
    """The server under load."""

    url: str
    key: str
    simulator: SimulatorClient | None
    """None if faults cannot be set."""
    server: int | None
    """Process id of the server; None if it runs on another machine."""
    log: list[str]
    """Lines about defects that the server has printed."""

    def workers(self) -> list[int]:
        """Return the process ids of workerd; none if it runs on another machine."""
        return [] if self.server is None else _workerd_of(self.server)


def run(options: Namespace) -> int:
    """Run the parts asked for. Returns the exit status: 0 if every promise holds, 1 if not, 130 if interrupted."""
    adopt_orphans()
    try:
        return asyncio.run(_until_asked_to_stop(options))
    except CannotSoak as error:
        _say(f"{error}\n")
        return 1
    finally:
        end_orphans()


async def _until_asked_to_stop(options: Namespace) -> int:
    stop = asyncio.create_task(stopping().wait())
    work = asyncio.create_task(_soak(options))
    await asyncio.wait({stop, work}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not work.done():
        work.cancel()
        await asyncio.wait({work})
        _say("\nEnded before its time.\n")
        return 130
    return work.result()


async def _soak(options: Namespace) -> int:
    chosen = options.only or list(PARTS)
    report: Figures = {"command": " ".join(["scripts/soak", *sys.argv[1:]]), "parts": {}}
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="aiworker-soak-") as folder:
        async with Children() as children:
            site = await _site(options, children, Path(folder))
            for name in chosen:
                _say(f"\n{name}\n")
                try:
                    figures, wrong = await PARTS[name](options, site, children, Path(folder))
                except Exception as error:  # the results of the other parts are still shown
                    figures, wrong = {}, [f"it broke off: {error!r}"]
                report["parts"][name] = figures
                faults += [f"{name}: {each}" for each in wrong]
    report["faults"] = faults
    print(json.dumps(report, indent=2, ensure_ascii=False) if options.json else _readable(report))
    return 1 if faults else 0


# ---- the server ------------------------------------------------------------------------------------------------------


async def _site(options: Namespace, children: Children, folder: Path) -> Site:
    if options.url:
        key = os.environ.get(KEY_VARIABLE, "")
        simulator = SimulatorClient(options.simulator) if options.simulator else None
        return Site(options.url.rstrip("/"), key, simulator, None, [])
    key = f"aiw_{secrets.token_urlsafe(32)}"
    variables = {
        "AUTH_MODE": "keys",
        "API_KEYS": json.dumps(
            [{"name": "soak", "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": SCOPES}]
        ),
        "TOKEN_SECRET": secrets.token_urlsafe(48),
        "RATE_LIMITS": "off",
        "GATEWAY_ID": "default",
        "MODEL_SECONDS": str(traffic.MODEL_SECONDS),
    }
    command = [str(PYTHON), str(ROOT / "scripts/dev"), "--port", "0", "--persist-to", str(folder / "state")]
    command += ["--tokens-per-second", str(PACE), "--log", "json"]
    command += [f"--var={name}={value}" for name, value in variables.items()]
    server = await children.start(command, memory.V8_FLAGS, ROOT)
    addresses, log = await _ready(server)
    simulator = SimulatorClient(addresses["Simulator"])
    return Site(addresses["Ready"], key, simulator, server.pid, log)


async def _ready(server: Child) -> tuple[Mapping[str, str], list[str]]:
    """Return the addresses that the server printed, and a list that its lines about defects are added to."""
    addresses: dict[str, str] = {}
    printed: list[str] = []
    lines = server.lines()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STARTING_SECONDS):
            async for line in lines:
                printed.append(line)
                if match := re.match(r"(Ready|Simulator) on (\S+)", line):
                    addresses[match[1]] = match[2]
                if len(addresses) == 2:
                    break
    if len(addresses) < 2:
        raise CannotSoak("scripts/dev has not come up:\n" + "\n".join(printed))
    log: list[str] = []
    _DRAINS.append(asyncio.create_task(_drained(lines, log)))
    return addresses, log


_DRAINS: list[asyncio.Task[None]] = []
DEFECT = re.compile(r'"defect":|"internal_error"|ended with status')
"""Matches lines about defects. Exceptions of a Workflow's steps, which faults cause and retries mend, do not match."""


TRACEBACK = 25
"""Number of lines kept of a traceback."""


async def _drained(lines: AsyncIterator[str], log: list[str]) -> None:
    """Keep each line about a defect, as one text with the lines after it, which hold the traceback."""
    following = 0
    async for line in lines:
        if DEFECT.search(line):
            following = TRACEBACK
            log.append(line[:2_000])
        elif following:
            following -= 1
            log[-1] += f"\n{line[:500]}"


def _workerd_of(ancestor: int) -> list[int]:
    """Return the ids of workerd's processes among the descendants of a process."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            fields = (folder / "stat").read_text().rpartition(")")
            parents[int(folder.name)] = int(fields[2].split()[1])
            names[int(folder.name)] = fields[0].partition("(")[2]
    return [
        process for process, name in names.items() if name.startswith("workerd") and _is_of(process, ancestor, parents)
    ]


def _is_of(process: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    while process in parents and process != ancestor:
        process = parents[process]
    return process == ancestor


# ---- load ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    requests: int
    """Number of requests since the isolate started."""
    objects: int
    memory_bytes: int
    open_streams: int
    rss: int | None
    used_heap: int | None
    """Bytes of V8's heap in use; None on another machine."""


async def _load(options: Namespace, site: Site, _: Children, __: Path) -> tuple[Figures, list[str]]:
    limits = httpx.Limits(max_connections=options.concurrency + 5)
    client = httpx.AsyncClient(
        base_url=site.url, headers=_headers(site), timeout=traffic.DEADLINE, limits=limits, trust_env=False
    )
    async with client, _session(site) as session:
        load = traffic.Load(client, options.seed)
        loops = [asyncio.create_task(load.client_loop()) for _ in range(options.concurrency)]
        shown = asyncio.create_task(_show_progress(load))
        try:
            samples = await _phases(options, site, load, session)
        finally:
            for task in (*loops, shown):
                task.cancel()
            ends = await asyncio.gather(*loops, shown, return_exceptions=True)
        dead = [repr(end) for end in ends if not isinstance(end, asyncio.CancelledError)]
        active = await _active(site)
    figures = traffic.to_json(load.counts) | {
        "minutes": options.minutes, "concurrency": options.concurrency, "seed": options.seed,
        "requests_a_second": round(load.counts.requests / (options.minutes * 60), 1),
        "webassembly_bytes": max(sample.memory_bytes for sample in samples),
        "used_heap_bytes": max(sample.used_heap or 0 for sample in samples),
        "heap": [sample.__dict__ for sample in samples], "heap_growth": round(_growth(samples), 4),
        "calls_of_models_still_under_way": active, "defects": site.log,
    }  # fmt: skip
    return figures, _wrong_with_load(load.counts, samples, active, site.log, dead)


@contextlib.asynccontextmanager
async def _session(site: Site) -> AsyncGenerator[Inspector | None]:
    """A session with the isolate's inspector; None if workerd runs on another machine."""
    if site.server is not None:
        async with inspector.inspect(site.workers()) as session:
            yield session
    else:
        yield None


def _headers(site: Site) -> dict[str, str]:
    return {"authorization": f"Bearer {site.key}"} if site.key else {}


async def _phases(options: Namespace, site: Site, load: traffic.Load, session: Inspector | None) -> list[Sample]:
    """Load the server with faults, and without them at the end. The heap is sampled in the pauses."""
    began, seconds = time.monotonic(), options.minutes * 60
    samples: list[Sample] = []
    every = min(SAMPLES_EVERY, seconds / 8)
    while (left := began + seconds - time.monotonic()) > 0:
        await _set_faults(site, load, are_set=left > seconds * CALM_SHARE + every)
        load.resume()
        await asyncio.sleep(min(every, left))
        await load.pause()
        samples.append(await _sample(site, load.client, session))
    await _set_faults(site, load, are_set=False)
    return samples


async def _set_faults(site: Site, load: traffic.Load, *, are_set: bool) -> None:
    if site.simulator is None or are_set == load.has_faults:
        return
    if are_set:
        for number, fault in enumerate(traffic.FAULTS):
            await asyncio.to_thread(site.simulator.set_fault, **fault, count=None, seed=number)
    else:
        await asyncio.to_thread(site.simulator.clear_faults)
        await _until(lambda: _is_whole(load.client), 120)
    load.has_faults = are_set


async def _is_whole(client: httpx.AsyncClient) -> bool:
    """Whether the breaker has closed for all models. Calls one of them, because only a call closes it."""
    open_ones = (await client.get("/health")).json()["isolate"]["open_circuits"]
    if open_ones:
        await client.post("/chat", json={**traffic.QUESTION, "stream": False})
    return not open_ones


async def _sample(site: Site, client: httpx.AsyncClient, session: Inspector | None) -> Sample:
    """Take a sample when all streams have ended, or QUIET_SECONDS later."""

    async def isolate() -> Mapping[str, int]:
        return (await client.get("/health")).json()["isolate"]

    async def is_quiet() -> bool:
        return (await isolate())["open_streams"] == 0

    await _until(is_quiet, QUIET_SECONDS)
    isolate_state = await isolate()
    rss = readers.resident_bytes(site.workers())
    return Sample(
        isolate_state["requests"],
        isolate_state["objects"],
        isolate_state["memory_bytes"],
        isolate_state["open_streams"],
        rss,
        (await session.heap()).used if session else None,
    )


async def _active(site: Site) -> list[str]:
    """Return the simulator's calls that have not ended QUIET_SECONDS after the last client disconnected."""
    simulator = site.simulator
    if simulator is None:
        return []

    async def under_way() -> list[str]:
        entries = await asyncio.to_thread(simulator.requests)
        return [
            f"{each['binding']} {each['operation']} {each['model']}" for each in entries if each["state"] not in ENDED
        ]

    async def is_quiet() -> bool:
        return not await under_way()

    await _until(is_quiet, QUIET_SECONDS)
    return await under_way()


async def _until(is_there: Callable[[], Awaitable[bool]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await is_there() and time.monotonic() < deadline:  # noqa: ASYNC110 - another process is looked at
        await asyncio.sleep(0.5)


def _growth(samples: list[Sample]) -> float:
    """Return the heap's growth from the second third of the samples to the last. In the first third it warms up.

    Each third counts by its lowest sample: cycles of objects that a request leaves stay until Python's next collection.
    """
    objects = [sample.objects for sample in samples]
    third = len(objects) // 3
    if not third:
        return 0
    return min(objects[-third:]) / min(objects[third:-third]) - 1


def _wrong_with_load(
    counts: traffic.Counts, samples: list[Sample], active: list[str], defects: list[str], dead: list[str]
) -> list[str]:
    growth, open_streams = _growth(samples), max(sample.open_streams for sample in samples)
    webassembly = max(sample.memory_bytes for sample in samples)
    together = max(sample.memory_bytes + (sample.used_heap or 0) for sample in samples)
    checks = [
        (
            counts.unexplained,
            f"{len(counts.unexplained)} errors that no fault explains, such as {counts.unexplained[:3]}",
        ),
        (counts.hung, f"{len(counts.hung)} requests had no end: {counts.hung[:5]}"),
        (counts.cut, f"{len(counts.cut)} answers broke off without saying so, such as {counts.cut[:3]}"),
        (growth > MAX_GROWTH, f"the Python heap has grown by {growth:.1%} between its lowest points"),
        (webassembly > memory.MAX_WEBASSEMBLY, f"WebAssembly has {webassembly / 1e6:.1f} MB"),
        (together > memory.MAX_TOGETHER, f"WebAssembly and V8's heap have {together / 1e6:.1f} MB together"),
        (open_streams, f"{open_streams} streams were open though nobody sent anything"),
        (active, f"{len(active)} calls of models are still under way: {active[:5]}"),
        (defects, f"{len(defects)} lines of the log tell of defects, such as {defects[:2]}"),
        (counts.misunderstood, f"requests that are right were refused: {counts.misunderstood[:3]}"),
        (dead, f"{len(dead)} clients of the soak itself have failed, such as {dead[:1]}"),
        (counts.requests < 10, "hardly anything was sent"),
    ]
    return [message for is_wrong, message in checks if is_wrong]


async def _show_progress(load: traffic.Load) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(SHOWN_EVERY)
        counts, seconds = load.counts, time.monotonic() - began
        _say(
            f"  {seconds // 60:02.0f}:{seconds % 60:02.0f}  {counts.requests:,} requests, "
            f"{counts.requests / seconds:.0f}/s, {counts.explained} failed by faults, "
            f"{len(counts.unexplained)} otherwise, {len(counts.hung)} hung, "
            f"{len(counts.cut)} cut{', faults set' if load.has_faults else ''}\n"
        )


# ---- the other parts -------------------------------------------------------------------------------------------------


async def _slow_readers(_: Namespace, site: Site, __: Children, ___: Path) -> tuple[Figures, list[str]]:
    if site.simulator:
        await asyncio.to_thread(site.simulator.clear_faults)
    measured = await readers.measure(site.url, site.key, site.workers())
    return measured.to_json(), measured.faults()


async def _memory(options: Namespace, site: Site, _: Children, __: Path) -> tuple[Figures, list[str]]:
    if site.simulator:
        await asyncio.to_thread(site.simulator.clear_faults)
    chosen = {
        name: attack
        for name, attack in attacks.attacks(options.megabytes).items()
        if not options.kind or any(name.startswith(kind) for kind in options.kind)
    }
    try:
        rows = await memory.measure(site.url, _headers(site), site.workers, chosen, _say)
    except LookupError as error:
        raise CannotSoak(str(error)) from error
    return memory.to_json(rows) | {"table": memory.table(rows)}, [each for row in rows for each in row.broken_bounds()]


SCHEMATHESIS = """
seed = {seed}
continue-on-failure = true
suppress-health-check = ["all"]
request-timeout = 60
[generation]
max-examples = {examples}
no-shrink = true
database = "none"
[auth.openapi.bearer]
bearer = "{key}"
# rules that the JSON Schema does not express: a model's id, one of two fields, a text that is not blank, a file's kind
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 413, 415, 422]
# an invalid body may be too large as well
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422]
"""


def schemathesis_command(folder: Path, url: str, key: str, *, examples: int, seed: int, phases: str) -> list[str]:
    """Run all checks of schemathesis on /openapi.json. It leaves report.json in the folder."""
    file = folder / "schemathesis.toml"
    file.write_text(SCHEMATHESIS.format(seed=seed, examples=examples, key=key))
    command = [str(PYTHON), "-m", "schemathesis.cli", "--config-file", str(file), "run", f"{url}/openapi.json"]
    return [*command, "--phases", phases, "--report", "json", "--report-json-path", str(folder / "report.json")]


async def _schemathesis(options: Namespace, site: Site, children: Children, folder: Path) -> tuple[Figures, list[str]]:
    if site.simulator:
        await asyncio.to_thread(site.simulator.clear_faults)
    command = schemathesis_command(
        folder,
        site.url,
        site.key,
        examples=options.examples,
        seed=options.seed,
        phases="examples,coverage,fuzzing,stateful",
    )
    output = await _said(children, command, {}, folder)
    report = json.loads((folder / "report.json").read_text())
    cases, failures = report["test_cases"], report["failures"]
    figures = {"cases": cases["generated"], "failures": failures, "operations": report["operations"]["tested"]}
    wrong = [f"{each['title']}: {', '.join(each['operations'])}" for each in failures]
    if cases["generated"] < CASES:
        wrong.append(f"only {cases['generated']} cases of {CASES}")
    if report["exit_code"] != 0 and not wrong:
        wrong.append("\n".join(output[-40:]))
    return figures, wrong


async def _fuzz(options: Namespace, _: Site, children: Children, __: Path) -> tuple[Figures, list[str]]:
    command = [str(PYTHON), "-m", "pytest", "-v", "--timeout", "0", str(ROOT / "tests/unit/test_fuzz.py")]
    output = await _said(children, command, {"HYPOTHESIS_EXAMPLES": str(options.fuzz_examples)}, ROOT)
    passed = re.search(r"(\d+) passed", output[-1] if output else "")
    figures = {"tests": int(passed[1]) if passed else 0, "examples_of_each": options.fuzz_examples}
    is_good = passed and "failed" not in output[-1] and "error" not in output[-1]
    return figures, [] if is_good else ["\n".join(output[-60:])]


async def _said(children: Children, command: list[str], environment: Mapping[str, str], cwd: Path) -> list[str]:
    child = await children.start(command, environment, cwd)
    output: list[str] = []
    async for line in child.lines():
        output.append(line)
        if line.strip():
            _say(f"  {line[:200]}\n")
    await child.wait()
    return output


Part = Callable[[Namespace, Site, Children, Path], Awaitable[tuple[Figures, list[str]]]]
PARTS: Mapping[str, Part] = {
    "load": _load,
    "memory": _memory,
    "slow-readers": _slow_readers,
    "schemathesis": _schemathesis,
    "fuzz": _fuzz,
}


# ---- the report ---------------------------------------------------------------------------------------------


HIDDEN = ("routes", "heap", "rows", "table")
"""Figures that are shown in another form, or in the JSON only."""


def _readable(report: Figures) -> str:
    lines: list[str] = []
    for name, figures in report["parts"].items():
        lines.append(f"\n{name}")
        lines += [f"  {key}: {value}" for key, value in figures.items() if key not in HIDDEN]
        lines += figures.get("table", "").splitlines()
        for row in figures.get("routes", ()):
            seen = ", ".join(f"{what}: {count}" for what, count in row.items() if what != "route")
            lines.append(f"    {row['route']:<34} {seen}")
    faults = "\n".join(f"  {each}" for each in report["faults"])
    return "\n".join([*lines, f"\nWRONG\n{faults}" if faults else "\nAll of it holds."])


def _say(text: str) -> None:
    """Print to stderr: stdout is for the figures."""
    print(text, end="", file=sys.stderr, flush=True)
