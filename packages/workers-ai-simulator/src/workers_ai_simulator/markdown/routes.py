"""HTTP routes of toMarkdown: the paths that the `ToMarkdownService` class calls, and those of the REST API.

Both answer in the same envelope: the class reads `result`, or throws the message of the first of `errors`.
"""

import importlib
from types import ModuleType
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.errors import incomplete
from workers_ai_simulator.http import ACCOUNT, JsonHandler, error_envelope, in_envelope, json_object
from workers_ai_simulator.markdown.formats import SUPPORTED
from workers_ai_simulator.markdown.models import InputFile
from workers_ai_simulator.traffic.traffic import Traffic
from workers_ai_simulator.validation import base64_input

BINDING = "/to-everything/markdown"
REST = f"{ACCOUNT}/ai/tomarkdown"


def routes(traffic: Traffic) -> list[BaseRoute]:
    """`transform()` and `supported()` of the binding and of the REST API."""

    def route(path: str, method: str, operation: str, answer: JsonHandler) -> Route:
        return Route(path, traffic.observed("AI", operation, in_envelope(answer), error_envelope), methods=[method])

    return [
        route(f"{BINDING}/transformer", "POST", "toMarkdown", transform_request),
        route(f"{BINDING}/supported", "GET", "supported", supported),
        route(REST, "POST", "toMarkdown", transform_upload),
        route(f"{REST}/supported", "GET", "supported", supported),
    ]


async def supported(_: Request) -> list[dict[str, Any]]:
    """The file formats, each a `SupportedFileFormat`."""
    return [dict(each) for each in SUPPORTED]


async def transform_request(request: Request) -> list[dict[str, Any]]:
    """Convert files from the binding: `{"files": [{name, mimeType, data: base64}], "options"?: {conversionOptions}}`.

    Raises UpstreamError 3003 for another body, 5004 for `data` that is no base64.
    """
    match json_object(await request.body()):
        case {"files": [*entries], **rest}:
            files = [_input_file(entry, place) for place, entry in enumerate(cast("list[object]", entries))]
        case _:
            raise incomplete("the body must be JSON with an array `files`")
    options = rest.get("options")
    if options is not None and not isinstance(options, dict):
        raise incomplete("`options` must be an object")
    return await run_in_threadpool(_transform, files, cast("dict[str, Any]", options or {}))


async def transform_upload(request: Request) -> list[dict[str, Any]]:
    """Convert files from the REST API: a form with any number of `files`, and `conversionOptions` as JSON.

    Raises UpstreamError 3003 for another body.
    """
    try:
        async with request.form() as form:
            files = [
                InputFile(each.filename or "", each.content_type or "", await each.read())
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
    return await run_in_threadpool(_transform, files, {"conversionOptions": options})


def _transform(files: list[InputFile], options: dict[str, Any]) -> list[dict[str, Any]]:
    return _conversion().transform(files, options)


def _conversion() -> ModuleType:
    # imported with the first use: the libraries that read files would take half of the simulator's start
    return importlib.import_module("workers_ai_simulator.markdown.conversion")


def _input_file(entry: object, place: int) -> InputFile:
    fields = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    if not isinstance(fields.get("name"), str):
        raise incomplete(f"files[{place}] must have a name and data")
    content = base64_input(fields.get("data"), f"/files/{place}/data")
    return InputFile(fields["name"], str(fields.get("mimeType") or ""), content)
