"""Validation of values against JSON Schemas of clients, draft 2020-12, with a sentence for everything that is wrong.

A library could do this: `jsonschema` has the whole draft. This module stays for three reasons. It is one file of the
upload; `jsonschema` is five distributions, one of them compiled. A schema comes from a client, and here its cost is
bounded: its size and depth, the steps of a check, and its regular expressions, which run in pydantic's engine (Rust's
`regex`: linear time, without look-around and back-references) instead of Python's `re`, which backtracks. And the
sentences name the field and the rule without repeating the value, which may be long. The price: this module has to be
kept true to the draft, which its tests do by comparison with `jsonschema`.

Nothing is ever fetched. `format` and `content…` are annotations, as the draft has them by default. So are patterns that
this engine cannot check: `unchecked` names them. Older drafts' forms that generators of schemas still write are
understood:
`items` as a list, `additionalItems`, `dependencies`, `exclusiveMinimum: true`, `nullable`.
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

MAX_LENGTH = 65_536
"""Characters of a schema as JSON."""
MAX_DEPTH = 50
"""Levels of schemas within schemas, and of values within values."""
MAX_STEPS = 10_000
"""Applications of a keyword to a value in one check, of 5 to 10 µs each on CPython and a few times that in a Worker,
which serves nobody else meanwhile; anyOf and references may multiply them without end."""
MAX_DESCRIBED_FAULTS = 100
"""Faults with their own message; further ones share one."""
MAX_CHOICES = 1_000
"""Maximum values of one enum."""
MAX_PATTERN_WEIGHT = 1_000
"""Largest sum of the weights of all patterns, which take 20 ms to compile on CPython. Others are not checked."""
CLASS_WEIGHTS = ((re.compile(r"\\[wWpPbB]"), 30), (re.compile(r"\\[dD]"), 3))
"""Classes of characters that are long tables of Unicode's, and how much longer each takes than a letter."""
ELEMENT = re.compile(
    r"(?P<open>\()|(?P<close>\))|\{(?P<times>\d{1,9})\d*(?:,(?P<most>\d{0,9})\d*)?\}"
    r"|(?:\\[pP](?:\{[^}]*+\}?|.)|\\.|\[(?:\\.|[^\]\\])*+\]?|.)",
    re.DOTALL,
)
"""A part of a pattern: the end of a group, a number of repetitions, or a character or class.

A class without an end is the rest of the pattern, which the engine refuses: to look for an end from each of 60,000
brackets would take minutes."""
UNSUPPORTED = ("look-around", "backreferences", "unrecognized escape", "exceeds size limit")
"""Parts of the engine's messages about patterns that are valid elsewhere, but that it cannot check in linear time or at
all."""
MAX_SHOWN_LENGTH = 200
"""Characters of a keyword's value that a sentence repeats."""


class InvalidSchema(ValueError):  # noqa: N818 - a state of the schema
    """A schema that is invalid or too costly. `where`: path of the keyword at fault; `reason`: predicate about it."""

    def __init__(self, where: Path, reason: str) -> None:
        super().__init__(reason)
        self.where = where
        self.reason = reason


