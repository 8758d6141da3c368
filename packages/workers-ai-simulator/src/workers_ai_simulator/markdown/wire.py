"""`toMarkdown()` over HTTP: as the `ToMarkdownService` class asks, and as Cloudflare's REST API has it."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.api.bodies import json_object
from workers_ai_simulator.errors import UpstreamError, enveloped, incomplete
from workers_ai_simulator.markdown.conversion import SUPPORTED, transform
from workers_ai_simulator.markdown.source import SentFile
from workers_ai_simulator.traffic.traffic import Handler as Watched
from workers_ai_simulator.traffic.traffic import Traffic
from workers_ai_simulator.validation import base64_input

BINDING = "/to-everything/markdown"
REST = "/client/v4/accounts/{account}/ai/tomarkdown"

Handler = Callable[[Request], Awaitable[list[dict[str, Any]]]]


def routes(traffic: Traffic) -> list[BaseRoute]:
    """`transform()` and `supported()` of the binding and of the REST API."""

    def watched(operation: str, handler: Handler) -> Watched:
        return traffic.watched("AI", operation, _enveloped(handler), _refused)

    return [
        Route(f"{BINDING}/transformer", watched("toMarkdown", transform_request), methods=["POST"]),
        Route(f"{BINDING}/supported", watched("supported", supported)),
        Route(REST, watched("toMarkdown", transform_upload), methods=["POST"]),
        Route(f"{REST}/supported", watched("supported", supported)),
    ]


async def supported(_: Request) -> list[dict[str, Any]]:
    """`SupportedFileFormat`s."""
    return [dict(each) for each in SUPPORTED]


async def transform_request(request: Request) -> list[dict[str, Any]]:
    """Convert what the binding sends: `{"files": [{name, mimeType, data: base64}], "options"?: {conversionOptions}}`.

    Raises UpstreamError 3003 for another body, 5004 for `data` that is no base64.
    """
    match json_object(await request.body()):
        case {"files": [*entries], **rest}:
            files = [_sent(entry, place) for place, entry in enumerate(cast("list[object]", entries))]
        case _:
            raise incomplete("the body must be JSON with an array `files`")
    options = rest.get("options")
    if options is not None and not isinstance(options, dict):
        raise incomplete("`options` must be an object")
    return await run_in_threadpool(transform, files, cast("dict[str, Any]", options or {}))


async def transform_upload(request: Request) -> list[dict[str, Any]]:
    """Convert what the REST API takes: a form with any number of `files`, and `conversionOptions` as JSON.

    Raises UpstreamError 3003 for another body.
    """
    try:
        async with request.form() as form:
            files = [
                SentFile(each.filename or "", each.content_type or "", await each.read())
                for each in form.getlist("files")
                if isinstance(each, UploadFile)
            ]
            text = form.get("conversionOptions", "{}")
    except HTTPException as error:
        raise incomplete(error.detail) from None
    if not files:
        raise incomplete("the form must have at least one file named `files`")
    options = json_object(text) if isinstance(text, str) else None
    if options is None:
        raise incomplete("`conversionOptions` must be a JSON object")
    return await run_in_threadpool(transform, files, {"conversionOptions": options})


def _sent(entry: object, place: int) -> SentFile:
    sent = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    if not isinstance(sent.get("name"), str):
        raise incomplete(f"files[{place}] must have a name and data")
    return SentFile(
        sent["name"], str(sent.get("mimeType") or ""), base64_input(sent.get("data"), f"/files/{place}/data")
    )


def _enveloped(handler: Handler) -> Watched:
    """The envelope of both: the class reads `result`, or throws the message of the first of `errors`."""

    async def handle(request: Request) -> Response:
        try:
            return enveloped(await handler(request))
        except UpstreamError as error:
            return _refused(error)

    return handle


def _refused(error: UpstreamError) -> Response:
    return enveloped(None, error.status, [(error.code, error.description)])
