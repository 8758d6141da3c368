"""`scripts/bench --rag-scale`: what a search costs with 100,000 passages in one tenant, and how fast documents come in.

Documents are uploaded to a server of its own. Then its database is filled with passages of made-up text, whose words
are as frequent as in the corpus of scripts/eval, and searched with the questions of scripts/eval. Only the uploaded
documents have vectors: the simulator compares a question with each vector, which Vectorize does not.
"""

import asyncio
import json
import random
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx

from aiworker.rag import filters, passage_store
from aiworker.rag.passage_store import Terms
from aiworker.rag.retrieve import MAX_TERMS, SEARCH_RESULTS
from aiworker.rag.search_text import NORMALIZATION, index_text, query_terms, query_terms_as_written
from tools import ROOT
from tools.bench.figures import percentile
from tools.bench.servers import CannotStart, cpu_seconds
from tools.dev.processes import Children, adopt_orphans, end_orphans

EVALUATION = ROOT / "tools/evaluation"
LARGE, SMALL = "large", "small0500"
"""The tenant with most passages, and one of the others."""
SIZES = (1_400, 100_000)
"""Passages of the large tenant at which searches are measured."""
TENANTS, TENANT_PASSAGES = 1_000, 100
DOCUMENT_PASSAGES = 20
PASSAGE_WORDS, HEADING_WORDS, TITLE_WORDS = 110, 4, 3
UPLOADS = 300
CLIENTS = 8
QUESTIONS = 60
STARTING_SECONDS = 300
OPTIONS = ("--tokens-per-second", "0", "--var=RATE_LIMITS=off")
WORKER = "workerd"
"""Name of the processes whose time is the Worker's, D1's and R2's."""


@dataclass(frozen=True)
class Cost:
    """Times of one kind of work, in milliseconds."""

    p50: float
    p95: float
    cpu: float
    """Processor time of one, on average."""


@dataclass
class Result:
    documents_a_second: float = 0
    cpu_ms_a_document: float = 0
    """Processor time of workerd for one document of one passage."""
    requests: dict[str, Cost] | None = None
    """Tenant and passages → `POST /rag/search`; `cpu` is that of workerd's processes."""
    statements: dict[str, Cost] | None = None
    """Tenant and passages → the statement of full-text search."""
    bytes_a_passage: float = 0


def run(file: str | None, uploads: int) -> int:
    """Measure, print the table, and write it as JSON to a file if there is one. Returns the exit status."""
    adopt_orphans()
    try:
        result = asyncio.run(_measure(uploads))
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        end_orphans()
    print(_table(result))
    if file:
        Path(file).write_text(json.dumps(asdict(result), indent=2) + "\n")
    return 0


async def _measure(uploads: int) -> Result:
    result = Result(requests={}, statements={})
    with tempfile.TemporaryDirectory(prefix="aiworker-rag-scale-") as folder:
        state = Path(folder)
        async with _server(state) as server:
            await _ingest(server, uploads, result)
        database = _database(state)
        filler = Filler(database)
        for size in SIZES:
            _say(f"filling the database up to {size:,} passages")
            filler.fill(LARGE, size)
            if size == SIZES[-1]:
                filler.fill_others()
            await _search(state, size, result)
        result.bytes_a_passage = filler.bytes_a_passage()
    return result


def _say(text: str) -> None:
    print(f"{text} …", file=sys.stderr, flush=True)


# ---- the server ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Return the processor time of its processes of workerd."""
        return sum(cpu_seconds(pid) for pid in _descendants(self.pid) if WORKER in _name(pid))


@asynccontextmanager
async def _server(state: Path) -> AsyncGenerator[Server]:
    """Start scripts/dev on a state. Raises CannotStart."""
    command = [sys.executable, str(ROOT / "scripts/dev"), "--port", "0", "--persist-to", str(state), *OPTIONS]
    async with Children() as children:
        child = await children.start(command, {}, ROOT)
        lines = child.lines()
        printed: list[str] = []
        match = None
        with suppress(TimeoutError):
            async with asyncio.timeout(STARTING_SECONDS):
                async for line in lines:
                    printed.append(line)
                    if match := re.search(r"Ready on (\S+)", line):
                        break
        if match is None:
            raise CannotStart("scripts/dev did not start:\n" + "\n".join(printed))
        drain = asyncio.create_task(_drained(lines))
        yield Server(match[1], child.pid)
        drain.cancel()


