"""Request bodies and query strings, read into pydantic models; base classes of the schemas."""

import re
import secrets
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, from_json

from aiworker.errors import ApiError
from aiworker.http.long_text import LONG_BYTES, MAX_STRINGS, long_strings, too_many_strings
from aiworker.http.messages import Payload, Request

JSON = "application/json"
FORM = "multipart/form-data"
EVENT_STREAM = "text/event-stream"

BRANCH = re.compile(r"str|int|float|bool|[\w-]+-[\w-]+|[\w-]+\[.+\]")
"""Names that pydantic gives to the branches of a union."""
MAX_BRANCH_LENGTH = 100
"""Characters of a name that is compared with BRANCH, which is slow with long names, as a client's fields may have."""

MAX_STRUCTURE_BYTES = 1_048_576
"""Bytes of a JSON body outside of its texts: numbers, brackets and commas. Parsed, a byte can take 16."""
MAX_CONTAINERS = 50_000
"""Lists and objects of a JSON body, each of which becomes one of Python's."""
MAX_VALUES = 100_000
"""Values of a JSON body's lists and objects: each takes 24 bytes in the parser, and its list as much again while it
grows. Half a million numbers took 24 MB, and Python's memory never shrinks."""
MAX_BYTES_WITH_FILES = 12 << 20
"""Bytes of a JSON body with files, which is in memory as bytes, as a text and as an object: 8 MiB of files as base64,
and the rest."""
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A JSON string; one without an end reaches to the end of the body."""
NUMBER = re.compile(r"\[\d+\]$")
"""Number of a file in a list, whose name in the form ends with `[]`."""
MAX_ERRORS = 100
"""Maximum number of errors that are read from a body: to explain one takes as long as to find a hundred."""


class Schema(BaseModel):
    """Base of request schemas. Unknown fields and values that need conversion are refused: "5" is not a number."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    def ignored_parameters(self) -> list[str]:
        """Return the names of fields that ask for something and are ignored; the response names them."""
        return []


class Reply(BaseModel):
    """Base of response schemas. They describe responses in /openapi.json and never parse any; models may add fields."""

    model_config = ConfigDict(extra="allow", defer_build=True)


SomeSchema = TypeVar("SomeSchema", bound=Schema)


async def parse_json(schema: type[SomeSchema], request: Request, limit: int) -> SomeSchema:
    """Read the request's JSON body.

    Raises ApiError `unsupported_media_type`, `payload_too_large` (over `limit` bytes), or `invalid_request`, which
    names the first field at fault and the values that it takes.
    """
    _check_json(request)
    return parse_json_bytes(schema, await request.read(limit))


def parse_json_bytes(schema: type[SomeSchema], body: bytes) -> SomeSchema:
    """Validate JSON. Raises ApiError `payload_too_large` or `invalid_request` as `parse_json` does."""
    _check_structure(body)
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise _to_api_error(schema, error) from None


async def parse_json_with_text(
    schema: type[SomeSchema], request: Request, limit: int, name: str
) -> tuple[SomeSchema, Payload | None]:
    """Read a JSON body whose field `name` may be a long text, as `parse_payload_with_text` does.

    Raises ApiError as `parse_json` does.
    """
    _check_json(request)
    return await parse_payload_with_text(schema, await request.read_payload(limit), name)


async def parse_payload_with_text(
    schema: type[SomeSchema], payload: Payload, name: str
) -> tuple[SomeSchema, Payload | None]:
    """Validate JSON whose field `name` may be a long text; return it without that text, and the text as UTF-8.

    The bytes of a long text never enter Python: in the schema, a mark stands for it. Of a short text, which stands in
    the schema, the second value is None. Raises ApiError as `parse_json` does.
    """
    strings = await long_strings(payload) if payload.size > LONG_BYTES else []
    if not strings:
        return parse_json_bytes(schema, payload.read()), None
    mark = secrets.token_hex(8)
    first = strings[0]
    body = parse_json_bytes(
        schema, b'%b"%b"%b' % (payload.read(0, first.start), mark.encode(), payload.read(first.stop))
    )
    if len(strings) > 1 or getattr(body, name) != mark:
        raise ApiError("invalid_request", f"Only {name} may have more than {LONG_BYTES:,} bytes.")
    text = await payload.slice(first.start, first.stop).unquoted()
    if text is None:
        raise ApiError("invalid_request", f"{name} must be a JSON string in UTF-8.", param=name)
    return body, text


