"""`GET /rag/jobs/{job_id}`: the state of work that outlasts its request."""

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply
from aiworker.http.messages import Response, json_response
from aiworker.jobs import store
from aiworker.jobs.store import Job
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
    job = await store.find(context.database, job_id)
    if job is None or context.caller.tenant not in (None, job.tenant):
        raise ApiError("not_found", f"There is no job {job_id[:100]}.")
    return json_response(_status(job))


def job_response(context: Context, job: Job, status: int = 202) -> Response:
    """Return the response to a request that has started a job. Its header `location` is the URL of the job."""
    response = json_response(_status(job), status)
    response.headers["location"] = f"{context.request.origin}/rag/jobs/{job.id}"
    return response


def _status(job: Job) -> dict[str, object]:
    return {name: getattr(job, name) for name in JobStatus.model_fields}