@dataclass(frozen=True)
class Fault:
    """A part of a value that breaks a rule: `path` "tags.1" (empty: the whole), `message` "must be at least 3"."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path or 'the whole'} {self.message}"


FURTHER_FAULT = Fault("", "has more faults")


class JsonSchema:
    """A schema that has been checked and can be applied to values."""

    def __init__(self, schema: Schema) -> None:
        """Check the schema. Raises InvalidSchema for the first keyword that is at fault."""
        if len(_to_json(schema)) > MAX_LENGTH:
            raise InvalidSchema((), f"is longer than {MAX_LENGTH:,} characters")
        self._schema = schema
        self._patterns: dict[str, SchemaValidator | None] = {}
        """Pattern → its compiled form; None if it cannot be checked."""
        self._pattern_weight = 0
        self.unchecked: list[str] = []
        """Paths of the patterns that cannot be checked, such as `properties.email.pattern`."""
        self._targets: dict[str, Schema] = {}
        """`$ref` → the schema to which it refers."""
        references: dict[Path, str] = {}
        self._collect(schema, (), references)
        for where, reference in references.items():
            if unquote(reference) not in self._targets:
                raise InvalidSchema(where, "must lead to a schema within this one, such as #/$defs/name")

    def find_faults(self, value: Any) -> list[Fault]:
        """Return everything that is wrong with the value. Raises InvalidSchema if that takes more than MAX_STEPS."""
        instance = _Instance(_Run(self._targets, self._patterns), value, ())
        instance.check(self._schema)
        return instance.faults

    def _collect(self, schema: Any, where: Path, references: dict[Path, str]) -> None:
        """Check a schema and those within it; collect the targets of references, and the references by their path."""
        if not KEYWORDS["not"].accepts(schema):
            raise InvalidSchema(where, f"must be {SCHEMA_DESCRIPTION}")
        if len(where) > 2 * MAX_DEPTH:
            raise InvalidSchema(where, f"lies deeper than {MAX_DEPTH} levels")
        self._targets["#" + "".join(f"/{_escape_pointer(step)}" for step in where)] = schema
        if isinstance(schema, bool):
            return
        for keyword, expected in cast("dict[str, Any]", schema).items():
            path: Path = (*where, keyword)
            _check_keyword(keyword, expected, path)
            self._collect_patterns(keyword, expected, path)
            if keyword == "$ref":
                references[path] = expected
            if keyword in ("$anchor", "$id"):
                self._add_target(keyword, expected, cast("dict[str, Any]", schema), path)
            for step, inner in _schemas_in(keyword, expected):
                self._collect(inner, path + step, references)

    def _add_target(self, keyword: str, name: str, schema: dict[str, Any], path: Path) -> None:
        """Add a schema that references may name. Raises InvalidSchema for an id to which references are relative."""
        is_inner_id = keyword == "$id" and len(path) > 1
        if is_inner_id and '"$ref": "#' in json.dumps(schema):
            raise InvalidSchema(path, "may only stand at the top, if references that begin with # are in its schema")
        self._targets[name if keyword == "$id" else f"#{name}"] = schema

    def _collect_patterns(self, keyword: str, expected: Any, path: Path) -> None:
        """Compile a keyword's patterns, and note those that cannot be checked. Raises InvalidSchema."""
        for pattern in {"pattern": [expected], "patternProperties": expected}.get(keyword, ()):
            if pattern not in self._patterns:
                self._pattern_weight += _weight(pattern)
                is_light = self._pattern_weight <= MAX_PATTERN_WEIGHT
                self._patterns[pattern] = _compiled(pattern, path) if is_light else None
            if self._patterns[pattern] is None:
                self.unchecked.append(".".join(map(str, path)))


def _to_json(schema: Schema) -> str:
    try:
        return json.dumps(schema, allow_nan=False)
    except ValueError:
        raise InvalidSchema((), "has a number that is too large") from None


# ---- keywords of a schema ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ValueRule:
    """The values that a keyword takes, in words and as a test."""

    description: str
    accepts: Callable[[Any], bool]


