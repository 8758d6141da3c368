"""Whether a value fits a JSON Schema: the keywords of draft 2020-12, and `definitions` of older ones.

Small, so that the simulator needs no library for it. `unevaluated…`, `$dynamicRef`, `contains` and references to other
documents are not known: `conforms` takes a schema with them as one that nothing fits.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, cast

Schema = dict[str, Any]

DEEPEST = 64
"""Levels of schemas within schemas, references followed; a schema that refers to itself only never ends."""
UNKNOWN = ("$dynamicRef", "unevaluatedItems", "unevaluatedProperties", "contains")


class Unsatisfiable(Exception):  # noqa: N818 - a statement about the schema
    """No value that fits the schema was found; the words say where."""


def conforms(value: Any, schema: Any, root: Any, depth: int = 0) -> bool:
    """Whether the value fits the schema, whose `$ref` point into `root`.

    Raises Unsatisfiable for a reference that leads nowhere.
    """
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict) or depth > DEEPEST or any(name in schema for name in UNKNOWN):
        return False
    place = Place(cast("Schema", schema), root, depth)
    return all(
        CHECKS[name](value, wanted, place)
        for name, wanted in place.schema.items()
        if name in CHECKS and isinstance(value, KINDS_OF.get(name, object))
    )


def resolved(reference: Any, root: Any) -> Any:
    """What a `$ref` within the document points at.

    Raises Unsatisfiable if there is nothing.
    """
    found = root
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise Unsatisfiable(f"$ref {reference}")
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdigit() and int(name) < len(cast("list[Any]", found)):
            found = cast("list[Any]", found)[int(name)]
        elif isinstance(found, dict) and name in found:
            found = cast("Schema", found)[name]
        else:
            raise Unsatisfiable(f"$ref {reference}")
    return found


def canonical(value: Any) -> str:
    """The same text for values that JSON Schema holds to be equal: 1 and 1.0 are, 1 and true are not."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Any) -> Any:
    match value:
        case bool():
            return value
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_whole(each) for each in cast("list[Any]", value)]
        case dict():
            return {name: _whole(each) for name, each in cast("Schema", value).items()}
        case _:
            return value


@dataclass(frozen=True)
class Place:
    """A schema in its document, as deep as it is."""

    schema: Schema
    root: Any
    depth: int

    def fits(self, value: Any, schema: Any) -> bool:
        return conforms(value, schema, self.root, self.depth + 1)


# ---- types and formats ---------------------------------------------------------------------------------------------


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: is_number(value) and float(value).is_integer(),
    "number": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _parses(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return check


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _parses(date.fromisoformat),
    "time": _parses(time.fromisoformat),
    "date-time": lambda value: (
        "T" in value.upper() and bool(re.search(r"(?:Z|[+-]\d\d:\d\d)$", value)) and _dated(value)
    ),
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "uri": _matches(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+"),
    "url": _matches(r"https?://[^\s]+"),
    "uuid": _matches(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "hostname": _matches(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}"),
    "duration": _matches(r"P(?=.)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?"),
}
"""Other formats are annotations only."""
_dated = _parses(datetime.fromisoformat)

# ---- keywords ------------------------------------------------------------------------------------------------------


def _type(value: Any, wanted: Any, _: Place) -> bool:
    names = cast("list[Any]", wanted if isinstance(wanted, list) else [wanted])
    return any(name in TYPES and TYPES[name](value) for name in names)


def _multiple(value: Any, wanted: Any, _: Place) -> bool:
    return not is_number(value) or Decimal(str(value)) % Decimal(str(wanted)) == 0


def _compared(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Place], bool]:
    return lambda value, wanted, _: not is_number(value) or holds(value, wanted)


def _pattern(value: Any, wanted: Any, _: Place) -> bool:
    try:
        return re.search(wanted, value) is not None
    except re.error:
        return False


def _items(value: Any, wanted: Any, place: Place) -> bool:
    first = place.schema.get("prefixItems", [])
    return all(place.fits(each, wanted) for each in value[len(first) :])


def _additional(value: Any, wanted: Any, place: Place) -> bool:
    named = place.schema.get("properties", {})
    patterns: list[str] = list(place.schema.get("patternProperties", {}))
    others = [name for name in value if name not in named and not any(re.search(each, name) for each in patterns)]
    return all(place.fits(value[name], wanted) for name in others)


def _conditional(value: Any, wanted: Any, place: Place) -> bool:
    return place.fits(value, place.schema.get("then" if place.fits(value, wanted) else "else", True))


CHECKS: dict[str, Callable[[Any, Any, Place], bool]] = {
    "$ref": lambda value, wanted, place: place.fits(value, resolved(wanted, place.root)),
    "type": _type,
    "enum": lambda value, wanted, _: canonical(value) in map(canonical, wanted),
    "const": lambda value, wanted, _: canonical(value) == canonical(wanted),
    "minimum": _compared(lambda value, wanted: value >= wanted),
    "maximum": _compared(lambda value, wanted: value <= wanted),
    "exclusiveMinimum": _compared(lambda value, wanted: value > wanted),
    "exclusiveMaximum": _compared(lambda value, wanted: value < wanted),
    "multipleOf": _multiple,
    "minLength": lambda value, wanted, _: len(value) >= wanted,
    "maxLength": lambda value, wanted, _: len(value) <= wanted,
    "pattern": _pattern,
    "format": lambda value, wanted, _: wanted not in FORMATS or FORMATS[wanted](value),
    "items": _items,
    "prefixItems": lambda value, wanted, place: all(map(place.fits, value, wanted)),
    "minItems": lambda value, wanted, _: len(value) >= wanted,
    "maxItems": lambda value, wanted, _: len(value) <= wanted,
    "uniqueItems": lambda value, wanted, _: not wanted or len(set(map(canonical, value))) == len(value),
    "properties": lambda value, wanted, place: all(
        place.fits(value[name], schema) for name, schema in wanted.items() if name in value
    ),
    "required": lambda value, wanted, _: all(name in value for name in wanted),
    "additionalProperties": _additional,
    "patternProperties": lambda value, wanted, place: all(
        place.fits(value[name], wanted[each]) for each in wanted for name in value if re.search(each, name)
    ),
    "propertyNames": lambda value, wanted, place: all(place.fits(name, wanted) for name in value),
    "dependentRequired": lambda value, wanted, _: all(
        other in value for name, others in wanted.items() if name in value for other in others
    ),
    "minProperties": lambda value, wanted, _: len(value) >= wanted,
    "maxProperties": lambda value, wanted, _: len(value) <= wanted,
    "anyOf": lambda value, wanted, place: any(place.fits(value, each) for each in wanted),
    "oneOf": lambda value, wanted, place: sum(place.fits(value, each) for each in wanted) == 1,
    "allOf": lambda value, wanted, place: all(place.fits(value, each) for each in wanted),
    "not": lambda value, wanted, place: not place.fits(value, wanted),
    "if": _conditional,
}
OF_STRINGS = ("minLength", "maxLength", "pattern", "format")
OF_ARRAYS = ("items", "prefixItems", "minItems", "maxItems", "uniqueItems")
OF_OBJECTS = ("properties", "required", "additionalProperties", "patternProperties", "propertyNames")
OF_OBJECTS_TOO = ("dependentRequired", "minProperties", "maxProperties")
KINDS_OF: dict[str, type] = {
    **dict.fromkeys(OF_STRINGS, str),
    **dict.fromkeys(OF_ARRAYS, list),
    **dict.fromkeys((*OF_OBJECTS, *OF_OBJECTS_TOO), dict),
}
"""Keyword → the only kind of value that it says something about."""
