"""Batches on a machine that crashes, and whose bucket fails."""

import json
from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.jobs import queue
from aiworker.jobs import store as jobs
from aiworker.rag import batch_entries, batch_store, ingest
from aiworker.rag.batch import KIND
from aiworker.rag.batch_store import Batch
from tests.unit.test_ingest import File, Files, Machine, moments

LINES = [
    {"id": "a", "text": "The word is ant."},
    {"id": "b", "text": "The word is bee."},
    {"id": "a", "text": "The word is ape."},
    {"id": "c", "text": " "},
]
BODY = "\n".join(map(json.dumps, LINES))


class Body(File):
    """The body of a batch, as a payload."""

    def find(self, byte: int, start: int) -> int:
        return self.read().find(byte, start)


class Objects(Files):
    async def delete(self, key: str) -> None:
        self._machine.files.pop(key, None)


def a_machine(bucket: type[Objects] = Objects) -> Machine:
    machine = Machine()
    files: Any = bucket(machine)

    object.__setattr__(machine.resources, "bucket", files)
    return machine


async def add(machine: Machine) -> str:
    """Store a batch and its body; return the id of its job, which is not started."""
    body: Any = Body(BODY)
    job = queue.new_id()
    entries = batch_entries.of_lines(body)
    batch = Batch(job, "default", "lines", {}, "caller", "", "ann", len(entries), "2026-01-01T00:00:00.000000+00:00")
    assert await batch_store.add(machine.resources.database, batch, entries, None)
    machine.files[batch_store.body_key(job)] = BODY
    return job


async def states(machine: Machine, job: str) -> list[tuple[int, str]]:
    rows = await batch_store.documents(machine.resources.database, job, "", 0, 100)
    return [(row["number"], row["state"]) for row in rows]


@pytest.mark.timeout(120)
async def test_a_batch_that_is_cut_off_at_any_moment_is_finished() -> None:
    ids: dict[Machine, str] = {}

    async def ready() -> Machine:
        machine = a_machine()
        ids[machine] = await add(machine)
        return machine

    async def work(machine: Machine) -> None:
        await queue.start(machine.resources, KIND, "default", {}, job_id=ids[machine])

    machines = await moments(work, ready)
    assert len(machines) > 30
    for number, machine in enumerate(machines):
        if await jobs.find(machine.resources.database, ids[machine]) is None:  # the request has not been answered
            continue
        for _ in range(2):  # each minute
            await ingest.resume(machine.resources)
        final = await states(machine, ids[machine])
        assert final == [(1, "replaced"), (2, "indexed"), (3, "indexed"), (4, "failed")], number
        assert sorted(machine.rows("SELECT text FROM chunks")) == ["The word is ape.", "The word is bee."], number
        assert set(machine.rows("SELECT subject FROM versions")) == {"ann"}, number
        assert {key.split("/")[0] for key in machine.files} == {"documents"}, number
        assert len({key.split("/")[3] for key in machine.files}) == 2, number


class Vanished(Objects):
    """A bucket that vanishes after the batch is stored."""

    is_there = False

    async def read_part(self, key: str, start: int, length: int) -> tuple[File, int] | None:
        if not self.is_there:
            raise ApiError("upstream_error", "The bucket could not answer.")
        return await super().read_part(key, start, length)


async def test_a_batch_waits_for_a_bucket_that_has_vanished() -> None:
    machine = a_machine(Vanished)
    job = await add(machine)
    await queue.start(machine.resources, KIND, "default", {}, job_id=job)
    waiting = await jobs.find(machine.resources.database, job)
    assert waiting
    assert (waiting.state, waiting.reason) == ("running", "The bucket could not answer.")
    assert [state for _, state in await states(machine, job)] == ["queued"] * 4
    vars(machine.resources.bucket)["is_there"] = True
    await ingest.resume(machine.resources)
    assert [state for _, state in await states(machine, job)] == ["replaced", "indexed", "indexed", "failed"]


async def test_documents_of_an_hour_are_counted() -> None:
    database = a_machine().resources.database
    body: Any = Body(BODY)
    entries = batch_entries.of_lines(body)

    async def is_taken(job: str, caller: str, created: str) -> bool:
        batch = Batch(job, "default", "lines", {}, caller, "", "", len(entries), created)
        return await batch_store.add(database, batch, entries, 8)

    assert await is_taken("1", "a", "2026-01-01T00:00:00.000000+00:00")
    assert await is_taken("2", "a", "2026-01-01T00:30:00.000000+00:00")
    assert not await is_taken("3", "a", "2026-01-01T00:59:59.000000+00:00")
    assert await is_taken("4", "b", "2026-01-01T00:59:59.000000+00:00")
    assert await is_taken("5", "a", "2026-01-01T01:00:01.000000+00:00")
    assert await batch_store.find(database, "3") is None
    assert await batch_store.documents(database, "3", "", 0, 10) == []
