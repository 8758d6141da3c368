"""The first attempt at ingesting a small text: behind the response to its upload, without a Workflow.

An instance of a Workflow costs more than the ingestion of a small text does. The version and its file are stored before
the request is answered. Whatever fails here or is cut off is left to a Workflow, which starts from the beginning: each
part may run twice.
"""

import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import fields, replace
from typing import Any

from aiworker.auth.budget import RequestBudget
from aiworker.clock import ago
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.log import RequestLog
from aiworker.rag import file_kinds, ingest, removal, store
from aiworker.rag.steps import Done
from aiworker.rag.store import Version
from aiworker.tracing import NoTracer

Background = Callable[[Coroutine[Any, Any, None]], None]
"""Lets work go on after the response."""
VECTOR_CHECKS = 12
"""Checks, a second apart, for the vectors. All work behind a response has 30 seconds, in which it must be done.

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


async def attempt(resources: Resources, version: Version) -> None:
    """Ingest a version; if that fails, or its vectors are late, start its Workflow."""
    resources = _without_request(resources)
    done, run = ingest.Progress(), DirectRun(version)
    is_embedded = False
    try:
        await ingest.embed_all(resources, run, done)
        is_embedded = True
        await _publish(resources, run, replace(version, chunks=done.count))
    except Exception:  # the Workflow meets what caused it again, and reports it
        with contextlib.suppress(ApiError):  # resume() starts it if this cannot
            await resources.ingestions.start(version.id, is_embedded=is_embedded)


async def _publish(resources: Resources, run: ingest.Run, version: Version) -> None:
    """Publish an embedded version and remove the ones before, or this one if a newer one is there."""
    is_live = await ingest.publish_embedded(resources, run, version.chunks, VECTOR_CHECKS)
    replaced = await store.replaced_by(resources.database, version) if is_live else [version]
    if await removal.remove(resources, replaced, removal.MAX_CALLS_A_REQUEST) < len(replaced):
        await removal.start_purge(resources)


def _without_request(resources: Resources) -> Resources:
    """Return the bindings and settings without the request's log, budget and spans: the version's payer is charged."""
    kept: dict[str, Any] = {each.name: getattr(resources, each.name) for each in fields(Resources)}
    return replace(Resources(**kept), log=RequestLog(), request_budget=RequestBudget(), tracer=NoTracer())
