"""Filters: what Vectorize is asked, and what the database decides."""

import json
import sqlite3
import unicodedata
from typing import Any

import pytest

from aiworker.errors import ApiError
from aiworker.rag import filters, store
from aiworker.rag.store import Version
from tests.unit.test_ingest import Machine, Rows

PROPERTIES = {"kind": "string", "year": "number", "open": "boolean"}
LONG = "a" * 64
TEAMS = (f"{LONG} first", f"{LONG} second")
DECOMPOSED = unicodedata.normalize("NFD", "Zürich")


def matches(metadata: dict[str, Any], condition: dict[str, Any]) -> bool:
    """Whether a document's row meets a filter, in a real SQLite."""
    filters.check(condition, PROPERTIES)
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE versions (metadata TEXT)")
    database.execute("INSERT INTO versions VALUES (?)", [json.dumps(metadata)])
    where, values = filters.condition(condition, first=1)
    return bool(database.execute(f"SELECT 1 FROM versions v WHERE 1 {where}", values).fetchall())


def refusal(condition: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        filters.check(condition, PROPERTIES)
    assert caught.value.type == "invalid_request"
    return caught.value


@pytest.mark.parametrize(
    ("metadata", "condition", "expected"),
    [
        ({"kind": TEAMS[0]}, {"kind": TEAMS[0]}, True),
        ({"kind": TEAMS[1]}, {"kind": TEAMS[0]}, False),
        ({"kind": TEAMS[1]}, {"kind": {"$in": [TEAMS[0], "b"]}}, False),
        ({"kind": TEAMS[1]}, {"kind": {"$ne": TEAMS[0]}}, True),
        ({"kind": TEAMS[1]}, {"kind": {"$gt": TEAMS[0]}}, True),
        ({}, {"kind": {"$ne": "a"}}, True),
        ({}, {"kind": {"$nin": ["a"]}}, True),
        ({"kind": "a"}, {"kind": {"$nin": ["a", "b"]}}, False),
        ({}, {"year": {"$lt": 5}}, False),
        ({"year": 5}, {"year": {"$gte": 5, "$lt": 6}}, True),
        ({"year": 5.0}, {"year": 5}, True),
        # a document that was added before its property had an index may have a value of another type
        ({"year": "1999"}, {"year": {"$gt": 2020}}, False),
        ({"open": 1}, {"open": True}, False),
        ({"open": True}, {"open": True}, True),
        ({"open": False}, {"open": {"$in": [False]}}, True),
        ({"kind": DECOMPOSED}, {"kind": "Zürich"}, True),
        ({"kind": "Zürich"}, {"kind": DECOMPOSED}, True),
        ({"kind": DECOMPOSED}, {"kind": {"$ne": "Zürich"}}, False),
        ({"kind": "o'clock \" ?1"}, {"kind": "o'clock \" ?1"}, True),
    ],
)
def test_the_database_compares_whole_values(
    metadata: dict[str, Any], condition: dict[str, Any], expected: bool
) -> None:
    assert matches(metadata, condition) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"kind": "a"}, {"kind": {"$eq": "a"}}),
        ({"year": {"$gt": 5, "$lte": 6}}, {"year": {"$gt": 5, "$lte": 6}}),
        ({"kind": {"$ne": "a"}}, {"kind": {"$ne": "a"}}),
        ({"kind": TEAMS[0]}, {"kind": {"$eq": LONG}}),
        ({"kind": {"$in": list(TEAMS)}}, {"kind": {"$eq": LONG}}),
        # Vectorize cannot tell these from what must be found, so that only the database decides
        ({"kind": {"$ne": TEAMS[0]}}, {}),
        ({"kind": {"$nin": [TEAMS[0], "b"]}}, {"kind": {"$ne": "b"}}),
        ({"kind": {"$gt": TEAMS[0]}}, {"kind": {"$gte": LONG}}),
        ({"kind": {"$lt": TEAMS[0]}}, {"kind": {"$lte": LONG}}),
        ({"kind": {"$ne": "a" * 63}}, {}),
        ({"kind": "ü" * 40}, {"kind": {"$in": ["ü" * 32, unicodedata.normalize("NFD", "ü") * 21 + "u"]}}),
    ],
)
def test_vectorize_is_asked_for_nothing_that_would_hide_a_match(
    condition: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert filters.vector_filter(condition) == expected


def test_a_filter_that_is_too_large_is_refused_with_the_limit() -> None:
    error = refusal({"kind": {"$in": [f"a name of some fifty characters, number {number:04}" for number in range(50)]}})
    assert error.param == "filter"
    assert "2,048" in error.message
    filters.check({"kind": {"$in": [f"{number:04}" for number in range(50)]}}, PROPERTIES)


WRONG: list[dict[str, Any]] = [
    *({"kind": {}}, {"kind": {"$like": "a"}}, {"kind": {"$in": []}}, {"kind": {"$eq": ["a"]}}, {"kind": None}),
    *({"kind": 5}, {"open": 1}, {"year": True}, {"year": 2**53}, {"color": "red"}),
]


@pytest.mark.parametrize("condition", WRONG)
def test_a_wrong_filter_is_refused_with_its_property(condition: dict[str, Any]) -> None:
    assert refusal(condition).param == f"filter.{next(iter(condition))}"


def test_properties_too_long_for_a_vector_are_refused_with_the_limit() -> None:
    with pytest.raises(ApiError) as caught:
        filters.check_metadata({"kind": "a" * 11_000, "year": 1}, PROPERTIES)
    assert (caught.value.type, caught.value.param) == ("invalid_request", "metadata.kind")
    assert "10,240" in caught.value.message
    filters.check_metadata({"kind": "a" * 10_000, "note": "a" * 20_000}, PROPERTIES)


def test_vectorize_gets_the_start_of_strings_and_no_value_of_another_type() -> None:
    metadata = {"kind": "ü" * 11_000, "year": "1999", "open": True, "note": "unindexed"}
    assert filters.vector_metadata(metadata, PROPERTIES) == {"kind": "ü" * 32, "open": True}


# ---- folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("manual", ["deep", "shallow"]),
        ("/manual/guides/", ["deep"]),
        ("man", []),
        ("manual0", ["other"]),
        ("", ["deep", "other", "shallow", "top"]),
        ("/", ["deep", "other", "shallow", "top"]),
    ],
)
@pytest.mark.parametrize("looked_up", [0, 1_000])
async def test_the_list_of_documents_is_narrowed_to_a_folder(
    monkeypatch: pytest.MonkeyPatch, looked_up: int, folder: str, expected: list[str]
) -> None:
    monkeypatch.setattr(store, "MAX_LOOKED_UP", looked_up)
    machine = Machine()
    folders = {"shallow": "manual/", "deep": "manual/guides/", "other": "manual0/", "top": ""}
    for name, value in folders.items():
        metadata = {"folder": value} if value else {}
        version = Version(
            name, "default", name, "queued", None, name, None, metadata, "text/plain", 1, name, 0, "2026", "2026"
        )
        await store.add(machine.resources.database, version)
    listed = await store.page(machine.resources.database, "default", "", 10, folder)
    assert [each.document_id for each in listed] == expected
    assert await store.page(machine.resources.database, "default", "deep", 10, folder) == [
        each for each in listed if each.document_id > "deep"
    ]
    assert await store.page(machine.resources.database, "other", "", 10, folder) == []


async def test_a_small_folder_is_listed_without_reading_the_other_documents() -> None:
    plans: list[str] = []

    class Explained(Rows):
        async def rows(self, query: str, *values: str | float | None) -> list[dict[str, Any]]:
            plans.append(" ".join(row["detail"] for row in await super().rows(f"EXPLAIN QUERY PLAN {query}", *values)))
            return await super().rows(query, *values)

    assert await store.page(Explained(Machine()), "default", "", 10, "manual") == []
    matches, documents = plans
    assert "USING INDEX versions_by_folder (tenant=? AND <expr>>? AND <expr><?)" in matches
    assert "SEARCH d USING PRIMARY KEY (tenant=? AND id=?)" in documents
    assert "SCAN d" not in documents
    assert "SCAN v" not in documents


def test_a_search_in_a_folder_needs_the_property() -> None:
    condition = filters.below("manual")
    assert "folder is not indexed" in refusal(condition).message
    filters.check(condition, {"folder": "string"})
    assert filters.vector_filter(condition) == condition
