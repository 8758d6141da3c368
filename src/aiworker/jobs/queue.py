"""Starting jobs, and going on with those that have stopped."""

import datetime
import secrets
from collections.abc import Mapping
from typing import Any

from aiworker.clock import ago, now
from aiworker.context import Resources
from aiworker.jobs import store
from aiworker.jobs.store import Job

KEPT = datetime.timedelta(days=7)
"""Time for which the row of a job that has ended can be read."""


def new_id() -> str:
    """Return the id of a new job."""
    return f"job_{secrets.token_hex(12)}"


async def start(
    resources: Resources,
    kind: str,
    tenant: str | None,
    params: Mapping[str, Any],
    unique_key: str | None = None,
    job_id: str | None = None,
) -> Job:
    """Store a job and start its workflow. If that fails or the Worker stops before it, `resume` starts it.

    kind: key of kinds.KINDS. tenant: who may read the job; None for admins only. params: JSON of at most some KB.
    unique_key: at most one unfinished job has this key; a second request restarts that job.
    job_id: a result of new_id; by default a new one.
    """
    job_id = job_id or new_id()
    job = await store.add(resources.database, job_id, kind, tenant, params, unique_key, now())
    if job.id == job_id:
        await resources.ingestions.start_job(job.id, job.instance)
    else:
        await resources.ingestions.wake_job(job.id, job.instance)
    return job


async def resume(resources: Resources, before: str) -> None:
    """Resume jobs without progress since that time, and delete the rows of jobs that ended long ago."""
    for job in await store.unfinished(resources.database, before):
        await resources.ingestions.wake_job(job.id, job.instance)
    await store.delete_ended(resources.database, ago(KEPT))
