"""Vectorize: the store against a brute-force reference, and the errors of its limits."""
# pyright: basic
# (strategies of strategies: their types say nothing to a reader)

import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from workers_ai_simulator.vectorize.errors import VectorizeError
from workers_ai_simulator.vectorize.filters import truncated
from workers_ai_simulator.vectorize.store import VectorStore

IDS = [f"v{number}" for number in range(8)]
# whole numbers, so that scores do not depend on the order of the sum
VALUES = st.lists(st.integers(-4, 4).map(float), min_size=3, max_size=3)
SCALARS = st.one_of(st.sampled_from(["a", "b", ""]), st.integers(-2, 2), st.booleans())
METADATA = st.none() | st.fixed_dictionaries(
    {}, optional={"kind": SCALARS, "size": SCALARS, "is_new": SCALARS, "inner": st.fixed_dictionaries({"x": SCALARS})}
)
INDEXED = {"kind": "string", "size": "number", "is_new": "boolean", "inner.x": "number"}
OPERATORS = ["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]
CONDITION = st.one_of(
    SCALARS,
    st.none(),
    st.dictionaries(st.sampled_from(OPERATORS), SCALARS | st.none(), min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(["$in", "$nin"]), st.lists(SCALARS, max_size=3), min_size=1),
)
FILTER = st.dictionaries(st.sampled_from([*INDEXED, "unindexed"]), CONDITION, min_size=1, max_size=2)


# ---- the reference: what the documentation says, word by word, over a dict -------------------------------------------


def is_same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def is_ordered(value: Any, bound: Any) -> bool:
    if isinstance(value, str) or isinstance(bound, str):
        return isinstance(value, str) and isinstance(bound, str)
    return None not in (value, bound) and isinstance(value, bool) == isinstance(bound, bool)


def holds(value: Any, operator: str, operand: Any) -> bool:
    match operator:
        case "$eq":
            return is_same(value, operand)
        case "$ne":
            return not is_same(value, operand)
        case "$in":
            return any(is_same(value, each) for each in operand)
        case "$nin":
            return not any(is_same(value, each) for each in operand)
        case _:
            if not is_ordered(value, operand):
                return False
            smaller, equal = value < operand, value == operand
            return {"$lt": smaller, "$lte": smaller or equal, "$gt": not smaller and not equal, "$gte": not smaller}[
                operator
            ]


def indexed_value(metadata: dict[str, Any] | None, name: str) -> Any:
    value: Any = metadata or {}
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    kinds: dict[str, Any] = {"string": str, "number": (int, float), "boolean": bool}
    kind = INDEXED.get(name)
    if kind is None or not isinstance(value, kinds[kind]) or (kind == "number" and isinstance(value, bool)):
        return None
    return value


def passes(vector: dict[str, Any], conditions: dict[str, Any]) -> bool:
    return all(
        holds(indexed_value(vector.get("metadata"), name), operator, operand)
        for name, test in conditions.items()
        for operator, operand in (test.items() if isinstance(test, dict) else [("$eq", test)])
    )


def score(metric: str, one: list[float], other: list[float]) -> float:
    if metric == "euclidean":
        return math.dist(one, other)
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    lengths = math.hypot(*one) * math.hypot(*other)
    return dot if metric == "dot-product" else dot / lengths if lengths else 0.0


class StoreAgainstReference(RuleBasedStateMachine):
    """Operations in any order, also restarts, after which the store answers as the reference does."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.reference: dict[str, dict[str, Any]] = {}

    @initialize(metric=st.sampled_from(["cosine", "euclidean", "dot-product"]))
    def start(self, metric: str) -> None:
        self.metric = metric
        self.store = self.opened()
        self.store.create_index("index", 3, metric)
        for name, kind in INDEXED.items():
            self.store.create_metadata_index("index", name, kind)

    @rule(
        kind=st.sampled_from(["insert", "upsert"]),
        vectors=st.lists(
            st.fixed_dictionaries(
                {"id": st.sampled_from(IDS), "values": VALUES, "metadata": METADATA},
                optional={"namespace": st.sampled_from(["one", "two"])},
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def write(self, kind: str, vectors: list[dict[str, Any]]) -> None:
        self.store.write("index", kind, vectors, 1000)
        for vector in vectors:
            if kind == "upsert" or vector["id"] not in self.reference:
                self.reference[vector["id"]] = vector

    @rule(ids=st.lists(st.sampled_from(IDS), min_size=1, max_size=3))
    def delete(self, ids: list[str]) -> None:
        self.store.delete("index", ids, 1000)
        for each in ids:
            self.reference.pop(each, None)

    @rule(closes=st.booleans())
    def restart(self, closes: bool) -> None:
        if closes:  # else it was killed, and an older snapshot may be there
            self.store.close()
        self.store = self.opened()

    def opened(self) -> VectorStore:
        return VectorStore(self.folder / "vectors.sqlite", snapshot_from=1)

    @rule(
        vector=VALUES,
        top_k=st.integers(1, 10),
        conditions=st.none() | FILTER,
        namespace=st.none() | st.sampled_from(["one", "two", "three"]),
    )
    def query(self, vector: list[float], top_k: int, conditions: dict[str, Any] | None, namespace: str | None) -> None:
        query = {"vector": vector, "topK": top_k, "filter": conditions, "namespace": namespace, "returnMetadata": "all"}
        answer = self.store.query("index", query)
        candidates = [
            each
            for each in self.reference.values()
            if namespace in (None, each.get("namespace")) and (conditions is None or passes(each, conditions))
        ]
        expected = sorted((score(self.metric, vector, each["values"]) for each in candidates), reverse=True)
        if self.metric == "euclidean":
            expected.reverse()
        assert answer["count"] == len(answer["matches"]) == min(top_k, len(candidates))
        assert [match["score"] for match in answer["matches"]] == pytest.approx(expected[:top_k], abs=1e-5)
        for match in answer["matches"]:
            original = self.reference[match["id"]]
            assert any(original is each for each in candidates)
            assert match["score"] == pytest.approx(score(self.metric, vector, original["values"]), abs=1e-5)
            assert match.get("metadata") == (original["metadata"] or None)
            assert match.get("namespace") == original.get("namespace")

    @invariant()
    def holds_what_the_reference_holds(self) -> None:
        if hasattr(self, "store"):
            assert self.store.info("index")["vectorCount"] == len(self.reference)
            stored = {vector["id"]: vector for vector in self.store.get("index", IDS)}
            assert stored.keys() == self.reference.keys()
            assert all(stored[each]["values"] == self.reference[each]["values"] for each in stored)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


StoreAgainstReference.TestCase.settings = settings(
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "20")), stateful_step_count=25, deadline=None
)
TestStoreAgainstReference = StoreAgainstReference.TestCase


# ---- snapshots -------------------------------------------------------------------------------------------------------


def snapshot_files(folder: Path) -> list[Path]:
    return sorted((folder / "v.snapshots").glob("*"))


def filled(folder: Path) -> VectorStore:
    """A store whose index was closed with three vectors, and one without a snapshot."""
    store = VectorStore(folder / "v.sqlite", snapshot_from=2)
    for name in ("large", "small"):
        store.create_index(name, 2, "cosine")
        store.create_metadata_index(name, "kind", "string")
    vectors = [{"id": str(n), "values": [n, 1], "metadata": {"kind": "ab"[n % 2]}} for n in range(3)]
    store.write("large", "upsert", vectors, 1000)
    store.write("small", "upsert", vectors[:1], 1000)
    store.info("large")
    store.info("small")
    store.close()
    return VectorStore(folder / "v.sqlite", snapshot_from=2)


def nearest(store: VectorStore) -> list[tuple[str, float]]:
    matches = store.query("large", {"vector": [1, 1], "filter": {"kind": "a"}})["matches"]
    return [(match["id"], match["score"]) for match in matches]


def test_a_snapshot_answers_as_sqlite_does_and_is_replaced_after_writes(tmp_path: Path) -> None:
    store = filled(tmp_path)
    matrix, rest = first = snapshot_files(tmp_path)
    assert (matrix.suffix, rest.suffix, matrix.stem) == (".f32", ".json", rest.stem)
    answer = nearest(store)
    store.close()
    assert snapshot_files(tmp_path) == first  # nothing was written
    for file in first:
        file.unlink()
    assert nearest(VectorStore(tmp_path / "v.sqlite")) == answer
    store.delete("large", ["0"], 1000)
    store.info("large")
    store.close()
    second = snapshot_files(tmp_path)
    assert len(second) == 2
    assert not {*second} & {*first}
    assert nearest(VectorStore(tmp_path / "v.sqlite")) == [each for each in answer if each[0] != "0"]
    store.delete_index("large")
    assert snapshot_files(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"ids": ["0"]}', None])
@pytest.mark.parametrize("suffix", [".f32", ".json"])
def test_a_broken_snapshot_is_not_used(tmp_path: Path, suffix: str, content: bytes | None) -> None:
    answer = nearest(filled(tmp_path))
    [file] = [each for each in snapshot_files(tmp_path) if each.suffix == suffix]
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert nearest(VectorStore(tmp_path / "v.sqlite")) == answer


def test_vectors_are_in_a_file_while_they_are_written_which_a_killed_process_does_not_leave(tmp_path: Path) -> None:
    store = filled(tmp_path)
    answer = nearest(store)
    vectors = [{"id": f"more-{n}", "values": [-1, n], "metadata": {"kind": "b"}} for n in range(100)]
    store.write("large", "upsert", vectors, 1000)
    assert nearest(store) == answer
    assert [file.suffix for file in snapshot_files(tmp_path)] == [".growing"]  # what was a snapshot is none any more
    again = VectorStore(tmp_path / "v.sqlite", snapshot_from=2)  # as after kill -9
    assert snapshot_files(tmp_path) == []
    assert nearest(again) == answer
    again.close()
    assert [file.suffix for file in snapshot_files(tmp_path)] == [".f32", ".json"]
    again.delete_index("large")
    assert snapshot_files(tmp_path) == []


# ---- single statements -----------------------------------------------------------------------------------------------


@pytest.fixture
def store() -> VectorStore:
    store = VectorStore()
    store.create_index("index", 3, "cosine")
    return store


def vector(vector_id: str = "a", **parts: Any) -> dict[str, Any]:
    return {"id": vector_id, "values": [1, 0, 0], **parts}


def test_a_write_is_visible_after_the_delay_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.time", lambda: now)
    store = VectorStore(delay=5)
    store.create_index("index", 3, "cosine")
    mutation = store.write("index", "upsert", [vector()], 1000)
    now = 1004.9
    assert store.info("index")["vectorCount"] == 0
    assert store.query("index", {"vector": [1, 0, 0]})["matches"] == []
    now = 1005.0
    assert store.info("index") | {"processedUpToDatetime": None} == {
        "vectorCount": 1,
        "dimensions": 3,
        "processedUpToDatetime": None,
        "processedUpToMutation": mutation,
    }


def test_a_metadata_index_covers_later_writes_only(store: VectorStore) -> None:
    store.write("index", "upsert", [vector("before", metadata={"kind": "x"})], 1000)
    store.info("index")
    store.create_metadata_index("index", "kind", "string")
    store.write("index", "upsert", [vector("after", metadata={"kind": "x"})], 1000)
    answer = store.query("index", {"vector": [1, 0, 0], "filter": {"kind": "x"}})
    assert [match["id"] for match in answer["matches"]] == ["after"]


def test_a_query_returns_the_requested_fields(store: VectorStore) -> None:
    store.create_metadata_index("index", "title", "string")
    title = "é" * 40
    store.write("index", "upsert", [vector(metadata={"title": title, "page": 7}, namespace="n")], 1000)

    def match(**query: Any) -> dict[str, Any]:
        return store.query("index", {"vector": [1, 0, 0], **query})["matches"][0]

    assert match() == {"id": "a", "score": 1.0, "namespace": "n"}
    assert match(returnValues=True)["values"] == [1, 0, 0]
    assert match(returnMetadata="all")["metadata"] == {"title": title, "page": 7}
    assert match(returnMetadata="indexed")["metadata"] == {"title": "é" * 32}


@given(st.text())
def test_an_indexed_string_is_cut_between_characters(text: str) -> None:
    start = truncated(text)
    assert text.startswith(start)
    assert len(start.encode()) <= 64
    assert start == text or len((start + text[len(start)]).encode()) > 64


def test_values_are_stored_as_float32(store: VectorStore) -> None:
    store.write("index", "upsert", [vector() | {"values": [0.1, 1e-50, 123456789]}], 1000)
    [stored] = store.get("index", ["a"])
    assert stored["values"] == [float(np.float32(0.1)), 0.0, 123456792.0]


@pytest.mark.parametrize(
    ("vectors", "code", "words"),
    [
        ([], 40023, "no vectors"),
        ([{"id": "a"}], 40023, "expected objects with id and values"),
        (["a"], 40023, "expected objects with id and values"),
        ([vector("")], 40023, "id: expected a string"),
        ([vector() | {"id": 5}], 40023, "id: expected a string"),
        ([vector("x" * 65)], 40008, "id too long; max is 64 bytes, got 65 bytes"),
        ([vector("é" * 33)], 40008, "got 66 bytes"),
        (
            [vector() | {"values": [1, 2]}],
            40012,
            'invalid vector for id="a", expected 3 dimensions, and got 2 dimensions',
        ),
        ([vector() | {"values": [1, 2, "3"]}], 40023, "are no numbers"),
        ([vector() | {"values": [1, 2, None]}], 40023, "are no numbers"),
        ([vector() | {"values": [[1], [2], [3]]}], 40023, "are no numbers"),
        ([vector() | {"values": [1, 2, float("nan")]}], 40023, "are no numbers"),
        ([vector() | {"values": [1, 2, 1e39]}], 40023, "are no numbers"),
        ([vector(namespace="n" * 65)], 40010, "namespace too long"),
        ([vector(namespace=5)], 40023, "namespace: expected a string"),
        ([vector(metadata="m")], 40023, "metadata: expected an object"),
        ([vector(metadata={"text": "x" * 10_240})], 40016, "max is 10240 bytes"),
        ([vector(metadata={"": 1})], 40023, "invalid metadata key"),
        ([vector(metadata={"$a": 1})], 40023, "invalid metadata key"),
        ([vector(metadata={"a.b": 1})], 40023, "invalid metadata key"),
        ([vector()] * 1000, 40007, "too many vectors; max is 1000, got 1001"),
    ],
)
def test_a_write_that_is_refused_writes_nothing(store: VectorStore, vectors: list[Any], code: int, words: str) -> None:
    with pytest.raises(VectorizeError) as raised:
        store.write("index", "upsert", [vector("good"), *vectors] if vectors else [], 1000)
    assert raised.value.code == code
    assert words in raised.value.description
    assert store.info("index")["vectorCount"] == 0


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({}, 40026, "vector: expected numbers"),
        ({"vector": "x"}, 40026, "vector: expected numbers"),
        ({"vector": []}, 40006, "invalid query vector, expected 3 dimensions, and got 0 dimensions"),
        ({"vectorId": "nobody"}, 40030, "vector not found"),
        ({"topK": 0}, 40026, "topK"),
        ({"topK": 101}, 40025, "max top K is 100, but got 101"),
        ({"topK": 51, "returnValues": True}, 40025, "max top K is 50, but got 51"),
        ({"topK": 51, "returnMetadata": "all"}, 40025, "max top K is 50, but got 51"),
        ({"returnMetadata": True}, 40026, "returnMetadata: expected value"),
        ({"returnValues": "yes"}, 40026, "returnValues: expected boolean"),
        ({"filter": []}, 40026, "filter: expected an object"),
        ({"filter": {}}, 40026, "filter: expected an object that is not empty"),
        ({"filter": {"a": {}}}, 40026, "a: expected an operator"),
        ({"filter": {"a": {"$like": "x"}}}, 40026, "unknown operator $like"),
        ({"filter": {"a": {"$in": "x"}}}, 40026, "$in expects an array"),
        ({"filter": {"a": [1]}}, 40026, "a: expected a string, a number, a boolean or null"),
        ({"filter": {"$and": 1}}, 40026, "invalid property '$and'"),
        ({"filter": {"a": "x" * 2048}}, 40026, "max is 2048 bytes"),
        ({"namespace": "n" * 65}, 40010, "namespace too long"),
    ],
)
def test_a_query_is_refused_with_its_reason(store: VectorStore, query: dict[str, Any], code: int, words: str) -> None:
    is_whole = "vector" in query or "vectorId" in query or not query
    whole = query if is_whole else {"vector": [1, 0, 0], **query}
    with pytest.raises(VectorizeError) as raised:
        store.query("index", whole)
    assert raised.value.code == code
    assert words in raised.value.description


def test_an_index_is_created_once_and_deleted_whole(store: VectorStore) -> None:
    with pytest.raises(VectorizeError, match="duplicate_name"):
        store.create_index("index", 3, "cosine")
    store.write("index", "upsert", [vector()], 1000)
    store.delete_index("index")
    with pytest.raises(VectorizeError, match="not_found"):
        store.info("index")
    store.create_index("index", 2, "euclidean")
    assert store.info("index")["vectorCount"] == 0


@pytest.mark.parametrize(
    ("name", "dimensions", "metric"),
    [("Upper", 3, "cosine"), ("", 3, "cosine"), ("a", 0, "cosine"), ("a", 1537, "cosine"), ("a", 3, "hamming")],
)
def test_an_invalid_index_is_refused(store: VectorStore, name: str, dimensions: int, metric: str) -> None:
    with pytest.raises(VectorizeError):
        store.create_index(name, dimensions, metric)


def test_missing_metadata_indexes_of_an_existing_index_are_created_at_the_start_and_said(tmp_path: Path) -> None:
    wanted = [("index", "kind", "string"), ("index", "year", "number"), ("other", "kind", "string")]
    VectorStore(tmp_path / "v.sqlite", metadata_indexes=[("index", "kind", "string")]).create_index(
        "index", 3, "cosine"
    )
    store = VectorStore(tmp_path / "v.sqlite", metadata_indexes=wanted)
    [sentence] = store.create_missing_metadata_indexes()
    assert "year:number of index" in sentence
    assert store.metadata_indexes("index") == {"kind": "string", "year": "number"}
    assert store.create_missing_metadata_indexes() == []


def test_a_metadata_index_that_has_no_room_is_said_and_the_others_are_created(tmp_path: Path) -> None:
    full = [("index", f"p{number}", "string") for number in range(10)]
    VectorStore(tmp_path / "v.sqlite", metadata_indexes=full).create_index("index", 3, "cosine")
    wanted = [("index", "more", "string"), ("index", "p0", "number")]
    refused, created = VectorStore(tmp_path / "v.sqlite", metadata_indexes=wanted).create_missing_metadata_indexes()
    assert "max is 10" in refused
    assert "p0:number" in created


def test_an_index_has_at_most_ten_metadata_indexes(store: VectorStore) -> None:
    for number in range(10):
        store.create_metadata_index("index", f"p{number}", "string")
    store.create_metadata_index("index", "p0", "number")
    with pytest.raises(VectorizeError, match="max is 10"):
        store.create_metadata_index("index", "p10", "string")
