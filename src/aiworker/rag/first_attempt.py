"""The first attempt to ingest a small text: after the response to its upload, without a Workflow.

An instance of a Workflow costs more than the ingestion of a small text does. The version and its file are stored before
the request is answered. Whatever fails here or is cut off is left to a Workflow, which starts from the beginning: each
part may run twice.
"""

import asyncio
import codecs
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import fields, replace
from typing import Any

from aiworker.auth.budget import RequestBudget
from aiworker.clock import ago, now
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.http.messages import Payload
from aiworker.log import RequestLog
from aiworker.rag import file_kinds, ingest, ingestion_cost, removal, store
from aiworker.rag.steps import Done, NonRetryableError, StepError
from aiworker.rag.store import Version
from aiworker.tracing import NoTracer

Background = Callable[[Coroutine[Any, Any, None]], None]
"""Lets work go on after the response."""
FIRST_CHECK = 1.0
"""Seconds until the first check for the vectors, which Vectorize shows some seconds after they were written."""
VECTOR_CHECKS = 12
"""Checks, a second apart, for the vectors. Work after a response must end within 30 seconds.

Source: developers.cloudflare.com/workers/platform/limits, and /workers/runtime-apis/context
"""


def is_small(version: Version) -> bool:
    """Tell whether a version is a text that is ingested without a Workflow at first."""
    return version.size <= ingest.SMALL_TEXT_BYTES and not file_kinds.is_converted(version.media_type)


def is_running(version: Version) -> bool:
    """Tell whether an attempt at a queued version, which another request has stored, may still be running."""
    return is_small(version) and version.created_at > ago(ingest.ABANDONED)


class DirectRun:
    """A Run of all parts, one after the other, whose results are not stored."""

    def __init__(self, version: Version) -> None:
        self._version = version

    async def do(self, name: str, work: Callable[[Version], Awaitable[Done]], *, patiently: bool = False) -> Done:  # noqa: ARG002 - of a Workflow
        return await work(self._version)


async def attempt(resources: Resources, version: Version, content: str | Payload) -> None:
    """Ingest a version; if that fails, or its vectors are late, start its Workflow. content: the file."""
    resources = _without_request(resources)
    is_embedded = False
    try:
        version = replace(version, chunks=await _embed(resources, version, content))
        is_embedded = True
        await _publish(resources, version)
    except Exception:  # the Workflow fails for the same reason, and reports it
        with contextlib.suppress(ApiError):  # resume() starts it if this cannot
            await resources.ingestions.start(version.id, is_embedded=is_embedded)


async def _embed(resources: Resources, version: Version, content: str | Payload) -> int:
    """Store a version's passages with their vectors; return the number of passages."""
    text = await _text(resources, version, content)
    cut = await ingest.cut_segment(version, text, len(text))
    if not cut.passages:
        raise NonRetryableError("The document has no text.")
    await ingest.put_passages(resources, version, cut, 0)
    done = ingest.Progress(count=len(cut.passages))
    size = ingestion_cost.embedding_model(resources).texts_a_call

    async def embed_some(version: Version, *, start: int, count: int) -> ingest.Embedded:  # noqa: ARG001 - all are here
        return await ingest.embed_passages(resources, version, cut.passages[start : start + size])

    await ingest.pay_and_embed(resources, DirectRun(version), done, embed_some)
    return done.count


async def _text(resources: Resources, version: Version, content: str | Payload) -> bytes:
    """Return a version's text as UTF-8, without reading what the request has just stored."""
    if isinstance(content, str):
        text = content.encode()
        is_whole = not text.startswith(codecs.BOM_UTF8)  # which a Workflow removes
    else:
        file = await ingest.decoded(resources, version, content)
        is_whole = file.size <= ingest.SEGMENT_BYTES  # other encodings may be shorter than UTF-8
        text = file.read() if is_whole else b""
    if not is_whole:
        raise StepError("The text takes a Workflow.")
    return text


async def _publish(resources: Resources, version: Version) -> None:
    """Publish an embedded version and remove earlier ones, or remove this one if a newer one is published."""
    await asyncio.sleep(FIRST_CHECK)
    await ingest.wait_for_vectors(resources, version, version.chunks, VECTOR_CHECKS)
    replaced = await store.publish_over(resources.database, version, now())
    removed = [version] if replaced is None else replaced
    if await removal.remove(resources, removed, removal.MAX_CALLS_A_REQUEST) < len(removed):
        await removal.start_purge(resources)


def _without_request(resources: Resources) -> Resources:
    """Return the bindings and settings without the request's log, budget and spans: the version's payer is charged."""
    kept: dict[str, Any] = {each.name: getattr(resources, each.name) for each in fields(Resources)}
    return replace(Resources(**kept), log=RequestLog(), request_budget=RequestBudget(), tracer=NoTracer())
