"""Instances of a JSON Schema, filled with values of a message as far as the message has any.

Candidates are tried, those from the message first, until one fits the schema, so that the result always fits.
"""

import hashlib
import math
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any, cast

from workers_ai_simulator.embeddings.lexical import words
from workers_ai_simulator.text_generation.facts import Facts, key_words, root
from workers_ai_simulator.text_generation.pattern_sample import sample
from workers_ai_simulator.text_generation.records import records
from workers_ai_simulator.text_generation.schema_check import (
    Schema,
    SchemaDocument,
    UnsatisfiableError,
    is_one_of,
    without_draft,
)

MAX_STEPS = 5_000
"""Schemas filled for one instance; the search fails for a schema with more, most often by references to itself."""
MAX_VISITS = 20_000
"""Schemas looked at for one instance, with all alternatives."""
MAX_ALTERNATIVES = 256
"""Combinations of the alternatives of two schemas that are merged."""
MAX_MINIMUM = {"minLength": 1 << 16, "minItems": 256, "minProperties": 256}
"""Keyword → maximum of its value; the search fails for a schema that requires more."""
MAX_DEPTH = 24
MAX_OPTIONAL_DEPTH = 4
"""Depth to which optional properties are filled."""
MAX_SAMPLE_LENGTH = 4096

FORMAT_SAMPLES: dict[str, Callable[[int], str]] = {
    "date": lambda variant: f"2026-01-{1 + variant % 28:02}",
    "time": lambda variant: f"00:00:{variant % 60:02}Z",
    "date-time": lambda variant: f"2026-01-01T00:{variant // 60 % 60:02}:{variant % 60:02}Z",
    "email": lambda variant: f"simulated{variant or ''}@example.org",
    "uri": lambda variant: f"https://example.org/{variant or ''}",
    "url": lambda variant: f"https://example.org/{variant or ''}",
    "uuid": lambda variant: str(uuid.UUID(bytes=hashlib.md5(bytes([variant % 256])).digest(), version=4)),  # noqa: S324
    "ipv4": lambda variant: f"192.0.2.{variant % 256}",
    "ipv6": lambda variant: f"2001:db8::{variant % 256:x}",
    "hostname": lambda variant: f"simulated{variant or ''}.example",
    "duration": lambda variant: f"PT{variant + 1}S",
}

NAME_WORDS = (
    "name person author owner customer user recipient contact company organization brand product title city location "
    "place country town region state origin destination departure arrival source target address capital subject "
    "topic attendee participant team artist"
)
NAME_KEYS = frozenset(NAME_WORDS.split())
"""Words of a key that stands for a name in the message."""
MESSAGE_WORDS = "query question text message prompt search q input term terms expression sentence"
MESSAGE_KEYS = frozenset(MESSAGE_WORDS.split())
"""Words of a key that stands for the message itself."""
ANSWER_WORDS = "answer result response reply output summary explanation conclusion"
ANSWER_KEYS = frozenset(ANSWER_WORDS.split())
"""Words of a key that stands for the whole answer."""
DIRECTION_KEYS = frozenset(("from", "to", "origin", "destination", "departure", "arrival", "author", "artist"))
"""Words of a key whose value stands behind its preposition, whether it is a name or not."""
PREPOSITIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("from", "origin", "departure", "source"), ("from",)),
    **dict.fromkeys(("to", "destination", "arrival", "target", "recipient"), ("to",)),
    **dict.fromkeys(("author", "artist"), ("by",)),
    **dict.fromkeys(
        ("city", "location", "place", "country", "town", "region"), ("in", "at", "near", "for", "of", "to")
    ),
}
"""Word of a key → prepositions before its value in a message."""


def instance(schema: Any, text: str, default_text: str | None = None) -> Any:
    """A value that fits the schema.

    Required properties are always present, optional ones only if the text has a value for them. `default_text` is the
    value of a string for which the text has none: “simulated” by default.

    Raises UnsatisfiableError if the search finds none, although there may be one.
    """
    try:
        plain = without_draft(schema)
        return _Search(SchemaDocument(plain, schema), Facts(text), default_text).make(plain, "")
    except RecursionError:
        raise UnsatisfiableError("the schema is nested too deeply") from None
    except (TypeError, ValueError, ArithmeticError, AttributeError, KeyError, re.error) as error:
        raise UnsatisfiableError(f"the schema is not valid: {error}") from error