async def _drained(lines: Any) -> None:
    """Read on, so that the program can go on printing."""
    async for _ in lines:
        pass


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return
    for child in map(int, children):
        yield child
        yield from _descendants(child)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


# ---- requests --------------------------------------------------------------------------------------------------------


async def _ingest(server: Server, count: int, result: Result) -> None:
    """Upload documents of one passage with some clients at once, and wait until all can be searched."""
    _say(f"{count} documents from {CLIENTS} clients")
    words = Words(seed=7)
    documents = [{"id": f"upload-{n}", "tenant": LARGE, "text": words.some(PASSAGE_WORDS)} for n in range(count)]
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:

        async def upload() -> None:
            while documents:
                (await client.post("/rag/documents", json=documents.pop())).raise_for_status()

        cpu, began = server.cpu_seconds(), time.monotonic()
        await asyncio.gather(*(upload() for _ in range(CLIENTS)))
        while await _unfinished(client):  # noqa: ASYNC110 - the server tells it on request only
            await asyncio.sleep(0.5)
        seconds = time.monotonic() - began
    result.documents_a_second = count / seconds
    result.cpu_ms_a_document = (server.cpu_seconds() - cpu) * 1000 / count


async def _unfinished(client: httpx.AsyncClient) -> bool:
    cursor: str | None = ""
    while cursor is not None:
        query = {"tenant": LARGE, "limit": 100, "cursor": cursor}
        page = (await client.get("/rag/documents", params=query)).raise_for_status().json()
        if any(document["state"] != "indexed" for document in page["documents"]):
            return True
        cursor = page["cursor"]
    return False


async def _search(state: Path, size: int, result: Result) -> None:
    """Measure the statement on the database, and requests of a server on it."""
    tenants = {f"{LARGE}, {size:,} passages": LARGE}
    if size == SIZES[-1]:
        tenants[f"one of {TENANTS:,} others, {TENANT_PASSAGES} passages"] = SMALL
    assert result.requests is not None
    assert result.statements is not None
    for title, tenant in tenants.items():
        _say(f"full text search: {title}")
        result.statements[title] = await _statements(_database(state), tenant)
    async with _server(state) as server, httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        for title, tenant in tenants.items():
            _say(f"POST /rag/search: {title}")
            result.requests[title] = await _requests(server, client, tenant)


async def _requests(server: Server, client: httpx.AsyncClient, tenant: str) -> Cost:
    times: list[float] = []
    (await client.post("/rag/search", json={"query": "warm", "tenant": tenant})).raise_for_status()
    cpu = server.cpu_seconds()
    for question in _questions():
        began = time.monotonic()
        (await client.post("/rag/search", json={"query": question, "tenant": tenant})).raise_for_status()
        times.append((time.monotonic() - began) * 1000)
    return Cost(statistics.median(times), percentile(times, 95), (server.cpu_seconds() - cpu) * 1000 / len(times))


