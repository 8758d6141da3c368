"""JSON Schema, draft 2020-12: whether a value fits a schema of a client's, and if not, all that is wrong with it.

Written here because no library of today runs in the Worker: `jsonschema` needs Rust (rpds-py) that is not built for
Pyodide, its last version without it takes 0.6 s to import, and `fastjsonschema` knows draft 7 and passes what is newer.

A schema comes from outside, so that what it may cost is bounded: its size and depth, the steps of a check, and its
regular expressions, which run in pydantic's engine (Rust's `regex`: linear time, without look-around and
back-references). Nothing is ever fetched. `format` and `content…` are annotations, as the draft has them by default.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote

from pydantic_core import SchemaError as PatternError
from pydantic_core import SchemaValidator, ValidationError, core_schema

Schema = dict[str, Any] | bool
Path = tuple[str | int, ...]

LARGEST = 65_536
"""Characters of a schema as JSON."""
DEEPEST = 50
"""Schemas within schemas, and values within values."""
MAX_STEPS = 50_000
"""Schemas that are held against values in one check; anyOf and references may multiply them without end."""
MAX_CHOICES = 1_000
"""Values of one enum."""
HEAVIEST_PATTERNS = 2_000
"""Characters of all patterns and numbers of their repetitions together: these, some tenths of a second compile."""
MAX_SHOWN_LENGTH = 200
"""Characters of a schema's value in a sentence about it."""


class InvalidSchema(ValueError):  # noqa: N818 - what a schema is
    """No schema that a value can be checked with. `where` is the part at fault."""

    def __init__(self, where: Path, reason: str) -> None:
        super().__init__(reason)
        self.where = where
        self.reason = reason


@dataclass(frozen=True)
class Fault:
    """What is wrong with a part of a value: `path` "tags.1" (empty: the whole), `message` "must be at least 3"."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path or 'the whole'} {self.message}"


class JsonSchema:
    def __init__(self, schema: Schema) -> None:
        """Raises InvalidSchema for the first part that is at fault."""
        if len(_written(schema)) > LARGEST:
            raise InvalidSchema((), f"is longer than {LARGEST:,} characters")
        self._schema = schema
        self._patterns = 0
        self._targets: dict[str, Schema] = {}
        """What a `$ref` may point to, by its text."""
        references: dict[Path, str] = {}
        self._learn(schema, (), references)
        for where, reference in references.items():
            if unquote(reference) not in self._targets:
                raise InvalidSchema(where, "must lead to a schema within this one, such as #/$defs/name")

    def find_faults(self, value: Any) -> list[Fault]:
        """Empty if the value fits. Raises InvalidSchema if finding out takes more than MAX_STEPS."""
        place = _Place(self._targets, [0], value, ())
        place.check(self._schema)
        return place.faults

    def _learn(self, schema: Any, where: Path, references: dict[Path, str]) -> None:
        if not KEYWORDS["not"].holds(schema):
            raise InvalidSchema(where, f"must be {SCHEMA}")
        if len(where) > 2 * DEEPEST:
            raise InvalidSchema(where, f"lies deeper than {DEEPEST} levels")
        self._targets["#" + "".join(f"/{_pointed(step)}" for step in where)] = schema
        if isinstance(schema, bool):
            return
        for keyword, wanted in cast("dict[str, Any]", schema).items():
            at: Path = (*where, keyword)
            self._weigh_patterns(keyword, wanted, at)
            _check_keyword(keyword, wanted, at)
            if keyword == "$ref":
                references[at] = wanted
            if keyword == "$anchor":
                self._targets[f"#{wanted}"] = schema
            for step, inner in _schemas_in(keyword, wanted):
                self._learn(inner, at + step, references)

    def _weigh_patterns(self, keyword: str, wanted: Any, at: Path) -> None:
        """Before any of them is compiled: each letter costs time, and a repetition as many times."""
        patterns = [wanted] if keyword == "pattern" else list(wanted) if keyword == "patternProperties" else []
        for pattern in patterns:
            repeats = re.findall(r"\{(\d+)?(?:,(\d+)?)?\}", str(pattern))
            self._patterns += len(str(pattern)) + sum(int(number) for pair in repeats for number in pair if number)
        if self._patterns > HEAVIEST_PATTERNS:
            raise InvalidSchema(
                at, f"makes all patterns together larger than {HEAVIEST_PATTERNS:,}, repetitions counted"
            )


def _written(schema: Schema) -> str:
    try:
        return json.dumps(schema, allow_nan=False)
    except ValueError:
        raise InvalidSchema((), "has a number that is too large") from None


# ---- what a schema may say -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """What the value of a keyword must be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return is_number(value) and value >= 0 and value == int(value)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in cast("list[Any]", value))


