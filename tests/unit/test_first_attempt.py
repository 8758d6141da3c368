"""The first attempt at a small text, behind the response to its upload: nothing depends on its success."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from aiworker.auth.budget import WORKER
from aiworker.clock import ago, now
from aiworker.errors import ApiError
from aiworker.rag import first_attempt, ingest, passage_store, store
from aiworker.rag.engine import OwnEngine
from aiworker.rag.store import Version
from tests.unit.test_document_reindex import Started
from tests.unit.test_ingest import File, Machine, moments
from tests.unit.test_ingestion_cost import PRICE, PaidMachine

if TYPE_CHECKING:
    from collections.abc import Coroutine

OLD, NEW = "# Penguins\n\nAn old penguin.", "# Penguins\n\nA new penguin.\n\n# More\n\nAnd another one."


@pytest.fixture(autouse=True)
def vectors_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for the vectors without waiting."""
    monkeypatch.setattr(first_attempt, "FIRST_CHECK", 0)


def a_version(version_id: str, text: str, created: str, **fields: Any) -> Version:
    version = Version(
        version_id, "default", "doc", "queued", None, "Title", None, {}, "text/markdown", len(text), text, 0, created,
        created,
    )  # fmt: skip
    return replace(version, **fields)


async def attempt(machine: Machine) -> None:
    version = await store.find(machine.resources.database, "bbbb")
    if version:
        await first_attempt.attempt(machine.resources, version, NEW)


async def with_an_upload() -> Machine:
    """The document's old version is live, and the new one is stored."""
    machine = Machine()
    for version_id, text, created in (("aaaa", OLD, "2026-01-01"), ("bbbb", NEW, "2026-01-02")):
        await add(machine, a_version(version_id, text, created), text)
        if version_id == "aaaa":
            await machine.ingest(version_id)
    return machine


async def add(machine: Machine, version: Version, text: str) -> None:
    machine.files[version.folder + ingest.ORIGINAL] = text
    await store.add(machine.resources.database, version)


def check_whole(machine: Machine) -> None:
    """Readers see one version, whole."""
    [live] = machine.rows("SELECT live_version FROM documents")
    [count] = machine.rows(
        f"SELECT count(*) FROM chunks c JOIN passage_words w ON w.rowid = c.row WHERE version = '{live}'"
    )
    assert count == {"aaaa": 1, "bbbb": 2}[live]
    assert {f"{live}-{number}" for number in range(count)} <= set(machine.vectors)


def check_indexed(machine: Machine) -> None:
    check_whole(machine)
    assert machine.rows("SELECT id FROM versions WHERE state = 'indexed'") == ["bbbb"]
    assert machine.rows("SELECT count(*) FROM versions") == [1]
    assert set(machine.vectors) == {"bbbb-0", "bbbb-1"}
    assert {key.split("/")[3] for key in machine.files} == {"bbbb"}


async def test_a_small_text_is_ingested_without_a_workflow() -> None:
    machine, started = await with_an_upload(), Started()
    object.__setattr__(machine.resources, "ingestions", started)
    await attempt(machine)
    check_indexed(machine)
    assert started.versions == []


async def test_a_small_text_is_not_read_again_from_where_it_was_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = await with_an_upload()
    for method in ("payload", "read_part"):
        monkeypatch.setattr(machine.resources.bucket, method, fail)
    monkeypatch.setattr(passage_store, "chunks", fail)
    before = machine.calls
    await attempt(machine)
    check_indexed(machine)
    # read the version (this test does), store passages, look for the vectors, publish; five remove the version before
    assert machine.calls - before == 9


class Latin1(File):
    """A file in another encoding than UTF-8."""

    async def is_utf8(self) -> bool:
        return False

    async def transcode(self, encoding: str, *, with_mark: bool = False) -> File | None:
        return File(self.read().decode("latin-1")) if encoding == "windows-1252" else None

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return super().read().decode().encode("latin-1")[start:end]

    def find(self, byte: int, start: int) -> int:
        return self.read().find(byte, start)


async def test_a_file_in_another_encoding_is_indexed_and_kept_as_utf8() -> None:
    machine = await with_an_upload()
    version = await store.find(machine.resources.database, "bbbb")
    assert version
    file: Any = Latin1("# Pinguine\n\nEin schöner Pinguin.")
    await first_attempt.attempt(machine.resources, version, file)
    assert machine.rows("SELECT text FROM chunks WHERE version = 'bbbb'") == ["# Pinguine\n\nEin schöner Pinguin."]
    assert machine.files[version.folder + ingest.MARKDOWN] == "# Pinguine\n\nEin schöner Pinguin."


@pytest.mark.parametrize("content", ["\ufeff# Penguins", " \n", Latin1("ö" * ingest.SEGMENT_BYTES)])
async def test_a_text_that_is_no_utf8_or_has_no_words_is_left_to_a_workflow(content: Any) -> None:
    machine, started = await with_an_upload(), Started()
    object.__setattr__(machine.resources, "ingestions", started)
    version = await store.find(machine.resources.database, "bbbb")
    assert version
    await first_attempt.attempt(machine.resources, version, content)
    assert started.versions == ["bbbb"]
    check_whole(machine)


@pytest.mark.timeout(120)
async def test_after_a_crash_at_any_moment_a_workflow_does_the_rest() -> None:
    machines = await moments(attempt, with_an_upload)
    assert len(machines) > 12
    for machine in machines:
        check_whole(machine)
        await ingest.resume(machine.resources)
        check_indexed(machine)


