"""`scripts/bench --simulator`: the start of the simulator, its streams, its small answers, and its vectors.

Everything is measured in the simulator's own process: its processor time, unlike the time of a clock, does not depend
on other work of the machine. Vectors are written by the same code in another process, and are on the disk.
"""

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools import ROOT
from tools.bench.servers import cpu_seconds

SOURCE = ROOT / "packages/workers-ai-simulator/src"
MODELS = "/client/v4/accounts/any/ai/run"
CHAT = "@cf/meta/llama-3.1-8b-instruct-fast"
EMBEDDING = "@cf/baai/bge-base-en-v1.5"
STARTS = 5
PIECES, STREAMS = 5_000, 20
REQUESTS = 2_000
DIMENSIONS = 768
BATCH = 1_000
QUERIES = 20
DIALECTS = {"native": f"{MODELS}/{CHAT}", "OpenAI": "/client/v4/accounts/any/ai/v1/chat/completions"}


@dataclass(frozen=True)
class Cost:
    """Processor time and pace of one piece of work."""

    title: str
    cpu_us: float
    """Processor time of the simulator, in microseconds."""
    a_second: float
    """Rate per second of the clock, with one client."""


@dataclass(frozen=True)
class Vectors:
    """An index of so many vectors on the disk. Times in milliseconds, memory in MB."""

    count: int
    write_cpu_ms: float
    """Processor time to write and apply 1,000 vectors, without HTTP."""
    written_anonymous: float
    """Memory of the writing process at its end, without mapped files."""
    first_query: float
    """From a request right after the start to its answer."""
    query: float
    query_cpu: float
    filtered_query: float
    anonymous: float
    """Memory of the simulator after the queries, without mapped files."""
    mapped: float
    """Memory of mapped files, which the system takes back as it needs it."""


@dataclass
class Result:
    machine: str = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    load: str = ""
    """Load averages of the machine before and after."""
    start_seconds: float = 0
    start_cpu_seconds: float = 0
    costs: list[Cost] = field(default_factory=list[Cost])
    vectors: list[Vectors] = field(default_factory=list[Vectors])


def run(file: str | None, *, million: bool) -> int:
    """Measure, print a table, and write the figures as JSON to a file if there is one. Returns the exit status."""
    before = os.getloadavg()[0]
    result = Result()
    _measure_starts(result)
    with _simulator() as simulator:
        result.costs = [*(_stream(simulator, name, path) for name, path in DIALECTS.items()), *_requests(simulator)]
    for count in (100_000, 1_000_000) if million else (100_000,):
        result.vectors.append(_vectors(count))
    result.load = f"{before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(_table(result))
    if file:
        Path(file).write_text(json.dumps(asdict(result), indent=2) + "\n")
    return 0


def _say(text: str) -> None:
    print(f"{text} …", file=sys.stderr, flush=True)


# ---- the simulator ---------------------------------------------------------------------------------------------------


