"""The kinds of jobs."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiworker.context import Resources
from aiworker.jobs import erasure
from aiworker.jobs.store import Job, Progress
from aiworker.rag import batch, removal, sync


@dataclass(frozen=True)
class Kind:
    step: Callable[[Resources, Job], Awaitable[Progress]]
    """Does the next part of the work, as the package's docstring says."""
    is_resumed: bool = False
    """True if a job stays unfinished when its step has failed in every attempt, so that `resume` tries again."""


async def purge(resources: Resources, job: Job) -> Progress:
    """Remove some of the data of deleted documents and replaced versions."""
    removed, is_finished = await removal.purge(resources)
    return Progress(is_finished, done=job.done + removed)


KINDS: Mapping[str, Kind] = {
    removal.PURGE: Kind(purge, is_resumed=True),
    batch.KIND: Kind(batch.step, is_resumed=True),
    sync.KIND: Kind(sync.step, is_resumed=True),
    erasure.ERASE: Kind(erasure.erase, is_resumed=True),
}
"""Kind of a job, as its row names it → what it does."""