def is_number(value: Any) -> bool:
    """Tell whether the value is a number in JSON, where true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return is_number(value) and value >= 0 and value == int(value)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in cast("list[Any]", value))


def _are_lists_of_names(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_are_names, cast("dict[str, Any]", value).values()))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_nonempty_list(value: Any) -> bool:
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

SCHEMA_DESCRIPTION = "a schema: an object, true or false"
SCHEMA_KEYWORDS = (
    "additionalItems", "additionalProperties", "contains", "else", "if", "not", "propertyNames", "then",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
SCHEMA_LIST_KEYWORDS = ("allOf", "anyOf", "oneOf", "prefixItems")
SCHEMA_MAP_KEYWORDS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")

TEXT = ValueRule("a string", lambda value: isinstance(value, str))
COUNT = ValueRule("a whole number from 0", _is_count)
NUMBER = ValueRule("a number", is_number)
BOUND = ValueRule("a number, true or false", lambda value: isinstance(value, int | float))
OBJECT = ValueRule("an object", lambda value: isinstance(value, dict))

KEYWORDS: Mapping[str, ValueRule] = {
    **dict.fromkeys(SCHEMA_KEYWORDS, ValueRule(SCHEMA_DESCRIPTION, lambda value: isinstance(value, dict | bool))),
    **dict.fromkeys(SCHEMA_LIST_KEYWORDS, ValueRule("a list of schemas", _is_nonempty_list)),
    **dict.fromkeys(SCHEMA_MAP_KEYWORDS, OBJECT),
    "items": ValueRule(
        f"{SCHEMA_DESCRIPTION}; or a list of schemas", lambda value: isinstance(value, dict | bool | list)
    ),
    "dependencies": OBJECT,
    **dict.fromkeys(("$ref", "$anchor", "$id", "$schema", "format", "pattern"), TEXT),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), COUNT),
    **dict.fromkeys(("minContains", "maxContains"), COUNT),
    **dict.fromkeys(("minimum", "maximum"), NUMBER),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), BOUND),
    "multipleOf": ValueRule("a number above 0", lambda value: is_number(value) and value > 0),
    "required": ValueRule("a list of names", _are_names),
    "dependentRequired": ValueRule("an object of lists of names", _are_lists_of_names),
    "uniqueItems": ValueRule("true or false", lambda value: isinstance(value, bool)),
    "enum": ValueRule(
        f"a list of 1 to {MAX_CHOICES:,} values",
        lambda value: isinstance(value, list) and 0 < len(cast("list[Any]", value)) <= MAX_CHOICES,
    ),
    "type": ValueRule(
        f"one or a list of {', '.join(TYPES)}",
        lambda value: bool(value) and _are_names(_as_list(value)) and all(each in TYPES for each in _as_list(value)),
    ),
}
"""Every keyword that has an effect, and its values; others are annotations, as the draft has it."""

REFUSED: Mapping[str, str] = {
    "$dynamicRef": "is not known here: use $ref",
    "$recursiveRef": "is not known here: use $ref",
}
"""Keywords that are refused, as ignoring them would change which values are valid."""


def _check_keyword(keyword: str, expected: Any, path: Path) -> None:
    if keyword in REFUSED:
        raise InvalidSchema(path, REFUSED[keyword])
    if keyword in KEYWORDS and not KEYWORDS[keyword].accepts(expected):
        raise InvalidSchema(path, f"must be {KEYWORDS[keyword].description}")


def _weight(pattern: str) -> int:
    """Return a measure of the time that compiling a pattern takes: its elements, as often as they are repeated."""
    groups, last = [0], 0
    for element in ELEMENT.finditer(pattern):
        if element["open"]:
            groups.append(0)
        elif element["close"] and len(groups) > 1:
            last = groups.pop()
            groups[-1] += last
        elif element["times"]:
            times = max(int(element["times"]), int(element["most"] or 0))
            groups[-1] += last * (times - 1)
        else:
            last = max(1, sum(weight * len(each.findall(element[0])) for each, weight in CLASS_WEIGHTS))
            groups[-1] += last
    return sum(groups)


def _compiled(pattern: str, path: Path) -> SchemaValidator | None:
    """Compile a pattern; None if the engine does not take it. Raises InvalidSchema if it is no regular expression."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except PatternError as error:
        if any(words in str(error).rpartition("error:")[2] for words in UNSUPPORTED):
            return None
        raise InvalidSchema(path, "must be a regular expression") from None