def _questions() -> list[str]:
    questions = [each["question"] for each in json.loads((EVALUATION / "questions.json").read_text())]
    return questions[:: len(questions) // QUESTIONS]


# ---- the database ----------------------------------------------------------------------------------------------------


class Rows:
    """aiworker.bindings.Database over SQLite, with the methods that searches need."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, query: str, *values: str | float | None) -> list[dict[str, Any]]:
        return [dict(row) for row in self._connection.execute(query, values)]

    async def run(self, *statements: Any) -> list[dict[str, Any]]:
        raise NotImplementedError


async def _statements(file: Path, tenant: str) -> Cost:
    """Measure the processor time of the Worker's full-text search with each question."""
    times: list[float] = []
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        for question in _questions():
            terms = Terms(query_terms(question)[:MAX_TERMS], query_terms_as_written(question)[:MAX_TERMS])
            condition = filters.condition({}, passage_store.FIRST_CONDITION)
            began = time.process_time()
            await passage_store.fulltext_search(Rows(connection), tenant, [terms], condition, SEARCH_RESULTS)
            times.append((time.process_time() - began) * 1000)
    return Cost(statistics.median(times), percentile(times, 95), statistics.mean(times))


def _database(state: Path) -> Path:
    """Return the file of the local D1 database."""
    for file in sorted((state / "v3/d1").glob("*/*.sqlite")):
        with closing(sqlite3.connect(file)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'passage_words'").fetchall():
                return file
    raise CannotStart(f"There is no database of the Worker in {state}.")


class Words:
    """Random words with the frequencies of the corpus."""

    def __init__(self, seed: int) -> None:
        counted: Counter[str] = Counter()
        for file in sorted((EVALUATION / "corpus").glob("*.md")):
            counted.update(re.findall(r"[A-Za-z]{2,}", file.read_text()))
        self._words, self._weights = list(counted), list(accumulate(counted.values()))
        self._random = random.Random(seed)

    def some(self, count: int) -> str:
        return " ".join(self._random.choices(self._words, cum_weights=self._weights, k=count))


class Filler:
    """Writes published documents into the database, as the Worker does."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._words = Words(seed=1)
        self._counts: Counter[str] = Counter()
        self._before = self._size()

    def fill(self, tenant: str, passages: int) -> None:
        """Add documents until the filled ones of a tenant have that many passages."""
        with closing(sqlite3.connect(self._file)) as connection, connection:
            self._fill(connection, tenant, passages)

    def fill_others(self) -> None:
        with closing(sqlite3.connect(self._file)) as connection, connection:
            for number in range(TENANTS):
                self._fill(connection, f"small{number:04}", TENANT_PASSAGES)

    def bytes_a_passage(self) -> float:
        return (self._size() - self._before) / self._counts.total()

    def _size(self) -> int:
        return sum(each.stat().st_size for each in self._file.parent.glob(f"{self._file.name}*"))

    def _fill(self, connection: sqlite3.Connection, tenant: str, passages: int) -> None:
        while self._counts[tenant] < passages:
            number = self._counts[tenant] // DOCUMENT_PASSAGES
            self._counts[tenant] += DOCUMENT_PASSAGES
            self._add(connection, tenant, f"d{number}", f"{tenant}.{number}")

    def _add(self, connection: sqlite3.Connection, tenant: str, document_id: str, version: str) -> None:
        title = self._words.some(TITLE_WORDS)
        connection.execute(
            "INSERT INTO documents (tenant, id, live_version, created_at) VALUES (?, ?, ?, '2026')",
            (tenant, document_id, version),
        )
        connection.execute(
            "INSERT INTO versions (id, tenant, document_id, state, title, metadata, media_type, size, fingerprint, "
            "chunks, created_at, updated_at, normalization) "
            "VALUES (?, ?, ?, 'indexed', ?, '{}', 'text/markdown', 1, 'f', ?, '2026', '2026', ?)",
            (version, tenant, document_id, title, DOCUMENT_PASSAGES, NORMALIZATION),
        )
        scope = passage_store.scope(tenant)
        for number in range(DOCUMENT_PASSAGES):
            self._add_passage(connection, scope, title, version, number)

    def _add_passage(self, connection: sqlite3.Connection, scope: str, title: str, version: str, number: int) -> None:
        heading, text = self._words.some(HEADING_WORDS), self._words.some(PASSAGE_WORDS)
        row = connection.execute(
            "INSERT INTO chunks (version, number, scope, heading, text) VALUES (?, ?, ?, ?, ?)",
            (version, number, scope, heading, text),
        ).lastrowid
        connection.execute(
            "INSERT INTO passage_words (rowid, scope, title, heading, text) VALUES (?, ?, ?, ?, ?)",
            (row, scope, index_text(title), index_text(heading), index_text(text)),
        )


# ---- the table -------------------------------------------------------------------------------------------------------


def _table(result: Result) -> str:
    assert result.requests is not None
    assert result.statements is not None
    lines = [
        "| tenant | full text, CPU ms: mean | p50 | p95 | `/rag/search` ms: p50 | p95 | workerd CPU ms |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    for title, statement in result.statements.items():
        request = result.requests[title]
        figures = (statement.cpu, statement.p50, statement.p95, request.p50, request.p95, request.cpu)
        lines.append(f"| {title} | " + " | ".join(f"{each:.0f}" for each in figures) + " |")
    return "\n".join(
        [
            f"{result.documents_a_second:.1f} documents a second with {CLIENTS} clients; "
            f"{result.cpu_ms_a_document:.0f} ms of workerd's CPU a document",
            f"{result.bytes_a_passage:,.0f} bytes of D1 a passage",
            "",
            *lines,
        ]
    )
