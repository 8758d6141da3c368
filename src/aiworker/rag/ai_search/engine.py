"""The routes of /rag over AI Search.

Each tenant has an instance of its own, and each upload a key of its own: the version before is found until the new one
is indexed. AI Search does not announce that: every call that reads a tenant's documents first checks the state of
unfinished ones.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from aiworker.bindings import SearchItem, StoredObject, require
from aiworker.clock import ago, now
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.http.media import IMAGES
from aiworker.http.messages import Payload, Request
from aiworker.rag import file_kinds, filters, ingestion_cost
from aiworker.rag.ai_search import instances, items
from aiworker.rag.ai_search.items import Item
from aiworker.rag.conversion_limits import MAX_CONVERTED_BYTES
from aiworker.rag.first_attempt import Background
from aiworker.rag.fusion import fuse_ranks
from aiworker.rag.passage import Passage
from aiworker.rag.removal import STALE
from aiworker.rag.retrieve import Search
from aiworker.rag.store import Version
from aiworker.rag.text_encoding import UnknownEncodingError, to_utf8

MAX_RESULTS = 50
"""Chunks of one search. Source: developers.cloudflare.com/ai-search/api/search/workers-binding"""
SPARE_RESULTS = 20
"""Chunks beyond `top_k`, since the database may refuse some: those of a version that is being replaced."""
STATES: Mapping[str, str] = {"queued": "queued", "outdated": "queued", "running": "embedding"}
"""State of an item that AI Search has not finished → that of its document."""
REASONS: Mapping[str, str] = {
    "file_content_empty": "The document has no text.",
    "markdown_conversion_empty": "The document has no text.",
    "file_is_corrupt": "The document could not be converted: the file is damaged.",
    "invalid_pdf": "The document could not be converted: it is no valid PDF.",
    "file_is_password_locked": "The document could not be converted: it is encrypted.",
    "unable_to_convert_to_markdown": "The document could not be converted.",
    "unsupported_type": "AI Search does not take files of this kind.",
    "over_size": "The document is too large for AI Search.",
    "markdown_too_large": "The document has too much text for AI Search.",
    "timeout_error": "AI Search has not finished in time: send the document again.",
}
"""Error of an item → the reason for readers.

Source: developers.cloudflare.com/ai-search/troubleshooting/indexing-error-codes
"""
LOST = "The upload was interrupted: send the document again."
HEADING = re.compile(r"#{1,6} +(.*)")
FUSION_CONSTANT = 60
"""Constant of reciprocal rank fusion."""
SCORES = {"vector_score": "vector", "keyword_score": "text", "reranking_score": "rerank"}
"""Detail of a chunk's score → the stage."""


