"""Synchronised sources of documents: a run fetches what is new or changed, and removes what is gone."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypedDict
from urllib.parse import unquote, urlsplit

from aiworker.clock import now
from aiworker.context import Resources
from aiworker.error_text import public_message
from aiworker.errors import ApiError, ErrorType
from aiworker.http.body import parse_object
from aiworker.http.messages import Payload
from aiworker.jobs import queue
from aiworker.jobs.store import Job, Progress
from aiworker.rag import crawl, file_kinds, ingestion_cost, paths, sites, store, sync_store, upload
from aiworker.rag.crawl import GONE, MAX_PAGE_BYTES, MAX_PAGES, Page, PageError, Site
from aiworker.rag.document_fields import DocumentFields
from aiworker.rag.removal import delete_document as remove_document
from aiworker.rag.robots import Robots, Rule
from aiworker.rag.steps import NonRetryableError
from aiworker.rag.sync_store import PageState, Source
from aiworker.rag.text_encoding import SAMPLE_BYTES, decode_head

KIND = "sync"
"""Kind of the job that does a run."""
MAX_OBJECTS = 5_000
"""Objects below one prefix of the bucket."""
PAGES_A_STEP = 6
"""Pages that one step looks at, each with up to ten calls of bindings; a crash repeats them."""
LOCATIONS_A_STATEMENT = 500
KEPT = ("queued", "converting", "embedding", "indexed")
"""States of a version whose page need not be ingested again."""
TRANSIENT: tuple[ErrorType, ...] = ("upstream_error", "unavailable", "timeout")
"""Temporary errors of bindings, after which the step is tried again."""
CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)


class Position(TypedDict):
    """The progress of a run; the position of its job."""

    phase: Literal["find", "look", "remove"]
    rules: list[Rule]
    """Rules of the site's robots.txt."""


async def step(resources: Resources, job: Job) -> Progress:
    """Do the next part of a run: find the pages, look at them, remove what is gone.

    A later run, or the deletion of the source, ends this run. Raises ApiError if a binding fails.
    """
    source = await sync_store.of_run(resources.database, job.params["source"], job.params["run"])
    if source is None:
        return Progress(is_finished=True)
    position: Position = job.position or {"phase": "remove" if source.state == "deleting" else "find", "rules": []}
    match position["phase"]:
        case "find":
            rules = await find_pages(resources, source)
            position = {"phase": "look", "rules": rules}
        case "look":
            robots = Robots([(kind, pattern) for kind, pattern in position["rules"]])
            if not await look_at_some(resources, source, robots):
                position = {"phase": "remove", "rules": []}
        case "remove":
            if not await remove_some(resources, source):
                await end(resources, source, "current", None)
                return Progress(is_finished=True)
    return Progress(is_finished=False, position=position)


async def find_pages(resources: Resources, source: Source) -> list[Rule]:
    """Store the list of the source's pages; return the rules of the site's robots.txt. If the pages cannot be listed,
    the run ends with the reason (NonRetryableError), and nothing is removed.
    """
    try:
        if source.kind == "prefix":
            keys = await resources.bucket.keys(source.target, MAX_OBJECTS + 1)
            await _note(resources, source, keys, MAX_OBJECTS)
            return []
        addresses: list[str] = json.loads(source.target)
        rules = await crawl.read_robots(resources, addresses[0])
        if source.kind == "sitemap":
            site = Site(sites.site(addresses[0]), rules)
            addresses = await crawl.read_sitemap(resources, site, addresses[0])
        await _note(resources, source, addresses, MAX_PAGES)
    except PageError as error:
        await end(resources, source, "failed", public_message(str(error)))
        raise NonRetryableError(str(error)) from error
    return list(rules.rules)


async def _note(resources: Resources, source: Source, locations: Sequence[str], maximum: int) -> None:
    if len(locations) > maximum:
        raise PageError(f"There are more than {maximum:,} documents: divide them among several sources.")
    for start in range(0, len(locations), LOCATIONS_A_STATEMENT):
        await sync_store.list_pages(resources.database, source, locations[start : start + LOCATIONS_A_STATEMENT])


async def look_at_some(resources: Resources, source: Source, rules: Robots) -> bool:
    """Fetch the next pages, and index those that have changed; return False if none was left."""
    pages = await sync_store.waiting(resources.database, source, PAGES_A_STEP)
    for page in pages:
        await asyncio.sleep(0)  # other requests get their turn
        try:
            state = await _look_at(resources, source, page, rules)
        except PageError as error:
            state = replace(page, reason=public_message(str(error)))
        if state is None or not await sync_store.record(resources.database, source, state):
            await _remove(resources, source, state or page)
    return bool(pages)


async def end(resources: Resources, source: Source, state: str, reason: str | None) -> None:
    """Store the end of a run; if it has deleted all documents of a deleted source, delete the source."""
    if source.state == "deleting" and state == "current":
        await sync_store.delete(resources.database, source)
    else:
        await sync_store.finish(resources.database, source, state, reason, now())


async def _look_at(resources: Resources, source: Source, page: PageState, rules: Robots) -> PageState | None:
    """Return the new state of a page; None if it is gone. Raises PageError, and ApiError if a binding fails."""
    version = await store.find(resources.database, page.version) if page.version else None
    is_kept = version is not None and version.state in KEPT
    known = replace(page, reason=None) if is_kept else PageState(page.location, page.document_id)
    try:
        if source.kind == "prefix":
            return await _look_at_object(resources, source, known)
        return await _look_at_page(resources, source, known, rules)
    except ApiError as error:
        if error.type in TRANSIENT:
            raise
        raise PageError(error.message) from error


