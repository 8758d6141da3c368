"""Documents survive kills at every step, services that fail, and large numbers.

Through scripts/dev, whose state outlives it; the simulator holds the ingestion where the kill shall come.
"""

import contextlib
import os
import signal
import sqlite3
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import DevServer, Simulator, until

EMBEDDING = "@cf/baai/bge-base-en-v1.5"
INDEX = "/client/v4/accounts/any/vectorize/v2/indexes/aiworker-passages"


class Machine:
    """scripts/dev on one state, killed and started again."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.start()

    def start(self) -> None:
        self._server = DevServer.start("--persist-to", self._state)
        self.http = httpx.Client(base_url=self._server.url, timeout=60)
        self.simulator = Simulator(self._server.simulator)

    def kill(self) -> None:
        os.kill(self._server.process.pid, signal.SIGKILL)
        self._server.process.wait(60)

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._server.stop()

    def put(self, text: str, **fields: Any) -> None:
        self.http.post("/rag/documents", json={"text": text, **fields}).raise_for_status()

    def state(self, document_id: str) -> dict[str, Any]:
        return self.http.get(f"/rag/documents/{document_id}").json()

    def settled(self, document_id: str) -> dict[str, Any]:
        return until(lambda: self.state(document_id), lambda it: it["state"] in ("indexed", "failed"), seconds=60)

    def documents(self) -> list[dict[str, Any]]:
        documents: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self.http.get("/rag/documents", params={"cursor": cursor, "limit": 30}).json()
            documents += page["documents"]
            cursor = page["cursor"]
        return documents

    def search(self, query: str, **options: Any) -> list[dict[str, Any]]:
        response = self.http.post("/rag/search", json={"query": query, **options})
        return response.raise_for_status().json()["passages"]

    def vector_ids(self) -> list[str]:
        """Return the ids of all visible vectors, from the simulator."""
        headers = {"authorization": "Bearer any"}
        url = f"{self._server.simulator}{INDEX}/list"
        listed = httpx.get(url, params={"count": 1000}, headers=headers, timeout=60).json()["result"]
        return [vector["id"] for vector in listed["vectors"]]

    def rows(self) -> dict[str, int]:
        """Return the number of rows of each table of the Worker and of the bucket, from the disk."""
        counted: dict[str, int] = {}
        for file in (self._state / "v3").glob("*/**/*.sqlite"):
            with contextlib.closing(sqlite3.connect(file)) as database:
                tables = [name for [name] in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                for table in {"documents", "versions", "chunks", "_mf_objects"} & set(tables):
                    [[count]] = database.execute(f"SELECT count(*) FROM {table}")
                    counted[table] = counted.get(table, 0) + count
        return counted

    def hold(self, **what: Any) -> None:
        """Let the next such call of the simulator hang."""
        self.simulator.set_fault(hold_response=True, **what)

    def wait_until_held(self, **what: str) -> None:
        def is_held() -> bool:
            return any(
                entry["state"] == "received" and what.items() <= dict(entry).items()
                for entry in self.simulator.requests()
            )

        until(is_held, bool)


@pytest.fixture
def machine(tmp_path: Path) -> Generator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.stop()


STEPS: list[dict[str, str]] = [
    {"binding": "AI", "operation": "toMarkdown"},
    {"binding": "AI", "operation": "run", "model": EMBEDDING},
    {"binding": "VECTORIZE", "operation": "upsert"},
    {"binding": "VECTORIZE", "operation": "getByIds"},
]
"""Calls of an ingestion in their order. The machine is killed while one is held."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "steps", [STEPS[1:2], pytest.param(STEPS, marks=pytest.mark.nightly)], ids=["the embedding", "any step"]
)
def test_a_kill_at_a_step_loses_and_doubles_nothing(machine: Machine, steps: list[dict[str, str]]) -> None:
    html = "".join(f"<h2>Part {n}</h2><p>The word of part {n} is token{n}.</p>" for n in range(150))
    machine.hold(**steps[0])
    machine.put(html, id="manual", format="html")
    for number, step in enumerate(steps):
        machine.wait_until_held(**step)
        machine.kill()
        machine.start()
        # scripts/dev has the Worker look after what was cut off
        if number + 1 < len(steps):
            machine.hold(**steps[number + 1])
            assert machine.state("manual")["searchable"] is False
    assert machine.settled("manual")["state"] == "indexed"
    chunks = machine.state("manual")["chunks"]
    ids = until(machine.vector_ids, lambda ids: len(ids) >= chunks)
    assert len(ids) == len(set(ids)) == chunks
    for number in (0, 75, 149):
        [best, *_] = machine.search(f"token{number}", stages={"vector": False})
        assert f"token{number}." in best["text"]

    # and while the version before is being removed
    machine.hold(binding="VECTORIZE", operation="deleteByIds")
    machine.put("# Manual\n\nThe only word is newtoken.", id="manual")
    machine.wait_until_held(binding="VECTORIZE", operation="deleteByIds")
    assert "newtoken" in machine.search("newtoken")[0]["text"]
    # and while another small text is embedded, behind the response to its upload
    machine.hold(**STEPS[1])
    machine.put("The only word is smalltoken.", id="note")
    machine.wait_until_held(**STEPS[1])
    machine.kill()
    machine.start()
    assert machine.state("manual")["state"] == "indexed"
    assert machine.settled("note")["state"] == "indexed"
    assert "smalltoken" in machine.search("smalltoken", top_k=1)[0]["text"]
    machine.http.delete("/rag/documents/note").raise_for_status()
    until(machine.vector_ids, lambda ids: len(ids) == 1)
    assert machine.search("token75", stages={"vector": False}) == []

    # and amidst the deletion of the document
    machine.hold(binding="VECTORIZE", operation="deleteByIds")
    with ThreadPoolExecutor(1) as pool:
        deletion = pool.submit(machine.http.delete, "/rag/documents/manual")
        machine.wait_until_held(binding="VECTORIZE", operation="deleteByIds")
        machine.kill()
        with pytest.raises(httpx.HTTPError):
            deletion.result()
    machine.start()
    assert machine.documents() == []
    until(machine.vector_ids, lambda ids: ids == [])
    assert machine.search("newtoken") == []