class AiSearchEngine:
    """aiworker.rag.engine.Engine over AI Search."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._database, self._searches = resources.database, require(resources.searches)

    # ---- documents ---------------------------------------------------------------------------------------------------

    async def add(self, version: Version, content: str | Payload, background: Background | None = None) -> Version:  # noqa: ARG002 - AI Search indexes by itself
        await self.find(version.tenant, version.document_id)  # to bring its state up to date
        same = await items.unchanged(self._database, version)
        if same and not _is_unsent(same):
            return same.version
        neurons = ingestion_cost.estimate_upload(self._resources, version.size)
        [reservation] = await self._resources.request_budget.reserve([neurons], [version.id])
        stored = None
        try:
            # the upload of a row without an item was interrupted, or is under way: the same key makes no second item
            row = same or await items.add(self._database, self._row(version))
            if row.version.id == version.id or _is_unsent(row):
                stored = await self._send(row, content)
        finally:
            if stored is None or stored.state == "failed":
                reservation.cost = 0
        return stored or row.version

    async def _send(self, row: Item, content: str | Payload) -> Version:
        """Upload the file of a row. Raises ApiError, and removes the row, if AI Search refuses it."""
        try:
            uploaded = await self._upload(row, await _utf8(row.version, content))
        except UnknownEncodingError as error:
            return await self._fail(row, str(error))
        except ApiError:
            await items.remove(self._database, row.version.id)
            raise
        await items.set_item(self._database, row.version.id, uploaded.id)
        return row.version

    def _row(self, version: Version) -> Item:
        name = file_kinds.conversion_name("", version.media_type, version.id)
        return Item(version, f"{version.document_id}/{name}", "")

    async def page(self, tenant: str, after: str, limit: int, folder: str = "") -> list[Version]:
        await self._look_after(await items.unfinished(self._database, tenant))
        return [each.version for each in await items.page(self._database, tenant, after, limit, folder)]

    async def find(self, tenant: str, document_id: str) -> tuple[Version, bool] | None:
        versions = await items.versions_of(self._database, tenant, document_id)
        if await self._look_after(versions):
            versions = await items.versions_of(self._database, tenant, document_id)
        return (versions[0].version, any(each.is_live for each in versions)) if versions else None

    async def delete(self, tenant: str, document_id: str) -> bool:
        was_there = bool(await items.versions_of(self._database, tenant, document_id))
        for each in await items.hide(self._database, tenant, document_id, now()):
            await self._remove(each)
        return was_there

    async def original(self, tenant: str, document_id: str, request: Request) -> tuple[Version, StoredObject] | None:
        """Return the whole file: AI Search knows no ranges."""
        shown = await self._shown(tenant, document_id)
        if shown is None:
            return None
        body, size = await self._searches.download(instances.name(tenant), shown.item_id)
        kind = shown.version.media_type
        content_type = f"{kind}; charset=utf-8" if kind in file_kinds.TEXTUAL else kind
        headers = {"content-type": content_type, "content-length": str(size)}
        return shown.version, StoredObject(None if request.method == "HEAD" else body, 200, headers)

    async def text(self, tenant: str, document_id: str) -> tuple[Version, Payload]:
        """Return the version that `original` returns, and its text: the file itself, or what it is converted to.

        Raises ApiError `not_found` for a document without a text, `payload_too_large` for a file that is too large.
        """
        shown = await self._shown(tenant, document_id)
        kind = shown.version.media_type if shown else ""
        if shown is None or kind in IMAGES:
            raise ApiError("not_found", f"There is no document {document_id} of {tenant} that has a text.")
        file = await self._searches.payload(instances.name(tenant), shown.item_id, MAX_CONVERTED_BYTES)
        if not file_kinds.is_converted(kind):
            return shown.version, file
        name = file_kinds.conversion_name(shown.version.file_name, kind, document_id)
        converted = await self._resources.ai.to_markdown(name, kind, file)
        if converted.markdown is None:
            raise ApiError("not_found", f"The document {document_id} could not be converted to text.")
        return shown.version, converted.markdown

    async def _shown(self, tenant: str, document_id: str) -> Item | None:
        """Return the version that searches find, or the newest. Raises ApiError `not_found` if its file is missing."""
        versions = await items.versions_of(self._database, tenant, document_id)
        shown = next((each for each in versions if each.is_live), versions[0] if versions else None)
        if shown and not shown.item_id:
            raise ApiError("not_found", f"The file of the document {document_id} is missing: upload it again.")
        return shown

    # ---- search ------------------------------------------------------------------------------------------------------

    async def search(self, search: Search) -> list[Passage]:
        await self._look_after(await items.unfinished(self._database, search.tenant))
        if not await items.has_live(self._database, search.tenant):
            return []
        chunks = await self._all_chunks(instances.name(search.tenant), search)
        keys = list(dict.fromkeys(each["item"]["key"] for each in chunks))
        condition = filters.condition(search.filter, first=3)
        versions = await items.live(self._database, search.tenant, keys, condition)
        passages = [_passage(each, versions[each["item"]["key"]]) for each in chunks if each["item"]["key"] in versions]
        scored = [each for each in passages if _has_min_score(each, search)]
        return _limited(scored, search.per_document)[: search.top_k]

    async def _all_chunks(self, instance: str, search: Search) -> list[dict[str, Any]]:
        """Return what the search's queries find, fused by ranks if there are several."""
        rankings = await asyncio.gather(*(self._chunks(instance, _request(search, each)) for each in search.queries))
        by_id = {each["id"]: each for each in chain(*reversed(rankings))}
        return [by_id[each] for each in fuse_ranks([[chunk["id"] for chunk in chunks] for chunks in rankings])]

    async def _chunks(self, instance: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            return await self._searches.search(instance, request)
        except ApiError as error:
            if error.type != "not_found":
                raise
            missing = f"AI Search has no instance {instance}, which holds the tenant's documents: add them again."
            raise ApiError("upstream_error", missing) from error

    # ---- state -------------------------------------------------------------------------------------------------------

    async def _look_after(self, rows: list[Item]) -> bool:
        """Bring rows that are not finished up to date with AI Search; return whether any has changed."""
        return any(await asyncio.gather(*(self._refresh(each) for each in rows)))

    async def _refresh(self, row: Item) -> bool:
        version = row.version
        if version.state in ("deleted", "replaced"):
            await self._remove(row)
            return True
        if version.state not in STATES.values():
            return False
        item = await self._item(row)
        if item is None and not row.item_id and version.created_at > ago(STALE):
            return False  # it is being uploaded
        if item is None:
            await self._fail(row, LOST)
        elif item.status == "completed":
            await items.publish(self._database, row, item.chunks, now())
            await self._remove_replaced(row)
        elif item.status in STATES:
            if STATES[item.status] == version.state:
                return False
            await items.set_state(self._database, version.id, STATES[item.status], now())
        else:
            await self._fail(row, REASONS.get(item.error, f"AI Search could not index the document: {item.error}"))
        return True

    async def _item(self, row: Item) -> SearchItem | None:
        """Return the row's item, by its key if the Worker stopped before it stored the id."""
        instance = instances.name(row.version.tenant)
        if row.item_id:
            return await self._searches.item(instance, row.item_id)
        item = await self._searches.item_of(instance, row.key)
        if item:
            await items.set_item(self._database, row.version.id, item.id)
        return item

    async def _remove_replaced(self, row: Item) -> None:
        for each in await items.unfinished(self._database, row.version.tenant):
            if each.version.document_id == row.version.document_id and each.version.state == "replaced":
                await self._remove(each)

    async def _remove(self, row: Item) -> None:
        """Remove a row's item, then the row."""
        instance = instances.name(row.version.tenant)
        item = row.item_id or getattr(await self._searches.item_of(instance, row.key), "id", "")
        if item:
            await self._searches.delete(instance, item)
        await items.remove(self._database, row.version.id)

    async def _fail(self, row: Item, reason: str) -> Version:
        await items.set_state(self._database, row.version.id, "failed", now(), reason=reason)
        return replace(row.version, state="failed", reason=reason)

    async def _upload(self, row: Item, content: str | Payload) -> SearchItem:
        version = row.version
        indexed = filters.vector_metadata(version.metadata, self._resources.settings.rag_properties)
        metadata = {name: value if isinstance(value, str) else json.dumps(value) for name, value in indexed.items()}
        instance = await instances.prepare(self._resources, version.tenant)
        try:
            return await self._searches.upload(instance, row.key, content, metadata)
        except ApiError as error:
            if error.type != "not_found":
                raise
        instances.unprepare(version.tenant)
        instance = await instances.prepare(self._resources, version.tenant)
        return await self._searches.upload(instance, row.key, content, metadata)


def _is_unsent(row: Item) -> bool:
    """Tell whether the file of a row may not have been uploaded."""
    return row.version.state == "queued" and not row.item_id


async def _utf8(version: Version, content: str | Payload) -> str | Payload:
    """Return the content with its text in UTF-8. Raises UnknownEncodingError."""
    if isinstance(content, str) or version.media_type not in file_kinds.TEXTUAL:
        return content
    return await to_utf8(content, version.charset, may_declare=version.media_type in file_kinds.DECLARING)


def _request(search: Search, query: str) -> dict[str, Any]:
    """Return a search for one of its queries as AI Search takes it. Thresholds are left to `_has_min_score`."""
    kinds = {(True, True): "hybrid", (True, False): "vector", (False, True): "keyword"}
    count = MAX_RESULTS if search.filter else min(MAX_RESULTS, search.top_k + SPARE_RESULTS)
    retrieval: dict[str, Any] = {
        "retrieval_type": kinds[search.vector_search, search.fulltext_search],
        "fusion_method": "rrf",
        "keyword_match_mode": "or",
        "match_threshold": 0,
        "max_num_results": count,
        # a search that fails is an error, not a search that finds nothing
        "return_on_failure": False,
    }
    if narrowed := filters.vector_filter(search.filter):
        retrieval["filters"] = narrowed
    options = {
        "retrieval": retrieval,
        "query_rewrite": {"enabled": False},
        "reranking": {"enabled": search.rerank, "match_threshold": 0},
        "cache": {"enabled": False},
    }
    return {"query": query, "ai_search_options": options}


def _passage(chunk: Mapping[str, Any], version: Version) -> Passage:
    details: Mapping[str, Any] = chunk.get("scoring_details") or {}
    scores = {name: float(details[key]) for key, name in SCORES.items() if details.get(key) is not None}
    ranks = [details[name] for name in ("vector_rank", "keyword_rank") if details.get(name) is not None]
    fusion = {"fusion": sum(1 / (FUSION_CONSTANT + rank) for rank in ranks)} if ranks else {}
    return Passage(
        chunk_id=chunk["id"],
        document_id=version.document_id,
        title=version.title,
        url=version.url,
        heading=_heading(chunk["text"]),
        text=chunk["text"],
        score=float(chunk["score"]),
        scores={**scores, **fusion},
    )


def _limited(passages: list[Passage], per_document: int | None) -> list[Passage]:
    """Return the passages without those beyond the maximum of one document."""
    counts: Counter[str] = Counter()
    kept: list[Passage] = []
    for each in passages:
        counts[each.document_id] += 1
        if per_document is None or counts[each.document_id] <= per_document:
            kept.append(each)
    return kept


def _heading(text: str) -> str:
    """Return the heading that a chunk begins with; AI Search does not report the headings above it."""
    match = HEADING.match(text)
    return match[1].strip() if match else ""


def _has_min_score(passage: Passage, search: Search) -> bool:
    if search.min_score is None:
        return True
    last_stage = "rerank" if search.rerank else "vector"
    return passage.scores.get(last_stage, float("-inf")) >= search.min_score
