"""A valid instance of a JSON Schema, filled from a message where the message has something to fill it with.

Candidates are tried, the message's own first, until one fits the schema; so what comes out always fits.
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
from workers_ai_simulator.text_generation.schema_check import TYPES, Schema, Unsatisfiable, conforms, resolved

MOST_STEPS = 5_000
"""Schemas looked at for one instance; a schema with more, by references to itself above all, is given up."""
LARGEST = {"minLength": 1 << 16, "minItems": 256, "minProperties": 256}
"""What a schema may want at least; one that wants more is given up."""
DEEPEST = 24
DEEPEST_OPTIONAL = 4
LONGEST_SAMPLE = 4096

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
NAMED = frozenset(NAME_WORDS.split())
"""Words of a key whose value is a name in the message."""
MESSAGE_WORDS = "query question text message prompt search q input term terms expression sentence"
WHOLE_MESSAGE = frozenset(MESSAGE_WORDS.split())
"""Words of a key whose value is the message itself."""
PREPOSITIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("from", "origin", "departure", "source"), ("from",)),
    **dict.fromkeys(("to", "destination", "arrival", "target", "recipient"), ("to",)),
    **dict.fromkeys(("author", "artist"), ("by",)),
    **dict.fromkeys(
        ("city", "location", "place", "country", "town", "region"), ("in", "at", "near", "for", "of", "to")
    ),
}
"""A word of a key → the prepositions before its value."""


def instance(schema: Any, text: str, otherwise: str | None = None) -> Any:
    """A value that fits the schema.

    Required properties are always there; an optional one only if the text has something for it. `otherwise` stands for
    a string that the text says nothing of: “simulated” by default.

    Raises Unsatisfiable if none is found, which may also be for the reach of this search.
    """
    try:
        return _Search(schema, Facts(text), otherwise).make(schema, "")
    except (TypeError, ValueError, ArithmeticError, AttributeError, KeyError, re.error) as error:
        raise Unsatisfiable(f"the schema is not valid: {error}") from error


class _Search:
    def __init__(self, root: Any, facts: Facts, otherwise: str | None) -> None:
        self._root = root
        self._facts = facts
        self._otherwise = otherwise
        self._steps = 0
        self._kinds: dict[str, Callable[[Schema, str, int, int], Iterator[Any]]] = {
            "string": self._strings,
            "integer": self._numbers,
            "number": self._numbers,
            "boolean": self._booleans,
            "null": self._nulls,
            "array": self._arrays,
            "object": self._objects,
        }

    def make(self, schema: Any, key: str, depth: int = 0, variant: int = 0) -> Any:
        """The first candidate that fits. `key` names the property; another `variant` gives another value."""
        self._steps += 1
        if self._steps > MOST_STEPS or depth > DEEPEST:
            raise Unsatisfiable(f"{key or 'the schema'} goes too deep")
        for branch in self._branches(schema, key):
            taken = self._facts.taken()
            try:
                for value in self._candidates(branch, key, depth, variant):
                    if conforms(value, schema, self._root):
                        return value
                    self._facts.only(taken)
            except Unsatisfiable:
                self._facts.only(taken)
        raise Unsatisfiable(f"no value found for {key or 'the schema'}")

    # ---- from a schema to simpler ones -------------------------------------------------------------------------------

    def _flat(self, schema: Any, depth: int = 0) -> Schema:
        """The schema with its references followed and all of its `allOf` in one."""
        if schema is True:
            return {}
        if not isinstance(schema, dict) or depth > DEEPEST:
            raise Unsatisfiable("false")
        whole = cast("Schema", schema)
        flat = {name: value for name, value in whole.items() if name not in ("$ref", "allOf")}
        parts = [*([resolved(whole["$ref"], self._root)] if "$ref" in whole else []), *whole.get("allOf", [])]
        for part in parts:
            flat = _merged(flat, self._flat(part, depth + 1))
        return flat

    def _branches(self, schema: Any, key: str) -> Iterator[Schema]:
        flat = self._flat(schema)
        choices = next((name for name in ("anyOf", "oneOf") if name in flat), None)
        if choices:
            rest = {name: value for name, value in flat.items() if name != choices}
            options = [_merged(rest, self._flat(option)) for option in flat[choices] if option is not False]
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
            yield from self._branches(option, key)

    # ---- values ------------------------------------------------------------------------------------------------------

    def _candidates(self, schema: Schema, key: str, depth: int, variant: int) -> Iterator[Any]:
        if any(schema.get(name, 0) > most for name, most in LARGEST.items()):
            raise Unsatisfiable(f"{key or 'the schema'} is too large")
        if "const" in schema:
            yield schema["const"]
        elif "enum" in schema:
            yield from self._chosen(schema["enum"])
            yield from schema["enum"][variant:]
            yield from schema["enum"]
        else:
            kinds = [schema["type"]] if "type" in schema else _implied(schema)
            for kind in kinds:
                if kind not in TYPES:
                    raise Unsatisfiable(f"type {kind}")
                yield from self._kinds[kind](schema, key, depth, variant)

    def _chosen(self, values: list[Any]) -> Iterator[Any]:
        """Those that the message names, the one named first first."""
        said = f" {' '.join(self._facts.stems)} "
        wanted = [(said.find(f" {' '.join(map(root, words(str(each))))} "), each) for each in values]
        yield from (each for at, each in sorted(wanted, key=lambda pair: pair[0]) if at >= 0 and each is not None)

    def _nulls(self, *_: object) -> Iterator[None]:
        yield None

    def _strings(self, schema: Schema, key: str, _: int, variant: int) -> Iterator[str]:
        for value in self._said_strings(schema, key):
            self._facts.take(value)
            yield value
        if isinstance(schema.get("default"), str):
            yield schema["default"]
        yield from self._made_strings(schema, key, variant)

    def _said_strings(self, schema: Schema, key: str) -> Iterator[str]:
        """What the message has for the property, by its format, its label and its key."""
        facts, found = self._facts, set(key_words(key))
        of_format = {name: values for name, values in facts.formats.items() if name in (*found, schema.get("format"))}
        for values in of_format.values():
            yield from facts.left(values)
        if "pattern" in schema:
            yield from (
                each for each in re.findall(r"[^\s,;]+", facts.text)[:1000] if re.search(schema["pattern"], each)
            )
        if "format" in schema:
            return
        if label := facts.labelled(key):
            yield label
        prepositions = tuple(each for word, them in PREPOSITIONS.items() if word in found for each in them)
        if prepositions and (
            found & {"from", "to", "origin", "destination", "departure", "arrival", "author", "artist"}
        ):
            yield from facts.left(facts.after(prepositions))
        if found & NAMED or prepositions:
            yield from facts.left(facts.quoted)
            yield from facts.left(facts.names)
        if prepositions:
            yield from facts.left(facts.after(prepositions))

    def _made_strings(self, schema: Schema, key: str, variant: int) -> Iterator[str]:
        facts, longest = self._facts, schema.get("maxLength", LONGEST_SAMPLE)
        plain = "format" not in schema and "pattern" not in schema
        if plain and self._otherwise is not None and not set(key_words(key)) & WHOLE_MESSAGE:
            yield from facts.left(facts.quoted)
            yield from facts.left(facts.names)
        if plain and variant == 0 and (self._otherwise is not None or set(key_words(key)) & WHOLE_MESSAGE):
            yield facts.text.strip()[:longest]
        if "format" in schema and schema["format"] in FORMAT_SAMPLES:
            yield FORMAT_SAMPLES[schema["format"]](variant)
        if "pattern" in schema:
            for more in (0, 1, 2, 4, 8, 16, schema.get("minLength", 0)):
                yield sample(schema["pattern"], more, variant)
        made = self._otherwise or "simulated"
        made = f"{variant} {made}" if variant else made
        yield made.ljust(schema.get("minLength", 0), "…")[:longest]

    def _numbers(self, schema: Schema, key: str, _: int, variant: int) -> Iterator[int | float]:
        about = [root(word) for word in key_words(key)]
        of_year = iter(self._facts.years() if "year" in key_words(key) else [])
        for said in [*of_year, *self._facts_numbers(about, schema)]:
            value = float(said)
            yield int(value) if value.is_integer() and abs(value) < 1 << 53 else value
        if isinstance(schema.get("default"), int | float):
            yield schema["default"]
        step = schema.get("multipleOf", 1)
        least, most = schema.get("minimum"), schema.get("maximum")
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        low = max((each for each in (least, above) if each is not None), default=None)
        high = min((each for each in (most, below) if each is not None), default=None)
        start = low if low is not None else min(0, high if high is not None else 0)
        first = math.ceil(start / step) + variant
        yield from (_tidy(number * step) for number in (first, first + 1, first - 1, first - 2))
        if low is not None and high is not None:
            yield low + (high - low) * (variant + 1) / (variant + 2)
        yield from (bound for bound in (low, high) if bound is not None)

    def _facts_numbers(self, about: list[str], schema: Schema) -> Iterator[str]:
        """Taken one by one: a number that does not fit is left for another property."""
        taken = self._facts.taken()
        for number in self._facts.numbers(about):
            if conforms(_tidy(float(number)), {**schema, "enum": [_tidy(float(number))]}, self._root):
                yield number
                return
        self._facts.only(taken)

    def _booleans(self, schema: Schema, key: str, _: int, variant: int) -> Iterator[bool]:
        said = self._facts.stems
        about = [root(word) for word in key_words(key)]
        at = next((place for place, word in enumerate(said) if word in about), None)
        if at is not None:
            yield not {"no", "not", "without", "never", "don"} & set(said[max(0, at - 3) : at])
        if isinstance(schema.get("default"), bool):
            yield schema["default"]
        yield variant % 2 == 1
        yield variant % 2 == 0

    def _arrays(self, schema: Schema, key: str, depth: int, _: int) -> Iterator[list[Any]]:
        first, of = schema.get("prefixItems", []), schema.get("items", {})
        least, most = schema.get("minItems", 0), schema.get("maxItems", 1 << 10)
        taken = self._facts.taken()
        starts = [self.make(each, key, depth + 1) for each in first[:most]]
        wanted = 0 if of is False or depth > DEEPEST_OPTIONAL else self._items_said(of)
        for count in (min(max(wanted, least - len(starts)), most - len(starts)), max(0, least - len(starts))):
            try:
                yield starts + self._items(of, key, depth, count, unique=bool(schema.get("uniqueItems")))
            except Unsatisfiable:
                self._facts.only(taken)

    def _items(self, of: Any, key: str, depth: int, count: int, unique: bool) -> list[Any]:
        made: list[Any] = []
        for variant in range(count):
            other = {"allOf": [of], "not": {"enum": list(made)}} if unique and made else of
            made.append(self.make(other, _singular(key), depth + 1, variant))
        return made

    def _items_said(self, of: Any) -> int:
        """How many items the message has for an array: at least one, so that it is seen."""
        if not isinstance(of, dict):
            return 0
        flat = self._flat(cast("Schema", of))
        if flat.get("type") == "string" and "enum" not in flat and "pattern" not in flat:
            values = self._facts.formats.get(flat.get("format", ""), self._facts.listed() or self._facts.quoted[:8])
            return max(1, len(values))
        return 1

    def _objects(self, schema: Schema, key: str, depth: int, _: int) -> Iterator[dict[str, Any]]:
        properties: Schema = schema.get("properties", {})
        needed: list[str] = list(schema.get("required", []))
        said = [
            name
            for name, of in properties.items()
            if name not in needed and depth < DEEPEST_OPTIONAL and self._is_supplied(of, name)
        ]
        order = [*properties, *(name for name in needed if name not in properties)]
        taken = self._facts.taken()
        for chosen in ({*needed, *said}, set(needed), set(order)):
            try:
                made = {name: self.make(self._of(schema, name), name, depth + 1) for name in order if name in chosen}
            except Unsatisfiable:
                self._facts.only(taken)
                continue
            yield made
            yield self._padded(schema, made, depth)
        raise Unsatisfiable(key)

    def _of(self, schema: Schema, name: str) -> Any:
        """The schema of a property."""
        found = schema.get("properties", {}).get(name)
        if found is not None:
            return found
        patterns = [of for pattern, of in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
        return {"allOf": patterns} if patterns else schema.get("additionalProperties", True)

    def _padded(self, schema: Schema, made: dict[str, Any], depth: int) -> dict[str, Any]:
        """With as many other properties as `minProperties` wants."""
        names = [sample(pattern, 1) for pattern in schema.get("patternProperties", {})]
        names += [f"property{number}" for number in range(1, schema.get("minProperties", 0) + 1)]
        padded = dict(made)
        for name in names:
            if len(padded) < schema.get("minProperties", 0) and name not in padded:
                padded[name] = self.make(self._of(schema, name), name, depth + 1)
        return padded

    def _is_supplied(self, schema: Any, key: str, depth: int = 0) -> bool:
        """Whether the message has something for the property."""
        if depth > DEEPEST_OPTIONAL:
            return False
        flat = self._flat(schema)
        if "enum" in flat:
            return next(self._chosen(flat["enum"]), None) is not None
        options = [each for name in ("anyOf", "oneOf") for each in flat.get(name, [])]
        if options:
            return any(self._is_supplied(option, key, depth + 1) for option in options)
        kinds = cast("list[str]", flat["type"] if isinstance(flat.get("type"), list) else [flat.get("type")])
        return any(self._is_kind_supplied(kind, flat, key, depth) for kind in kinds)

    def _is_kind_supplied(self, kind: str, flat: Schema, key: str, depth: int) -> bool:
        taken = self._facts.taken()
        about = {root(word) for word in key_words(key)}
        match kind:
            case "object":
                return any(self._is_supplied(of, name, depth + 1) for name, of in flat.get("properties", {}).items())
            case "array":
                return self._is_supplied(flat.get("items", {}), _singular(key), depth + 1)
            case "string":
                return any(conforms(value, flat, self._root) for value in self._said_strings(flat, key))
            case "number" | "integer":
                found = bool(about & set(self._facts.stems)) and next(self._facts.numbers([]), None) is not None
                self._facts.only(taken)
                return found or ("year" in key_words(key) and bool(self._facts.years()))
            case "boolean":
                return bool(about & set(self._facts.stems))
            case _:
                return False


def _singular(key: str) -> str:
    return key[:-3] + "y" if key.endswith("ies") else key.removesuffix("s")


def _implied(schema: Schema) -> list[str]:
    """The types that a schema without one speaks of; all, if it does not say."""
    hints = {
        "object": ("properties", "required", "additionalProperties", "minProperties", "patternProperties"),
        "array": ("items", "prefixItems", "minItems", "uniqueItems"),
        "string": ("minLength", "maxLength", "pattern", "format"),
        "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    }
    found = [kind for kind, names in hints.items() if any(name in schema for name in names)]
    return [*found, *(kind for kind in ("string", "number", "boolean", "object", "array", "null") if kind not in found)]


def _tidy(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "properties": lambda one, other: {
        **one,
        **{name: {"allOf": [one[name], of]} if name in one else of for name, of in other.items()},
    },
    "required": lambda one, other: [*one, *(name for name in other if name not in one)],
    "enum": lambda one, other: [each for each in one if conforms(each, {"enum": other}, {})],
    "type": lambda one, other: _common_types(one, other),
    "items": lambda one, other: {"allOf": [one, other]},
    "anyOf": lambda one, other: [{"allOf": [mine, theirs]} for mine in one for theirs in other],
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}


def _merged(one: Schema, other: Schema) -> Schema:
    """Both schemas in one, as far as that goes: what it makes is checked against the schemas themselves."""
    both = {name: MERGES[name](one[name], other[name]) for name in one if name in other and name in MERGES}
    return {**one, **other, **both}


def _common_types(one: Any, other: Any) -> Any:
    ours = cast("list[str]", one if isinstance(one, list) else [one])
    theirs = cast("list[str]", other if isinstance(other, list) else [other])
    common = [name for name in ours if name in theirs]
    if not common and {"integer", "number"} <= {*ours, *theirs}:
        common = ["integer"]
    return common[0] if len(common) == 1 else common
