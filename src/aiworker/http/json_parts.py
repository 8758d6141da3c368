"""JSON in which some values stay in JavaScript."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from aiworker.http.messages import JsHandle, Payload


@dataclass(frozen=True)
class JsonValue:
    """A JSON value whose text, or a part of it, stays in JavaScript."""

    parts: tuple[str | JsHandle, ...]


def base64_value(payload: Payload) -> JsonValue:
    """Return bytes as a JSON string in base64."""
    return JsonValue(('"', payload.base64(), '"'))


def to_body(data: Any) -> str | list[str | JsHandle]:
    """Return the body of a response with this JSON, in which any value may be a JsonValue."""
    mark = secrets.token_hex(16)
    values: list[JsonValue] = []

    def note(value: JsonValue) -> str:
        values.append(value)
        return mark

    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=note)
    if not values:
        return text
    first, *rest = text.split(f'"{mark}"')
    parts: list[str | JsHandle] = [first]
    for value, following in zip(values, rest, strict=True):
        parts += [*value.parts, following]
    return parts
