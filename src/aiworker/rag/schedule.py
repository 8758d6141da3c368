"""Work done every minute: unfinished work is resumed, and runs of sources are started."""

import datetime
from functools import partial

from aiworker.clock import ago
from aiworker.context import Resources
from aiworker.jobs.queue import KEPT
from aiworker.rag import batch_store, ingest, removal, sync


async def run(resources: Resources, *, is_restarted: bool) -> None:
    """Do all that is due. A part that fails does not keep the others from being done, and is tried again in a minute.

    is_restarted: the isolate is new. A local one means that the engine of Workflows has been restarted.
    """
    duties = (
        partial(ingest.resume, resources, is_restarted=is_restarted),
        partial(sync.restart_lost, resources, ago(removal.STALE)),
        partial(sync.start_due, resources),
        partial(_delete_batches, resources),
    )
    failures: list[Exception] = []
    for duty in duties:
        try:
            await duty()
        except Exception as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup("Some of what is due has failed.", failures)


async def _delete_batches(resources: Resources) -> None:
    """Delete batches whose jobs are deleted."""
    for job in await batch_store.without_job(resources.database, ago(KEPT + datetime.timedelta(days=1))):
        await resources.bucket.delete(batch_store.body_key(job))
        await batch_store.delete(resources.database, job)
