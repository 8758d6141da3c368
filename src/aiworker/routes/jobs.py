"""`GET /rag/jobs/{job_id}`: the state of work that outlasts its request."""

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply
from aiworker.http.messages import Response, json_response
from aiworker.jobs import store
from aiworker.jobs.store import Job
from aiworker.rag import batch, batch_store
from aiworker.routing import Returns, route


class JobStatus(Reply):
    id: str
    kind: str
    """Task of the job, such as removing a document."""
    state: str
    """`queued`, `running`, `done` or `failed`."""
    reason: str | None
    """Why the job failed; while it is running, why its present step is being tried again."""
    total: int | None
    """Number of things to do; null while it is unknown."""
    done: int
    """Number of things done so far."""
    failed: int
    """Number of things that could not be done."""
    documents: dict[str, int] | None
    """Number of the documents of a batch: in `total`, and those that are `queued`, `running`, `indexed`, `failed` and
    `replaced` by a later version. A batch is done when none is queued or running."""
    created_at: str
    updated_at: str


@route(
    "GET", "/rag/jobs/{job_id}", scope="rag:read", rate="read", tag="Documents",
    returns=Returns(JobStatus, "The job."), errors=("not_found", "upstream_error"),
)  # fmt: skip
async def read_job(context: Context, job_id: str) -> Response:
    """Read the state of a job.

    One of the caller's tenant; with the scope `admin`, any. Jobs can be read for seven days after their end.
    """
    return json_response(await _status(context, await find_job(context, job_id)))


async def find_job(context: Context, job_id: str) -> Job:
    """Return a job that the caller may read. Raises ApiError `not_found` for any other."""
    job = await store.find(context.database, job_id)
    if job is None or context.caller.tenant not in (None, job.tenant):
        raise ApiError("not_found", f"There is no job {job_id[:100]}.")
    return job


async def job_response(context: Context, job: Job, status: int = 202) -> Response:
    """Return the response to a request that has started a job. Its header `location` is the URL of the job."""
    response = json_response(await _status(context, job), status)
    response.headers["location"] = f"{context.request.origin}/rag/jobs/{job.id}"
    return response


async def _status(context: Context, job: Job) -> dict[str, object]:
    described: dict[str, object] = {name: getattr(job, name, None) for name in JobStatus.model_fields}
    if job.kind != batch.KIND:
        return described
    counted = await batch_store.counts(context.database, job.id)
    documents = {state: counted.get(state, 0) for state in batch_store.STATES}
    is_indexing = job.state == "done" and documents["running"]
    return {
        **described,
        "state": "running" if is_indexing else job.state,
        "documents": {"total": sum(documents.values()), **documents},
    }
