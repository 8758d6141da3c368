"""Vectorize over HTTP: the REST API."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from running_simulator import SimulatorProcess

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
