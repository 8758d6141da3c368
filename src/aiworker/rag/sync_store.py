"""Synchronised sources and their pages in D1: every SQL statement.

A page is an address of a site, or an object of the bucket. Its row stores what was fetched last, and the document made
of it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from aiworker.bindings import Database
from aiworker.rag import document_states
from aiworker.rag.record import Record, selected

Kind = Literal["prefix", "sitemap", "urls"]
STATES = ("queued", "running", "indexed", "failed")
"""States of a source's documents."""
MAX_DUE = 10
"""Sources whose runs one event of the Cron Trigger starts."""


@dataclass(frozen=True)
class Source(Record):
    id: str
    tenant: str
    kind: Kind
    target: str
    """A prefix, or a JSON array of addresses; for a sitemap, that of the sitemap."""
    metadata: dict[str, Any]
    hours: int
    """Time between two runs."""
    run: int
    """Number of the last run that was started."""
    state: str
    """`waiting`, `running`, `current`, `failed` if the last run could not list the pages, or `deleting`."""
    reason: str | None
    created_at: str
    began_at: str | None
    """Start of the last run."""
    ran_at: str | None
    """End of the last run."""
    next_at: str
    payer: str = ""
    """Name of the key whose budget pays; empty for none."""
    subject: str = ""
    """Subject of the browser token that added it last; empty without one."""

    @property
    def job_key(self) -> str:
        """Unique key of the job of its last run."""
        return f"sync {self.id} {self.run}"


@dataclass(frozen=True)
class PageState:
    """The state of a page: what was fetched last, and its document."""

    location: str
    document_id: str | None = None
    version: str | None = None
    etag: str | None = None
    modified: str | None = None
    """The site's `last-modified`."""
    digest: str | None = None
    """SHA-256 of the content."""
    reason: str | None = None
    """Why the last run has not indexed it."""


_PAGES = f"FROM sync_pages e {document_states.VERSION} WHERE"
_FIELDS = ", ".join(PageState.__dataclass_fields__)


async def add(database: Database, source: Source) -> None:
    """Store a new source; one with the same id is replaced, and keeps its pages."""
    row = source.to_row()
    await database.run(
        (
            f"INSERT INTO sync_sources {selected(row)} WHERE true ON CONFLICT (id) DO UPDATE SET "
            "metadata = excluded.metadata, hours = excluded.hours, next_at = excluded.next_at, "
            "payer = excluded.payer, subject = excluded.subject",
            *row.values(),
        ),
        # fetched and indexed again: their metadata may differ
        ("UPDATE sync_pages SET etag = NULL, modified = NULL, digest = NULL WHERE source = ?", source.id),
    )  # fmt: skip


async def find(database: Database, tenant: str, source_id: str) -> Source | None:
    rows = await database.rows("SELECT * FROM sync_sources WHERE id = ? AND tenant = ?", source_id, tenant)
    return Source.from_row(rows[0]) if rows else None


async def of_run(database: Database, source_id: str, run: int) -> Source | None:
    """Return a source if this run is its latest one."""
    rows = await database.rows("SELECT * FROM sync_sources WHERE id = ? AND run = ?", source_id, run)
    return Source.from_row(rows[0]) if rows else None


async def of_tenant(database: Database, tenant: str, limit: int) -> list[Source]:
    rows = await database.rows("SELECT * FROM sync_sources WHERE tenant = ? ORDER BY id LIMIT ?", tenant, limit)
    return [Source.from_row(row) for row in rows]


async def start_due(database: Database, now: str, source_id: str = "") -> list[Source]:
    """Begin a run of the sources whose time has come, and return them. Of several concurrent callers, each gets others.

    source_id: the only one to begin with; empty for all.
    """
    rows = await database.rows(
        "UPDATE sync_sources SET run = run + 1, state = 'running', reason = NULL, began_at = ?1 "
        "WHERE id IN (SELECT id FROM sync_sources WHERE next_at <= ?1 AND state NOT IN ('running', 'deleting') "
        "AND ?2 IN ('', id) ORDER BY next_at LIMIT ?3) RETURNING *",
        now, source_id, MAX_DUE,
    )  # fmt: skip
    return [Source.from_row(row) for row in rows]


async def start_deletion(database: Database, source: Source, now: str) -> Source | None:
    """Begin a run that finds nothing, and so removes every document of the source. A run under way ends."""
    rows = await database.rows(
        "UPDATE sync_sources SET run = run + 1, state = 'deleting', reason = NULL, began_at = ? "
        "WHERE id = ? RETURNING *",
        now, source.id,
    )  # fmt: skip
    return Source.from_row(rows[0]) if rows else None


async def without_job(database: Database, before: str) -> list[Source]:
    """Return sources with a run that began before that time and has neither ended nor a job."""
    rows = await database.rows(
        "SELECT * FROM sync_sources WHERE state IN ('running', 'deleting') AND began_at < ? "
        "AND NOT EXISTS (SELECT 1 FROM jobs WHERE unique_key = 'sync ' || sync_sources.id || ' ' || run) LIMIT ?",
        before, MAX_DUE,
    )  # fmt: skip
    return [Source.from_row(row) for row in rows]


