"""Ingestion on a machine that crashes: before and after every single thing that it does to the outside.

The database is real (the project's migrations on SQLite); bucket, vectors, model and workflow are stand-ins that last.
"""

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aiworker.bindings import Converted, Inputs, VectorRecord
from aiworker.context import Resources
from aiworker.http.messages import JsHandle
from aiworker.jobs import runner
from aiworker.rag import ingest, passage_bounds, passage_store, reindex, removal, store
from aiworker.rag.store import Version
from aiworker.settings import Settings
from tests.unit.stand_ins import FakeAi, FakeAnswer
from tools import ROOT

MIGRATIONS = tuple(sorted((ROOT / "migrations").glob("*.sql")))
PASSAGES = 120
"""More than the model embeds in one call."""


class Crash(BaseException):
    """No Exception: nothing of the Worker can catch it."""


async def crash() -> None:
    raise Crash


class Machine:
    """State that outlives a crash, and the counter that causes the crash."""

    def __init__(self, migrations: Iterable[Path] = MIGRATIONS) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.row_factory = sqlite3.Row
        for migration in migrations:
            self.database.executescript(migration.read_text())
        self.files: dict[str, str] = {}
        self.vectors: dict[str, VectorRecord] = {}
        self.done: dict[str, Any] = {}
        self.calls = 0
        """Calls of bindings."""
        self.calls_a_step: dict[str, int] = {}
        """Name of a workflow's step → the calls that it made."""
        self.most_deleted = 0
        """Largest number of passages that one statement has deleted."""
        self.moment = -1
        self.event: Callable[[], Awaitable[None]] = crash
        """Called after `moment` effects."""
        self.resources = Resources(
            settings=Settings.read({"SIMULATED": "AI"}),
            ai=Model(self),
            bucket=Files(self),  # pyright: ignore[reportArgumentType] - as much of it as ingestion needs
            database=Rows(self),
            vectors=Index(self),
            ingestions=Workflows(self),
        )

    async def touch(self) -> None:
        """Called before and after each effect."""
        self.moment -= 1
        if self.moment == -1:
            await self.event()

    async def upload(self, version_id: str, text: str, created: str) -> None:
        version = Version(
            version_id, "default", "doc", "queued", None, "Title", None, {}, "text/html",
            len(text), version_id, 0, created, created,
        )  # fmt: skip
        self.files[version.folder + ingest.ORIGINAL] = text
        await store.add(self.resources.database, version)

    async def ingest(self, version_id: str, *, is_embedded: bool = False) -> None:
        await ingest.ingest(self.resources, Steps(self, version_id), version_id, is_embedded=is_embedded)

    async def run_job(self, job_id: str, instance: int) -> None:
        await runner.run(self.resources, Steps(self, f"{job_id}-{instance}"), job_id, instance)

    def rows(self, query: str) -> list[Any]:
        return [row[0] for row in self.database.execute(query)]


class Steps:
    def __init__(self, machine: Machine, version_id: str) -> None:
        self._machine = machine
        self._version = version_id

    async def do(self, name: str, work: Callable[[], Awaitable[Any]], *, patiently: bool = False) -> Any:
        key = f"{self._version} {name}"
        if key not in self._machine.done:
            before = self._machine.calls
            result = await work()
            self._machine.calls_a_step[key] = self._machine.calls - before
            await self._machine.touch()
            self._machine.done[key] = result
        return self._machine.done[key]


class Rows:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def rows(self, query: str, *values: str | float | None) -> list[dict[str, Any]]:
        self._machine.calls += 1
        is_write = not query.lstrip().startswith("SELECT")
        if is_write:
            await self._machine.touch()
        rows = [dict(row) for row in self._machine.database.execute(query, values)]
        if is_write:
            await self._machine.touch()
        return rows

    async def run(self, *statements: tuple[str | float | None, ...]) -> list[dict[str, Any]]:
        self._machine.calls += 1
        await self._machine.touch()
        self._machine.database.execute("BEGIN")
        rows: list[dict[str, Any]] = []
        for query, *values in statements:
            is_deletion = str(query).startswith("DELETE FROM chunks")
            before = self._machine.rows("SELECT count(*) FROM chunks") if is_deletion else [0]
            rows = [dict(row) for row in self._machine.database.execute(str(query), values)]
            after = self._machine.rows("SELECT count(*) FROM chunks") if is_deletion else [0]
            self._machine.most_deleted = max(self._machine.most_deleted, before[0] - after[0])
        self._machine.database.execute("COMMIT")
        await self._machine.touch()
        return rows


class File:
    def __init__(self, text: str) -> None:
        self._text = text
        self.size = len(text.encode())

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._text.encode()[start:end]

    async def is_utf8(self) -> bool:
        return True