async def parse_json_with_files(
    schema: type[SomeSchema], request: Request, limit: int, files: tuple[str, ...]
) -> tuple[SomeSchema, Mapping[str, Payload]]:
    """Read a JSON body in which the fields `files` may be files as base64; return the rest, and the files by name.

    The bytes of files never enter Python: in the schema each is a string, and its value is the field's name.
    Raises ApiError as `parse_json` does.
    """
    _check_json(request)
    try:
        body, payloads = await request.read_with_files(min(limit, MAX_BYTES_WITH_FILES), files)
    except ApiError as error:
        if error.type == "payload_too_large" and limit > MAX_BYTES_WITH_FILES:
            error.message += f" Send larger files in a form, {FORM}."
        raise
    _check_structure(body)
    try:
        return schema.model_validate_json(body), payloads
    except ValidationError as error:
        raise _to_api_error(schema, error) from None


async def read_json_with_files(
    request: Request, limit: int, files: tuple[str, ...], within: tuple[str, ...]
) -> tuple[Any, Mapping[str, Payload]]:
    """Read a JSON body of any kind, in which the fields `files` of the object at the path `within` may be files.

    Works as `parse_json_with_files`, except that the caller checks the result.
    """
    _check_json(request)
    body, payloads = await request.read_with_files(min(limit, MAX_BYTES_WITH_FILES), files, within)
    _check_structure(body)
    try:
        # not with the json module: in Pyodide, JSON nested thousands of levels deep would end the isolate
        return from_json(body, allow_inf_nan=False), payloads
    except ValueError as error:
        raise ApiError("invalid_request", f"The body is not valid JSON: {error}.") from None


async def parse_form(
    schema: type[SomeSchema], request: Request, limit: int, files: tuple[str, ...]
) -> tuple[SomeSchema, dict[str, Payload]]:
    """Read a form; return its fields, and its files by name. files: names of the files that the form may have.

    Raises ApiError as `parse_json` does. limit: bytes of the whole form.
    """
    form = await request.read_form(limit, files)
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    payloads = {name: value for name, value in form.items() if not isinstance(value, str)}
    unknown = sorted(name for name in payloads if NUMBER.sub("[]", name) not in files)
    if unknown:
        name = clip(unknown[0])
        raise ApiError(
            "invalid_request", f"{name} is not a file that this route takes: send {' or '.join(files)}.", param=name
        )
    return _from_texts(schema, texts), payloads


def check_form(request: Request, content: str) -> None:
    """Raise ApiError `unsupported_media_type` for a body that is no form. content: the form's file, for the message."""
    if media_type(request) != FORM:
        actual = media_type(request) or "a body without content-type"
        raise ApiError("unsupported_media_type", f"Send {content} as a file of a {FORM}, not as {actual}.")


def parse_query(schema: type[SomeSchema], request: Request) -> SomeSchema:
    """Read the parameters of the query string. Raises ApiError `invalid_request` as `parse_json` does."""
    return _from_texts(schema, request.query)


def parse_object(schema: type[SomeSchema], fields: dict[str, Any]) -> SomeSchema:
    """Validate fields from several parts of a request. Raises ApiError `invalid_request` as `parse_json` does."""
    try:
        return schema.model_validate(fields)
    except ValidationError as error:
        raise _to_api_error(schema, error) from None


def parse_json_field(name: str, text: str) -> Any:
    """Return the JSON value of a form's field. Raises ApiError as `parse_json` does."""
    _check_structure(text.encode())
    try:
        # not with the json module: in Pyodide, JSON nested thousands of levels deep would end the isolate
        return from_json(text)
    except ValueError:
        raise ApiError("invalid_request", f"{name} must be a JSON object.", param=name) from None


def _from_texts(schema: type[SomeSchema], texts: Mapping[str, str]) -> SomeSchema:
    """Validate fields that are all texts, as in forms and query strings, where "5" is a number."""
    try:
        return schema.model_validate_strings(texts, strict=False)
    except ValidationError as error:
        raise _to_api_error(schema, error) from None