def _schemas_in(keyword: str, expected: Any) -> Iterator[tuple[Path, Any]]:
    """Yield the schemas within a keyword's value, each with its path from the keyword."""
    if keyword in SCHEMA_KEYWORDS or (keyword == "items" and not _is_list(expected)):
        yield (), expected
    elif keyword in (*SCHEMA_LIST_KEYWORDS, "items"):
        yield from (((number,), inner) for number, inner in enumerate(expected))
    elif keyword in SCHEMA_MAP_KEYWORDS:
        yield from (((name,), inner) for name, inner in expected.items())
    elif keyword == "dependencies":
        yield from (((name,), inner) for name, inner in expected.items() if not _are_names(inner))


def _escape_pointer(step: str | int) -> str:
    """Return a step of a JSON Pointer (RFC 6901)."""
    return str(step).replace("~", "~0").replace("/", "~1")


def _as_list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


# ---- application to a value ----------------------------------------------------------------------------------------


@dataclass
class _Run:
    """Facts that all instances of one check share."""

    targets: Mapping[str, Schema]
    """`$ref` → the schema to which it refers."""
    patterns: Mapping[str, SchemaValidator | None]
    """Pattern → its compiled form. Every text matches one that has none, as it cannot be checked."""
    steps: int = 0
    """Number of applications of a keyword so far."""
    faults: int = 0
    """Number of faults so far, those of alternatives that do not matter included."""

    def count(self, steps: int, depth: int) -> None:
        """Raises InvalidSchema for a check that takes too many steps, or goes too deep."""
        self.steps += steps
        if self.steps > MAX_STEPS or depth > 2 * MAX_DEPTH:
            raise InvalidSchema((), "refers to itself too often, or takes too many steps to check a value with")


@dataclass
class _Instance:
    """A part of the value while one schema is applied to it: its faults so far, and its evaluated members."""

    run: _Run
    value: Any
    path: Path
    depth: int = 0
    faults: list[Fault] = field(default_factory=list[Fault])
    evaluated: set[str | int] = field(default_factory=set[str | int])
    """Members to which some keyword has applied a schema; the `unevaluated…` keywords apply to the others."""
    is_unsure: bool = False
    """True if the outcome depends on a pattern that cannot be checked."""

    def check(self, schema: Schema) -> None:
        """Apply the schema's keywords, and collect the faults."""
        self.run.steps += 1
        if isinstance(schema, bool):
            if not schema:
                self.add_fault("is not allowed")
            return
        # which members are unevaluated is known when all other keywords have been applied
        for keyword in sorted(schema, key=lambda each: each.startswith("unevaluated")):
            kind, check = CHECKS.get(keyword, ("", None))
            if check and (kind == "any" or TYPES[kind](self.value)):
                self.run.count(1, self.depth)
                check(self, schema[keyword], schema)

    def add_fault(self, message: str) -> None:
        self.run.faults += 1
        is_described = self.run.faults <= MAX_DESCRIBED_FAULTS
        self.faults.append(Fault(".".join(map(str, self.path)), message) if is_described else FURTHER_FAULT)

    def evaluate(self, schema: Schema) -> "_Instance":
        """Apply another schema to the same value; return the outcome, without adding it to this one."""
        instance = _Instance(self.run, self.value, self.path, self.depth + 1)
        instance.check(schema)
        return instance

    def apply(self, schema: Schema) -> None:
        """Apply another schema to the same value, and add its faults."""
        instance = self.evaluate(schema)
        self.faults += instance.faults
        self.evaluated |= instance.evaluated
        self.is_unsure |= instance.is_unsure

    def apply_to_member(self, key: Any, schema: Schema) -> None:
        """Apply a schema to a member of the value, and add its faults."""
        instance = _Instance(self.run, self.value[key], (*self.path, key), self.depth + 1)
        instance.check(schema)
        self.faults += instance.faults
        self.is_unsure |= instance.is_unsure
        self.evaluated.add(key)

    def matches(self, pattern: str, text: str) -> bool:
        """Tell whether the pattern occurs in the text; it counts as if it did if it cannot be checked."""
        expression = self.run.patterns[pattern]
        self.is_unsure |= expression is None
        return expression is None or _occurs(expression, text)

    def apply_to_members(self, keys: Any, schema: Schema) -> None:
        """Apply a schema to each of these members."""
        for key in keys:
            self.apply_to_member(key, schema)