def _are_named_names(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_are_names, cast("dict[str, Any]", value).values()))


def _are_some(value: Any) -> bool:
    return isinstance(value, list) and len(cast("list[Any]", value)) > 0


TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: is_number(value) and value == math.floor(value),
    "number": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}

SCHEMA = "a schema: an object, true or false"
ONE_SCHEMA = (
    "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
MANY_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
NAMED_SCHEMAS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")

TEXT = Wanted("a string", lambda value: isinstance(value, str))
COUNT = Wanted("a whole number from 0", _is_count)
NUMBER = Wanted("a number", is_number)
OBJECT = Wanted("an object", lambda value: isinstance(value, dict))

KEYWORDS: Mapping[str, Wanted] = {
    **dict.fromkeys(ONE_SCHEMA, Wanted(SCHEMA, lambda value: isinstance(value, dict | bool))),
    **dict.fromkeys(MANY_SCHEMAS, Wanted("a list of schemas", _are_some)),
    **dict.fromkeys(NAMED_SCHEMAS, OBJECT),
    **dict.fromkeys(("$ref", "$anchor", "$id", "$schema", "format", "pattern"), TEXT),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), COUNT),
    **dict.fromkeys(("minContains", "maxContains"), COUNT),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), NUMBER),
    "multipleOf": Wanted("a number above 0", lambda value: is_number(value) and value > 0),
    "required": Wanted("a list of names", _are_names),
    "dependentRequired": Wanted("an object of lists of names", _are_named_names),
    "uniqueItems": Wanted("true or false", lambda value: isinstance(value, bool)),
    "enum": Wanted(
        f"a list of 1 to {MAX_CHOICES:,} values",
        lambda value: isinstance(value, list) and 0 < len(cast("list[Any]", value)) <= MAX_CHOICES,
    ),
    "type": Wanted(
        f"one or a list of {', '.join(TYPES)}",
        lambda value: bool(value) and _are_names(_listed(value)) and all(each in TYPES for each in _listed(value)),
    ),
}
"""Every keyword that means something here; others are annotations, as the draft says."""

REFUSED: Mapping[str, str] = {
    "$dynamicRef": "is not known here: use $ref",
    "$recursiveRef": "is not known here: use $ref",
    "additionalItems": "is of an older draft: use prefixItems and items",
    "dependencies": "is of an older draft: use dependentRequired or dependentSchemas",
}
"""Keywords that would change what fits, were they not ignored."""


def _check_keyword(keyword: str, wanted: Any, at: Path) -> None:
    if keyword in REFUSED:
        raise InvalidSchema(at, REFUSED[keyword])
    if keyword in KEYWORDS and not KEYWORDS[keyword].holds(wanted):
        raise InvalidSchema(at, f"must be {KEYWORDS[keyword].words}")
    if keyword == "$id" and len(at) > 1:
        raise InvalidSchema(at, "may only stand at the top: references are within this one schema")
    for pattern in {"pattern": [wanted], "patternProperties": wanted}.get(keyword, ()):
        try:
            _expression(pattern)
        except PatternError:
            raise InvalidSchema(
                at, "must be a regular expression without look-around and back-references, and not too large a one"
            ) from None


def _schemas_in(keyword: str, wanted: Any) -> Iterator[tuple[Path, Any]]:
    if keyword in ONE_SCHEMA:
        yield (), wanted
    elif keyword in MANY_SCHEMAS:
        yield from (((number,), inner) for number, inner in enumerate(wanted))
    elif keyword in NAMED_SCHEMAS:
        yield from (((name,), inner) for name, inner in wanted.items())


def _pointed(step: str | int) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


# ---- whether a value fits ------------------------------------------------------------------------------------------


@dataclass
class _Place:
    """A part of the value, what is wrong with it, and which of its members some keyword has dealt with."""

    targets: Mapping[str, Schema]
    steps: list[int]
    """One number, shared by all places of a check."""
    value: Any
    path: Path
    depth: int = 0
    faults: list[Fault] = field(default_factory=list[Fault])
    dealt_with: set[str | int] = field(default_factory=set[str | int])

    def check(self, schema: Schema) -> None:
        self.steps[0] += 1
        if self.steps[0] > MAX_STEPS or self.depth > 2 * DEEPEST:
            raise InvalidSchema((), "refers to itself too often, or takes too many steps to check a value with")
        if isinstance(schema, bool):
            if not schema:
                self.blame("is not allowed")
            return
        # what is left over is known last
        for keyword in sorted(schema, key=lambda each: each.startswith("unevaluated")):
            kind, check = CHECKS.get(keyword, ("", None))
            if check and (kind == "any" or TYPES[kind](self.value)):
                check(self, schema[keyword], schema)

    def blame(self, message: str) -> None:
        self.faults.append(Fault(".".join(map(str, self.path)), message))

    def as_seen_by(self, schema: Schema) -> "_Place":
        """This value, held against another schema."""
        place = _Place(self.targets, self.steps, self.value, self.path, self.depth + 1)
        place.check(schema)
        return place

    def also(self, schema: Schema) -> None:
        """This value must fit that schema too."""
        place = self.as_seen_by(schema)
        self.faults += place.faults
        self.dealt_with |= place.dealt_with

    def member(self, key: Any, schema: Schema) -> None:
        """That member must fit that schema."""
        place = _Place(self.targets, self.steps, self.value[key], (*self.path, key), self.depth + 1)
        place.check(schema)
        self.faults += place.faults
        self.dealt_with.add(key)

    def members(self, keys: Any, schema: Schema) -> None:
        for key in keys:
            self.member(key, schema)