class _Search:
    """Search for an instance of one schema."""

    def __init__(self, document: SchemaDocument, facts: Facts, default_text: str | None) -> None:
        self._document = document
        self._facts = facts
        self._default_text = default_text
        self._steps = 0
        self._visits = 0
        self._candidates_of_type: dict[str, Callable[[Schema, str, int, int], Iterator[Any]]] = {
            "string": self._strings,
            "integer": self._numbers,
            "number": self._numbers,
            "boolean": self._booleans,
            "null": self._nulls,
            "array": self._arrays,
            "object": self._objects,
        }

    def make(self, schema: Any, key: str, depth: int = 0, variant: int = 0) -> Any:
        """The first candidate that fits the schema.

        key: name of the property. variant: number that selects another value. Raises UnsatisfiableError if none fits.
        """
        self._steps += 1
        if self._steps > MAX_STEPS or depth > MAX_DEPTH:
            raise UnsatisfiableError(f"{key or 'the schema'} goes too deep")
        for branch in self._branches(schema, key):
            taken = self._facts.taken()
            try:
                for value in self._candidates(branch, key, depth, variant):
                    if self._document.allows(value, schema):
                        return value
                    self._facts.restore(taken)
            except UnsatisfiableError:
                self._facts.restore(taken)
        raise UnsatisfiableError(f"no value found for {key or 'the schema'}")

    # ---- from a schema to simpler ones -------------------------------------------------------------------------------

    def _visit(self) -> None:
        self._visits += 1
        if self._visits > MAX_VISITS:
            raise UnsatisfiableError("the schema has too many alternatives")

    def _flat(self, schema: Any, depth: int = 0) -> Schema:
        """The schema with its references resolved and its `allOf` merged."""
        self._visit()
        if schema is True:
            return {}
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            raise UnsatisfiableError("false")
        original = cast("Schema", schema)
        flat = {name: value for name, value in original.items() if name not in ("$ref", "allOf")}
        parts = [
            *([self._document.resolve(original["$ref"])] if "$ref" in original else []),
            *original.get("allOf", []),
        ]
        for part in parts:
            flat = _merged(flat, self._flat(part, depth + 1))
        return flat

    def _branches(self, schema: Any, key: str, above: frozenset[str] = frozenset()) -> Iterator[Schema]:
        """The alternatives of a schema, each without alternatives: of `anyOf`, `oneOf`, `if` and several types.

        above: references of which the schema is an alternative. An alternative that leads back to one adds nothing.
        """
        flat = self._flat(schema)
        above |= _references(schema)
        choices = next((name for name in ("anyOf", "oneOf") if name in flat), None)
        if choices:
            rest = {name: value for name, value in flat.items() if name != choices}
            yield from self._alternatives(rest, flat[choices], self._is_supplied(flat, key), key, above)
            return
        elif "if" in flat:
            rest = {name: value for name, value in flat.items() if name not in ("if", "then", "else")}
            met = _merged(self._flat(flat["if"]), self._flat(flat.get("then", True)))
            options = [_merged(rest, met), _merged(rest, self._flat(flat.get("else", True)))]
        elif isinstance(flat.get("type"), list):
            options = [{**flat, "type": name} for name in flat["type"]]
        else:
            yield flat
            return
        if not self._is_supplied(flat, key):
            options.sort(key=lambda option: option.get("type") != "null")
        for option in options:
            yield from self._branches(option, key, above)

    def _alternatives(
        self, rest: Schema, options: list[Any], is_supplied: bool, key: str, above: frozenset[str]
    ) -> Iterator[Schema]:
        """The branches of `anyOf` or `oneOf`; null comes first if the message has no value."""
        new = [each for each in options if each is not False and not _references(each) & above]
        merged = [(_merged(rest, self._flat(each)), _references(each)) for each in new]
        if not is_supplied:
            merged.sort(key=lambda pair: pair[0].get("type") != "null")
        for option, references in merged:
            yield from self._branches(option, key, above | references)

    # ---- values ------------------------------------------------------------------------------------------------------

    def _candidates(self, schema: Schema, key: str, depth: int, variant: int) -> Iterator[Any]:
        if any(schema.get(name, 0) > maximum for name, maximum in MAX_MINIMUM.items()):
            raise UnsatisfiableError(f"{key or 'the schema'} is too large")
        if "const" in schema:
            yield schema["const"]
        elif "enum" in schema:
            yield from self._mentioned(schema["enum"])
            yield from schema["enum"][variant:]
            yield from schema["enum"]
        else:
            kinds = [schema["type"]] if "type" in schema else _implied(schema)
            for kind in kinds:
                if kind not in self._candidates_of_type:
                    raise UnsatisfiableError(f"type {kind}")
                yield from self._candidates_of_type[kind](schema, key, depth, variant)

    def _mentioned(self, values: list[Any]) -> Iterator[Any]:
        """Values that the message mentions, in the order of the message."""
        message = f" {' '.join(self._facts.stems)} "
        places = [(message.find(f" {' '.join(map(root, words(str(each))))} "), each) for each in values]
        yield from (each for at, each in sorted(places, key=lambda pair: pair[0]) if at >= 0 and each is not None)

    def _nulls(self, *_: object) -> Iterator[None]:
        yield None

    def _strings(self, schema: Schema, key: str, _: int, variant: int) -> Iterator[str]:
        for value in self._message_strings(schema, key):
            self._facts.take(value)
            yield value
        if isinstance(schema.get("default"), str):
            yield schema["default"]
        yield from self._default_strings(schema, key, variant)

    def _message_strings(self, schema: Schema, key: str) -> Iterator[str]:
        """Values of the message for the property, by its format, its label and its key."""
        facts, key_parts = self._facts, set(key_words(key))
        of_format = {
            name: values for name, values in facts.formats.items() if name in (*key_parts, schema.get("format"))
        }
        for values in of_format.values():
            yield from facts.available(values)
        if "pattern" in schema:
            yield from (
                each for each in re.findall(r"[^\s,;]+", facts.text)[:1000] if re.search(schema["pattern"], each)
            )
        if "format" in schema:
            return
        if label := facts.labelled(key):
            yield label
        yield from self._named_strings(key_parts)

    def _named_strings(self, key_parts: set[str]) -> Iterator[str]:
        """Names and other values of the message for a key that stands for one, those after its prepositions first."""
        facts, names = self._facts, set(self._facts.names)
        prepositions = tuple(each for word, listed in PREPOSITIONS.items() if word in key_parts for each in listed)
        after = facts.after(prepositions) if prepositions else []
        if key_parts & DIRECTION_KEYS:
            yield from facts.available(after)
        yield from facts.available([each for each in after if each in names])
        if key_parts & NAME_KEYS or prepositions:
            yield from facts.available([*facts.quoted, *facts.names])
        if "name" in key_parts:
            yield from facts.available(facts.subject())
        yield from facts.available(after)

    def _default_strings(self, schema: Schema, key: str, variant: int) -> Iterator[str]:
        facts, max_length = self._facts, schema.get("maxLength", MAX_SAMPLE_LENGTH)
        is_plain = "format" not in schema and "pattern" not in schema
        if is_plain and self._default_text is not None and variant == 0 and set(key_words(key)) & ANSWER_KEYS:
            yield self._default_text[:max_length]
        if is_plain and self._default_text is not None and not set(key_words(key)) & MESSAGE_KEYS:
            yield from facts.available(facts.quoted)
            yield from facts.available(facts.names)
        if is_plain and variant == 0 and (self._default_text is not None or set(key_words(key)) & MESSAGE_KEYS):
            yield facts.text.strip()[:max_length]
        if "format" in schema and schema["format"] in FORMAT_SAMPLES:
            yield FORMAT_SAMPLES[schema["format"]](variant)
        if "pattern" in schema:
            for more in (0, 1, 2, 4, 8, 16, schema.get("minLength", 0)):
                yield sample(schema["pattern"], more, variant)
        default = self._default_text or "simulated"
        default = f"{variant} {default}" if variant else default
        yield default.ljust(schema.get("minLength", 0), "…")[:max_length]

    def _numbers(self, schema: Schema, key: str, _: int, variant: int) -> Iterator[int | float]:
        stems = [root(word) for word in key_words(key)]
        years = self._facts.years() if "year" in key_words(key) else []
        for number in [*years, *self._message_numbers(stems, schema)]:
            value = float(number)
            yield int(value) if value.is_integer() and abs(value) < 1 << 53 else value
        if isinstance(schema.get("default"), int | float):
            yield schema["default"]
        step = schema.get("multipleOf", 1)
        minima, maxima = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
        low = max((schema[name] for name in minima if schema.get(name) is not None), default=None)
        high = min((schema[name] for name in maxima if schema.get(name) is not None), default=None)
        start = low if low is not None else min(0, high if high is not None else 0)
        first = math.ceil(start / step) + variant
        yield from (_json_number(number * step) for number in (first, first + 1, first - 1, first - 2))
        if low is not None and high is not None:
            yield low + (high - low) * (variant + 1) / (variant + 2)
        yield from (bound for bound in (low, high) if bound is not None)

    def _message_numbers(self, stems: list[str], schema: Schema) -> Iterator[str]:
        """The first number of the message that fits; those that do not fit stay available for other properties."""
        taken = self._facts.taken()
        for number in self._facts.numbers(stems):
            if self._document.allows(_json_number(float(number)), {**schema, "enum": [_json_number(float(number))]}):
                yield number
                return
        self._facts.restore(taken)

    def _booleans(self, schema: Schema, key: str, _: int, variant: int) -> Iterator[bool]:
        message = self._facts.stems
        stems = [root(word) for word in key_words(key)]
        at = next((place for place, word in enumerate(message) if word in stems), None)
        if at is not None:
            yield not {"no", "not", "without", "never", "don"} & set(message[max(0, at - 3) : at])
        if isinstance(schema.get("default"), bool):
            yield schema["default"]
        yield variant % 2 == 1
        yield variant % 2 == 0

    def _arrays(self, schema: Schema, key: str, depth: int, _: int) -> Iterator[list[Any]]:
        prefix, items = schema.get("prefixItems", []), schema.get("items", {})
        minimum, maximum = schema.get("minItems", 0), schema.get("maxItems", 1 << 10)
        taken = self._facts.taken()
        start = [self.make(each, key, depth + 1) for each in prefix[:maximum]]
        parts = self._records(items) if depth <= MAX_OPTIONAL_DEPTH else []
        supplied = 0 if items is False or depth > MAX_OPTIONAL_DEPTH else len(parts) or self._item_count(items)
        needed, possible = minimum - len(start), maximum - len(start)
        for count in (min(max(supplied, needed), possible), max(0, needed)):
            try:
                yield start + self._items(items, key, depth, count, bool(schema.get("uniqueItems")), parts)
            except UnsatisfiableError:
                self._facts.restore(taken)

    def _items(self, schema: Any, key: str, depth: int, count: int, unique: bool, parts: list[str]) -> list[Any]:
        """Items of an array, each with values of its record of the message, if it has one."""
        items: list[Any] = []
        whole = self._facts
        for variant in range(count):
            other = {"allOf": [schema], "not": {"enum": list(items)}} if unique and items else schema
            try:
                self._facts = Facts(parts[variant]) if variant < len(parts) else whole
                items.append(self.make(other, _singular(key), depth + 1, 0 if variant < len(parts) else variant))
            finally:
                self._facts = whole
        return items

    def _records(self, items: Any) -> list[str]:
        """Records of the message for an array of objects, if it has several."""
        if not isinstance(items, dict):
            return []
        flat = self._flat(cast("Schema", items))
        schemas = {name: self._flat(each) for name, each in flat.get("properties", {}).items() if each is not False}
        texts = [name for name, each in schemas.items() if each.get("type") == "string" and "format" not in each]
        by_name = any(set(key_words(name)) & NAME_KEYS for name in texts)
        numbers = sum(each.get("type") in ("number", "integer") for each in schemas.values())
        return records(self._facts.text, by_name, numbers) if by_name or numbers else []

    def _item_count(self, schema: Any) -> int:
        """Number of items that the message has for an array, but at least one, so that the array is visible."""
        if not isinstance(schema, dict):
            return 0
        flat = self._flat(cast("Schema", schema))
        if flat.get("type") == "string" and "enum" not in flat and "pattern" not in flat:
            values = self._facts.formats.get(flat.get("format", ""), self._facts.listed() or self._facts.quoted[:8])
            return max(1, len(values))
        return 1

    def _objects(self, schema: Schema, key: str, depth: int, _: int) -> Iterator[dict[str, Any]]:
        properties: Schema = schema.get("properties", {})
        required: list[str] = list(schema.get("required", []))
        supplied = [
            name
            for name, each in properties.items()
            if name not in required and depth < MAX_OPTIONAL_DEPTH and self._is_supplied(each, name)
        ]
        order = [*properties, *(name for name in required if name not in properties)]
        taken = self._facts.taken()
        for chosen in ({*required, *supplied}, set(required), set(order)):
            try:
                filled = {
                    name: self.make(self._property(schema, name), name, depth + 1) for name in order if name in chosen
                }
            except UnsatisfiableError:
                self._facts.restore(taken)
                continue
            yield filled
            yield self._padded(schema, filled, depth)
        raise UnsatisfiableError(key)

    def _property(self, schema: Schema, name: str) -> Any:
        """Schema of a property."""
        declared = schema.get("properties", {}).get(name)
        if declared is not None:
            return declared
        patterns = [each for pattern, each in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
        return {"allOf": patterns} if patterns else schema.get("additionalProperties", True)

    def _padded(self, schema: Schema, filled: dict[str, Any], depth: int) -> dict[str, Any]:
        """The object with enough other properties for `minProperties`."""
        names = [sample(pattern, 1) for pattern in schema.get("patternProperties", {})]
        names += [f"property{number}" for number in range(1, schema.get("minProperties", 0) + 1)]
        padded = dict(filled)
        for name in names:
            if len(padded) < schema.get("minProperties", 0) and name not in padded:
                padded[name] = self.make(self._property(schema, name), name, depth + 1)
        return padded

    def _is_supplied(self, schema: Any, key: str, depth: int = 0) -> bool:
        """Whether the message has a value for the property."""
        if depth > MAX_OPTIONAL_DEPTH:
            return False
        flat = self._flat(schema)
        if "enum" in flat:
            return next(self._mentioned(flat["enum"]), None) is not None
        options = [each for name in ("anyOf", "oneOf") for each in flat.get(name, [])]
        if options:
            return any(self._is_supplied(option, key, depth + 1) for option in options)
        kinds = cast("list[str]", flat["type"] if isinstance(flat.get("type"), list) else [flat.get("type")])
        return any(self._is_type_supplied(kind, flat, key, depth) for kind in kinds)

    def _is_type_supplied(self, kind: str, flat: Schema, key: str, depth: int) -> bool:
        taken = self._facts.taken()
        stems = {root(word) for word in key_words(key)}
        match kind:
            case "object":
                return any(
                    self._is_supplied(each, name, depth + 1) for name, each in flat.get("properties", {}).items()
                )
            case "array":
                return self._is_supplied(flat.get("items", {}), _singular(key), depth + 1)
            case "string":
                return any(self._document.allows(value, flat) for value in self._message_strings(flat, key))
            case "number" | "integer":
                has_number = bool(stems & set(self._facts.stems)) and next(self._facts.numbers([]), None) is not None
                self._facts.restore(taken)
                return has_number or ("year" in key_words(key) and bool(self._facts.years()))
            case "boolean":
                return bool(stems & set(self._facts.stems))
            case _:
                return False


def _references(schema: Any) -> frozenset[str]:
    reference: Any = cast("Schema", schema).get("$ref") if isinstance(schema, dict) else None
    return frozenset([reference]) if isinstance(reference, str) else frozenset()


def _singular(key: str) -> str:
    return key[:-3] + "y" if key.endswith("ies") else key.removesuffix("s")


def _implied(schema: Schema) -> list[str]:
    """Types of a schema without `type`: those that its keywords restrict first."""
    hints = {
        "object": ("properties", "required", "additionalProperties", "minProperties", "patternProperties"),
        "array": ("items", "prefixItems", "minItems", "uniqueItems"),
        "string": ("minLength", "maxLength", "pattern", "format"),
        "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
    hinted = [kind for kind, names in hints.items() if any(name in schema for name in names)]
    return [
        *hinted,
        *(kind for kind in ("string", "number", "boolean", "object", "array", "null") if kind not in hinted),
    ]


def _json_number(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "properties": lambda one, other: {
        **one,
        **{name: {"allOf": [one[name], each]} if name in one else each for name, each in other.items()},
    },
    "required": lambda one, other: [*one, *(name for name in other if name not in one)],
    "enum": lambda one, other: [each for each in one if is_one_of(each, other)],
    "type": lambda one, other: _common_types(one, other),
    "items": lambda one, other: {"allOf": [one, other]},
    "anyOf": lambda one, other: _combinations(one, other),
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}


def _merged(one: Schema, other: Schema) -> Schema:
    """One schema for both, as far as possible: candidates are validated against the original schemas anyway."""
    both = {name: MERGES[name](one[name], other[name]) for name in one if name in other and name in MERGES}
    return {**one, **other, **both}


def _combinations(one: list[Any], other: list[Any]) -> list[Any]:
    if len(one) * len(other) > MAX_ALTERNATIVES:
        raise UnsatisfiableError("the schema has too many alternatives")
    return [{"allOf": [first, second]} for first in one for second in other]


def _common_types(one: Any, other: Any) -> Any:
    first = cast("list[str]", one if isinstance(one, list) else [one])
    second = cast("list[str]", other if isinstance(other, list) else [other])
    common = [name for name in first if name in second]
    if not common and {"integer", "number"} <= {*first, *second}:
        common = ["integer"]
    return common[0] if len(common) == 1 else common
