"""JSON Schema, against the `jsonschema` package as the one that is right."""

import contextlib
import json
import os
import time
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import AnyUrl, BaseModel, Field

from aiworker.models import json_schema
from aiworker.models.json_schema import MAX_DESCRIBED_FAULTS, MAX_STEPS, InvalidSchema, JsonSchema

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 1.5, "", "a", "ab", "b1", "a\n"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
COUNTS = st.integers(0, 3)
NAMES = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
PATTERNS = st.sampled_from(["^a", "b$", "[0-9]", "^a$", "a+b"])
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    numbers = st.integers(-2, 2) | st.sampled_from([0.5, 1.5])
    wanted: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "const": VALUES,
        "enum": st.lists(VALUES, min_size=1, max_size=4),
        "multipleOf": st.sampled_from([1, 2, 0.5, 1.5]),
        "pattern": PATTERNS,
        "uniqueItems": st.booleans(),
        "required": NAMES,
        "dependentRequired": st.dictionaries(st.sampled_from("abc"), NAMES, max_size=2),
        "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        "prefixItems": some,
        "minContains": COUNTS,
        "maxContains": COUNTS,
        "$ref": st.just("#/$defs/x"),
        **dict.fromkeys(["allOf", "anyOf", "oneOf"], some),
        **dict.fromkeys(["properties", "dependentSchemas"], named),
        **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], numbers),
        **dict.fromkeys(["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"], COUNTS),
        **dict.fromkeys(["not", "if", "then", "else", "items", "contains", "additionalProperties"], inner),
        **dict.fromkeys(["propertyNames", "unevaluatedItems", "unevaluatedProperties"], inner),
    }
    return st.sets(st.sampled_from(sorted(wanted)), max_size=4).flatmap(
        lambda names: st.fixed_dictionaries({name: wanted[name] for name in sorted(names)})
    )


SCHEMAS = st.recursive(st.booleans(), keywords, max_leaves=6)


@settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")))
@given(schema=SCHEMAS, inner=keywords(st.booleans()), value=VALUES)
def test_the_same_values_fit_as_for_jsonschema(schema: Any, inner: dict[str, Any], value: Any) -> None:
    inner.pop("$ref", None)  # to itself, for ever
    whole = {"allOf": [schema], "$defs": {"x": inner}}
    reference: Any = Draft202012Validator(whole)
    assert (not JsonSchema(whole).find_faults(value)) == reference.is_valid(value)


@pytest.mark.parametrize(
    ("schema", "value", "faults"),
    [
        (
            {"properties": {"a": {"items": {"minimum": 3}}}},
            {"a": [3, 2, 1]},
            ["a.1 must be at least 3", "a.2 must be at least 3"],
        ),
        ({"required": ["a", "b"]}, {}, ["the whole must have a, b"]),
        ({"additionalProperties": False, "properties": {"a": True}}, {"a": 1, "b": 2}, ["b is not allowed"]),
        ({"enum": ["x", 1]}, "y", ['the whole must be one of ["x", 1]']),
        ({"type": ["string", "null"]}, 1, ['the whole must be ["string", "null"]']),
        (
            {"anyOf": [{"type": "string"}, {"minimum": 5}]},
            1,
            ["the whole fits none of anyOf: the whole must be string; or the whole must be at least 5"],
        ),
        ({"oneOf": [True, True]}, 1, ["the whole must fit only one of oneOf, and fits 2"]),
        (
            {"contains": {"const": 1}, "maxContains": 1},
            [1, 1],
            ['the whole must hold 1 to 1 items that fit {"const": 1}, and holds 2'],
        ),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, ["ab has a name that must have at most 1 characters"]),
        (
            {"unevaluatedProperties": False, "allOf": [{"properties": {"a": True}}]},
            {"a": 1, "b": 1},
            ["b is not allowed"],
        ),
    ],
)  # fmt: skip
def test_all_violations_are_reported_with_their_places(schema: Any, value: Any, faults: list[str]) -> None:
    assert [str(fault) for fault in JsonSchema(schema).find_faults(value)] == faults


REFUSED: list[tuple[Any, str, str]] = [
    ({"type": "text"}, "type", "one or a list of string"),
    ({"type": []}, "type", "one or a list of string"),
    ({"properties": {"a": 5}}, "properties.a", "a schema"),
    ({"properties": []}, "properties", "an object"),
    ({"items": [5]}, "items.0", "a schema"),
    ({"items": 5}, "items", "a schema"),
    ({"anyOf": []}, "anyOf", "a list of schemas"),
    ({"required": "a"}, "required", "a list of names"),
    ({"minLength": -1}, "minLength", "a whole number from 0"),
    ({"multipleOf": 0}, "multipleOf", "above 0"),
    ({"maximum": True}, "maximum", "a number"),
    ({"enum": []}, "enum", "1 to 1,000 values"),
    ({"enum": list(range(1001))}, "enum", "1 to 1,000 values"),
    ({"pattern": "("}, "pattern", "a regular expression"),
    ({"patternProperties": {"[": True}}, "patternProperties", "a regular expression"),
    ({"$ref": "https://example.com/schema"}, "$ref", "within this one"),
    ({"$ref": "#/$defs/a"}, "$ref", "within this one"),
    ({"properties": {"a": {"$ref": "other.json"}}}, "properties.a.$ref", "within this one"),
    ({"$defs": {"a": {"$id": "b", "$defs": {"c": {"$ref": "#/$defs/c"}}}}}, "$defs.a.$id", "at the top"),
    ({"$dynamicRef": "#a"}, "$dynamicRef", "use $ref"),
    ({"dependencies": {"a": 5}}, "dependencies.a", "a schema"),
    ({"description": "a" * 70_000}, "", "longer than"),
    ({"minimum": float("inf")}, "", "too large"),
]