Check = Callable[[_Place, Any, dict[str, Any]], None]


def _must(holds: Callable[[Any, Any], bool], words: str) -> Check:
    """A check of the value alone; `{}` in the words is what the schema says."""

    def check(place: _Place, wanted: Any, _: dict[str, Any]) -> None:
        if not holds(place.value, wanted):
            place.blame(words.format(_shown(wanted)))

    return check


def _on_size(holds: Callable[[Any, Any], bool], words: str) -> Check:
    return _must(lambda value, wanted: holds(len(value), wanted), words)


def _is_multiple(value: float, divisor: float) -> bool:
    # as they are written: 0.3 is a multiple of 0.1
    return (Fraction(str(value)) / Fraction(str(divisor))).denominator == 1


def _are_different(values: list[Any], wanted: bool) -> bool:
    return not wanted or len(set(map(_canonical, values))) == len(values)


def _required(place: _Place, wanted: list[str], _: dict[str, Any]) -> None:
    if missing := [name for name in wanted if name not in place.value]:
        place.blame(f"must have {', '.join(missing)}")


def _dependent_required(place: _Place, wanted: dict[str, list[str]], _: dict[str, Any]) -> None:
    for name, others in wanted.items():
        missing = [other for other in others if name in place.value and other not in place.value]
        if missing:
            place.blame(f"must have {', '.join(missing)}, because it has {name}")


def _each(place: _Place, wanted: list[Schema], _: dict[str, Any]) -> None:
    for schema in wanted:
        place.also(schema)


def _some(place: _Place, wanted: list[Schema], _: dict[str, Any]) -> None:
    _count_fits(place, wanted, "anyOf", len(wanted))


def _exactly_one(place: _Place, wanted: list[Schema], _: dict[str, Any]) -> None:
    _count_fits(place, wanted, "oneOf", 1)


def _count_fits(place: _Place, wanted: list[Schema], name: str, most: int) -> None:
    tried = [place.as_seen_by(schema) for schema in wanted]
    fitting = [each for each in tried if not each.faults]
    if not fitting:
        reasons = "; or ".join(str(each.faults[0]) for each in tried[:5])
        place.blame(f"fits none of {name}: {reasons}")
    elif len(fitting) > most:
        place.blame(f"must fit only one of {name}, and fits {len(fitting)}")
    for each in fitting:
        place.dealt_with |= each.dealt_with


def _not(place: _Place, wanted: Schema, _: dict[str, Any]) -> None:
    if not place.as_seen_by(wanted).faults:
        place.blame(f"must not fit {_shown(wanted)}")


def _if(place: _Place, wanted: Schema, schema: dict[str, Any]) -> None:
    condition = place.as_seen_by(wanted)
    if condition.faults:
        place.also(schema.get("else", True))
    else:
        place.dealt_with |= condition.dealt_with
        place.also(schema.get("then", True))


def _properties(place: _Place, wanted: dict[str, Schema], _: dict[str, Any]) -> None:
    for name, schema in wanted.items():
        if name in place.value:
            place.member(name, schema)


def _pattern_properties(place: _Place, wanted: dict[str, Schema], _: dict[str, Any]) -> None:
    for pattern, schema in wanted.items():
        place.members([name for name in place.value if matches(pattern, name)], schema)


def _additional_properties(place: _Place, wanted: Schema, schema: dict[str, Any]) -> None:
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    others = [each for each in place.value if each not in named and not any(matches(one, each) for one in patterns)]
    place.members(others, wanted)


def _property_names(place: _Place, wanted: Schema, _: dict[str, Any]) -> None:
    for name in place.value:
        held = _Place(place.targets, place.steps, name, (*place.path, name), place.depth + 1)
        held.check(wanted)
        place.faults += [Fault(each.path, f"has a name that {each.message}") for each in held.faults]


def _dependent_schemas(place: _Place, wanted: dict[str, Schema], _: dict[str, Any]) -> None:
    for name, schema in wanted.items():
        if name in place.value:
            place.also(schema)