def _check_json(request: Request) -> None:
    actual = media_type(request)
    if actual != JSON:
        raise ApiError(
            "unsupported_media_type",
            f"Send the body as JSON, with the header content-type: {JSON} (not {actual or 'none'}).",
        )


def _check_structure(body: bytes) -> None:
    """Raise ApiError `payload_too_large` for JSON that would take long to parse.

    The parser itself limits how deep it is nested (to about 200 levels).
    """
    # a backslash precedes a quotation mark within a text, and seldom the one that ends it
    if body.count(b'"') - body.count(b'\\"') > 2 * MAX_STRINGS:
        raise too_many_strings()
    if len(body) <= MAX_STRUCTURE_BYTES and _containers(body) <= MAX_CONTAINERS and body.count(b",") < MAX_VALUES:
        return
    bare = STRING.sub(b"", body)
    if len(bare) > MAX_STRUCTURE_BYTES:
        raise ApiError(
            "payload_too_large", f"The body has more than {MAX_STRUCTURE_BYTES:,} bytes outside of its texts."
        )
    if _containers(bare) > MAX_CONTAINERS:
        raise ApiError("payload_too_large", f"The body has more than {MAX_CONTAINERS:,} lists and objects.")
    if bare.count(b",") >= MAX_VALUES:
        raise ApiError("payload_too_large", f"The body has more than {MAX_VALUES:,} values.")


def _containers(body: bytes) -> int:
    return body.count(b"[") + body.count(b"{")


def media_type(request: Request) -> str:
    """Return the body's media type in lower case, without parameters; empty if the request has no content-type."""
    return (request.header("content-type") or "").partition(";")[0].strip().lower()


def clip(text: str) -> str:
    """Shorten a client's text to 100 characters, for an error message."""
    return text if len(text) <= 100 else f"{text[:99]}…"


def _to_api_error(schema: type[Schema], error: ValidationError) -> ApiError:
    if error.error_count() > MAX_ERRORS:
        text = f"More than {MAX_ERRORS} fields are at fault: the fields are {_field_names(schema)}."
        return ApiError("invalid_request", text)
    errors = error.errors(include_url=False, include_input=False)
    # if a value fits no branch of a union, the deepest error is the most helpful
    same_field = [each for each in errors if (_path(each) or "").startswith(_path(errors[0]) or "")]
    first = max(same_field, key=lambda each: len(each["loc"]))
    param = _path(first)
    reason = _reason(schema, first)
    others = len({_path(each) for each in errors} - {param})
    more = f" ({others} more field{'s' * (others > 1)} at fault.)" if others else ""
    return ApiError("invalid_request", f"{f'{param} ' if param else ''}{reason}.{more}", param=param)


def _path(detail: ErrorDetails) -> str | None:
    """Return the path of the field at fault, such as `messages.0.content`, without the names of unions' branches."""
    parts = [str(part) for part in detail["loc"]]
    return clip(".".join(part for part in parts if not _is_branch(part))) or None


def _is_branch(part: str) -> bool:
    return len(part) <= MAX_BRANCH_LENGTH and BRANCH.fullmatch(part) is not None


def _field_names(schema: type[Schema]) -> str:
    return ", ".join(field.alias or name for name, field in schema.model_fields.items())


def _reason(schema: type[Schema], detail: ErrorDetails) -> str:
    """Return a predicate for the field at fault, such as "must be between 0 and 5"."""
    context: dict[str, Any] = detail.get("ctx", {})
    match detail["type"]:
        case "json_invalid":
            return f"The body is not valid JSON: {context['error']}"
        case "model_type" | "model_attributes_type" if not detail["loc"]:
            return "The body must be a JSON object"
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not known here" + (f": the fields are {_field_names(schema)}" if len(detail["loc"]) == 1 else "")
        case "greater_than_equal" | "less_than_equal":
            return f"must be {_range(schema, detail)}"
        case "too_short" | "too_long" as kind:
            bound, count = (
                ("at least", context["min_length"]) if kind == "too_short" else ("at most", context["max_length"])
            )
            return f"must have {bound} {count:,} item{'s' * (count != 1)}"
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