@pytest.mark.parametrize(("schema", "where", "words"), REFUSED)
def test_an_invalid_schema_is_refused_with_its_place(schema: Any, where: str, words: str) -> None:
    with pytest.raises(InvalidSchema) as raised:
        JsonSchema(schema)
    assert ".".join(map(str, raised.value.where)) == where
    assert words in raised.value.reason


def test_a_schema_may_not_be_nested_without_end() -> None:
    schema: Any = True
    for _ in range(60):
        schema = {"properties": {"a": schema}}
    with pytest.raises(InvalidSchema, match="deeper"):
        JsonSchema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    ],
)
def test_a_schema_that_refers_to_itself_for_ever_ends(schema: Any) -> None:
    with pytest.raises(InvalidSchema, match="too often"):
        JsonSchema(schema).find_faults({})


def test_a_schema_may_refer_to_itself_for_values_that_end() -> None:
    tree = JsonSchema({"properties": {"left": {"$ref": "#"}, "size": {"type": "integer"}}})
    assert tree.find_faults({"left": {"left": {"size": 1}}}) == []
    assert [str(fault) for fault in tree.find_faults({"left": {"left": {"size": "1"}}})] == [
        "left.left.size must be integer"
    ]


def test_the_steps_of_a_check_are_bounded() -> None:
    schema = JsonSchema({"items": {"type": "integer"}})
    assert schema.find_faults([1] * (MAX_STEPS // 2 - 1)) == []
    with pytest.raises(InvalidSchema, match="too many steps"):
        schema.find_faults([1] * (MAX_STEPS // 2))


def test_only_so_many_faults_are_described() -> None:
    faults = JsonSchema({"items": {"type": "string"}}).find_faults([1] * 200)
    assert len(faults) == 200
    assert len(set(faults)) == MAX_DESCRIBED_FAULTS + 1


@pytest.mark.parametrize(
    "pattern", [r"\w{100}", r"\w" * 100, r"(\w{10}){10}", r"\p{L}{100}", r"\pL{100}", r"(.{100}){100}"]
)
def test_a_pattern_that_takes_long_to_compile_is_not_checked(pattern: str) -> None:
    assert JsonSchema({"pattern": pattern}).unchecked == ["pattern"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[\w.+-]+@[\w-]+\.[\w.]+$",
        r"^\d{4}-\d{2}-\d{2}$",
        r"^[A-Z]{2}\d{2}[A-Z0-9]{4}\d{7}([A-Z0-9]?){0,16}$",
        r"^(\w+ ){1,20}$",
    ],
)
def test_patterns_of_everyday_use_are_checked(pattern: str) -> None:
    assert JsonSchema({"pattern": pattern}).unchecked == []


def test_a_pattern_takes_no_longer_than_its_text_is_long() -> None:
    began = time.process_time()
    assert JsonSchema({"pattern": "^(a+)+$"}).find_faults("a" * 50_000 + "b")
    assert JsonSchema({"pattern": "^(a|a)*$"}).find_faults("a" * 50_000 + "b")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("unit", ["[", "\\p{", "[\\", "(?", "{1,", "(a){999999999}"])
def test_the_weight_of_a_pattern_is_known_after_one_look_at_each_character(unit: str) -> None:
    began = time.process_time()
    with contextlib.suppress(InvalidSchema):
        JsonSchema({"pattern": unit * (60_000 // len(unit))})
    assert time.process_time() - began < 1, "it took a minute to look for the end of a class from each bracket"


# ---- what makers of schemas write ----------------------------------------------------------------------------------

STOCK = json.loads((Path(__file__).parent / "stock_schemas.json").read_text())
"""Schemas as zod 4, valibot and TypeBox write them: `z.toJSONSchema`, `toJsonSchema` and `JSON.stringify`."""
UNCHECKED = {
    "zod 4.0 email", "zod emoji", "zod hostname", "zod iso.duration", "zod mix", "valibot bic", "valibot emoji",
    "valibot regexi",
}  # fmt: skip
"""Those with look-around in a pattern."""


@pytest.mark.parametrize("name", STOCK)
def test_a_schema_of_a_stock_maker_is_taken(name: str) -> None:
    unchecked = JsonSchema(STOCK[name]).unchecked
    assert bool(unchecked) == (name in UNCHECKED)
    assert all(path.endswith(".pattern") for path in unchecked)


def test_a_schema_of_pydantic_is_taken() -> None:
    class Colour(Enum):
        RED = "red"

    class Order(BaseModel):
        link: AnyUrl
        id: UUID
        at: datetime
        span: timedelta
        total: Decimal
        colour: Colour
        pair: tuple[int, str]
        tags: set[int]
        parts: "dict[str, Order]"
        address: IPv4Address | None = None
        kind: Literal[1, "a", None] = None
        share: float = Field(default=0.5, gt=0, multiple_of=0.1)

    assert JsonSchema(Order.model_json_schema()).unchecked == []


LOOK = {"pattern": "^(?!a)"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (LOOK, "abc"),
        ({"not": LOOK}, "abc"),
        ({"oneOf": [LOOK, {"type": "string"}]}, "abc"),
        ({"if": LOOK, "then": False, "else": False}, "abc"),
        ({"contains": LOOK, "maxContains": 1}, ["a", "b"]),
        ({"patternProperties": {"^(?!a)": False}, "additionalProperties": False}, {"b": 1}),
        ({"patternProperties": {"^(?!a)": {}}, "unevaluatedProperties": False}, {"b": 1}),
        ({"propertyNames": LOOK}, {"a": 1}),
        ({"pattern": r"(a)\1"}, "b"),
        ({"pattern": r"^\cA$"}, "b"),
        ({"pattern": "((a{300}){300}){300}"}, "b"),
        ({"pattern": "a{1000}{1000}{1000}"}, "b"),
        ({"pattern": "a" * 2001}, "b"),
    ],
)
def test_a_pattern_that_cannot_be_checked_faults_nothing(schema: Any, value: Any) -> None:
    checked = JsonSchema(schema)
    assert checked.unchecked
    assert checked.find_faults(value) == []


def test_other_rules_beside_such_a_pattern_are_checked() -> None:
    schema = JsonSchema({"properties": {"a": {**LOOK, "minLength": 5}, "b": {"pattern": "^b$"}}})
    assert schema.unchecked == ["properties.a.pattern"]
    assert [str(fault) for fault in schema.find_faults({"a": "x", "b": "c"})] == [
        "a must have at least 5 characters", "b must match ^b$",
    ]  # fmt: skip


def test_patterns_are_checked_up_to_a_weight_and_the_same_one_counts_once() -> None:
    many = [{"pattern": f"x{number}" + "a" * 100} for number in range(30)]
    assert JsonSchema({"allOf": many}).unchecked == [f"allOf.{number}.pattern" for number in range(9, 30)]
    assert JsonSchema({"allOf": many[:1] * 30}).unchecked == []


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"items": [{"type": "string"}, {"type": "number"}]}, ["a", 1, None], [1, "a"]),
        ({"items": [{"type": "string"}], "additionalItems": False}, ["a"], ["a", 1]),
        ({"items": [{"type": "string"}], "additionalItems": {"type": "number"}}, ["a", 1], ["a", "b"]),
        ({"additionalItems": False}, ["a"], None),
        ({"minimum": 1, "exclusiveMinimum": True, "maximum": 3, "exclusiveMaximum": True}, 2, 3),
        ({"minimum": 1, "exclusiveMinimum": False}, 1, 0),
        ({"type": "string", "nullable": True}, None, 5),
        ({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"a": 1, "b": 1}, {"c": 1}),
        ({"$id": "T", "properties": {"a": {"$id": "T0", "properties": {"b": {"$ref": "T0"}}, "required": ["b"]}}},
         {"a": {"b": 1}}, {"a": {"b": {}}}),
    ],
)  # fmt: skip
def test_forms_of_older_drafts_have_their_effect(schema: Any, valid: Any, invalid: Any) -> None:
    assert JsonSchema(schema).find_faults(valid) == []
    assert invalid is None or JsonSchema(schema).find_faults(invalid) != []


def test_items_that_must_be_unique_are_steps() -> None:
    schema = JsonSchema({"uniqueItems": True})
    assert schema.find_faults(list(range(MAX_STEPS // 2))) == []
    assert [fault.message for fault in schema.find_faults([1, 1.0])] == ["must hold no item twice"]
    with pytest.raises(InvalidSchema, match="too many steps"):
        schema.find_faults(list(range(MAX_STEPS)))


def test_a_pattern_is_compiled_once_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    original = json_schema.SchemaValidator

    def validator(schema: Any) -> Any:
        compiled.append(schema)
        return original(schema)

    monkeypatch.setattr(json_schema, "SchemaValidator", validator)
    schema = JsonSchema({"properties": {f"p{at}": {"pattern": f"a{at}"} for at in range(90)}})
    for _ in range(2):
        schema.find_faults({f"p{at}": f"a{at}" for at in range(90)})
    assert len(compiled) == 90
