"""Bounds of a request body, checked before Python parses it (http/body.py); no schema goes round them."""

import importlib
import json
import pkgutil
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as some

from aiworker import routes
from aiworker.errors import ApiError
from aiworker.http.body import (
    MAX_CONTAINERS,
    MAX_ERRORS,
    MAX_STRINGS,
    MAX_STRUCTURE_BYTES,
    MAX_VALUES,
    STRING,
    Schema,
    parse_json,
    parse_json_field,
)
from aiworker.routes.chat_schema import ChatRequest
from tests.unit.stand_ins import FakeRequest


async def refusal(body: str | bytes, schema: type[Schema] = ChatRequest) -> ApiError:
    raw = body.encode() if isinstance(body, str) else body
    with pytest.raises(ApiError) as raised:
        await parse_json(schema, FakeRequest("POST", "/", raw, content_type="application/json"), 1 << 30)
    return raised.value


def fields(count: int) -> str:
    return ",".join(f'"k{number}":1' for number in range(count))


# ---- what is counted -----------------------------------------------------------------------------------------------


async def test_texts_and_names_are_counted() -> None:
    error = await refusal("{" + fields(MAX_STRINGS + 1) + "}")
    assert (error.type, error.param) == ("payload_too_large", None)
    assert "10,000 texts and names" in error.message
    assert (await refusal("{" + fields(MAX_STRINGS) + "}")).type == "invalid_request"


async def test_quotation_marks_in_a_text_are_not() -> None:
    text = '"' * (MAX_STRINGS * 3)
    request = FakeRequest("POST", "/", json.dumps({"prompt": text}).encode(), content_type="application/json")
    assert (await parse_json(ChatRequest, request, 1 << 20)).prompt == text


async def test_names_that_end_in_a_backslash_are() -> None:
    """Their last quotation mark looks as if it were inside: half of the marks are still seen."""
    body = "{" + ",".join(f'"{number}\\\\":1' for number in range(2 * MAX_STRINGS + 1)) + "}"
    assert (await refusal(body)).type == "payload_too_large"


async def test_lists_and_objects_are_counted_where_they_are_no_text() -> None:
    error = await refusal('{"messages":[' + "[]," * MAX_CONTAINERS + "1]}")
    assert (error.type, "50,000 lists" in error.message) == ("payload_too_large", True)
    text = "[{" * MAX_CONTAINERS
    request = FakeRequest("POST", "/", json.dumps({"prompt": text}).encode(), content_type="application/json")
    assert (await parse_json(ChatRequest, request, 1 << 20)).prompt == text


async def test_values_are_counted_where_they_are_no_text() -> None:
    error = await refusal('{"messages":[' + "1," * MAX_VALUES + "1]}")
    assert (error.type, "100,000 values" in error.message) == ("payload_too_large", True)
    assert (await refusal('{"messages":[' + "1," * (MAX_VALUES - 1) + "1]}")).type == "invalid_request"
    text = "," * MAX_VALUES
    request = FakeRequest("POST", "/", json.dumps({"prompt": text}).encode(), content_type="application/json")
    assert (await parse_json(ChatRequest, request, 1 << 20)).prompt == text


@pytest.mark.parametrize("text", ["[" + "1," * MAX_VALUES + "1]", "[" + "[]," * MAX_CONTAINERS + "1]"])
def test_json_in_a_field_of_a_form_has_the_same_bounds(text: str) -> None:
    with pytest.raises(ApiError) as raised:
        parse_json_field("metadata", text)
    assert raised.value.type == "payload_too_large"


async def test_outside_of_texts_a_body_has_a_megabyte() -> None:
    error = await refusal('{"messages":[' + "1," * (MAX_STRUCTURE_BYTES // 2) + "1]}")
    assert (error.type, "outside of its texts" in error.message) == ("payload_too_large", True)
    # a text of that length is refused as a text
    assert (await refusal(json.dumps({"prompt": "a, " * MAX_STRUCTURE_BYTES}))).param == "prompt"


async def test_errors_beyond_the_limit_are_not_explained() -> None:
    error = await refusal('{"prompt":"a",' + fields(MAX_ERRORS + 1) + "}")
    assert (error.type, error.param) == ("invalid_request", None)
    assert error.message.startswith("More than 100 fields are at fault: the fields are temperature,")
    assert (await refusal('{"prompt":"a",' + fields(MAX_ERRORS) + "}")).param == "k0"


async def test_a_long_name_costs_no_time_of_its_own() -> None:
    began = time.process_time()
    error = await refusal('{"' + "-" * 200_000 + '!":1}')
    assert time.process_time() - began < 2  # it took minutes when every way to divide it was tried
    assert len(error.message) < 1_000


# ---- what texts are ------------------------------------------------------------------------------------------------

values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda each: some.lists(each, max_size=5) | some.dictionaries(some.text(), each, max_size=5),
    max_leaves=30,
)


def structure(value: Any) -> str:
    """JSON with nothing where the texts are."""
    if isinstance(value, str):
        return ""
    if isinstance(value, list):
        return f"[{','.join(map(structure, cast('list[Any]', value)))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f":{structure(each)}" for each in cast("dict[str, Any]", value).values()) + "}"
    return json.dumps(value)


@given(values, some.booleans())
def test_texts_are_told_from_the_rest(value: Any, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode(errors="surrogatepass")
    assert STRING.sub(b"", body).decode() == structure(value)


@given(some.binary(max_size=200))
def test_any_bytes_are_told_apart_without_an_error(body: bytes) -> None:
    assert len(STRING.sub(b"", body)) <= len(body)


@pytest.mark.parametrize("unit", [b'\\"', b"\\", b"a", b'"'])
def test_a_text_without_end_is_looked_at_once(unit: bytes) -> None:
    began = time.process_time()
    STRING.sub(b"", b'"' + unit * 500_000)
    assert time.process_time() - began < 2  # from each mark to the end, it would take hours


# ---- every schema --------------------------------------------------------------------------------------------------


def all_schemas() -> Iterator[type[Schema]]:
    for module in pkgutil.walk_packages(routes.__path__, "aiworker.routes."):
        for member in vars(importlib.import_module(module.name)).values():
            if isinstance(member, type) and issubclass(member, Schema) and member is not Schema:
                yield member


def lists(core: Any) -> Iterator[dict[str, Any]]:
    """Every list that pydantic's own form of a schema has in it."""
    if isinstance(core, dict):
        known = cast("dict[str, Any]", core)
        if known.get("type") == "list":
            yield known
        for each in known.values():
            yield from lists(each)
    elif isinstance(core, (list, tuple)):
        for each in cast("list[Any]", core):
            yield from lists(each)


@pytest.mark.parametrize("schema", sorted(set(all_schemas()), key=str), ids=lambda each: each.__name__)
def test_a_list_ends_at_its_first_fault_or_is_short(schema: type[Schema]) -> None:
    for each in lists(schema.__pydantic_core_schema__):
        assert each.get("fail_fast") or each.get("max_length", 1 << 30) <= 128, each
