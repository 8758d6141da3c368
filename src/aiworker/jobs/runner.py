"""Running a job in the steps of a Workflow's instance."""

import contextlib

from aiworker.clock import now
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.jobs import store
from aiworker.jobs.kinds import KINDS
from aiworker.rag.steps import NonRetryableError, StepError, Steps

MAX_STEPS = 1_000
"""Steps of one instance of the workflow, which may have 1,024. The next instance goes on."""


async def run(resources: Resources, steps: Steps, job_id: str, instance: int) -> None:
    """Run a job to its end, or to the end of this instance's steps."""
    try:
        for number in range(MAX_STEPS):
            if await steps.do(f"step {number}", lambda: run_step(resources, job_id), patiently=True):
                return
        await steps.do("go on", lambda: start_instance(resources, job_id, instance + 1))
    except Exception as error:
        is_final = isinstance(error, NonRetryableError)
        reason = str(error) if isinstance(error, StepError | ApiError) else "The Worker failed. Its log has the cause."
        await steps.do("record the failure", lambda: record_failure(resources, job_id, reason, is_final))


async def run_step(resources: Resources, job_id: str) -> bool:
    """Do the next part of a job; return True if the job has ended."""
    job = await store.find(resources.database, job_id)
    if job is None or job.state in ("done", "failed"):
        return True
    try:
        progress = await KINDS[job.kind].step(resources, job)
    except ApiError as error:
        with contextlib.suppress(ApiError):  # the database may be what fails
            await store.set_reason(resources.database, job_id, error.message, now())
        raise
    return await store.set_progress(resources.database, job, progress, now()) and progress.is_finished


async def start_instance(resources: Resources, job_id: str, instance: int) -> bool:
    """Start the next instance of a job's workflow."""
    await store.set_instance(resources.database, job_id, instance, now())
    await resources.ingestions.start_job(job_id, instance)
    return True


async def record_failure(resources: Resources, job_id: str, reason: str, is_final: bool) -> bool:
    """Store why a step has failed in every attempt; the job fails unless `resume` is to try again."""
    job = await store.find(resources.database, job_id)
    if job is None:
        return False
    if is_final or not KINDS[job.kind].is_resumed:
        await store.fail(resources.database, job_id, reason, now())
    else:
        await store.set_reason(resources.database, job_id, reason, now())
    return True
