"""Jobs on a machine that crashes, and the removal of large documents in bounded steps."""

import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.jobs import kinds, queue, runner, store
from aiworker.jobs.kinds import Kind
from aiworker.jobs.store import Job, Progress
from aiworker.rag import ingest, passage_store, removal
from aiworker.rag import store as documents
from aiworker.rag.steps import NonRetryableError
from aiworker.rag.store import Version
from aiworker.routes.jobs import read_job
from tests.unit.test_ingest import PASSAGES, Machine, check_what_readers_see, document, moments, with_one_version

COUNT = 5
"""Steps of the kind `count`."""


async def count_step(resources: Any, job: Job) -> Progress:
    """Write a file a step."""
    number = job.position or 0
    await resources.bucket.put(f"{job.params['folder']}/{number}", "text", "text/plain", {})
    return Progress(number + 1 == COUNT, number + 1, total=COUNT, done=number + 1)


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def add(step: Callable[[Any, Job], Awaitable[Progress]], *, is_resumed: bool = False) -> None:
        monkeypatch.setattr(kinds, "KINDS", {"count": Kind(step, is_resumed), **kinds.KINDS})
        monkeypatch.setattr(runner, "KINDS", kinds.KINDS)

    return add


async def start(machine: Machine, key: str | None = None) -> Job:
    return await queue.start(machine.resources, "count", "acme", {"folder": "f"}, key)


async def job(machine: Machine) -> Job:
    [job_id] = machine.rows("SELECT id FROM jobs")
    stored = await store.find(machine.resources.database, job_id)
    assert stored
    return stored


@pytest.mark.timeout(120)
async def test_a_job_goes_on_after_a_crash_at_any_moment(kind: Callable[..., None]) -> None:
    kind(count_step)

    async def ready() -> Machine:
        return Machine()

    machines = await moments(start, ready)
    assert len(machines) > 25
    for machine in machines:
        await ingest.resume(machine.resources)
        if machine.rows("SELECT id FROM jobs"):
            ended = await job(machine)
            assert (ended.state, ended.total, ended.done, ended.params) == ("done", COUNT, COUNT, {})
            assert sorted(machine.files) == [f"f/{number}" for number in range(COUNT)]


