"""Entry of requests and workflows: the functions that entry.py's classes call."""

import functools
from typing import Any

import js
from workers import Request as WorkersRequest

from aiworker import app
from aiworker.auth.limits import FAILURES
from aiworker.context import Context
from aiworker.jobs import runner
from aiworker.log import RequestLog
from aiworker.platform import resources
from aiworker.platform.environment import settings
from aiworker.platform.isolate import collect_garbage, isolate
from aiworker.platform.request import JsRequest
from aiworker.platform.response import to_js_response
from aiworker.platform.streams import JsStreams
from aiworker.platform.tracing import JsTracer
from aiworker.rag import ingest, reindex, schedule
from aiworker.rag.workflow_steps import WorkflowSteps

# JavaScript values that are kept at import must have a path from globalThis, or the memory snapshot cannot hold them
console_log = js.console.log
queue_microtask = js.queueMicrotask


async def serve(request: WorkersRequest, execution: Any) -> js.Response:
    """Answer a request. execution: its context from the platform, whose waitUntil keeps work alive."""
    isolate.count_request()
    js_request: js.Request = request.js_object
    received, streams = JsRequest(js_request), JsStreams(execution, js_request)
    context = functools.partial(
        Context,
        **resources.request_adapters(js_request),
        **resources.request_constants(),
        request=received,
        streams=streams,
        tracer=JsTracer(execution),
    )
    log = RequestLog(received.method, resources.analytics(), write_line)
    response = await app.handle(received, streams, settings, context, log, resources.rate_limiters().get(FAILURES))
    if response.status >= 400:
        await received.discard_body()
    if isolate.begins_collection():
        streams.wait_until(collect_garbage())
    return to_js_response(response)


async def run_ingestion(event: Any, step: Any) -> None:
    """Ingest one version of a document, index all words again or run a job, as an instance of the Workflow."""
    payload, steps = event["payload"], WorkflowSteps(step)
    if "job" in payload:
        await runner.run(resources.resources(), steps, payload["job"], int(payload["instance"]))
    elif "reindex" in payload:
        await reindex.reindex(resources.resources(), steps)
    else:
        is_embedded = bool(payload.get("embedded"))  # not in instances of the Worker's first releases
        await ingest.ingest(resources.resources(), steps, payload["version"], is_embedded=is_embedded)


async def run_scheduled() -> None:
    """Take up unfinished work: the platform calls this each minute, scripts/dev also after each start and reload."""
    global _has_resumed
    bound = resources.present()
    if not (bound["DB"] and bound["INGESTIONS"]):
        return
    is_restarted, _has_resumed = not _has_resumed, True
    await schedule.run(resources.resources(), is_restarted=is_restarted)


_has_resumed = False
"""False until this isolate has taken up unfinished work."""


def write_line(line: str) -> None:
    """Write a line to the Worker's log. (print() writes byte by byte.)"""
    # in a microtask, without Python's frames: workerd records the stack of each line, which takes milliseconds with
    # them
    queue_microtask(console_log.bind(js.console, line))