Check = Callable[[_Instance, Any, dict[str, Any]], None]


def _value_check(accepts: Callable[[Any, Any], bool], description: str) -> Check:
    """Return a check of the value alone. description: message of its fault; `{}` is the keyword's value."""

    def check(instance: _Instance, expected: Any, _: dict[str, Any]) -> None:
        if not accepts(instance.value, expected):
            instance.add_fault(description.format(_show(expected)))

    return check


def _size_check(accepts: Callable[[Any, Any], bool], description: str) -> Check:
    return _value_check(lambda value, expected: accepts(len(value), expected), description)


def _bound_check(bound: str, accepts: Callable[[Any, Any], bool], description: str) -> Check:
    """Return a check of an exclusive bound. bound: keyword with its number if the value is true, as in draft 4."""
    check = _value_check(accepts, description)

    def check_bound(instance: _Instance, expected: Any, schema: dict[str, Any]) -> None:
        number = schema.get(bound) if expected is True else expected
        if is_number(number):
            check(instance, number, schema)

    return check_bound


def _type(instance: _Instance, expected: Any, schema: dict[str, Any]) -> None:
    is_null = instance.value is None and schema.get("nullable") is True  # as in OpenAPI 3.0
    if not is_null and not any(TYPES[each](instance.value) for each in _as_list(expected)):
        instance.add_fault(f"must be {_show(expected)}")


def _pattern(instance: _Instance, expected: str, _: dict[str, Any]) -> None:
    if not instance.matches(expected, instance.value):
        instance.add_fault(f"must match {_show(expected)}")


def _is_multiple(value: float, divisor: float) -> bool:
    # in decimal, as JSON writes them: 0.3 is a multiple of 0.1
    return (_fraction(value) / _fraction(divisor)).denominator == 1