class Files:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def put(self, key: str, content: str | File, content_type: str, metadata: Mapping[str, str]) -> None:
        await self._machine.touch()
        self._machine.files[key] = content if isinstance(content, str) else content.read().decode()
        await self._machine.touch()

    async def payload(self, key: str) -> File | None:
        text = self._machine.files.get(key)
        return None if text is None else File(text)

    async def read_part(self, key: str, start: int, length: int) -> tuple[File, int] | None:
        file = await self.payload(key)
        return None if file is None else (File(file.read(start, start + length).decode()), file.size)

    async def delete_folder(self, prefix: str) -> bool:
        self._machine.calls += 2
        for key in [key for key in self._machine.files if key.startswith(prefix)]:
            await self._machine.touch()
            del self._machine.files[key]
        await self._machine.touch()
        return False


class Index:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def upsert(self, rows: JsHandle, records: Sequence[VectorRecord]) -> None:
        await self._machine.touch()
        self._machine.vectors |= {record.id: record for record in records}
        await self._machine.touch()

    async def query(self, rows: Any, row: int, count: int, namespace: str, filter: Any) -> dict[str, float]:  # noqa: A002
        raise NotImplementedError

    async def present(self, ids: Sequence[str]) -> set[str]:
        self._machine.calls += 1
        return {each for each in ids if each in self._machine.vectors}

    async def delete(self, ids: Sequence[str]) -> None:
        self._machine.calls += -(-len(ids) // 100)
        await self._machine.touch()
        for each in ids:
            self._machine.vectors.pop(each, None)
        await self._machine.touch()


class Embedded(FakeAnswer):
    async def value(self, name: str) -> JsHandle:
        return JsHandle([])


class Model(FakeAi):
    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> Embedded:
        await self._machine.touch()
        return Embedded(200, "")

    async def to_markdown(self, name: str, media_type: str, file: Any) -> Converted:
        await self._machine.touch()
        markdown: Any = file
        return Converted(markdown)


class Workflows:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def start(self, version_id: str, *, is_embedded: bool = False) -> None:
        await self._machine.ingest(version_id, is_embedded=is_embedded)

    async def wake(self, version_id: str) -> None:
        await self._machine.ingest(version_id)

    async def start_job(self, job_id: str, instance: int) -> None:
        await self._machine.run_job(job_id, instance)

    async def wake_job(self, job_id: str, instance: int) -> None:
        await self._machine.run_job(job_id, instance)

    async def wake_reindex(self, normalization: int) -> None:
        await reindex.reindex(self._machine.resources, Steps(self._machine, f"reindex-{normalization}"))


def document(word: str) -> str:
    return "".join(f"# Part {number}\n\nThe {word} of part {number}.\n\n" for number in range(PASSAGES))


def check_what_readers_see(machine: Machine) -> None:
    """One version, whole: its passages and its vectors."""
    [live] = machine.rows("SELECT live_version FROM documents WHERE deleted = 0") or [None]
    if live:
        numbers = machine.rows(f"SELECT number FROM chunks WHERE version = '{live}' ORDER BY number")
        assert numbers == list(range(PASSAGES))
        assert {f"{live}-{number}" for number in numbers} <= set(machine.vectors)


async def moments(
    work: Callable[[Machine], Awaitable[Any]],
    ready: Callable[[], Awaitable[Machine]],
    event: Callable[[Machine], Awaitable[None]] = lambda _: crash(),
) -> list[Machine]:
    """A machine for every moment of the work, at which the event has come."""
    machines: list[Machine] = []
    while True:
        machine = await ready()
        machine.moment, machine.event = len(machines), partial(event, machine)
        with contextlib.suppress(Crash):
            await work(machine)
        if machine.moment >= 0:
            return machines
        if machine.database.in_transaction:
            machine.database.execute("ROLLBACK")
        machines.append(machine)


async def with_one_version() -> Machine:
    machine = Machine()
    await machine.upload("aaaa", document("old"), "2026-01-01")
    await machine.ingest("aaaa")
    assert machine.rows("SELECT live_version FROM documents") == ["aaaa"]
    return machine


async def with_two_versions() -> Machine:
    machine = await with_one_version()
    await machine.upload("bbbb", document("new"), "2026-01-02")
    return machine


@pytest.mark.timeout(120)
async def test_after_a_crash_at_any_moment_nothing_is_lost_or_doubled() -> None:
    machines = await moments(lambda machine: machine.ingest("bbbb"), with_two_versions)
    assert len(machines) > 25
    for number, machine in enumerate(machines):
        check_what_readers_see(machine)
        await ingest.resume(machine.resources)
        # the platform itself goes on with a workflow whose last step was cut off
        await machine.ingest("bbbb")
        check_what_readers_see(machine)
        assert machine.rows("SELECT id FROM versions") == ["bbbb"], number
        assert machine.rows("SELECT live_version FROM documents") == ["bbbb"], number
        assert len(machine.rows("SELECT number FROM chunks")) == PASSAGES, number
        assert set(machine.vectors) == {f"bbbb-{each}" for each in range(PASSAGES)}, number
        assert {key.split("/")[3] for key in machine.files} == {"bbbb"}, number


@pytest.mark.timeout(120)
async def test_a_deletion_that_crashed_at_any_moment_is_finished() -> None:
    machines = await moments(
        lambda machine: removal.delete_document(machine.resources, "default", "doc"), with_one_version
    )
    assert len(machines) > 5
    for machine in machines:
        await ingest.resume(machine.resources)
        if machine.rows("SELECT id FROM documents"):  # it had not begun
            check_what_readers_see(machine)
            await removal.delete_document(machine.resources, "default", "doc")
        for table in ("documents", "versions", "chunks"):
            assert machine.rows(f"SELECT count(*) FROM {table}") == [0]
        assert (machine.vectors, machine.files) == ({}, {})


async def test_a_document_deleted_before_its_ingestion_begins_takes_no_other_file_with_it() -> None:
    machine = await with_one_version()
    files = dict(machine.files)
    await machine.ingest("of-a-deleted-document")
    assert machine.files == files
    check_what_readers_see(machine)


async def delete(machine: Machine) -> None:
    await removal.delete_document(machine.resources, "default", "doc")


async def resume(machine: Machine) -> None:
    await ingest.resume(machine.resources)


async def upload_new(machine: Machine) -> None:
    await machine.upload("bbbb", document("new"), "2026-01-02")


async def with_one_upload() -> Machine:
    machine = Machine()
    await machine.upload("aaaa", document("old"), "2026-01-01")
    return machine


@pytest.mark.timeout(120)
async def test_a_deletion_amidst_an_ingestion_leaves_nothing() -> None:
    machines = await moments(lambda machine: machine.ingest("aaaa"), with_one_upload, delete)
    assert len(machines) > 20
    for number, machine in enumerate(machines):
        await ingest.resume(machine.resources)
        assert machine.rows("SELECT count(*) FROM chunks") == [0], number
        assert (machine.vectors, machine.files) == ({}, {}), number


async def crash_machine(_: Machine) -> None:
    await crash()


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("event", [crash_machine, delete])
async def test_whatever_cuts_an_ingestion_off_no_statement_deletes_many_passages(
    event: Callable[[Machine], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "SEGMENTS_A_STEP", 100)  # one step stores all passages
    monkeypatch.setattr(removal, "PASSAGES_A_STATEMENT", 25)
    machines = await moments(lambda machine: machine.ingest("aaaa"), with_one_upload, event)
    assert len(machines) > 20
    for number, machine in enumerate(machines):
        await machine.ingest("aaaa")
        await ingest.resume(machine.resources)
        assert machine.most_deleted <= 25, number


@pytest.mark.timeout(120)
@pytest.mark.parametrize("work", [delete, resume])
async def test_a_document_uploaded_during_a_deletion_stays(work: Callable[[Machine], Awaitable[Any]]) -> None:
    async def ready() -> Machine:
        machine = await with_one_version()
        if work is not delete:  # a deletion that was cut off
            await store.mark_deleted(machine.resources.database, "default", "doc")
        return machine

    machines = await moments(work, ready, upload_new)
    assert len(machines) > 5
    # before its first statement the deletion has not begun, and takes the upload too
    for number, machine in list(enumerate(machines))[1 if work is delete else 0 :]:
        await machine.ingest("bbbb")
        check_what_readers_see(machine)
        assert machine.rows("SELECT live_version FROM documents") == ["bbbb"], number
        assert set(machine.vectors) == {f"bbbb-{each}" for each in range(PASSAGES)}, number


async def test_an_equal_upload_is_stored_again_only_if_the_one_before_failed_or_is_deleted() -> None:
    database = (machine := await with_one_upload()).resources.database
    first = await store.find(database, "aaaa")
    assert first
    again = replace(first, id="cccc", created_at="2026-01-03")
    assert (await store.add(database, again)).id == "aaaa"
    await store.set_state(database, "aaaa", "failed", "2026-01-02")
    assert (await store.add(database, again)).id == "cccc"
    await store.mark_deleted(database, "default", "doc")
    anew = replace(first, id="dddd", created_at="2026-01-04")
    assert (await store.add(database, anew)).id == "dddd"
    # that of before is back: the newest version is another one
    other = replace(first, id="eeee", created_at="2026-01-05", fingerprint="other")
    assert (await store.add(database, other)).id == "eeee"
    assert (await store.add(database, replace(anew, id="ffff", created_at="2026-01-06"))).id == "ffff"
    assert machine.rows("SELECT deleted FROM documents") == [0]


# ---- long texts ----------------------------------------------------------------------------------------------------


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 1,000 bytes, two of which are cut in a step."""
    monkeypatch.setattr(ingest, "SEGMENT_BYTES", 1_000)
    monkeypatch.setattr(ingest, "SEGMENTS_A_STEP", 2)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("short_segments")
async def test_a_crash_between_the_segments_of_a_text_loses_and_doubles_nothing() -> None:
    machines = await moments(lambda machine: machine.ingest("bbbb"), with_two_versions)
    assert len(machines) > 40
    for number, machine in list(enumerate(machines))[::3]:
        await machine.ingest("bbbb")
        rows = machine.database.execute("SELECT number, text FROM chunks ORDER BY number").fetchall()
        assert [row["number"] for row in rows] == list(range(PASSAGES)), number
        assert "\n".join(row["text"] for row in rows).split() == document("new").split(), number
        assert set(machine.vectors) == {f"bbbb-{each}" for each in range(PASSAGES)}, number


@pytest.mark.usefixtures("short_segments")
async def test_a_text_with_too_many_passages_fails_before_all_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage_bounds, "MAX_CHUNKS", PASSAGES // 2)
    monkeypatch.setattr(passage_bounds, "BYTES_A_PASSAGE", 1_000_000)  # so that they are not counted before
    monkeypatch.setattr(passage_bounds, "SECTION_MARKS", ())
    monkeypatch.setattr(ingest, "SEGMENTS_A_STEP", 100)  # the step that fails has stored passages
    monkeypatch.setattr(removal, "PASSAGES_A_STATEMENT", 25)
    machine = await with_one_upload()
    await machine.ingest("aaaa")
    steps = [key for key in machine.done if "remove passages" in key]
    assert steps == ["aaaa remove passages 25", "aaaa remove passages 0"]
    assert machine.rows("SELECT state FROM versions") == ["failed"]
    assert machine.rows("SELECT reason FROM versions") == [
        "The document has more than 60 passages; at most 60 are indexed."
    ]
    assert machine.rows("SELECT count(*) FROM chunks") == [0]
    assert machine.vectors == {}


async def test_a_file_that_unfolds_to_too_much_text_fails_before_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "MAX_MARKDOWN_BYTES", 100)
    machine = await with_one_upload()
    await machine.ingest("aaaa")
    [reason] = machine.rows("SELECT reason FROM versions")
    assert "bytes of text; at most 100 are indexed" in reason
    assert not [key for key in machine.files if key.endswith(ingest.MARKDOWN)]


async def test_a_segment_of_many_passages_is_stored_in_several_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "PASSAGES_A_TRANSACTION", 50)
    machine = await with_one_upload()
    stored: list[int] = []
    put_chunks = passage_store.put_chunks

    async def put(*arguments: Any) -> None:
        await put_chunks(*arguments)
        stored.extend(machine.rows("SELECT chunks FROM versions"))

    monkeypatch.setattr(passage_store, "put_chunks", put)
    await machine.ingest("aaaa")
    assert stored == [50, 100, PASSAGES]
    check_what_readers_see(machine)


async def test_passages_are_looked_up_by_number_and_not_by_reading_all_of_a_version() -> None:
    machine = await with_one_upload()
    statements: list[str] = []
    machine.database.set_trace_callback(statements.append)
    await machine.ingest("aaaa")
    await passage_store.passages(machine.resources.database, "default", ["aaaa-1"])
    machine.database.set_trace_callback(None)
    lookups = [each for each in statements if "json_each" in each and "JOIN chunks c" in each]
    assert {each.split()[0] for each in lookups} == {"INSERT", "SELECT"}
    for statement in lookups:
        plan = [row["detail"] for row in machine.database.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert any("SEARCH c" in step and "number=?" in step for step in plan), plan


async def test_others_get_their_turn_while_letters_that_unfold_are_indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = await with_one_upload()
    version = await store.find(machine.resources.database, "aaaa")
    assert version
    turns: list[float] = []

    async def sleep(seconds: float) -> None:
        turns.append(seconds)

    monkeypatch.setattr("aiworker.rag.passage_store.asyncio.sleep", sleep)
    await passage_store.index_chunks(
        machine.resources.database, version, [(number, "", "ﷺ" * 600) for number in range(20)]
    )
    assert len(turns) >= 20