@dataclass
class Simulator:
    process: subprocess.Popen[str]
    port: int

    @property
    def cpu(self) -> float:
        return cpu_seconds(self.process.pid)

    def memory(self) -> dict[str, float]:
        """Megabytes of memory: `RssAnon`, and `RssFile` of mapped files."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        lines = [line.split() for line in status.splitlines() if line.startswith("Rss")]
        return {name.rstrip(":"): int(kilobytes) / 1024 for name, kilobytes, _ in lines}


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(SOURCE)])}


@contextmanager
def _simulator(*options: str) -> Generator[Simulator]:
    """Start a simulator, and stop it as Ctrl-C does: it saves what the next start loads."""
    quick = ("--port", "0", "--tokens-per-second", "0", "--vectorize-delay", "0", "--end-with-stdin")
    process = subprocess.Popen(
        [sys.executable, "-m", "workers_ai_simulator", *quick, *options],
        env=_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    try:
        ready = next((line for line in process.stdout if line.startswith("Ready on")), "")
        yield Simulator(process, int(ready.rpartition(":")[2]))
    finally:
        process.terminate()
        process.wait()


def _measure_starts(result: Result) -> None:
    _say(f"starting the simulator {STARTS} times")
    seconds: list[float] = []
    cpu: list[float] = []
    for _ in range(STARTS):
        began = time.monotonic()
        with _simulator() as simulator:
            seconds.append(time.monotonic() - began)
            cpu.append(simulator.cpu)
    result.start_seconds, result.start_cpu_seconds = statistics.median(seconds), statistics.median(cpu)


# ---- streams and small answers ---------------------------------------------------------------------------------------


class Client:
    """One connection, which stays open, to a simulator. It does as little as it can: it shares the machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, method: str, path: str, body: object) -> None:
        data = json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer any\r\n"
        self._socket.sendall(
            f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
        )

    def until(self, end: bytes) -> bytes:
        """Read until the text ends so."""
        received = bytearray()
        while not received.endswith(end):
            part = self._socket.recv(1 << 20)
            assert part, received[-1000:]
            received += part
        return bytes(received)

    def call(self, method: str, path: str, body: object) -> bytes:
        """Body of an answer with a content length."""
        self.send(method, path, body)
        head, _, rest = self.until_head().partition(b"\r\n\r\n")
        assert b" 200 " in head[:20] or b" 201 " in head[:20], head + rest
        lengths = [
            line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        ]
        while len(rest) < int(lengths[0]):
            rest += self._socket.recv(1 << 20)
        return rest

    def until_head(self) -> bytes:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(1 << 20)
        return received


def _stream(simulator: Simulator, dialect: str, path: str) -> Cost:
    """Streams of scripted pieces, one after the other."""
    _say(f"{STREAMS} streams of {PIECES:,} frames in the {dialect} dialect")
    client = Client(simulator.port)
    client.call("PUT", "/simulator/answers", [{"stream": ["word "] * PIECES, "count": None}])
    body = {"model": CHAT, "messages": [{"role": "user", "content": "Hello"}], "stream": True}

    def stream() -> None:
        client.send("POST", path, body)
        text = client.until(b"0\r\n\r\n")
        assert text.count(b"data: ") >= PIECES, text[:1000]

    stream()  # warms up what the others need
    began, cpu = time.monotonic(), simulator.cpu
    for _ in range(STREAMS):
        stream()
    frames = STREAMS * PIECES
    used, passed = simulator.cpu - cpu, time.monotonic() - began
    client.call("PUT", "/simulator/answers", [])
    return Cost(f"a frame of a stream, {dialect} dialect", used / frames * 1e6, frames / passed)


