"""What the bodies of requests hold."""

import json
from typing import Any, cast

from starlette.datastructures import UploadFile
from starlette.requests import Request


def media_type(request: Request) -> str:
    """Of its body, without parameters; empty if the request names none."""
    return request.headers.get("content-type", "").partition(";")[0]


def json_value(text: bytes | str) -> Any:
    """Raises ValueError for what is no JSON, and for JSON nested deeper than can be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def json_object(text: bytes | str) -> dict[str, Any] | None:
    """The object that it is; None for anything else."""
    try:
        found = json_value(text)
    except ValueError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


async def form_fields(request: Request) -> dict[str, Any]:
    """The fields of a form: strings, and the bytes of files."""
    async with request.form() as form:
        return {name: await value.read() if isinstance(value, UploadFile) else value for name, value in form.items()}
