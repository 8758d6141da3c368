"""HTTP as every simulated service needs it: request bodies read, answers in the envelope of Cloudflare's REST API."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers_ai_simulator.errors import UpstreamError

ACCOUNT = "/client/v4/accounts/{account}"
"""Path under which Cloudflare's REST API has everything of an account."""

Handler = Callable[[Request], Awaitable[Response]]
JsonHandler = Callable[[Request], Awaitable[Any]]
"""Handler that returns the JSON value of its answer, not yet a response."""


# ---- requests ------------------------------------------------------------------------------------------------------


def media_type(request: Request) -> str:
    """Media type of the request's body, without parameters; empty if the request names none."""
    return request.headers.get("content-type", "").partition(";")[0]


def json_value(text: bytes | str) -> Any:
    """Parse JSON. Raises ValueError for text that is not JSON, and for JSON nested too deeply to parse."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def json_object(text: bytes | str) -> dict[str, Any] | None:
    """Parse a JSON object; None for any other text."""
    try:
        value = json_value(text)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


async def object_body(request: Request, error: Callable[[str], UpstreamError]) -> dict[str, Any]:
    """JSON object in the request's body. For any other body, raises the exception that `error` returns for the
    reason."""
    try:
        value = json_value(await request.body())
    except ValueError as reason:
        raise error(str(reason)) from None
    if not isinstance(value, dict):
        raise error("expected an object")
    return cast("dict[str, Any]", value)


async def form_fields(request: Request) -> dict[str, Any]:
    """Fields of a form: strings, and the bytes of files."""
    async with request.form() as form:
        return {name: await value.read() if isinstance(value, UploadFile) else value for name, value in form.items()}


# ---- responses -----------------------------------------------------------------------------------------------------


def envelope(result: object, status: int = 200, errors: Sequence[tuple[int, str]] = ()) -> Response:
    """Response of Cloudflare's REST API; `errors` are pairs of code and message."""
    listed = [{"code": code, "message": message} for code, message in errors]
    return JSONResponse({"success": not errors, "result": result, "errors": listed, "messages": []}, status)


def error_envelope(error: UpstreamError) -> Response:
    """The error as Cloudflare's REST API answers it, with the result null."""
    return envelope(None, error.status, [(error.code, error.description)])


def in_envelope(answer: JsonHandler) -> Handler:
    """Handler that answers the value of another in the envelope."""

    async def handler(request: Request) -> Response:
        return envelope(await answer(request))

    return handler