def _requests(simulator: Simulator) -> list[Cost]:
    prompt = {"prompt": "Hello", "max_tokens": 16}
    kinds: Sequence[tuple[str, str, str, Any]] = (
        ("a text of 16 tokens", "POST", f"{MODELS}/{CHAT}", prompt),
        ("an embedding of a sentence", "POST", f"{MODELS}/{EMBEDDING}", {"text": "The cat sleeps on the sofa."}),
        ("a scripted answer", "POST", f"{MODELS}/@cf/meta/llama-3.2-3b-instruct", prompt),
    )
    client = Client(simulator.port)
    rule = {"model": "@cf/meta/llama-3.2-3b-instruct", "text": "It rains.", "count": None}
    client.call("PUT", "/simulator/answers", [rule])
    costs: list[Cost] = []
    for title, method, path, body in kinds:
        _say(f"{REQUESTS:,} times {title}")
        for _ in range(REQUESTS // 20):
            client.call(method, path, body)
        began, cpu = time.monotonic(), simulator.cpu
        for _ in range(REQUESTS):
            client.call(method, path, body)
        used, passed = simulator.cpu - cpu, time.monotonic() - began
        costs.append(Cost(title, used / REQUESTS * 1e6, REQUESTS / passed))
    return costs


# ---- vectors ---------------------------------------------------------------------------------------------------------


def fill(folder: Path, count: int) -> None:
    """Write vectors to a new index `notes` as the simulator does, and print what that took as JSON."""
    import numpy as np

    from workers_ai_simulator.vectorize.store import VectorStore

    store = VectorStore(folder / "vectorize.sqlite", metadata_indexes=[("notes", "kind", "number")])
    store.create_index("notes", DIMENSIONS, "cosine")
    numbers = np.random.default_rng(1)
    used = 0.0
    for start in range(0, count, BATCH):
        values = numbers.standard_normal((BATCH, DIMENSIONS), dtype=np.float32).tolist()
        vectors = [
            {"id": f"note-{start + row}", "values": each, "metadata": {"kind": row % 10}}
            for row, each in enumerate(values)
        ]
        began = time.process_time()
        store.write("notes", "upsert", vectors, BATCH)
        store.info("notes")
        used += time.process_time() - began
    status = Path("/proc/self/status").read_text()
    [anonymous] = [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon")]
    store.close()
    print(json.dumps({"cpu_ms": used * 1000 / (count / BATCH), "anonymous": anonymous}))


def _vectors(count: int) -> Vectors:
    with tempfile.TemporaryDirectory(prefix="simulator-vectors-") as folder:
        _say(f"writing {count:,} vectors of {DIMENSIONS} dimensions")
        program = (
            f"import pathlib; from tools.bench import simulator; simulator.fill(pathlib.Path({folder!r}), {count})"
        )
        filled = subprocess.run(
            [sys.executable, "-c", program], env=_environment(), text=True, stdout=subprocess.PIPE, check=True
        )
        written: dict[str, float] = json.loads(filled.stdout)
        _say(f"searching {count:,} vectors")
        with _simulator("--data", folder) as simulator:
            client = Client(simulator.port)
            first, _ = _query(client, simulator, {})
            usual = [_query(client, simulator, {}) for _ in range(QUERIES)]
            filtered = [_query(client, simulator, {"filter": {"kind": {"$lt": 7}}})[0] for _ in range(QUERIES)]
            memory = simulator.memory()
    return Vectors(
        count,
        written["cpu_ms"],
        written["anonymous"],
        first,
        statistics.median(wall for wall, _ in usual),
        statistics.mean(cpu for _, cpu in usual),
        statistics.median(filtered),
        memory["RssAnon"],
        memory["RssFile"],
    )


def _query(client: Client, simulator: Simulator, more: dict[str, Any]) -> tuple[float, float]:
    """Milliseconds of the clock and of the processor that a query takes."""
    query = {"vector": [1, *[0.5] * (DIMENSIONS - 1)], "topK": 10, **more}
    cpu, began = simulator.cpu, time.monotonic()
    answer = client.call("POST", "/client/v4/accounts/any/vectorize/v2/indexes/notes/query", query)
    passed = time.monotonic() - began
    assert len(json.loads(answer)["result"]["matches"]) == query["topK"]
    return passed * 1000, (simulator.cpu - cpu) * 1000


# ---- what is printed -------------------------------------------------------------------------------------------------


def _table(result: Result) -> str:
    lines = [
        f"Simulator on {result.machine}; load of the machine: {result.load}.",
        f"Start: {result.start_seconds:.2f} s, of which {result.start_cpu_seconds:.2f} s of the processor.",
        "",
        "| Work | µs of the processor | that is, a second | a second by the clock, one client |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {each.title} | {each.cpu_us:.0f} | {1e6 / each.cpu_us:,.0f} | {each.a_second:,.0f} |"
        for each in result.costs
    ]
    lines += [
        "",
        f"| Vectors of {DIMENSIONS} dimensions | first query | query | of the processor | with a filter (70 % pass) "
        "| write of 1,000 | memory | mapped | memory while writing |",
        "|" + " --- |" * 9,
    ]
    lines += [
        f"| {each.count:,} | {each.first_query:.0f} ms | {each.query:.0f} ms | {each.query_cpu:.0f} ms "
        f"| {each.filtered_query:.0f} ms | {each.write_cpu_ms:.0f} ms | {each.anonymous:.0f} MB "
        f"| {each.mapped:.0f} MB | {each.written_anonymous:.0f} MB |"
        for each in result.vectors
    ]
    return "\n".join(lines)
