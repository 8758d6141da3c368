"""Jobs in D1: every SQL statement of the table `jobs`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aiworker.bindings import Database

JobState = Literal["queued", "running", "done", "failed"]
MAX_ROWS = 100
"""Unfinished jobs that one call returns."""


@dataclass(frozen=True)
class Job:
    id: str
    kind: str
    """Key of kinds.KINDS."""
    tenant: str | None
    """Tenant that may read the job; None for one that only admins may read."""
    params: Mapping[str, Any]
    """Arguments of the job; empty once it has ended, so that nothing personal stays."""
    position: Any
    """Where the next step goes on, as the last step's Progress says; None for the first."""
    state: JobState
    reason: str | None
    """Why it failed, or why its present step is being tried again."""
    total: int | None
    """Number of things to do; None while it is unknown."""
    done: int
    failed: int
    requests: int
    """How often the work was requested since the job began."""
    instance: int
    """Number of the workflow's instance that runs it."""
    created_at: str
    updated_at: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Job":
        fields = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**fields, "params": json.loads(row["params"]), "position": json.loads(row["position"])})


@dataclass(frozen=True)
class Progress:
    """The result of a step."""

    is_finished: bool
    position: Any = None
    """A JSON value: where the next step goes on."""
    total: int | None = None
    done: int = 0
    """Things done by all steps so far."""
    failed: int = 0


async def add(
    database: Database,
    job_id: str,
    kind: str,
    tenant: str | None,
    params: Mapping[str, Any],
    unique_key: str | None,
    now: str,
) -> Job:
    """Store a new job. If an unfinished job has the same key, restart and return that one."""
    rows = await database.rows(
        "INSERT INTO jobs (id, kind, tenant, params, unique_key, created_at, updated_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) "
        "ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL "
        "DO UPDATE SET position = 'null', requests = requests + 1, updated_at = ?6 RETURNING *",
        job_id, kind, tenant, json.dumps(params, ensure_ascii=False), unique_key, now,
    )  # fmt: skip
    return Job.from_row(rows[0])


async def find(database: Database, job_id: str) -> Job | None:
    rows = await database.rows("SELECT * FROM jobs WHERE id = ?", job_id)
    return Job.from_row(rows[0]) if rows else None


async def set_progress(database: Database, job: Job, progress: Progress, now: str) -> bool:
    """Store the result of a step. Return False, and drop the result, if the work was requested again meanwhile."""
    rows = await database.rows(
        "UPDATE jobs SET state = ?3, position = ?4, reason = NULL, total = ?5, done = ?6, failed = ?7, "
        "updated_at = ?8, params = iif(?3 = 'done', '{}', params), unique_key = iif(?3 = 'done', NULL, unique_key) "
        "WHERE id = ?1 AND requests = ?2 RETURNING id",
        job.id, job.requests, "done" if progress.is_finished else "running", json.dumps(progress.position),
        progress.total, progress.done, progress.failed, now,
    )  # fmt: skip
    return bool(rows)


async def set_reason(database: Database, job_id: str, reason: str, now: str) -> None:
    """Store why the job's present step is being tried again."""
    query = "UPDATE jobs SET state = 'running', reason = ?, updated_at = ? WHERE id = ?"
    await database.run((query, reason[:1000], now, job_id))


async def fail(database: Database, job_id: str, reason: str, now: str) -> None:
    """End the job as failed."""
    query = (
        "UPDATE jobs SET state = 'failed', reason = ?, params = '{}', position = 'null', unique_key = NULL, "
        "updated_at = ? WHERE id = ?"
    )
    await database.run((query, reason[:1000], now, job_id))


async def set_instance(database: Database, job_id: str, instance: int, now: str) -> None:
    await database.run(("UPDATE jobs SET instance = ?, updated_at = ? WHERE id = ?", instance, now, job_id))


async def unfinished(database: Database, before: str) -> list[Job]:
    """Return unfinished jobs without progress since that time."""
    query = f"SELECT * FROM jobs WHERE state IN ('queued', 'running') AND updated_at < ? LIMIT {MAX_ROWS}"  # noqa: S608 - no values in it
    return [Job.from_row(row) for row in await database.rows(query, before)]


async def delete_ended(database: Database, before: str) -> None:
    """Delete the rows of jobs that ended before that time."""
    await database.run(("DELETE FROM jobs WHERE state IN ('done', 'failed') AND updated_at < ?", before))