@lru_cache(64)
def _fraction(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(str(number))


def _unique_items(instance: _Instance, expected: bool, _: dict[str, Any]) -> None:
    if expected:
        instance.run.count(len(instance.value), instance.depth)
        if len(set(map(_canonical, instance.value))) < len(instance.value):
            instance.add_fault("must hold no item twice")


def _required(instance: _Instance, expected: list[str], _: dict[str, Any]) -> None:
    if missing := [name for name in expected if name not in instance.value]:
        instance.add_fault(f"must have {', '.join(missing)}")


def _dependent_required(instance: _Instance, expected: dict[str, list[str]], _: dict[str, Any]) -> None:
    for name, others in expected.items():
        missing = [other for other in others if name in instance.value and other not in instance.value]
        if missing:
            instance.add_fault(f"must have {', '.join(missing)}, because it has {name}")


def _all_of(instance: _Instance, expected: list[Schema], _: dict[str, Any]) -> None:
    for schema in expected:
        instance.apply(schema)


def _any_of(instance: _Instance, expected: list[Schema], _: dict[str, Any]) -> None:
    _check_matches(instance, expected, "anyOf", len(expected))


def _one_of(instance: _Instance, expected: list[Schema], _: dict[str, Any]) -> None:
    _check_matches(instance, expected, "oneOf", 1)


def _check_matches(instance: _Instance, schemas: list[Schema], name: str, maximum: int) -> None:
    """Add a fault unless the value fits 1 to `maximum` of the schemas."""
    outcomes = [instance.evaluate(schema) for schema in schemas]
    fitting = [each for each in outcomes if not each.faults]
    if not fitting:
        reasons = "; or ".join(str(each.faults[0]) for each in outcomes[:5])
        instance.add_fault(f"fits none of {name}: {reasons}")
    elif len(fitting) > maximum and not any(each.is_unsure for each in fitting):
        instance.add_fault(f"must fit only one of {name}, and fits {len(fitting)}")
    for each in fitting:
        instance.evaluated |= each.evaluated
    instance.is_unsure |= any(each.is_unsure for each in outcomes)


def _not(instance: _Instance, expected: Schema, _: dict[str, Any]) -> None:
    outcome = instance.evaluate(expected)
    instance.is_unsure |= outcome.is_unsure
    if not outcome.faults and not outcome.is_unsure:
        instance.add_fault(f"must not fit {_show(expected)}")


def _if(instance: _Instance, expected: Schema, schema: dict[str, Any]) -> None:
    condition = instance.evaluate(expected)
    if condition.is_unsure:
        instance.is_unsure = True
    elif condition.faults:
        instance.apply(schema.get("else", True))
    else:
        instance.evaluated |= condition.evaluated
        instance.apply(schema.get("then", True))


def _properties(instance: _Instance, expected: dict[str, Schema], _: dict[str, Any]) -> None:
    for name, schema in expected.items():
        if name in instance.value:
            instance.apply_to_member(name, schema)


def _pattern_properties(instance: _Instance, expected: dict[str, Schema], _: dict[str, Any]) -> None:
    for pattern, schema in expected.items():
        expression = instance.run.patterns[pattern]
        if expression is None:
            instance.is_unsure = True
            instance.evaluated |= set(instance.value)
        else:
            instance.apply_to_members([name for name in instance.value if _occurs(expression, name)], schema)


def _additional_properties(instance: _Instance, expected: Schema, schema: dict[str, Any]) -> None:
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    others = [
        each for each in instance.value
        if each not in named and not any(instance.matches(one, each) for one in patterns)
    ]  # fmt: skip
    instance.apply_to_members(others, expected)


def _property_names(instance: _Instance, expected: Schema, _: dict[str, Any]) -> None:
    for name in instance.value:
        outcome = _Instance(instance.run, name, (*instance.path, name), instance.depth + 1)
        outcome.check(expected)
        instance.faults += [Fault(each.path, f"has a name that {each.message}") for each in outcome.faults]
        instance.is_unsure |= outcome.is_unsure


def _dependent_schemas(instance: _Instance, expected: dict[str, Schema], _: dict[str, Any]) -> None:
    for name, schema in expected.items():
        if name in instance.value:
            instance.apply(schema)


def _dependencies(instance: _Instance, expected: dict[str, Any], schema: dict[str, Any]) -> None:
    names = {name: each for name, each in expected.items() if _are_names(each)}
    _dependent_required(instance, names, schema)
    _dependent_schemas(instance, {name: each for name, each in expected.items() if name not in names}, schema)


def _prefix_items(instance: _Instance, expected: list[Schema], _: dict[str, Any]) -> None:
    for number, schema in enumerate(expected[: len(instance.value)]):
        instance.apply_to_member(number, schema)


def _items(instance: _Instance, expected: Schema | list[Schema], schema: dict[str, Any]) -> None:
    if isinstance(expected, list):
        _prefix_items(instance, expected, schema)
        return
    instance.apply_to_members(range(len(schema.get("prefixItems", ())), len(instance.value)), expected)


def _additional_items(instance: _Instance, expected: Schema, schema: dict[str, Any]) -> None:
    items = schema.get("items")
    if isinstance(items, list):
        instance.apply_to_members(range(len(cast("list[Schema]", items)), len(instance.value)), expected)


def _contains(instance: _Instance, expected: Schema, schema: dict[str, Any]) -> None:
    items = [_Instance(instance.run, each, (), instance.depth + 1) for each in instance.value]
    for each in items:
        each.check(expected)
        instance.is_unsure |= each.is_unsure
    fitting = {number for number, each in enumerate(items) if not each.faults}
    least, most = schema.get("minContains", 1), schema.get("maxContains", math.inf)
    surely = sum(not items[number].is_unsure for number in fitting)
    if len(fitting) < least or surely > most:
        instance.add_fault(f"must hold {least} to {most} items that fit {_show(expected)}, and holds {len(fitting)}")
    instance.evaluated |= fitting


def _unevaluated(instance: _Instance, expected: Schema, _: dict[str, Any]) -> None:
    keys: Any = instance.value if TYPES["object"](instance.value) else range(len(instance.value))
    instance.apply_to_members([key for key in keys if key not in instance.evaluated], expected)


CHECKS: Mapping[str, tuple[str, Check]] = {
    "$ref": ("any", lambda instance, expected, _: instance.apply(instance.run.targets[unquote(expected)])),
    "type": (
        "any",
        _type,
    ),
    "const": ("any", _value_check(lambda value, expected: _canonical(value) == _canonical(expected), "must be {}")),
    "enum": (
        "any",
        _value_check(
            lambda value, expected: _canonical(value) in _canonical_choices(_canonical(expected)), "must be one of {}"
        ),
    ),
    "allOf": ("any", _all_of),
    "anyOf": ("any", _any_of),
    "oneOf": ("any", _one_of),
    "not": ("any", _not),
    "if": ("any", _if),
    "minimum": ("number", _value_check(operator.ge, "must be at least {}")),
    "maximum": ("number", _value_check(operator.le, "must be at most {}")),
    "exclusiveMinimum": ("number", _bound_check("minimum", operator.gt, "must be more than {}")),
    "exclusiveMaximum": ("number", _bound_check("maximum", operator.lt, "must be less than {}")),
    "multipleOf": ("number", _value_check(_is_multiple, "must be a multiple of {}")),
    "minLength": ("string", _size_check(operator.ge, "must have at least {} characters")),
    "maxLength": ("string", _size_check(operator.le, "must have at most {} characters")),
    "pattern": ("string", _pattern),
    "minItems": ("array", _size_check(operator.ge, "must have at least {} items")),
    "maxItems": ("array", _size_check(operator.le, "must have at most {} items")),
    "uniqueItems": ("array", _unique_items),
    "prefixItems": ("array", _prefix_items),
    "items": ("array", _items),
    "additionalItems": ("array", _additional_items),
    "contains": ("array", _contains),
    "unevaluatedItems": ("array", _unevaluated),
    "minProperties": ("object", _size_check(operator.ge, "must have at least {} properties")),
    "maxProperties": ("object", _size_check(operator.le, "must have at most {} properties")),
    "required": ("object", _required),
    "dependentRequired": ("object", _dependent_required),
    "dependentSchemas": ("object", _dependent_schemas),
    "dependencies": ("object", _dependencies),
    "properties": ("object", _properties),
    "patternProperties": ("object", _pattern_properties),
    "additionalProperties": ("object", _additional_properties),
    "propertyNames": ("object", _property_names),
    "unevaluatedProperties": ("object", _unevaluated),
}
"""Keyword → the type of values to which it applies, and its check."""


def _occurs(expression: SchemaValidator, text: str) -> bool:
    """Tell whether a pattern occurs in the text, as in ECMA-262, except that `\\d`, `\\w` and `\\s` are Unicode's."""
    try:
        expression.validate_python(text)
    except ValidationError:
        return False
    return True


def _canonical(value: Any) -> str:
    """Return the same text for values that are equal in JSON Schema: 1 and 1.0 are, 1 and true are not."""
    return json.dumps(_normalize_numbers(value), sort_keys=True)


@lru_cache(64)
def _canonical_choices(choices: str) -> frozenset[str]:
    return frozenset(map(_canonical, json.loads(choices)))


def _normalize_numbers(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_normalize_numbers(each) for each in cast("list[Any]", value)]
        case dict():
            return {name: _normalize_numbers(each) for name, each in cast("dict[str, Any]", value).items()}
        case _:
            return value


def _show(value: Any) -> str:
    """Return the value of a keyword for a sentence, clipped to MAX_SHOWN_LENGTH characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[: MAX_SHOWN_LENGTH - 1]}…"
