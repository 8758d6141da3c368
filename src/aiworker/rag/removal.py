"""Removal of versions, with their vectors, files and rows, a bounded number of binding calls at a time.

What is to be removed is marked in the database: documents as deleted, versions as replaced. Readers no longer see it.
A version loses its last passages first, and its row last, so that the next removal can continue an interrupted one.
"""

import contextlib
import datetime
from collections.abc import Sequence

from aiworker.clock import ago
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.jobs import queue
from aiworker.rag import passage_store, store
from aiworker.rag.store import Version

PURGE = "purge"
"""Kind of the job that removes what is marked, and its unique key."""
MAX_CALLS = 60
"""Calls of bindings by which one step of a workflow removes data."""
MAX_CALLS_A_REQUEST = 20
"""Calls of bindings by which one request removes data: a document of up to 1,000 passages is removed at once."""
VECTORS_A_CALL = 100
"""Vectors that one call of Vectorize deletes."""
PASSAGES_A_STATEMENT = 1_000
"""Passages that one statement deletes, with their words in both indexes."""
CALLS_A_VERSION = 6
"""Calls for a version of up to 100 passages: one of Vectorize, two of the bucket, and three of the database."""
STALE = datetime.timedelta(minutes=15)
"""Time without progress after which work counts as interrupted."""


async def delete_document(resources: Resources, tenant: str, document_id: str) -> bool:
    """Hide a document from readers at once and remove it; return False if there is no such document.

    What does not fit into MAX_CALLS_A_REQUEST, or fails, is left to a job.
    """
    if not await store.mark_deleted(resources.database, tenant, document_id):
        return False
    is_removed = False
    with contextlib.suppress(ApiError):
        versions = await store.versions_of_deleted(resources.database, tenant, document_id)
        is_removed = bool(versions) and await remove(resources, versions, MAX_CALLS_A_REQUEST) == len(versions)
    if not is_removed:
        with contextlib.suppress(ApiError):  # resume() starts the job if this cannot
            await start_purge(resources)
    return True


async def start_purge(resources: Resources) -> None:
    """Start the job that removes whatever is marked."""
    await queue.start(resources, PURGE, None, {}, PURGE)


async def purge(resources: Resources) -> tuple[int, bool]:
    """Remove some of what is marked; return the number of removed versions, and True if nothing is left."""
    limit = MAX_CALLS // CALLS_A_VERSION
    versions = await store.marked_versions(resources.database, interrupted_before(resources), limit)
    removed = await remove(resources, versions, MAX_CALLS)
    if not versions:
        await store.delete_empty_documents(resources.database)
    return removed, not versions


async def remove(resources: Resources, versions: Sequence[Version], calls: int) -> int:
    """Remove versions, with about `calls` calls of bindings; return the number of versions that are gone."""
    for number, version in enumerate(versions):
        if calls < CALLS_A_VERSION:
            return number
        calls, is_removed = await _remove_version(resources, version, calls)
        if not is_removed:
            return number
    return len(versions)


async def _remove_version(resources: Resources, version: Version, calls: int) -> tuple[int, bool]:
    """Remove a version, or as much of it as the calls allow; return the calls that are left, and True if it is gone."""
    end = version.chunks
    while end > 0:
        count = min(PASSAGES_A_STATEMENT, end, (calls - CALLS_A_VERSION + 1) * VECTORS_A_CALL)
        if count <= 0:
            return calls, False
        await remove_passages(resources, version.id, end - count, end)
        end -= count
        calls -= -(-count // VECTORS_A_CALL) + 1
    has_more = await resources.bucket.delete_folder(version.folder)
    if has_more:
        return calls - 2, False
    await store.delete_version(resources.database, version.id)
    return calls - 3, True


async def remove_passages(resources: Resources, version_id: str, start: int, end: int) -> int:
    """Remove the vectors of the passages from `start` up to `end`, and all passages from `start`; return `start`."""
    await resources.vectors.delete([f"{version_id}-{number}" for number in range(start, end)])
    await passage_store.delete_chunks(resources.database, version_id, start)
    return start


def interrupted_before(resources: Resources) -> str:
    """Return the time before which work without later progress counts as interrupted: now, in a local run."""
    return ago(datetime.timedelta() if resources.settings.simulated else STALE)
