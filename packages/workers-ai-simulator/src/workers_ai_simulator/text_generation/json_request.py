"""JSON that a conversation asks for in words, with its JSON Schema or an example of it in a message."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator.text_generation.schema_check import Schema

MAX_OBJECTS = 200
"""Opening braces of a message at which JSON is looked for."""
MAX_EXAMPLE_LENGTH = 4_000
"""Characters of an object with names of types in place of values."""

JSON = re.compile(r"\bJSON\b", re.IGNORECASE)
REQUEST = re.compile(
    r"\b(?:respond|response|return|answer|reply|output|produce|generate|format(?:ted)?|provide|write|extract|convert|"
    r"give|instance|conform\w*|adher\w*|match\w*|compatible|according|fits?|valid|use|using|as)\b",
    re.IGNORECASE,
)
EXAMPLE = re.compile(
    r"\b(?:like|formats?|form|structure|shape|example|template|follow(?:s|ing)|exactly|schema|object|keys|fields)\b",
    re.IGNORECASE,
)
"""Words before an example of the JSON to write."""
FENCED = re.compile(
    r"\b(?:in|within|inside|using|between|surrounded by|wrapped in)\b[^.\n]{0,60}(?:```|code ?block|code snippet)",
    re.IGNORECASE,
)
KEYS = re.compile(
    r"\bJSON\b[^.\n{]{0,60}\b(?:keys?|fields?|properties|attributes)\b:?\s*(?P<keys>[^.\n{]{1,300})", re.IGNORECASE
)
KEY = re.compile(r"[`\"']?(?P<name>[A-Za-z_]\w{0,60})[`\"']?\s*(?:\((?:an? )?(?P<type>[a-z]+)[^)]{0,80}\))?")
TYPED_KEY = re.compile(r"[\"']?(?P<name>[A-Za-z_]\w{0,60})[\"']?\??\s*:\s*[\"'<]?(?P<type>[a-z]+)(?P<list>\[\])?")

TYPED_OBJECT = re.compile(r"\{[^{}]{1,4000}\}")
TYPE_NAMES = {
    **dict.fromkeys(("string", "str", "text", "date", "uuid"), "string"),
    **dict.fromkeys(("number", "float", "double", "decimal"), "number"),
    **dict.fromkeys(("integer", "int", "long"), "integer"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
}
"""Name of a type in prose and programming languages → type of JSON Schema."""
NUMBER_KEYS = re.compile(
    r"age|year|count|total|price|amount|quantity|score|rating|number|size|\w+_count|num_\w+", re.IGNORECASE
)
FILLER_KEYS = frozenset(("and", "or", "the", "with", "only", "a", "an", "containing", "named", "called", "for", "of"))


@dataclass(frozen=True)
class JsonRequest:
    """Request for JSON."""

    schema: Schema
    is_fenced: bool
    """Whether to write it in a Markdown code block."""
    users: list[str]
    """Messages of the user without the schemas in them."""


def read(system: list[str], users: list[str]) -> JsonRequest | None:
    """The request for JSON in the messages, the latest if there are several; None if there is none."""
    for message in (*reversed(users), *reversed(system)):
        if JSON.search(message) and REQUEST.search(message) and (schema := _schema(message)):
            rest = [_without_schemas(each) for each in users]
            return JsonRequest(schema, FENCED.search(message) is not None, rest)
    return None


def _schema(message: str) -> Schema | None:
    """The last JSON Schema in a message, else the schema of the example, or of the keys, that it names."""
    objects = list(_objects(message))
    if schemas := [schema for _, _, value in objects if (schema := _as_schema(value))]:
        return schemas[-1]
    for start, _, value in reversed(objects):
        if EXAMPLE.search(message[max(0, start - 200) : start]):
            return _of_example(value)
    return _of_typed_keys(message) or _of_keys(message)


def _objects(message: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Start, end and value of each JSON object in a message, outer ones only."""
    decoder = json.JSONDecoder()
    at = message.find("{")
    for _ in range(MAX_OBJECTS):
        if at < 0:
            return
        try:
            value, end = decoder.raw_decode(message, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield at, end, cast("dict[str, Any]", value)
        at = message.find("{", end)


def _as_schema(value: Any) -> Schema | None:
    """The value if it is a JSON Schema, or the schema in OpenAI's envelope `{name, schema}`; None otherwise."""
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    properties: Any = fields.get("properties")
    if isinstance(properties, dict):
        declared = list(cast("dict[str, Any]", properties).values())
        return fields if declared and all(isinstance(each, dict | bool) for each in declared) else None
    if isinstance(fields.get("$defs") or fields.get("definitions"), dict) or "$schema" in fields:
        return fields
    if fields.get("type") in ("array", "object") and {"items", "additionalProperties"} & fields.keys():
        return fields
    if "schema" in fields or "json_schema" in fields:
        return _as_schema(fields.get("schema", fields.get("json_schema")))
    alternatives: Any = fields.get("anyOf") or fields.get("oneOf")
    return fields if isinstance(alternatives, list) and len(fields) <= 4 else None


def _of_example(value: Any) -> Schema:
    """Schema of values like an example, in which a string may be the name of a type, or alternatives: `low|high`."""
    if isinstance(value, dict):
        properties = {name: _of_example(each) for name, each in cast("dict[str, Any]", value).items()}
        return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return {"type": "array", "items": _of_example(items[0]) if items else {"type": "string"}}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": "number"}
    if isinstance(value, str):
        options = [each.strip() for each in re.split(r"\s*\|\s*", value)]
        name = value.strip(" <>.[]").lower()
        return {"enum": options} if len(options) > 1 and all(options) else {"type": TYPE_NAMES.get(name, "string")}
    return {"type": ["string", "null"]}


def _of_typed_keys(message: str) -> Schema | None:
    """Schema of an object such as `{"name": string, "age": number}`, as in TypeScript."""
    start = message.find("{")
    if start < 0:
        return None
    body = message[start : start + MAX_EXAMPLE_LENGTH].rpartition("}")[0]
    typed = [each for each in TYPED_KEY.finditer(body) if each["type"] in TYPE_NAMES]
    properties: Schema = {}
    for each in typed:
        schema: Schema = {"type": TYPE_NAMES[each["type"]]}
        properties[each["name"]] = {"type": "array", "items": schema} if each["list"] else schema
    return _object(properties) if properties else None


def _of_keys(message: str) -> Schema | None:
    """Schema of “a JSON object with the keys name and age (integer)”."""
    match = KEYS.search(message)
    if not match:
        return None
    keys = [each for each in KEY.finditer(match["keys"]) if each["name"].lower() not in FILLER_KEYS]
    return (
        _object({each["name"]: {"type": _key_type(each["name"], each["type"])} for each in keys[:20]}) if keys else None
    )


def _key_type(name: str, kind: str | None) -> str:
    return TYPE_NAMES.get(kind or "", "number" if NUMBER_KEYS.fullmatch(name) else "string")


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _without_schemas(message: str) -> str:
    """The message without its schemas and examples, and without capitals that are no names."""
    parts: list[str] = []
    last = 0
    for start, end, value in _objects(message):
        is_example = EXAMPLE.search(message[max(0, start - 60) : start]) is not None
        if is_example or _as_schema(value):
            parts.append(message[last:start])
            last = end
    return JSON.sub("json", TYPED_OBJECT.sub(_unless_data, "\n".join([*parts, message[last:]])))


def _unless_data(braces: re.Match[str]) -> str:
    """Nothing in place of an object with names of types, anything else as it is."""
    return "" if any(each["type"] in TYPE_NAMES for each in TYPED_KEY.finditer(braces[0])) else braces[0]
