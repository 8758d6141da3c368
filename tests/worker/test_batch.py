"""POST /rag/documents/batch: many documents in one request."""

import json
from typing import Any

import httpx
import pytest

from tests.conftest import ErrorOf, until
from tests.worker.conftest import TENANT, Documents

NDJSON = {"content-type": "application/x-ndjson"}


def post_lines(client: httpx.Client, *lines: Any, **headers: str) -> httpx.Response:
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return client.post("/rag/documents/batch", params={"tenant": TENANT}, content=body, headers={**NDJSON, **headers})


def post_files(client: httpx.Client, *files: tuple[str, bytes], **fields: str) -> httpx.Response:
    parts = [("file", (name, content)) for name, content in files]
    return client.post("/rag/documents/batch", data={"tenant": TENANT, **fields}, files=parts)


def settled(client: httpx.Client, response: httpx.Response) -> dict[str, Any]:
    """The job of a batch as soon as all its documents are indexed or have failed."""
    assert response.status_code == 202, response.text

    def job() -> dict[str, Any]:
        return client.get(response.headers["location"]).raise_for_status().json()

    return until(job, lambda job: job["state"] in ("done", "failed"), seconds=120)


def outcomes(client: httpx.Client, job: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: int | None = 0
    while cursor is not None:
        params = {"cursor": cursor, "limit": 2, **query}
        page = client.get(f"/rag/jobs/{job['id']}/documents", params=params).raise_for_status().json()
        rows += page["documents"]
        cursor = page["cursor"]
    return rows


def test_lines_become_documents_and_bad_ones_fail_by_themselves(documents: Documents) -> None:
    response = post_lines(
        documents.client,
        "\ufeff" + json.dumps({"id": "a", "text": "# Ants\n\nAnts carry leaves.", "metadata": {"kind": "insect"}}),
        "",
        "{no json",
        {"id": "b", "text": " "},
        {"id": "c!", "text": "x"},
        {"id": "d", "text": "x", "tenant": "other"},
        {"id": "e", "text": "x", "metadata": {"year": "no number"}},
        {"id": "f", "text": "x", "unknown": 1},
        ["no object"],
        {"id": "z", "text": "# Zebras\n\nZebras have stripes.", "format": "text"},
    )
    started = response.json()
    assert (started["kind"], started["documents"]["total"]) == ("batch", 9)
    job = settled(documents.client, response)
    assert job["documents"] == {"total": 9, "queued": 0, "running": 0, "indexed": 2, "failed": 7, "replaced": 0}
    rows = outcomes(documents.client, job)
    assert [(each["number"], each["state"]) for each in rows] == [
        (1, "indexed"), (3, "failed"), (4, "failed"), (5, "failed"), (6, "failed"), (7, "failed"), (8, "failed"),
        (9, "failed"), (10, "indexed"),
    ]  # fmt: skip
    reasons = [each["reason"] or "" for each in rows]
    for reason, word in zip(
        reasons, ["", "JSON", "empty", "id", "tenant", "year", "unknown", "object", ""], strict=True
    ):
        assert word in reason
    assert [each["number"] for each in outcomes(documents.client, job, state="indexed")] == [1, 10]
    assert documents.search("ants", filter={"kind": "insect"})[0]["document"] == "a"
    assert documents.search("zebras")[0]["document"] == "z"


def test_files_of_a_form_get_ids_titles_and_folders_from_their_paths(documents: Documents) -> None:
    files = [
        ("guides/linux/install.md", b"# Install\n\nRun the gazelle script."),
        ("guides\\faq.html", b"<h1>Questions</h1><p>Where is the ocelot?</p>"),
        ("readme.txt", "Größe".encode("latin-1")),
        ("movie.mp4", b"\0\0\0\x18ftypmp42"),
        ("empty.md", b""),
    ]
    job = settled(documents.client, post_files(documents.client, *files, folder="manual", metadata='{"year": 2026}'))
    rows = {each["path"]: each for each in outcomes(documents.client, job)}
    assert {path: each["state"] for path, each in rows.items()} == {
        "manual/guides/linux/install.md": "indexed",
        "manual/guides/faq.html": "indexed",
        "manual/readme.txt": "indexed",
        "manual/movie.mp4": "failed",
        "manual/empty.md": "failed",
    }
    document = documents.state(rows["manual/guides/linux/install.md"]["id"])
    assert (document["title"], document["metadata"]) == (
        "install.md", {"folder": "manual/guides/linux/", "year": 2026},
    )  # fmt: skip
    assert documents.search("gazelle")[0]["document"] == document["id"]
    # a folder with those in it: "0" comes behind "/"
    below = {"$gte": "manual/guides/", "$lt": "manual/guides0"}
    titles = {each["title"] for each in documents.search("the ocelot and the gazelle", filter={"folder": below})}
    assert titles == {"install.md", "faq.html"}
    titles = {each["title"] for each in documents.search("the gazelle", filter={"folder": "manual/guides/linux/"})}
    assert titles == {"install.md"}


def test_the_same_batch_again_changes_nothing(documents: Documents) -> None:
    lines = [{"id": f"d{number}", "text": f"# Title\n\nWord{number}."} for number in range(45)]
    settled(documents.client, post_lines(documents.client, *lines))
    before = documents.all()
    job = settled(documents.client, post_lines(documents.client, *lines))
    assert job["documents"]["indexed"] == 45
    assert documents.all() == before


def test_the_last_of_equal_ids_in_a_batch_stays(documents: Documents) -> None:
    lines = [{"id": "twice", "text": f"The word is word{number}."} for number in range(5)]
    job = settled(documents.client, post_lines(documents.client, *lines, {"id": "other", "text": "x"}))
    assert documents.settled("twice")["state"] == "indexed"
    assert "word4" in documents.search("word")[0]["text"]
    assert job["documents"]["failed"] == 0
    assert outcomes(documents.client, job)[4]["state"] == "indexed"


@pytest.mark.parametrize(
    ("content_type", "body", "error_type"),
    [
        ("application/json", b"[]", "unsupported_media_type"),
        ("", b"{}", "unsupported_media_type"),
        ("application/jsonl", b"", "unprocessable"),
        ("application/jsonl", b"\n \n", "unprocessable"),
        ("application/jsonl", b"{}\n" * 1_001, "payload_too_large"),
        ("application/jsonl", b"\n" * 100_000, "payload_too_large"),
        ("multipart/form-data", b"x", "invalid_request"),
        ("multipart/form-data; boundary=x", b"--x\r\nno form", "invalid_request"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\ncontent-disposition: form-data; name="color"\r\n\r\nred\r\n'
            b'--x\r\ncontent-disposition: form-data; name="f"; filename="a.md"\r\n\r\nx\r\n--x--',
            "invalid_request",
        ),
    ],
)
def test_a_body_that_is_no_batch_is_refused(
    client: httpx.Client, error_of: ErrorOf, content_type: str, body: bytes, error_type: str
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = client.post("/rag/documents/batch", content=body, headers=headers)
    assert error_of(response)["type"] == error_type


def test_metadata_that_no_document_can_have_is_refused(documents: Documents, error_of: ErrorOf) -> None:
    for metadata in ("{", "[]", '{"year": "x"}', '{"a b": 1}', '{"a": {}}', "[" * 100_000):
        response = post_files(documents.client, ("a.md", b"x"), metadata=metadata)
        assert response.status_code in (400, 413), metadata
        assert error_of(response)["type"] in ("invalid_request", "payload_too_large")


def test_the_documents_of_an_unknown_job_are_not_found(client: httpx.Client, error_of: ErrorOf) -> None:
    assert error_of(client.get("/rag/jobs/none/documents"))["type"] == "not_found"


def test_a_document_whose_ingestion_fails_has_the_reason(documents: Documents) -> None:
    job = settled(documents.client, post_files(documents.client, ("a.pdf", b"%PDF-1.4 x"), ("b.md", b"# B")))
    states = {each["path"]: each["state"] for each in outcomes(documents.client, job)}
    assert states["b.md"] == "indexed"
    [failed] = outcomes(documents.client, job, state="failed")
    assert (failed["path"], bool(failed["reason"])) == ("a.pdf", True)
