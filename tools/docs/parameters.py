"""Routes and the parameters of their requests as Markdown, from public/openapi.json."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.docs import openapi
from tools.docs.markdown import Row, number, table

Json = dict[str, Any]

BOUNDS: Mapping[str, tuple[str, str, str]] = {
    "string": ("minLength", "maxLength", "characters"),
    "array": ("minItems", "maxItems", ""),
    "object": ("minProperties", "maxProperties", "members"),
    "number": ("minimum", "maximum", ""),
    "integer": ("minimum", "maximum", ""),
}
"""Type → keywords of its bounds and what they count."""
ALL_TYPES = ("string", "number", "boolean", "array", "object", "null")
"""A field of all these types takes anything."""
NAMES = {"null": "`null`", "string": "text", "array": "list", "integer": "whole number", "boolean": "true or false"}
"""Type of JSON Schema → words for it, where they differ."""
REFERENCE = re.compile(r'"#/components/schemas/(\w+)"')
HEAD = ("Field", "Takes", "Default", "Meaning")


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    described: Json

    @property
    def title(self) -> str:
        return f"`{self.method} {self.path}`"

    @property
    def anchor(self) -> str:
        """The fragment that GitHub makes of the title as a heading."""
        kept = "".join(letter for letter in self.title.lower() if letter.isalnum() or letter in " -_")
        return kept.replace(" ", "-")


@functools.cache
def document() -> Json:
    return json.loads(openapi.FILE.read_text())


def operations() -> list[Operation]:
    return [
        Operation(method.upper(), path, described)
        for path, methods in document()["paths"].items()
        for method, described in methods.items()
    ]


def scope(described: Json) -> str:
    """The scope that the operation needs, as Markdown: a scope, any key, or none."""
    security: list[dict[str, list[str]]] = described["security"]
    if not security:
        return "no key"
    return ", ".join(f"`{each}`" for each in security[0]["bearer"]) or "any key"


def routes() -> str:
    rows = ((_linked(each), scope(each.described), each.described["summary"]) for each in operations())
    return table(("Route", "Scope", "Summary"), rows)


def routes_of(name: str) -> list[str]:
    """Titles of the operations that need the scope."""
    return [each.title for each in operations() if f"`{name}`" == scope(each.described)]


def parameters() -> str:
    """A heading and a table for each operation that has parameters or a body."""
    return "\n".join(f"## {each.title}\n\n{content}" for each in operations() if (content := _content(each)))


def shapes() -> str:
    """A heading and a table for each object that a field of a request refers to."""
    schemas = _schemas()
    return "\n".join(
        f"### {name}\n\n{table(HEAD, _fields(schemas[name]))}"
        for name in sorted(_referenced())
        if schemas[name].get("properties")
    )


def _linked(operation: Operation) -> str:
    if not _content(operation):
        return operation.title
    return f"[{operation.title}](parameters.md#{operation.anchor})"


def _content(operation: Operation) -> str:
    rows = list(_parameters(operation.described))
    tables = [f"Query string:\n\n{table(HEAD, rows)}"] if rows else []
    for media_type, body in _bodies(operation.described):
        fields = list(_fields(_resolved(body)))
        if fields:
            tables.append(f"Body, `{media_type}`:\n\n{table(HEAD, fields)}")
    return "\n".join(tables)


def _parameters(described: Json) -> Iterator[Row]:
    """Rows of the parameters in the query string. (Those in the path are in the title.)"""
    for each in described.get("parameters", []):
        if each["in"] == "query":
            yield _row(each["name"], each["schema"], each.get("description", ""), each.get("required", False))


def _bodies(described: Json) -> Iterator[tuple[str, Json]]:
    for media_type, content in described.get("requestBody", {}).get("content", {}).items():
        yield media_type, content["schema"]


def _fields(schema: Json) -> Iterator[Row]:
    required: list[str] = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        yield _row(name, field, field.get("description", ""), name in required)


def _row(name: str, schema: Json, description: str, is_required: bool) -> Row:
    default = schema.get("default")
    shown = "required" if is_required else "" if default is None else f"`{json.dumps(default)}`"
    return (f"`{name}`", accepted(schema), shown, description)


def accepted(schema: Json) -> str:
    """The values that a schema takes, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        resolved = _resolved(schema)
        return f"[{name}](#{name.lower()})" if resolved.get("properties") else accepted(resolved)
    if "const" in schema:
        return f"`{_plain(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{_plain(value)}`" for value in schema["enum"])
    alternatives: list[Json] = schema.get("anyOf") or schema.get("oneOf") or []
    if alternatives:
        return "; or ".join(dict.fromkeys(map(accepted, alternatives)))
    types = schema.get("type", [])
    each = [types] if isinstance(types, str) else types
    return "; or ".join(_typed(name, schema) for name in each) if 0 < len(each) < len(ALL_TYPES) else "anything"


def _typed(name: str, schema: Json) -> str:
    if schema.get("format") == "binary":
        return "file"
    words = NAMES.get(name, name)
    if name in BOUNDS:
        words += _bounds(schema, *BOUNDS[name])
    if name == "string" and "pattern" in schema:
        words += f" like `{schema['pattern']}`"
    if name == "array" and schema.get("items"):
        items = accepted(schema["items"])
        words += f" of {f'({items})' if '; or ' in items else items}"
    return words


def _bounds(schema: Json, least: str, most: str, unit: str) -> str:
    """The range of a type in parentheses, if it has one."""
    low, high = schema.get(least), schema.get(most)
    if low is None and high is None:
        return ""
    if low is None:
        words = f"up to {number(high)}"
    elif high is None:
        words = f"{number(low)} or more"
    else:
        words = f"{number(low)} to {number(high)}"
    return f" ({words} {unit}".rstrip() + ")"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _schemas() -> dict[str, Json]:
    return document()["components"]["schemas"]


def _resolved(schema: Json) -> Json:
    while "$ref" in schema:
        schema = _schemas()[schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _referenced() -> set[str]:
    """Names of the schemas that fields of requests refer to, directly or by others."""
    names: set[str] = set()
    waiting: list[Any] = [each.described.get("parameters", []) for each in operations()]
    waiting += [_resolved(body) for each in operations() for _, body in _bodies(each.described)]
    while waiting:
        new = set(REFERENCE.findall(json.dumps(waiting.pop()))) - names
        names |= new
        waiting += [_schemas()[name] for name in new]
    return names