@pytest.mark.timeout(120)
async def test_a_workflow_at_any_moment_beside_it_does_no_harm() -> None:
    for machine in await moments(attempt, with_an_upload, lambda machine: machine.ingest("bbbb")):
        check_indexed(machine)


async def delete(machine: Machine) -> None:
    assert await store.mark_deleted(machine.resources.database, "default", "doc")


@pytest.mark.timeout(120)
async def test_a_deletion_amidst_it_leaves_nothing() -> None:
    for machine in await moments(attempt, with_an_upload, delete):
        await ingest.resume(machine.resources)
        assert machine.rows("SELECT count(*) FROM documents") == [0]
        assert machine.rows("SELECT count(*) FROM chunks") == [0]
        assert (machine.vectors, machine.files) == ({}, {})


async def fail(*_: Any, **_more: Any) -> Any:
    raise ApiError("upstream_error", "It fails.")


@pytest.mark.parametrize(
    ("binding", "method", "is_embedded"),
    [("database", "run", False), ("ai", "run", False), ("vectors", "upsert", False), ("vectors", "present", True)],
)
async def test_an_attempt_that_fails_is_left_to_a_workflow(
    monkeypatch: pytest.MonkeyPatch,
    binding: str,
    method: str,
    is_embedded: bool,
) -> None:
    machine = await with_an_upload()
    started: list[tuple[str, bool]] = []

    async def start(version_id: str, *, is_embedded: bool = False) -> None:
        started.append((version_id, is_embedded))

    monkeypatch.setattr(machine.resources.ingestions, "start", start)
    with monkeypatch.context() as broken:
        broken.setattr(getattr(machine.resources, binding), method, fail)
        await attempt(machine)
    assert started == [("bbbb", is_embedded)]
    check_whole(machine)
    await machine.ingest("bbbb", is_embedded=is_embedded)
    check_indexed(machine)


async def test_a_workflow_that_fails_keeps_what_an_attempt_has_published(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = await with_an_upload()

    async def published_meanwhile(*_: Any) -> Any:
        broken.undo()
        await attempt(machine)
        raise ApiError("invalid_request", "It fails for good.")

    with monkeypatch.context() as broken:
        broken.setattr(machine.resources.ai, "run", published_meanwhile)
        await machine.ingest("bbbb")
    check_indexed(machine)


async def test_vectors_that_are_late_are_paid_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = PaidMachine(1e6, 10**6)
    await add(machine, a_version("bbbb", NEW, "2026-01-02", payer="site"), NEW)
    monkeypatch.setattr(first_attempt, "VECTOR_CHECKS", 1)
    present = machine.resources.vectors.present

    async def late(ids: Any) -> set[str]:
        monkeypatch.setattr(machine.resources.vectors, "present", present)
        return set()

    monkeypatch.setattr(machine.resources.vectors, "present", late)
    await attempt(machine)
    assert machine.version["state"] == "indexed"
    assert machine.budgets.spent("site") == pytest.approx(machine.model.tokens * PRICE, abs=1e-5)
    assert machine.budgets.spent("site") == pytest.approx(machine.budgets.spent(WORKER), abs=1e-5)


# ---- which uploads it is for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "uploaded", "begins"),
    [
        (None, {}, "attempt"),
        (None, {"media_type": "text/html"}, "workflow"),
        (None, {"media_type": "application/pdf"}, "workflow"),
        (None, {"size": ingest.SMALL_TEXT_BYTES + 1}, "workflow"),
        ({}, {}, "nothing"),
        ({"created_at": ago(2 * ingest.ABANDONED)}, {}, "workflow"),
        ({"media_type": "text/html"}, {"media_type": "text/html"}, "workflow"),
    ],
)
async def test_each_upload_begins_once(before: dict[str, Any] | None, uploaded: dict[str, Any], begins: str) -> None:
    """before: what an equal upload before it differs in; None for none."""
    machine, started = Machine(), Started()
    object.__setattr__(machine.resources, "ingestions", started)
    if before is not None:
        await add(machine, a_version("aaaa", NEW, now(), **before), NEW)
    attempts: list[Coroutine[Any, Any, None]] = []
    stored = await OwnEngine(machine.resources).add(a_version("bbbb", NEW, now(), **uploaded), NEW, attempts.append)
    assert stored.id == ("bbbb" if before is None else "aaaa")
    for each in attempts:
        await each
    assert (len(attempts), started.versions) == {
        "attempt": (1, []), "workflow": (0, [stored.id]), "nothing": (0, []),
    }[begins]  # fmt: skip


async def test_an_upload_of_a_job_begins_with_a_workflow() -> None:
    machine, started = Machine(), Started()
    object.__setattr__(machine.resources, "ingestions", started)
    await OwnEngine(machine.resources).add(a_version("bbbb", NEW, now()), NEW)
    assert started.versions == ["bbbb"]


async def test_small_texts_are_taken_up_after_a_minute_and_others_after_a_quarter_of_an_hour() -> None:
    machine, started = Machine(), Started()
    object.__setattr__(machine.resources, "ingestions", started)
    for name, created, size in (
        ("new", now(), 1),
        ("cut", ago(2 * ingest.ABANDONED), 1),
        ("big", ago(2 * ingest.ABANDONED), 10**6),
    ):
        await add(machine, a_version(name, name, created, document_id=name, size=size), name)
    await ingest.resume(machine.resources, is_restarted=False)
    assert started.versions == ["cut"]