@pytest.mark.timeout(300)
def test_a_large_document_is_deleted_by_a_job_that_survives_a_kill(machine: Machine) -> None:
    machine.put("".join(f"# Part {n}\n\nThe word of part {n} is token{n}.\n\n" for n in range(1_600)), id="large")
    assert machine.settled("large")["chunks"] == 1_600
    calls: dict[str, Any] = {"binding": "VECTORIZE", "operation": "deleteByIds"}
    machine.simulator.set_fault(**calls, delay=0.001, count=15)  # the request makes 14
    machine.hold(**calls)
    assert machine.http.delete("/rag/documents/large").status_code == 204
    assert machine.documents() == []
    machine.wait_until_held(**calls)
    machine.kill()
    machine.start()
    assert machine.documents() == []  # the first request, after which the Worker looks after what was cut off
    until(machine.vector_ids, lambda ids: ids == [])
    until(
        machine.rows, lambda rows: not any(rows[table] for table in ("documents", "versions", "chunks", "_mf_objects"))
    )
    assert machine.search("token7") == []


@pytest.mark.timeout(300)
def test_services_that_fail_one_call_in_five_do_not_keep_a_document_out(machine: Machine) -> None:
    failing: dict[str, Any] = {"probability": 0.2, "seed": 7, "count": None, "status": 500}
    machine.simulator.set_fault(binding="AI", code=8007, **failing)
    machine.simulator.set_fault(binding="VECTORIZE", code=40000, **failing)

    def put(n: int) -> None:
        machine.put(f"# Doc {n}\n\nHere stands token{n}.", id=f"d{n}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(25)))
    states = [machine.settled(f"d{n}") for n in range(25)]
    assert [state["state"] for state in states] == ["indexed"] * 25, states
    applied = [fault["applied"] for fault in machine.simulator.faults()]
    assert all(count > 5 for count in applied), applied
    machine.simulator.clear_faults()
    ids = until(machine.vector_ids, lambda ids: len(ids) >= 25)
    assert len(ids) == 25


@pytest.mark.timeout(900)
def test_many_documents_come_and_go(machine: Machine) -> None:
    count = int(os.environ.get("DOCUMENTS", "40"))  # scripts/nightly: 1,000, which took three and a half minutes

    def put(n: int) -> None:
        machine.put(f"# Doc {n}\n\nHere stands token{n}.", id=f"d{n:04}")

    def delete(n: int) -> None:
        machine.http.delete(f"/rag/documents/d{n:04}").raise_for_status()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(put, [0] * 12))  # the same one at the same time: of twelve files, one stays
        list(pool.map(put, range(count)))
        until(
            lambda: {document["state"] for document in machine.documents()},
            lambda states: states <= {"indexed", "failed"},
            seconds=600,
        )
        documents = machine.documents()
        assert [document["id"] for document in documents] == [f"d{n:04}" for n in range(count)]
        assert {document["state"] for document in documents} == {"indexed"}
        for number in (0, count // 2, count - 1):
            assert machine.search(f"token{number}", top_k=1)[0]["document"] == f"d{number:04}"
        assert len(machine.vector_ids()) == count
        assert machine.rows()["versions"] == count
        list(pool.map(delete, range(count)))
    assert machine.documents() == []
    assert machine.search(f"token{count // 2}") == []
    until(machine.vector_ids, lambda ids: ids == [])
    machine.stop()
    assert machine.rows() == {"documents": 0, "versions": 0, "chunks": 0, "_mf_objects": 0}
