"""The deletion of everything of a tenant or of a user, on a machine that crashes and whose services fail."""

import json
from typing import Any

import pytest

from aiworker import conversation_index
from aiworker.conversation_index import IndexedConversation
from aiworker.conversation_owner import ConversationOwner
from aiworker.conversations import ConversationStore, OwnConversation
from aiworker.errors import ApiError
from aiworker.jobs import erasure
from aiworker.jobs import store as jobs
from aiworker.jobs.store import Job
from aiworker.rag import ingest, removal, store, sync_store
from aiworker.rag.store import Version
from aiworker.rag.sync_store import Source
from tests.unit.stand_ins import FakeConversation
from tests.unit.test_ingest import Files, Machine, moments
from tests.unit.test_live_answers import Chat

OWNERS = (
    ConversationOwner("acme", "anna"), ConversationOwner("acme", "bert"), ConversationOwner("other", "anna"),
    ConversationOwner("acme", ""),
)  # fmt: skip


class Conversations:
    def __init__(self) -> None:
        self.stored: dict[str, FakeConversation] = {}

    def find(self, conversation_id: str) -> FakeConversation:
        return self.stored.setdefault(conversation_id, FakeConversation())


class Images(Files):
    """The bucket with images, two on a page."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self._machine = machine
        self.owners: dict[str, dict[str, str]] = {}
        self.is_failing = False

    async def page(self, prefix: str, cursor: str | None) -> tuple[dict[str, dict[str, str]], str | None]:
        if self.is_failing:
            raise ApiError("upstream_error", "The bucket could not answer.")
        self._machine.calls += 1
        keys = sorted(key for key in self.owners if key > (cursor or ""))
        return {key: self.owners[key] for key in keys[:2]}, keys[1] if len(keys) > 2 else None

    async def delete_all(self, keys: list[str]) -> None:
        await self._machine.touch()
        self._machine.calls += 1
        for key in keys:
            self.owners.pop(key, None)
        await self._machine.touch()


class Deployment(Machine):
    def __init__(self) -> None:
        super().__init__()
        self.talks = Conversations()
        self.images = Images(self)
        object.__setattr__(self.resources, "conversations", self.talks)
        object.__setattr__(self.resources, "bucket", self.images)


async def filled() -> Deployment:
    """A document, a conversation and an image of each owner."""
    deployment = Deployment()
    for number, owner in enumerate(OWNERS):
        assert owner.tenant
        version = Version(
            f"v{number}", owner.tenant, f"d{number}", "queued", None, "Title", None, {}, "text/markdown", 9, "f", 0,
            "2026-01-01", "2026-01-01", subject=owner.subject,
        )  # fmt: skip
        deployment.files[version.folder + ingest.ORIGINAL] = f"# Title\n\nThe word {number}."
        await store.add(deployment.resources.database, version)
        await deployment.ingest(version.id)
        source = Source(
            f"s{number}", owner.tenant, "prefix", "files/", {}, 24, 0, "waiting", None, "2026-01-01", None, None,
            "2026-01-01", subject=owner.subject,
        )  # fmt: skip
        await sync_store.add(deployment.resources.database, source)
        name = owner.prefix + "talk"
        talk = IndexedConversation(deployment.talks.find(name), deployment.resources.database, owner, "talk")
        await talk.append([{"role": "user", "content": "Hello"}])
        image_owner = f"{owner.tenant}/key/{owner.subject}"
        deployment.images.owners[f"images/{number}"] = {"tenant": owner.tenant, "owner": image_owner}
    deployment.images.owners["images/anonymous"] = {"tenant": "acme", "owner": ""}
    return deployment


def remaining(deployment: Deployment) -> dict[str, list[Any]]:
    return {
        "documents": deployment.rows("SELECT id FROM documents ORDER BY id"),
        "sources": deployment.rows("SELECT id FROM sync_sources ORDER BY id"),
        "vectors": sorted(deployment.vectors),
        "folders": sorted(key.split("/")[2] for key in deployment.files),
        "conversations": sorted(name for name, each in deployment.talks.stored.items() if each.messages),
        "rows": deployment.rows("SELECT name FROM conversations ORDER BY name"),
        "images": sorted(deployment.images.owners),
    }


def expected(*numbers: int, images: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    names = sorted(OWNERS[number].prefix + "talk" for number in numbers)
    return {
        "documents": [f"d{number}" for number in numbers],
        "sources": [f"s{number}" for number in numbers],
        "vectors": [f"v{number}-0" for number in numbers],
        "folders": [f"d{number}" for number in numbers],
        "conversations": names,
        "rows": names,
        "images": sorted([f"images/{number}" for number in numbers] + [*images]),
    }


async def erasure_job(deployment: Deployment) -> Job:
    [job_id] = deployment.rows(f"SELECT id FROM jobs WHERE kind = '{erasure.ERASE}'")
    job = await jobs.find(deployment.resources.database, job_id)
    assert job
    return job


async def test_everything_of_a_tenant_is_deleted_and_nothing_of_another() -> None:
    deployment = await filled()
    await erasure.start(deployment.resources, "acme", None)
    assert remaining(deployment) == expected(2)
    job = await erasure_job(deployment)
    # three documents, three conversations, four images; whose they were is forgotten
    assert (job.state, job.done, job.params, job.tenant) == ("done", 10, {}, None)
    assert deployment.rows("SELECT unique_key FROM jobs") == [None]


async def test_everything_of_a_user_is_deleted_and_nothing_of_others() -> None:
    deployment = await filled()
    await erasure.start(deployment.resources, "acme", "anna")
    assert remaining(deployment) == expected(1, 2, 3, images=("images/anonymous",))


async def test_documents_disappear_before_the_job_runs() -> None:
    deployment = await filled()

    async def stopped(job_id: str, instance: int) -> None:
        raise ApiError("upstream_error", "The workflow could not be started.")

    deployment.run_job = stopped  # type: ignore[method-assign]
    with pytest.raises(ApiError):
        await erasure.start(deployment.resources, "acme", None)
    assert await store.page(deployment.resources.database, "acme", "", 10) == []
    del deployment.run_job
    await ingest.resume(deployment.resources)
    assert remaining(deployment) == expected(2)


@pytest.mark.timeout(240)
async def test_a_deletion_that_crashed_at_any_moment_is_finished() -> None:
    machines = await moments(lambda machine: erasure.start(machine.resources, "acme", None), filled)
    assert len(machines) > 30
    for machine in machines:
        assert isinstance(machine, Deployment)
        await ingest.resume(machine.resources)
        if machine.rows("SELECT count(*) FROM jobs WHERE kind = 'erase'") == [0]:  # it had not begun
            await erasure.start(machine.resources, "acme", None)
        assert remaining(machine) == expected(2)


async def test_a_bucket_that_fails_is_the_reason_until_it_is_back() -> None:
    deployment = await filled()
    deployment.images.is_failing = True
    await erasure.start(deployment.resources, "acme", None)
    job = await erasure_job(deployment)
    assert (job.state, job.reason, job.position) == ("running", "The bucket could not answer.", {"phase": "images"})
    deployment.images.is_failing = False
    deployment.done.clear()  # the platform restarts an instance that has ended
    again = await erasure.start(deployment.resources, "acme", None)
    assert again.id == job.id
    assert (await erasure_job(deployment)).state == "done"
    assert remaining(deployment) == expected(2)


async def test_many_things_are_deleted_in_bounded_steps() -> None:
    deployment = Deployment()
    database = deployment.resources.database
    for number in range(120):
        version = Version(
            f"v{number}", "acme", f"d{number}", "failed", None, "Title", None, {}, "text/markdown", 9, "f", 0,
            "2026-01-01", "2026-01-01",
        )  # fmt: skip
        await store.add(database, version)
        await conversation_index.record(database, ConversationOwner("acme"), f"talk{number}")
        deployment.images.owners[f"images/{number:03}"] = {"tenant": "acme"}
    await erasure.start(deployment.resources, "acme", None)
    assert max(deployment.calls_a_step.values()) <= removal.MAX_CALLS + 5
    assert remaining(deployment) == expected()
    assert (await erasure_job(deployment)).done == 360


async def test_admins_own_conversations_are_those_of_the_default_tenant() -> None:
    deployment = Deployment()
    await conversation_index.record(deployment.resources.database, ConversationOwner(None), "talk")
    await erasure.start(deployment.resources, "acme", None)
    assert remaining(deployment)["rows"] == ["talk"]
    await erasure.start(deployment.resources, "default", None)
    assert remaining(deployment)["rows"] == []


async def test_rows_of_expired_conversations_are_deleted() -> None:
    deployment = await filled()
    deployment.database.execute("UPDATE conversations SET updated_at = '2026-01-01' WHERE subject = 'anna'")
    await ingest.resume(deployment.resources)
    assert remaining(deployment)["rows"] == ["acme//talk", "acme/bert/talk"]


async def test_tenants_are_listed_in_pages() -> None:
    deployment = await filled()
    await conversation_index.record(deployment.resources.database, ConversationOwner("zeta"), "talk")
    database = deployment.resources.database
    assert await store.tenants(database, "", 10) == ["acme", "other", "zeta"]
    assert await store.tenants(database, "", 2) == ["acme", "other"]
    assert await store.tenants(database, "other", 2) == ["zeta"]
    assert await store.tenants(database, "zeta", 2) == []


async def test_conversations_are_listed_in_pages_and_stored_responses_are_left_out() -> None:
    database = Deployment().resources.database
    for owner in OWNERS:
        for name in ("a", "b", "response:1", "c"):
            await conversation_index.record(database, owner, name)
    own = [row["id"] for row in await conversation_index.page(database, OWNERS[0], "", 2)]
    assert own == ["a", "b"]
    assert [row["id"] for row in await conversation_index.page(database, OWNERS[0], "b", 2)] == ["c"]
    rows = await conversation_index.page_of_tenant(database, "acme", "", 100)
    assert len(rows) == 9
    assert json.dumps(rows[0])


async def test_a_conversation_has_the_title_of_its_first_question_until_an_item_is_deleted() -> None:
    database, owner, chat = Deployment().resources.database, OWNERS[0], Chat()
    stored = OwnConversation(ConversationStore(chat.storage, chat.deadlines, 1), replaces_last=False)
    talk = IndexedConversation(stored, database, owner, "talk")

    async def title() -> str | None:
        [row] = await conversation_index.page(database, owner, "", 2)
        return conversation_index.as_json(row)["title"]

    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    await talk.append([{"role": "user", "content": [image]}, {"role": "assistant", "content": "A fox"}])
    assert await title() is None
    question = [image, {"type": "text", "text": None}, {"type": "text", "text": "  What\n is it? " + "Tell me. " * 20}]
    await talk.append([{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}])
    first = await title()
    assert first
    assert first.startswith("What is it? Tell me. Tell me.")
    assert (len(first), first[-1]) == (conversation_index.MAX_TITLE, "…")
    await talk.append([{"role": "user", "content": "And now?"}])
    assert await title() == first
    assert await talk.delete_item(2, 1)
    assert await title() is None
    await talk.append([{"role": "user", "content": "Once more"}])
    assert await title() == "Once more"
