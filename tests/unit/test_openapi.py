"""Fields in the API's description."""

import functools
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from aiworker import openapi
from aiworker.http.body import Schema

REQUESTS = {
    schema.__name__: schema
    for route in openapi.documented_routes()
    for schema in (route.body.values() if isinstance(route.body, Mapping) else [route.body])
    if isinstance(schema, type) and issubclass(schema, Schema)
}


@functools.cache
def schemas() -> dict[str, Any]:
    """Schemas of the description. Not at import: each process of scripts/test imports this file."""
    return openapi.document()["components"]["schemas"]


def takes_null(described: dict[str, Any]) -> bool:
    return "null" in described.get("type", ()) or {"type": "null"} in described.get("anyOf", ())


@pytest.mark.parametrize("model", REQUESTS.values(), ids=REQUESTS)
def test_a_field_of_a_request_is_described_with_null_where_null_is_taken(model: type[BaseModel]) -> None:
    described = schemas()[model.__name__]["properties"]
    taken = {
        field.alias or name: field.annotation is Any or type(None) in get_args(field.annotation)
        for name, field in model.model_fields.items()
    }
    assert {name: takes_null(each) for name, each in described.items()} == taken


def test_a_type_and_null_are_one_line_for_people() -> None:
    image = schemas()["ImageRequest"]["properties"]
    assert image["width"] == {
        "type": ["integer", "null"], "minimum": 256, "maximum": 2048, "description": "Pixels.",
    }  # fmt: skip
    assert image["prompt"] == {
        "type": "string", "minLength": 1, "maxLength": image["prompt"]["maxLength"],
        "description": "Description of what the image shows.",
    }  # fmt: skip
    encoding = schemas()["SpeakRequest"]["properties"]["encoding"]
    assert (encoding["type"], encoding["enum"][-1]) == (["string", "null"], None)