def _prefix_items(place: _Place, wanted: list[Schema], _: dict[str, Any]) -> None:
    for number, schema in enumerate(wanted[: len(place.value)]):
        place.member(number, schema)


def _items(place: _Place, wanted: Schema, schema: dict[str, Any]) -> None:
    place.members(range(len(schema.get("prefixItems", ())), len(place.value)), wanted)


def _contains(place: _Place, wanted: Schema, schema: dict[str, Any]) -> None:
    held = [_Place(place.targets, place.steps, each, (), place.depth + 1) for each in place.value]
    for each in held:
        each.check(wanted)
    fitting = {number for number, each in enumerate(held) if not each.faults}
    least, most = schema.get("minContains", 1), schema.get("maxContains", math.inf)
    if not least <= len(fitting) <= most:
        place.blame(f"must hold {least} to {most} items that fit {_shown(wanted)}, and holds {len(fitting)}")
    place.dealt_with |= fitting


def _left_over(place: _Place, wanted: Schema, _: dict[str, Any]) -> None:
    keys: Any = place.value if TYPES["object"](place.value) else range(len(place.value))
    place.members([key for key in keys if key not in place.dealt_with], wanted)


CHECKS: Mapping[str, tuple[str, Check]] = {
    "$ref": ("any", lambda place, wanted, _: place.also(place.targets[unquote(wanted)])),
    "type": ("any", _must(lambda value, wanted: any(TYPES[each](value) for each in _listed(wanted)), "must be {}")),
    "const": ("any", _must(lambda value, wanted: _canonical(value) == _canonical(wanted), "must be {}")),
    "enum": (
        "any",
        _must(lambda value, wanted: _canonical(value) in _canonical_choices(_canonical(wanted)), "must be one of {}"),
    ),
    "allOf": ("any", _each),
    "anyOf": ("any", _some),
    "oneOf": ("any", _exactly_one),
    "not": ("any", _not),
    "if": ("any", _if),
    "minimum": ("number", _must(operator.ge, "must be at least {}")),
    "maximum": ("number", _must(operator.le, "must be at most {}")),
    "exclusiveMinimum": ("number", _must(operator.gt, "must be more than {}")),
    "exclusiveMaximum": ("number", _must(operator.lt, "must be less than {}")),
    "multipleOf": ("number", _must(_is_multiple, "must be a multiple of {}")),
    "minLength": ("string", _on_size(operator.ge, "must have at least {} characters")),
    "maxLength": ("string", _on_size(operator.le, "must have at most {} characters")),
    "pattern": ("string", _must(lambda value, wanted: matches(wanted, value), "must match {}")),
    "minItems": ("array", _on_size(operator.ge, "must have at least {} items")),
    "maxItems": ("array", _on_size(operator.le, "must have at most {} items")),
    "uniqueItems": ("array", _must(_are_different, "must hold no item twice")),
    "prefixItems": ("array", _prefix_items),
    "items": ("array", _items),
    "contains": ("array", _contains),
    "unevaluatedItems": ("array", _left_over),
    "minProperties": ("object", _on_size(operator.ge, "must have at least {} properties")),
    "maxProperties": ("object", _on_size(operator.le, "must have at most {} properties")),
    "required": ("object", _required),
    "dependentRequired": ("object", _dependent_required),
    "dependentSchemas": ("object", _dependent_schemas),
    "properties": ("object", _properties),
    "patternProperties": ("object", _pattern_properties),
    "additionalProperties": ("object", _additional_properties),
    "propertyNames": ("object", _property_names),
    "unevaluatedProperties": ("object", _left_over),
}
"""Keyword → the only kind of value that it says something about, and the check."""


def matches(pattern: str, text: str) -> bool:
    """As ECMA-262 has it, but that `\\d`, `\\w` and `\\s` know all of Unicode."""
    try:
        _expression(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(64)
def _expression(pattern: str) -> SchemaValidator:
    """Raises PatternError."""
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def _canonical(value: Any) -> str:
    """The same text for values that JSON Schema holds to be equal: 1 and 1.0 are, 1 and true are not."""
    return json.dumps(_whole(value), sort_keys=True)


@lru_cache(64)
def _canonical_choices(choices: str) -> frozenset[str]:
    return frozenset(map(_canonical, json.loads(choices)))


def _whole(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_whole(each) for each in cast("list[Any]", value)]
        case dict():
            return {name: _whole(each) for name, each in cast("dict[str, Any]", value).items()}
        case _:
            return value


def _shown(wanted: Any) -> str:
    text = wanted if isinstance(wanted, str) else json.dumps(wanted, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[: MAX_SHOWN_LENGTH - 1]}…"
