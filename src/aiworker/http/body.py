"""Requests and responses as pydantic models."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from aiworker.errors import ApiError
from aiworker.http.messages import Payload, Request

JSON = "application/json"
FORM = "multipart/form-data"


BRANCH = re.compile(r"str|int|float|bool|[\w-]+-[\w-]+|[\w-]+\[.+\]")
"""Names that pydantic gives to the branches of a union."""
MAX_BRANCH_LENGTH = 100
"""Characters. Names that a client gives can be long, and the expression above is slow with those."""

MAX_STRINGS = 10_000
"""Of a JSON body: texts, and names of fields. What there can be without end costs Python some microseconds each."""
MAX_STRUCTURE_BYTES = 1_048_576
"""Bytes of a JSON body outside of its texts: numbers, brackets and commas. Parsed, a byte can take 16."""
MAX_CONTAINERS = 50_000
"""Lists and objects of a JSON body, each of which becomes one of Python's."""
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""One that has no end reaches to the body's."""
MAX_ERRORS = 100
"""So many are looked at: to explain one takes as long as to find a hundred."""


class Schema(BaseModel):
    """Base of request schemas. Unknown fields and values that need conversion are refused: "5" is not a number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Reply(BaseModel):
    """Base of response schemas. They describe responses in /openapi.json and never parse any; models may add fields."""

    model_config = ConfigDict(extra="allow", defer_build=True)


SomeSchema = TypeVar("SomeSchema", bound=Schema)


async def parse_json(schema: type[SomeSchema], request: Request, limit: int) -> SomeSchema:
    """The request's JSON body as the schema has it.

    Raises ApiError: `unsupported_media_type`, `payload_too_large` (over `limit` bytes), or `invalid_request` with the
    first field at fault and what it takes.
    """
    _check_json(request)
    body = await request.read(limit)
    _check_structure(body)
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise _explained(schema, error) from None


async def parse_json_with_files(
    schema: type[SomeSchema], request: Request, limit: int, files: tuple[str, ...]
) -> tuple[SomeSchema, Mapping[str, Payload]]:
    """As `parse_json`, of a body in which some fields may be files as base64: their bytes never are in Python.

    In the schema they are strings, and what stands there is their name.
    """
    _check_json(request)
    body, found = await request.read_with_files(limit, files)
    _check_structure(body)
    try:
        return schema.model_validate_json(body), found
    except ValidationError as error:
        raise _explained(schema, error) from None


async def parse_form(
    schema: type[SomeSchema], request: Request, limit: int, files: tuple[str, ...]
) -> tuple[SomeSchema, dict[str, Payload]]:
    """The fields of a form as the schema has them, and those of the named files that it brings.

    Raises ApiError as `parse_json` does; `limit` is for the whole form.
    """
    form = await request.read_form(limit)
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    found = {name: value for name, value in form.items() if not isinstance(value, str)}
    unknown = sorted(set(found) - set(files))
    if unknown:
        name = clip(unknown[0])
        raise ApiError(
            "invalid_request", f"{name} is not a file that this route takes: send {' or '.join(files)}.", param=name
        )
    return _from_texts(schema, texts), found


def parse_query(schema: type[SomeSchema], request: Request) -> SomeSchema:
    """The parameters behind `?` as the schema has them. Raises ApiError `invalid_request` as `parse_json` does."""
    return _from_texts(schema, request.query)


def parse_object(schema: type[SomeSchema], given: dict[str, Any]) -> SomeSchema:
    """What has been put together from several parts of a request. Raises ApiError `invalid_request` as `parse_json`."""
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        raise _explained(schema, error) from None


def _from_texts(schema: type[SomeSchema], texts: Mapping[str, str]) -> SomeSchema:
    """Of what knows only texts: here "5" is a number."""
    try:
        return schema.model_validate_strings(texts, strict=False)
    except ValidationError as error:
        raise _explained(schema, error) from None


def _check_json(request: Request) -> None:
    sent = media_type(request)
    if sent != JSON:
        raise ApiError(
            "unsupported_media_type",
            f"Send the body as JSON, with the header content-type: {JSON} (not {sent or 'none'}).",
        )


def _check_structure(body: bytes) -> None:
    """Raises ApiError `payload_too_large` for JSON that would take long to understand, before it is tried.

    How deep it is nested, the parser itself limits (to about 200).
    """
    # inside of a text, a quotation mark has a backslash before it; a text's last one seldom has
    if body.count(b'"') - body.count(b'\\"') > 2 * MAX_STRINGS:
        raise ApiError("payload_too_large", f"The body has more than {MAX_STRINGS:,} texts and names of fields.")
    if len(body) <= MAX_STRUCTURE_BYTES and _containers(body) <= MAX_CONTAINERS:
        return
    bare = STRING.sub(b"", body)
    if len(bare) > MAX_STRUCTURE_BYTES:
        raise ApiError(
            "payload_too_large", f"The body has more than {MAX_STRUCTURE_BYTES:,} bytes outside of its texts."
        )
    if _containers(bare) > MAX_CONTAINERS:
        raise ApiError("payload_too_large", f"The body has more than {MAX_CONTAINERS:,} lists and objects.")


def _containers(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")


def media_type(request: Request) -> str:
    """Of the body, without parameters and in small letters; empty if the request does not say."""
    return (request.header("content-type") or "").partition(";")[0].strip().lower()


def clip(text: str) -> str:
    """What a client has sent, short enough to be sent back."""
    return text if len(text) <= 100 else f"{text[:99]}…"


def _explained(schema: type[Schema], error: ValidationError) -> ApiError:
    if error.error_count() > MAX_ERRORS:
        text = f"More than {MAX_ERRORS} fields are at fault: the fields are {_known(schema)}."
        return ApiError("invalid_request", text)
    errors = error.errors(include_url=False, include_input=False)
    # of a value that fits no branch of a union, the error that lies deepest says most
    same_field = [each for each in errors if (_path(each) or "").startswith(_path(errors[0]) or "")]
    first = max(same_field, key=lambda each: len(each["loc"]))
    param = _path(first)
    reason = _reason(schema, first)
    others = len({_path(each) for each in errors} - {param})
    more = f" ({others} more field{'s' * (others > 1)} at fault.)" if others else ""
    return ApiError("invalid_request", f"{f'{param} ' if param else ''}{reason}.{more}", param=param)


def _path(detail: ErrorDetails) -> str | None:
    """`messages.0.content`, without the branches of unions."""
    parts = [str(part) for part in detail["loc"]]
    return clip(".".join(part for part in parts if not _is_branch(part))) or None


def _is_branch(part: str) -> bool:
    return len(part) <= MAX_BRANCH_LENGTH and BRANCH.fullmatch(part) is not None


def _known(schema: type[Schema]) -> str:
    return ", ".join(field.alias or name for name, field in schema.model_fields.items())


def _reason(schema: type[Schema], detail: ErrorDetails) -> str:
    """A predicate for the field at fault, such as "must be between 0 and 5"."""
    context: dict[str, Any] = detail.get("ctx", {})
    match detail["type"]:
        case "json_invalid":
            return f"The body is not valid JSON: {context['error']}"
        case "model_type" | "model_attributes_type" if not detail["loc"]:
            return "The body must be a JSON object"
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not known here" + (f": the fields are {_known(schema)}" if len(detail["loc"]) == 1 else "")
        case "greater_than_equal" | "less_than_equal":
            return f"must be {_range(schema, detail)}"
        case "value_error":
            return str(context["error"])
        case _:
            return detail["msg"].replace("Input should", "must", 1).replace("String should", "must", 1)


def _range(schema: type[Schema], detail: ErrorDetails) -> str:
    name = str(detail["loc"][0])
    bounds = schema.model_fields[name].metadata if name in schema.model_fields else []
    least = next((bound.ge for bound in bounds if hasattr(bound, "ge")), None)
    most = next((bound.le for bound in bounds if hasattr(bound, "le")), None)
    if least is not None and most is not None:
        return f"between {least} and {most}"
    return f"at least {least}" if most is None else f"at most {most}"