async def test_a_job_of_many_steps_needs_several_instances(
    kind: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind(count_step)
    monkeypatch.setattr(runner, "MAX_STEPS", 2)
    machine = Machine()
    await start(machine)
    ended = await job(machine)
    assert (ended.state, ended.instance, ended.done) == ("done", 2, COUNT)


async def test_a_job_that_no_retry_can_mend_has_failed(kind: Callable[..., None]) -> None:
    async def step(resources: Any, job: Job) -> Progress:
        raise NonRetryableError("There is nothing to count.")

    kind(step, is_resumed=True)
    machine = Machine()
    await start(machine, "count")
    await ingest.resume(machine.resources)
    ended = await job(machine)
    assert (ended.state, ended.reason, ended.params) == ("failed", "There is nothing to count.", {})
    assert machine.rows("SELECT unique_key FROM jobs") == [None]


@pytest.mark.parametrize("is_resumed", [True, False])
async def test_a_service_that_fails_is_the_reason_until_it_is_back(kind: Callable[..., None], is_resumed: bool) -> None:
    failing = True

    async def step(resources: Any, job: Job) -> Progress:
        if failing:
            raise ApiError("upstream_error", "The bucket could not answer.")
        return await count_step(resources, job)

    kind(step, is_resumed=is_resumed)
    machine = Machine()
    await start(machine)
    stopped = await job(machine)
    assert (stopped.state, stopped.reason) == ("running" if is_resumed else "failed", "The bucket could not answer.")
    failing = False
    machine.done.clear()  # the platform restarts an instance that has ended
    await ingest.resume(machine.resources)
    ended = await job(machine)
    assert (ended.state, ended.reason) == (("done", None) if is_resumed else ("failed", stopped.reason))


async def test_a_request_for_the_same_work_joins_the_job_and_begins_it_anew(kind: Callable[..., None]) -> None:
    second: list[Job] = []

    async def step(resources: Any, job: Job) -> Progress:
        if job.position == 3 and not second:
            second.append(await store.add(resources.database, "other", "count", "acme", {}, "count", job.updated_at))
        return await count_step(resources, job)

    kind(step)
    machine = Machine()
    await start(machine, "count")
    ended = await job(machine)
    assert second[0].id == ended.id
    assert (ended.state, ended.requests, ended.done) == ("done", 2, COUNT)
    steps = [key for key in machine.done if "step" in key]
    assert len(steps) == 4 + COUNT  # of the fourth, the result was dropped
    await start(machine, "count")  # the key is free again
    assert machine.rows("SELECT count(*) FROM jobs") == [2]


async def test_rows_of_jobs_that_ended_long_ago_are_deleted(kind: Callable[..., None]) -> None:
    kind(count_step)
    machine = Machine()
    await start(machine)
    await ingest.resume(machine.resources)
    assert machine.rows("SELECT state FROM jobs") == ["done"]
    machine.database.execute("UPDATE jobs SET updated_at = '2026-01-01'")
    await ingest.resume(machine.resources)
    assert machine.rows("SELECT state FROM jobs") == []


# ---- removal of large documents --------------------------------------------------------------------------------------

LARGE = 20_000


def add_large(machine: Machine, version_id: str, document_id: str, passages: int = LARGE) -> Version:
    """Store a published version with passages and vectors."""
    version = Version(
        version_id, "default", document_id, "indexed", None, "Title", None, {}, "text/html", 9, version_id, passages,
        "2026-01-01", "2026-01-01",
    )  # fmt: skip
    machine.database.execute(
        "INSERT INTO chunks (version, number, scope, heading, text) "
        "SELECT ?1, value, ?2, '', 'A word.' FROM json_each(?3)",
        (version_id, passage_store.scope("default"), json.dumps(list(range(passages)))),
    )
    record: Any = None
    machine.vectors |= {version.vector_id(number): record for number in range(passages)}
    machine.files[f"{version.folder}{ingest.ORIGINAL}"] = "text"
    return version


async def with_large(count: int = 1, passages: int = LARGE) -> Machine:
    machine = Machine()
    for number in range(count):
        version = add_large(machine, f"v{number}", f"d{number}", passages)
        await documents.add(machine.resources.database, version)
        await documents.publish(machine.resources.database, version, "2026-01-01")
    return machine


def check_that_nothing_is_left(machine: Machine) -> None:
    for table in ("documents", "versions", "chunks", "passage_words"):
        assert machine.rows(f"SELECT count(*) FROM {table}") == [0], table
    assert (machine.vectors, machine.files) == ({}, {})


def check_bounds(machine: Machine) -> None:
    assert max(machine.calls_a_step.values()) <= removal.MAX_CALLS + 5, machine.calls_a_step


async def test_a_large_document_is_deleted_in_bounded_steps() -> None:
    machine = await with_large()
    started: list[int] = []
    run_job = machine.run_job

    async def record(job_id: str, instance: int) -> None:
        started.append(machine.calls)
        await run_job(job_id, instance)

    machine.run_job = record  # type: ignore[method-assign]
    machine.calls = 0
    assert await removal.delete_document(machine.resources, "default", "d0")
    [request_calls] = started
    assert request_calls <= removal.MAX_CALLS_A_REQUEST + 5
    check_bounds(machine)
    assert sum(machine.calls_a_step.values()) > 200  # Vectorize deletes 100 vectors a call
    check_that_nothing_is_left(machine)
    assert machine.rows("SELECT state FROM jobs") == ["done"]


async def test_a_small_document_is_deleted_within_the_request() -> None:
    machine = await with_large(passages=1_000)
    machine.calls = 0
    assert await removal.delete_document(machine.resources, "default", "d0")
    assert machine.calls <= removal.MAX_CALLS_A_REQUEST
    assert machine.rows("SELECT count(*) FROM jobs") == [0]
    check_that_nothing_is_left(machine)


async def test_many_small_documents_are_removed_in_bounded_steps() -> None:
    machine = await with_large(50, passages=3)
    machine.database.execute("UPDATE documents SET deleted = 1, live_version = NULL")
    await ingest.resume(machine.resources)
    check_bounds(machine)
    check_that_nothing_is_left(machine)


async def test_a_large_version_is_replaced_in_bounded_steps() -> None:
    machine = await with_large()
    machine.files["documents/default/d0/new/original"] = "# New\n\nThe new word."
    version = Version(
        "new", "default", "d0", "queued", None, "Title", None, {}, "text/markdown", 9, "new", 0, "2026-01-02",
        "2026-01-02",
    )  # fmt: skip
    await documents.add(machine.resources.database, version)
    await machine.ingest("new")
    check_bounds(machine)
    assert machine.rows("SELECT id FROM versions") == ["new"]
    assert list(machine.vectors) == ["new-0"]


async def test_a_large_version_that_fails_is_removed_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PASSAGES_A_STATEMENT", 50)
    machine = Machine()
    await machine.upload("aaaa", document("word"), "2026-01-01")
    left: list[int] = []
    delete_chunks = passage_store.delete_chunks

    async def delete(*arguments: Any) -> None:
        await delete_chunks(*arguments)
        left.extend(machine.rows("SELECT count(*) FROM chunks"))

    monkeypatch.setattr(passage_store, "delete_chunks", delete)

    async def fail(*_: Any) -> None:
        raise NonRetryableError("No vectors today.")

    monkeypatch.setattr(ingest, "wait_for_vectors", fail)
    await machine.ingest("aaaa")
    assert machine.rows("SELECT state FROM versions") == ["failed"]
    assert machine.vectors == {}
    assert left == list(reversed(range(0, PASSAGES, 50)))
    steps = [key for key in machine.done if "remove passages" in key]
    assert steps == [f"aaaa remove passages {start}" for start in reversed(range(0, PASSAGES, 50))]
    assert all(machine.calls_a_step[key] == 2 for key in steps)


@pytest.mark.timeout(120)
async def test_a_deletion_of_a_document_too_large_for_a_request_is_finished_after_a_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(removal, "VECTORS_A_CALL", 10)
    monkeypatch.setattr(removal, "PASSAGES_A_STATEMENT", 20)
    monkeypatch.setattr(removal, "MAX_CALLS_A_REQUEST", 6)
    monkeypatch.setattr(removal, "MAX_CALLS", 12)
    machines = await moments(
        lambda machine: removal.delete_document(machine.resources, "default", "doc"), with_one_version
    )
    assert len(machines) > 40
    for machine in machines:
        await ingest.resume(machine.resources)
        if machine.rows("SELECT id FROM documents"):  # it had not begun
            check_what_readers_see(machine)
        else:
            check_that_nothing_is_left(machine)
            assert set(machine.rows("SELECT state FROM jobs")) <= {"done"}


async def test_a_document_whose_vectors_cannot_be_removed_now_is_deleted_and_removed_later() -> None:
    machine = await with_large(passages=10)
    delete = machine.resources.vectors.delete
    vectors: Any = machine.resources.vectors

    async def fail(ids: Any) -> None:
        raise ApiError("upstream_error", "Vectorize could not answer.")

    vectors.delete = fail
    assert await removal.delete_document(machine.resources, "default", "d0")
    assert await documents.versions_of(machine.resources.database, "default", "d0") == []
    stopped = await job(machine)
    assert (stopped.state, stopped.reason) == ("running", "Vectorize could not answer.")
    vectors.delete = delete
    machine.done.clear()
    await ingest.resume(machine.resources)
    check_that_nothing_is_left(machine)
    assert set(machine.rows("SELECT state FROM jobs")) == {"done"}


async def test_a_job_is_read_by_its_tenant_and_by_callers_of_all_tenants(kind: Callable[..., None]) -> None:
    kind(count_step)
    machine = Machine()
    started = await start(machine)

    def context(tenant: str | None) -> Any:
        return SimpleNamespace(database=machine.resources.database, caller=SimpleNamespace(tenant=tenant))

    for tenant in ("acme", None):
        assert (await read_job(context(tenant), started.id)).status == 200
    for tenant in ("other", "default", "Acme", ""):
        with pytest.raises(ApiError, match=f"There is no job {started.id}"):
            await read_job(context(tenant), started.id)