async def _look_at_object(resources: Resources, source: Source, known: PageState) -> PageState | None:
    key = known.location
    head = await resources.bucket.head(key)
    if head is None:
        return None
    etag, size = head
    if known.etag == etag:
        return known
    if size > resources.settings.max_document_bytes:  # too large for memory
        raise PageError(
            f"The object has {size:,} bytes; at most {resources.settings.max_document_bytes:,} are indexed."
        )
    content = await resources.bucket.payload(key)
    if content is None:
        return None
    path = paths.normalize(key)
    fields = {
        "id": paths.document_id(path), "title": paths.title(path), "metadata": paths.metadata(path, source.metadata),
    }  # fmt: skip
    return await _index(resources, source, replace(known, etag=etag), fields, content.described(path, "", ""))


async def _look_at_page(resources: Resources, source: Source, known: PageState, rules: Robots) -> PageState | None:
    conditions = {"if-none-match": known.etag, "if-modified-since": known.modified}
    headers = {name: value for name, value in conditions.items() if value}
    site = Site(_site_of(source), rules)
    page = await crawl.fetch(resources, site, known.location, MAX_PAGE_BYTES, headers)
    response = page.response
    if response.status == 304 and headers:
        return known
    if response.status in GONE:
        return None
    if response.body is None:
        raise PageError(f"The site answers with status {response.status}.")
    state = replace(known, etag=response.headers.get("etag"), modified=response.headers.get("last-modified"))
    digest = await response.body.sha256()
    if digest == known.digest:
        return state
    fields, file = _described(source, page, response.body)
    return await _index(resources, source, replace(state, digest=digest), fields, file)


def _site_of(source: Source) -> str:
    addresses: list[str] = json.loads(source.target)
    return sites.site(addresses[0])


def _described(source: Source, page: Page, content: Payload) -> tuple[Mapping[str, Any], Payload]:
    """Return the fields of a page's document, and its content as a file."""
    address = urlsplit(page.url)
    media_type, _, parameters = page.response.headers.get("content-type", "").partition(";")
    media_type = media_type.strip().lower()
    charset = CHARSET.search(parameters)
    path = paths.normalize(f"{address.hostname}/{unquote(address.path)}")
    is_html = media_type == file_kinds.HTML
    head = decode_head(content.read(0, min(content.size, SAMPLE_BYTES))) if is_html else ""
    fields = {
        "id": paths.document_id(path + (f"?{address.query}" if address.query else "")),
        "title": crawl.title(head) or paths.title(path),
        "url": page.url,
        "metadata": paths.metadata(path, source.metadata),
    }
    # a page's name tells nothing about its kind (index.php); it is used only if the site declares none
    name = path if media_type in file_kinds.UNDECLARED else ""
    return fields, content.described(name, media_type, charset[1] if charset else "")


async def _index(
    resources: Resources, source: Source, state: PageState, fields: Mapping[str, Any], file: Payload
) -> PageState:
    taken = await upload.of_file(parse_object(DocumentFields, dict(fields)), file)
    charged = ingestion_cost.charged_to(resources, source.payer)
    try:
        version = await upload.take(
            charged, taken, source.tenant, source.payer, origin=f"{source.job_key} {taken.digest} {taken.fields.id}",
            subject=source.subject,
        )  # fmt: skip
    finally:
        await charged.request_budget.settle()
    return replace(state, document_id=version.document_id, version=version.id)


# ---- what is gone ------------------------------------------------------------------------------------------------


async def remove_some(resources: Resources, source: Source) -> bool:
    """Remove the documents of pages that the run has not found; return False if none was left."""
    pages = await sync_store.missing(resources.database, source, PAGES_A_STEP)
    for page in pages:
        await _remove(resources, source, page)
    return bool(pages)


async def _remove(resources: Resources, source: Source, page: PageState) -> None:
    """Remove a page's document, unless another source has it too, then its row."""
    if page.document_id and not await sync_store.is_shared(resources.database, source, page.document_id):
        await remove_document(resources, source.tenant, page.document_id)
    await sync_store.delete_page(resources.database, source, page.location)


# ---- runs --------------------------------------------------------------------------------------------------------


async def start_due(resources: Resources, source_id: str = "") -> None:
    """Start a run of the sources whose time has come. source_id: the only one to start; empty for all."""
    for source in await sync_store.start_due(resources.database, now(), source_id):
        await _start(resources, source)


async def restart_lost(resources: Resources, before: str) -> None:
    """Start the jobs of runs that began before that time and have none: the Worker stopped before it could start
    them."""
    for source in await sync_store.without_job(resources.database, before):
        await _start(resources, source)


async def delete_with_documents(resources: Resources, source: Source) -> None:
    """Delete the documents of a source, then the source, by a run that finds nothing."""
    begun = await sync_store.start_deletion(resources.database, source, now())
    if begun:
        await _start(resources, begun)


async def _start(resources: Resources, source: Source) -> None:
    params = {"source": source.id, "run": source.run}
    await queue.start(resources, KIND, source.tenant, params, source.job_key)