async def finish(database: Database, source: Source, state: str, reason: str | None, now: str) -> None:
    """End a run, and set the time of the next one: an hour later if this one has failed."""
    await database.run(
        (
            "UPDATE sync_sources SET state = ?1, reason = ?2, ran_at = ?3, next_at = strftime("
            "'%Y-%m-%dT%H:%M:%f000+00:00', ?3, '+' || iif(?1 = 'failed', 1, hours) || ' hours') "
            "WHERE id = ?4 AND run = ?5",
            state, reason, now, source.id, source.run,
        )
    )  # fmt: skip


async def delete(database: Database, source: Source) -> None:
    await database.run(
        ("DELETE FROM sync_pages WHERE source = ?", source.id),
        ("DELETE FROM sync_sources WHERE id = ?", source.id),
    )


async def delete_all(database: Database, tenant: str, subject: str | None) -> None:
    """Delete the sources of a tenant; only those that the subject added, if there is one. Their documents stay."""
    which = "WHERE tenant = ?1 AND (?2 IS NULL OR subject = ?2)"
    await database.run(
        (f"DELETE FROM sync_pages WHERE source IN (SELECT id FROM sync_sources {which})", tenant, subject),  # noqa: S608 - no values in it
        (f"DELETE FROM sync_sources {which}", tenant, subject),  # noqa: S608 - no values in it
    )


# ---- pages -------------------------------------------------------------------------------------------------------


async def list_pages(database: Database, source: Source, pages: Iterable[str]) -> None:
    """Store that the present run has found these pages; other facts about them stay."""
    await database.run(
        (
            "INSERT INTO sync_pages (source, location, run, done) SELECT s.id, value, s.run, 0 "
            "FROM sync_sources s, json_each(?) WHERE s.id = ? AND s.run = ? "
            "ON CONFLICT (source, location) DO UPDATE SET run = excluded.run",
            json.dumps(list(pages)), source.id, source.run,
        )
    )  # fmt: skip


async def waiting(database: Database, source: Source, limit: int) -> list[PageState]:
    """Return pages that the present run has found and not looked at yet."""
    query = f"SELECT {_FIELDS} FROM sync_pages WHERE source = ?1 AND run = ?2 AND done < ?2 ORDER BY location LIMIT ?3"  # noqa: S608 - names of ours
    return [PageState(**row) for row in await database.rows(query, source.id, source.run, limit)]


async def record(database: Database, source: Source, page: PageState) -> bool:
    """Store the result for a page in the present run; return False if the page was deleted meanwhile."""
    fields = {name: value for name, value in asdict(page).items() if name != "location"}
    changes = ", ".join(f"{name} = ?" for name in fields)
    query = f"UPDATE sync_pages SET {changes}, done = ? WHERE source = ? AND location = ? RETURNING 1"  # noqa: S608 - names of ours
    return bool(await database.rows(query, *fields.values(), source.run, source.id, page.location))


async def missing(database: Database, source: Source, limit: int) -> list[PageState]:
    """Return pages that the present run has not found."""
    query = f"SELECT {_FIELDS} FROM sync_pages WHERE source = ? AND run < ? LIMIT ?"  # noqa: S608 - names of ours
    return [PageState(**row) for row in await database.rows(query, source.id, source.run, limit)]


async def delete_page(database: Database, source: Source, location: str) -> None:
    await database.run(("DELETE FROM sync_pages WHERE source = ? AND location = ?", source.id, location))


async def is_shared(database: Database, source: Source, document_id: str) -> bool:
    """Tell whether another source of the same tenant has the document, too."""
    rows = await database.rows(
        "SELECT 1 FROM sync_pages p JOIN sync_sources s ON s.id = p.source "
        "WHERE p.document_id = ? AND s.id <> ? AND s.tenant = ? LIMIT 1",
        document_id, source.id, source.tenant,
    )  # fmt: skip
    return bool(rows)


async def counts(database: Database, sources: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
    """Return source → state → number of pages."""
    rows = await database.rows(
        f"SELECT e.source, {document_states.state('queued')} AS state, count(*) AS pages "  # noqa: S608 - no values in it
        f"{_PAGES} e.source IN (SELECT value FROM json_each(?)) GROUP BY 1, 2",
        json.dumps(list(sources)),
    )
    counted: dict[str, dict[str, int]] = {}
    for row in rows:
        counted.setdefault(row["source"], {})[row["state"]] = row["pages"]
    return counted


async def pages(database: Database, source_id: str, state: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Return pages with a location above `after`, in their order. state: only those in it; empty for all."""
    source = f"{_PAGES} e.source = ?1"
    query = document_states.page("e.location, e.document_id AS document", source, "location", "queued")
    return await database.rows(query, source_id, after, state, limit)
