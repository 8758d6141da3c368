"""The two engines of /rag, of which RAG_ENGINE names one: this Worker's own, and AI Search."""

from collections.abc import Callable, Mapping
from typing import Protocol

from aiworker.bindings import StoredObject, require
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.http.messages import Payload, Request
from aiworker.rag import file_kinds, first_attempt, ingestion_cost, store
from aiworker.rag.ai_search.engine import AiSearchEngine
from aiworker.rag.first_attempt import Background
from aiworker.rag.ingest import MARKDOWN, ORIGINAL
from aiworker.rag.passage import Passage
from aiworker.rag.removal import delete_document
from aiworker.rag.retrieve import Search, retrieve
from aiworker.rag.store import Version
from aiworker.settings import RagEngine

ATTEMPTS = 3
"""Attempts to read a file: its version may be replaced, and the file removed, between the reads of the row and of the
file."""


class Engine(Protocol):
    """Storage and search of documents. All methods raise ApiError if a binding fails."""

    async def add(self, version: Version, content: str | Payload, background: Background | None = None) -> Version:
        """Store a version with its file, and start to index it; return it.

        If the document's newest version has the same content and has not failed, return that one instead.
        background: lets work go on after the response; None where no request waits.
        """
        ...

    async def page(self, tenant: str, after: str, limit: int, folder: str = "") -> list[Version]:
        """Return the newest version of each document with an id above `after`, by id.

        folder: only documents of it and of the folders below it; empty for all.
        """
        ...

    async def find(self, tenant: str, document_id: str) -> tuple[Version, bool] | None:
        """Return the newest version of a document, and whether any is searchable; None if there is no document."""
        ...

    async def delete(self, tenant: str, document_id: str) -> bool:
        """Delete a document with all that is stored of it; return False if there is none."""
        ...

    async def original(self, tenant: str, document_id: str, request: Request) -> tuple[Version, StoredObject] | None:
        """Return the version that searches find, or the newest, and what the request selects of its file.

        None if there is no document. Raises ApiError `not_found` if its file is missing.
        """
        ...

    async def search(self, search: Search) -> list[Passage]:
        """Return the most relevant passages, the best first, at most `top_k`."""
        ...


class OwnEngine:
    """Passages in D1 and Vectorize, files in R2, ingestion by a Workflow."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def add(self, version: Version, content: str | Payload, background: Background | None = None) -> Version:
        resources = self._resources
        stored = await store.unchanged(resources.database, version) or await self._store(version, content)
        is_added = stored.id == version.id
        if stored.state == "queued" and background and is_added and first_attempt.is_small(stored):
            background(first_attempt.attempt(resources, stored, content))
        elif stored.state == "queued" and (is_added or not first_attempt.is_running(stored)):
            # also for a version stored earlier: the Worker may have stopped before this. If this fails, resume() starts
            # the workflow
            await resources.ingestions.start(stored.id)
        return stored

    async def _store(self, version: Version, content: str | Payload) -> Version:
        """Store a version and its file; return it, or the equal one that another request has stored meanwhile."""
        resources = self._resources
        database, bucket = resources.database, require(resources.bucket)  # fails before anything is reserved
        neurons = ingestion_cost.estimate_upload(resources, version.size)
        [reservation] = await resources.request_budget.reserve([neurons], [version.id])
        try:
            await bucket.put(version.folder + ORIGINAL, content, version.media_type, {})
            stored = await store.add(database, version)
        except ApiError:
            reservation.cost = 0
            await store.delete_version(database, version.id)  # the file may be stored, and only the answer lost
            await bucket.delete_folder(version.folder)
            raise
        if stored.id != version.id:
            reservation.cost = 0
            await bucket.delete_folder(version.folder)
        return stored

    async def page(self, tenant: str, after: str, limit: int, folder: str = "") -> list[Version]:
        return await store.page(self._resources.database, tenant, after, limit, folder)

    async def find(self, tenant: str, document_id: str) -> tuple[Version, bool] | None:
        versions = await store.versions_of(self._resources.database, tenant, document_id)
        if not versions:
            return None
        return versions[0], await store.live_version(self._resources.database, tenant, document_id) is not None

    async def delete(self, tenant: str, document_id: str) -> bool:
        return await delete_document(self._resources, tenant, document_id)

    async def original(self, tenant: str, document_id: str, request: Request) -> tuple[Version, StoredObject] | None:
        for _ in range(ATTEMPTS):
            version = await store.shown_version(self._resources.database, tenant, document_id)
            if version is None:
                return None
            stored = await self._resources.bucket.get(version.folder + ORIGINAL, request)
            if stored is None:
                continue
            if "content-type" in stored.headers:
                stored.headers["content-type"] = await _content_type(self._resources, version)
            return version, stored
        raise ApiError("not_found", f"The file of the document {document_id} is missing: upload it again.")

    async def search(self, search: Search) -> list[Passage]:
        return await retrieve(self._resources, search)


async def _content_type(resources: Resources, version: Version) -> str:
    """Return the media type with the encoding of a text, if that is known."""
    if version.media_type not in file_kinds.TEXTUAL:
        return version.media_type
    if version.charset:
        return f"{version.media_type}; charset={version.charset}"
    # a text that is UTF-8 already has no converted copy
    is_converted = file_kinds.is_converted(version.media_type)
    is_utf8 = not is_converted and await resources.bucket.metadata(version.folder + MARKDOWN) is None
    return f"{version.media_type}; charset=utf-8" if is_utf8 else version.media_type


ENGINES: Mapping[RagEngine, Callable[[Resources], Engine]] = {"own": OwnEngine, "ai-search": AiSearchEngine}


def engine_of(resources: Resources) -> Engine:
    """Return the engine that RAG_ENGINE names."""
    return ENGINES[resources.settings.rag_engine](resources)


def require_own(resources: Resources) -> None:
    """Raises ApiError `not_configured` for a route that reads or writes what the Worker's own engine stores."""
    if resources.settings.rag_engine != "own":
        raise ApiError("not_configured", "This route needs the Worker's own engine: set RAG_ENGINE to own.")
