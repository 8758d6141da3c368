"""Vectorize over HTTP: the REST API."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from running_simulator import SimulatorProcess
from workers_ai_simulator.vectorize.store import VectorStore

INDEXES = "/client/v4/accounts/account/vectorize/v2/indexes"


def result(response: httpx.Response) -> Any:
    body = response.json()
    assert (response.status_code, body["success"], body["errors"], body["messages"]) == (200, True, [], [])
    return body["result"]


def lines(*vectors: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(vector) for vector in vectors).encode()


def create(http: httpx.Client, name: str, dimensions: int = 3) -> None:
    result(http.post(INDEXES, json={"name": name, "config": {"dimensions": dimensions, "metric": "cosine"}}))


def test_an_index_is_created_and_deleted_over_the_rest_api(http: httpx.Client) -> None:
    create(http, "rest")
    index = f"{INDEXES}/rest"
    assert result(http.get(index))["config"] == {"dimensions": 3, "metric": "cosine"}
    assert "rest" in [each["name"] for each in result(http.get(INDEXES))]
    created = http.post(f"{index}/metadata_index/create", json={"propertyName": "kind", "indexType": "string"})
    assert result(created)["mutationId"]
    listed = result(http.get(f"{index}/metadata_index/list"))
    assert listed == {"metadataIndexes": [{"propertyName": "kind", "indexType": "String"}]}

    headers = {"content-type": "application/x-ndjson"}
    one = {"id": "one", "values": [1, 0, 0], "metadata": {"kind": "a"}}
    two = {"id": "two", "values": [0, 1, 0], "metadata": {"kind": "b"}}
    assert result(http.post(f"{index}/insert", content=lines(one), headers=headers))["mutationId"]
    files = {"vectors": ("vectors.ndjson", lines(one, two))}
    assert result(http.post(f"{index}/upsert", files=files))["mutationId"]

    answer = result(http.post(f"{index}/query", json={"vector": [1, 0.1, 0], "topK": 1, "filter": {"kind": "b"}}))
    assert [match["id"] for match in answer["matches"]] == ["two"]
    assert [each["id"] for each in result(http.post(f"{index}/get_by_ids", json={"ids": ["two", "none"]}))] == ["two"]
    assert result(http.post(f"{index}/delete_by_ids", json={"ids": ["two"]}))["mutationId"]
    assert result(http.get(f"{index}/info"))["vectorCount"] == 1
    assert result(http.post(f"{index}/metadata_index/delete", json={"propertyName": "kind"}))["mutationId"]
    assert result(http.get(f"{index}/metadata_index/list")) == {"metadataIndexes": []}
    assert result(http.delete(index)) is None
    assert http.get(index).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nothing", b"", 404, 3000),
        ("POST", "/nothing/query", b'{"vector": [1]}', 404, 3000),
        ("POST", "", b"{", 400, 40026),
        ("POST", "", b'{"name": "a"}', 400, 40026),
        ("POST", "", b'{"name": "a", "config": {"dimensions": true, "metric": "cosine"}}', 400, 40026),
        ("POST", "/bad/query", b"[]", 400, 40026),
        ("POST", "/bad/get_by_ids", b'{"ids": []}', 400, 40026),
        ("POST", "/bad/get_by_ids", json.dumps({"ids": ["a"] * 21}).encode(), 400, 40007),
        ("POST", "/bad/upsert", b"not json", 400, 40023),
        ("POST", "/bad/metadata_index/create", b'{"propertyName": "a", "indexType": "date"}', 400, 40026),
    ],
)
def test_the_rest_api_refuses_in_its_envelope(
    http: httpx.Client, method: str, path: str, body: bytes, status: int, code: int
) -> None:
    if "bad" in path and http.get(f"{INDEXES}/bad").status_code == 404:
        create(http, "bad")
    response = http.request(method, f"{INDEXES}{path}", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert response.json()["success"] is False
    assert response.json()["errors"][0]["code"] == code


def test_a_metadata_index_is_a_mutation_that_is_processed(http: httpx.Client) -> None:
    create(http, "mutations")
    index = f"{INDEXES}/mutations"
    assert result(http.get(f"{index}/info"))["processedUpToMutation"] is None
    for change in ("create", "delete"):
        body = {"propertyName": "kind", "indexType": "string"}
        mutation = result(http.post(f"{index}/metadata_index/{change}", json=body))["mutationId"]
        info = result(http.get(f"{index}/info"))
        assert info["processedUpToMutation"] == mutation
        assert info["processedUpToDatetime"]
        assert info["vectorCount"] == 0
    headers = {"host": "vector-search", "x-simulator-index": "mutations"}
    assert http.get("/info", headers=headers).json()["processedUpToMutation"] == mutation


def test_a_metadata_index_is_processed_after_the_delay_and_in_order(tmp_path: Path) -> None:
    simulator = SimulatorProcess("--data", tmp_path, "--vectorize-delay", "600")
    with simulator.client() as http:
        create(http, "later")
        index = f"{INDEXES}/later"
        body = {"propertyName": "kind", "indexType": "string"}
        result(http.post(f"{index}/metadata_index/create", json=body))
        assert result(http.get(f"{index}/info"))["processedUpToMutation"] is None
        one = {"id": "one", "values": [1, 0, 0], "metadata": {"kind": "a"}}
        last = result(http.post(f"{index}/upsert", content=lines(one)))["mutationId"]
    simulator.kill()
    with sqlite3.connect(tmp_path / "vectorize.sqlite") as database:
        database.execute("UPDATE mutations SET due = 0")
    store = VectorStore(tmp_path / "vectorize.sqlite")
    assert store.info("later")["processedUpToMutation"] == last
    assert store.query("later", {"vector": [1, 0, 0], "filter": {"kind": "a"}})["count"] == 1


@pytest.mark.parametrize(
    ("preset", "dimensions"),
    [
        ("@cf/baai/bge-small-en-v1.5", 384),
        ("@cf/baai/bge-base-en-v1.5", 768),
        ("@cf/baai/bge-large-en-v1.5", 1024),
        ("openai/text-embedding-ada-002", 1536),
        ("cohere/embed-multilingual-v2.0", 768),
    ],
)
def test_a_preset_stands_for_dimensions_and_metric(http: httpx.Client, preset: str, dimensions: int) -> None:
    name = f"preset-{preset.rpartition('/')[2].replace('.', '-')}"
    created = result(http.post(INDEXES, json={"name": name, "config": {"preset": preset}, "description": "By preset"}))
    assert created["config"] == {"dimensions": dimensions, "metric": "cosine"}
    assert result(http.get(f"{INDEXES}/{name}"))["description"] == "By preset"
    vector = {"id": "one", "values": [1] * dimensions}
    assert result(http.post(f"{INDEXES}/{name}/insert", content=lines(vector)))["mutationId"]


def test_an_unknown_preset_is_refused_with_the_known_ones(http: httpx.Client) -> None:
    response = http.post(INDEXES, json={"name": "wrong-preset", "config": {"preset": "@cf/baai/bge-m3"}})
    assert response.status_code == 400
    assert "@cf/baai/bge-base-en-v1.5" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("operation", ["insert", "upsert"])
def test_vectors_as_json_are_refused(http: httpx.Client, operation: str) -> None:
    create(http, f"json-{operation}")
    vectors = {"vectors": [{"id": "one", "values": [1, 0, 0]}]}
    response = http.post(f"{INDEXES}/json-{operation}/{operation}", json=vectors)
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["code"] == 40023
    assert "application/x-ndjson" in error["message"]
    one = lines({"id": "one", "values": [1, 0, 0]})
    content_type = {"content-type": "application/json; charset=utf-8"}
    url = f"{INDEXES}/json-{operation}/{operation}"
    assert http.post(url, content=one, headers=content_type).status_code == 400
    assert http.post(url, content=one, headers={"content-type": "application/x-ndjson"}).status_code == 200


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    simulator = SimulatorProcess("--data", tmp_path, "--vectorize-delay", "0.01")
    with simulator.client() as http:
        create(http, "kept")
        for number in range(20):
            vectors = [{"id": f"{number}-{each}", "values": [number, each, 1]} for each in range(50)]
            result(http.post(f"{INDEXES}/kept/upsert", content=lines(*vectors)))
    simulator.kill()
    simulator = SimulatorProcess("--data", tmp_path, "--vectorize-delay", "0")
    with simulator.client() as http:
        assert result(http.get(f"{INDEXES}/kept/info"))["vectorCount"] == 1000
    simulator.stop()
