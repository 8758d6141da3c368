"""Documents that are indexed again: once at a time, and only while they are there."""

from dataclasses import replace

import pytest

from aiworker.bindings import require
from aiworker.errors import ApiError
from aiworker.rag import store
from aiworker.rag.search_text import NORMALIZATION
from aiworker.routes.document_reindex import reindex_document
from aiworker.routes.documents_schema import TenantQuery
from aiworker.settings import Settings
from tests.unit.stand_ins import FakeRequest, a_context
from tests.unit.test_ingest import Machine
from tests.unit.test_reindex import found, of_version_0_1

ID = "doc"


class Started:
    """Ingestions that are started, and never run."""

    def __init__(self) -> None:
        self.versions: list[str] = []

    async def start(self, version_id: str, *, is_embedded: bool = False) -> None:
        self.versions.append(version_id)

    async def wake(self, version_id: str) -> None:
        self.versions.append(version_id)


async def with_one_version() -> Machine:
    machine = Machine()
    await machine.upload("aaaa", "# A\n\nA penguin.", "2026-01-01")
    await machine.ingest("aaaa")
    return machine


async def reindex(machine: Machine, started: Started) -> int:
    context = replace(
        a_context(FakeRequest("POST", "/"), Settings.read({"AUTH_MODE": "public"}), None),
        database=machine.resources.database,
        bucket=require(machine.resources.bucket),
        ingestions=started,  # pyright: ignore[reportArgumentType] - as much of it as is used
    )
    return (await reindex_document(context, ID, TenantQuery())).status


async def test_requests_at_the_same_time_start_one_ingestion() -> None:
    machine, started = await with_one_version(), Started()
    original = await store.find(machine.resources.database, "aaaa")
    assert original
    # as if both had read the newest version before either has added one
    first, second = (replace(original, id=each, state="queued", created_at="2026-01-02") for each in ("bbbb", "cccc"))
    assert await store.add_again(machine.resources.database, first)
    assert not await store.add_again(machine.resources.database, second)
    assert machine.rows("SELECT id FROM versions ORDER BY id") == ["aaaa", "bbbb"]
    assert await reindex(machine, started) == 202
    assert started.versions == []


async def test_a_document_that_is_deleted_meanwhile_does_not_come_back() -> None:
    machine = await with_one_version()
    original = await store.find(machine.resources.database, "aaaa")
    assert original
    await store.mark_deleted(machine.resources.database, "default", ID)
    again = replace(original, id="bbbb", state="queued", created_at="2026-01-02")
    assert not await store.add_again(machine.resources.database, again)
    assert machine.rows("SELECT deleted FROM documents") == [1]


async def test_the_version_before_is_found_until_the_new_one_is_indexed() -> None:
    machine, started = await with_one_version(), Started()
    assert await reindex(machine, started) == 202
    assert machine.rows("SELECT live_version FROM documents") == ["aaaa"]
    [version_id] = started.versions
    await machine.ingest(version_id)
    assert machine.rows("SELECT live_version FROM documents") == [version_id]
    assert machine.rows("SELECT id FROM versions") == [version_id]
    assert {key.split("/")[3] for key in machine.files} == {version_id}
    assert machine.rows("SELECT DISTINCT version FROM chunks") == [version_id]


async def test_a_document_without_its_file_cannot_be_indexed_again() -> None:
    machine, started = await with_one_version(), Started()
    machine.files.clear()
    with pytest.raises(ApiError) as caught:
        await reindex(machine, started)
    assert caught.value.type == "not_found"
    assert machine.rows("SELECT id FROM versions") == ["aaaa"]


async def test_a_document_of_the_first_version_is_indexed_again_from_its_file() -> None:
    machine, started = await of_version_0_1({ID: "A penguin."}), Started()
    machine.files[f"documents/default/{ID}/v{ID}/original"] = "# Birds\n\nA penguin."
    assert await reindex(machine, started) == 202
    assert await found(machine, "penguin") == [ID]
    [version_id] = started.versions
    await machine.ingest(version_id)
    assert await found(machine, "penguin") == [ID]
    assert machine.rows("SELECT id FROM versions") == machine.rows("SELECT live_version FROM documents") == [version_id]
    assert machine.rows("SELECT heading FROM chunks") == ["Birds"]
    assert machine.rows("SELECT normalization FROM versions") == [NORMALIZATION]
    assert None not in machine.rows("SELECT first_byte FROM chunks")
    assert {key.split("/")[3] for key in machine.files} == {version_id}
    assert await reindex(machine, started) == 202
    assert len(started.versions) == 2
