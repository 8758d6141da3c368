"""The deletion of everything that belongs to a tenant, or to one user of it.

Documents with their sources, conversations, images.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiworker import conversation_index
from aiworker.auth.access import DEFAULT_TENANT
from aiworker.context import Resources
from aiworker.jobs import queue
from aiworker.jobs.store import Job, Progress
from aiworker.rag import removal, store, sync_store
from aiworker.rag.ai_search.engine import AiSearchEngine

ERASE = "erase"
"""Kind of the job."""
CONVERSATIONS_A_STEP = 50
"""Conversations that one step erases, each with a call."""
ITEMS_A_STEP = 20
"""Documents in AI Search that one step deletes, each with some calls."""
PAGES_A_STEP = 20
"""Pages of up to 1,000 images that one step looks through, with two calls for each."""


async def start(resources: Resources, tenant: str, subject: str | None) -> Job:
    """Hide the documents and delete their sources at once, and start the job that deletes everything.

    Data stored while the job runs may stay. A second request restarts an unfinished job.
    """
    await _hide_documents(resources, tenant, subject)
    key = f"{ERASE} {tenant} {'' if subject is None else subject}"
    return await queue.start(resources, ERASE, None, {"tenant": tenant, "subject": subject}, key)


async def _hide_documents(resources: Resources, tenant: str, subject: str | None) -> None:
    """Hide documents, and delete the sources from which they would be indexed again."""
    await sync_store.delete_all(resources.database, tenant, subject)
    await store.mark_all_deleted(resources.database, tenant, subject)


async def erase(resources: Resources, job: Job) -> Progress:
    """Delete the next part: documents first, then conversations, then images."""
    position: dict[str, Any] = job.position or {"phase": "documents"}
    phase: str = position["phase"]
    deleted, cursor = await PHASES[phase](resources, job.params, position.get("cursor"))
    names = list(PHASES)
    is_last = phase == names[-1]
    if cursor is None:
        position = {} if is_last else {"phase": names[names.index(phase) + 1]}
    else:
        position = {"phase": phase, "cursor": cursor}
    return Progress(is_last and cursor is None, position, done=job.done + deleted)


async def _documents(resources: Resources, params: Mapping[str, Any], cursor: Any) -> tuple[int, Any]:
    if resources.settings.rag_engine == "ai-search":
        return await _items(resources, params)
    if cursor is None:
        await _hide_documents(resources, params["tenant"], params["subject"])
    versions = await store.deleted_versions(resources.database, params["tenant"], removal.MAX_CALLS)
    removed = await removal.remove(resources, versions, removal.MAX_CALLS)
    if not versions:
        await store.delete_empty_documents(resources.database)
    return removed, "marked" if versions else None


async def _items(resources: Resources, params: Mapping[str, Any]) -> tuple[int, Any]:
    """Delete some documents of a tenant in AI Search, where documents have no user."""
    engine = AiSearchEngine(resources)
    versions = [] if params["subject"] is not None else await engine.page(params["tenant"], "", ITEMS_A_STEP)
    for version in versions:
        await engine.delete(version.tenant, version.document_id)
    return len(versions), "more" if versions else None


async def _conversations(resources: Resources, params: Mapping[str, Any], _cursor: Any) -> tuple[int, Any]:
    # an admin's own conversations have no tenant; their documents without one are those of the default tenant
    tenants = [params["tenant"], ""] if params["tenant"] == DEFAULT_TENANT else [params["tenant"]]
    names = await conversation_index.names(resources.database, tenants, params["subject"], CONVERSATIONS_A_STEP)
    for name in names:
        await resources.conversations.find(name).erase()
    if names:
        await conversation_index.delete(resources.database, names)
    return len(names), "more" if names else None


async def _images(resources: Resources, params: Mapping[str, Any], cursor: Any) -> tuple[int, Any]:
    deleted = 0
    for _ in range(PAGES_A_STEP):
        objects, cursor = await resources.bucket.page("images/", cursor)
        keys = [key for key, metadata in objects.items() if _is_of(metadata, params["tenant"], params["subject"])]
        if keys:
            await resources.bucket.delete_all(keys)
        deleted += len(keys)
        if cursor is None:
            break
    return deleted, cursor


def _is_of(metadata: Mapping[str, str], tenant: str, subject: str | None) -> bool:
    """Tell whether an image belongs to the tenant, or to the tenant's user."""
    owner_tenant, _, key_and_subject = metadata.get("owner", "").partition("/")
    is_of_tenant = tenant in (metadata.get("tenant"), owner_tenant)
    return is_of_tenant and (subject is None or key_and_subject.partition("/")[2] == subject)


PHASES: Mapping[str, Callable[[Resources, Mapping[str, Any], Any], Awaitable[tuple[int, Any]]]] = {
    "documents": _documents,
    "conversations": _conversations,
    "images": _images,
}
"""Part of the job → deletes some of it from the cursor on; returns the number of deleted things and the next cursor,
None if nothing is left."""
