"""Changes of /openapi.json that break clients are named, and others are not."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tools.docs import compatibility, openapi
from tools.docs.compatibility import Comparison, Json

REQUEST: Json = {
    "type": "object",
    "required": ["text"],
    "additionalProperties": False,
    "properties": {
        "text": {"type": "string", "maxLength": 10},
        "size": {"type": ["integer", "null"], "minimum": 1},
        "mode": {"enum": ["fast", "good"]},
        "stream": {"type": "boolean", "default": True},
        "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
        "choice": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
    },
}
ANSWER: Json = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "score": {"type": "number"}, "parts": REQUEST["properties"]["parts"]},
}
PART: Json = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "more": {"anyOf": [{"$ref": "#/components/schemas/Part"}, {"type": "null"}]},
    },
}
DOCUMENT: Json = {
    "paths": {
        "/things": {
            "post": {
                "security": [{"bearer": ["text"]}, {"key": ["text"]}],
                "parameters": [{"in": "query", "name": "page", "schema": {"type": "integer", "maximum": 9}}],
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Request"}},
                        "text/plain": {"schema": {}},
                    }
                },
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}},
                    "404": {},
                },
            },
            "get": {"security": [], "responses": {}},
        },
        "/gone": {"get": {"security": [], "responses": {}}},
    },
    "components": {"schemas": {"Request": REQUEST, "Answer": ANSWER, "Part": PART}},
}


GONE = object()
POST = ("paths", "/things", "post")
REQUEST_AT = ("components", "schemas", "Request")
FIELDS = (*REQUEST_AT, "properties")
ANSWER_AT = ("components", "schemas", "Answer")
PART_AT = ("components", "schemas", "Part")
BODY = "POST /things, application/json"
OK = "POST /things, 200 application/json"


def breaks(place: tuple[str | int, ...], value: Any) -> list[str]:
    """The breaks of DOCUMENT with that value in that place, or with nothing there if it is GONE."""
    new = copy.deepcopy(DOCUMENT)
    parent: Any = new
    for name in place[:-1]:
        parent = parent[name]
    if value is GONE:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return Comparison(DOCUMENT, new).breaks()


BREAKS: list[tuple[tuple[str | int, ...], Any, str]] = [
    ((*POST, "security"), [{"bearer": ["image"]}], "POST /things: needs image"),
    ((*POST, "parameters"), [], "POST /things, query page: is no longer taken"),
    ((*POST, "parameters", 0, "required"), True, "POST /things, query page: is required"),
    ((*POST, "parameters", 0, "schema", "maximum"), 8, "POST /things, query page: has maximum 8"),
    ((*POST, "requestBody", "required"), True, "POST /things, body: is required"),
    ((*POST, "requestBody", "content", "text/plain"), GONE, "POST /things, text/plain: is no longer taken"),
    ((*POST, "responses", "404"), GONE, "POST /things, 404: is gone"),
    ((*POST, "responses", "200", "content"), {}, f"{OK}: is gone"),
    ((*FIELDS, "size"), GONE, f"{BODY} size: is no longer taken"),
    ((*PART_AT, "properties", "name"), GONE, f"{BODY} parts[] name: is ignored"),
    ((*REQUEST_AT, "required"), ["text", "mode"], f"{BODY} mode: is required"),
    ((*FIELDS, "size", "type"), "integer", f"{BODY} size: no longer takes null"),
    ((*FIELDS, "size", "minimum"), 2, f"{BODY} size: has minimum 2"),
    ((*FIELDS, "text", "minLength"), 1, f"{BODY} text: has minLength 1"),
    ((*FIELDS, "text", "pattern"), "a", f"{BODY} text: has pattern a"),
    ((*FIELDS, "mode", "enum"), ["fast"], f'{BODY} mode: no longer takes "good"'),
    ((*FIELDS, "choice", "anyOf"), [{"type": "string"}], f"{BODY} choice: no longer takes boolean"),
    ((*FIELDS, "stream", "default"), False, f"{BODY} stream: has the default false, not true"),
    ((*PART_AT, "additionalProperties"), False, f"{BODY} parts[]: no longer takes other fields"),
    ((*PART_AT, "required"), ["name", "more"], f"{BODY} parts[] more: is required"),
    ((*ANSWER_AT, "properties", "score"), GONE, f"{OK} score: is gone"),
    ((*ANSWER_AT, "required"), [], f"{OK} id: may be missing"),
    ((*ANSWER_AT, "properties", "id", "type"), ["string", "null"], f"{OK} id: may be null"),
    ((*PART_AT, "properties", "name", "type"), "integer", f"{OK} parts[] name: may be integer"),
    (("paths", "/gone"), GONE, "GET /gone: is gone"),
    (("paths", "/things", "get"), GONE, "GET /things: is gone"),
    (("paths", "/gone", "get", "security"), [{"bearer": []}], "GET /gone: needs any key"),
]
ADDITIONS: list[tuple[tuple[str | int, ...], Any]] = [
    ((*POST, "security"), []),
    ((*POST, "description"), "New words."),
    (("paths", "/more"), {"get": {"responses": {}}}),
    ((*POST, "responses", "409"), {}),
    ((*REQUEST_AT, "required"), []),
    ((*REQUEST_AT, "additionalProperties"), True),
    ((*FIELDS, "more"), {"type": "string"}),
    ((*FIELDS, "size"), {"type": ["number", "null"], "minimum": 0}),
    ((*FIELDS, "mode"), {"enum": ["best", "good", "fast"]}),
    ((*FIELDS, "mode"), {"type": "string"}),
    ((*FIELDS, "choice"), {}),
    ((*FIELDS, "text"), {"type": "string"}),
    ((*ANSWER_AT, "properties", "more"), {"type": "string"}),
    ((*ANSWER_AT, "properties", "score", "type"), "integer"),
]


@pytest.mark.parametrize(("place", "value", "expected"), BREAKS)
def test_a_break_is_named(place: tuple[str | int, ...], value: Any, expected: str) -> None:
    assert expected in breaks(place, value)


@pytest.mark.parametrize(("place", "value"), ADDITIONS)
def test_an_addition_breaks_nothing(place: tuple[str | int, ...], value: Any) -> None:
    assert breaks(place, value) == []


def test_a_break_that_is_allowed_passes_and_an_allowance_without_a_break_does_not() -> None:
    assert compatibility.report(["a: is gone"], {"a: is gone": "Nobody used it."}, "1.0") == []
    assert compatibility.report(["a: is gone"], {}, "1.0")[0] == "Breaks clients of 1.0: a: is gone"
    assert "breaks nothing: b" in compatibility.report([], {"b": "Why."}, "1.0")[0]


def test_fields_that_are_called_like_prose_are_kept_in_the_copy() -> None:
    schema = {"properties": {"description": {"type": "string", "description": "Prose."}}, "title": "Prose"}
    assert compatibility.reduced(schema) == {"properties": {"description": {"type": "string"}}}


def test_the_document_breaks_no_client_of_the_last_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert compatibility.main([]) == 0, capsys.readouterr().out


def test_a_release_renews_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released, allowed = tmp_path / "released.json", tmp_path / "allowed_breaks.json"
    monkeypatch.setattr(compatibility, "RELEASED", released)
    monkeypatch.setattr(compatibility, "ALLOWED", allowed)
    assert compatibility.main(["--release"]) == 0
    current = json.loads(openapi.FILE.read_text())
    assert json.loads(released.read_text())["version"] == current["info"]["version"]
    assert json.loads(allowed.read_text()) == {}
    assert compatibility.main([]) == 0
