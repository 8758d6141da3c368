"""The passages of a document, its text, their places in it, and indexing it again."""

import io
from typing import Any

import httpx
import pytest
from reportlab.pdfgen.canvas import Canvas

from tests.conftest import ErrorOf, NewCalls, Simulator
from tests.worker.conftest import TENANT, Documents

EMBEDDING = "@cf/baai/bge-base-en-v1.5"
PARTS = 7
FILLER = "The keeper feeds it at noon. " * 25
MANUAL = "".join(f"# Part {number}\n\nThe pengüin of part {number}. {FILLER}\n\n" for number in range(PARTS))


def get(documents: Documents, path: str, status: int = 200, **query: Any) -> httpx.Response:
    response = documents.client.get(f"/rag/documents/{path}", params={"tenant": TENANT, **query})
    assert response.status_code == status, response.text
    return response


def reindex(documents: Documents, document_id: str, tenant: str = TENANT) -> httpx.Response:
    return documents.client.post(f"/rag/documents/{document_id}/reindex", params={"tenant": tenant})


def pdf(*pages: str) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file)
    for text in pages:
        canvas.drawString(72, 720, text)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


# ---- passages and text -----------------------------------------------------------------------------------------------


def test_passages_are_listed_in_order_by_pages(documents: Documents) -> None:
    documents.add("manual", MANUAL)
    passages: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = get(documents, "manual/passages", cursor=cursor, limit=3).json()
        passages += page["passages"]
        cursor = page["cursor"]
    assert [each["number"] for each in passages] == list(range(PARTS))
    assert [each["heading"] for each in passages] == [f"Part {number}" for number in range(PARTS)]
    assert {each["page"] for each in passages} == {None}
    # the ids are those of searches, and so are the places
    [source] = [
        each for each in documents.search("Part 3", top_k=50, join_neighbours=False) if each["heading"] == "Part 3"
    ]
    [passage] = [each for each in passages if each["id"] == source["id"]]
    assert (passage["text"], passage["range"]) == (source["text"], source["range"])


def test_a_range_is_one_of_the_text(documents: Documents) -> None:
    documents.add("manual", MANUAL)
    text = get(documents, "manual/text")
    assert (text.text, text.headers["content-type"]) == (MANUAL, "text/markdown; charset=utf-8")
    for passage in get(documents, "manual/passages").json()["passages"]:
        first, end = passage["range"]["start"], passage["range"]["end"]
        assert text.content[first:end].decode() == passage["text"]
        headers = {"range": f"bytes={first}-{end - 1}"}
        part = documents.client.get("/rag/documents/manual/text", params={"tenant": TENANT}, headers=headers)
        assert (part.status_code, part.text) == (206, passage["text"])


def test_a_citation_of_a_pdf_has_its_page_and_leads_to_the_file(documents: Documents) -> None:
    content = pdf("Penguins live in the south.", "Polar bears live in the Arctic.")
    form = {"id": "animals", "tenant": TENANT}
    documents.client.post("/rag/documents", files={"file": ("animals.pdf", content)}, data=form).raise_for_status()
    assert documents.settled("animals")["state"] == "indexed"
    source = documents.search("Where do polar bears live?")[0]
    assert source["page"] == 2
    assert documents.client.get(source["original"]).content == content
    text = get(documents, "animals/text")
    assert text.headers["content-type"] == "text/markdown; charset=utf-8"
    part = text.content[source["range"]["start"] : source["range"]["end"]].decode()
    assert part == "Polar bears live in the Arctic."


def test_answers_have_the_places_of_their_sources(documents: Documents) -> None:
    documents.add("manual", MANUAL)
    body = {"query": "What is part 3?", "tenant": TENANT, "stream": False}
    source = documents.client.post("/rag", json=body).raise_for_status().json()["sources"][0]
    assert source["original"].endswith(f"/rag/documents/manual/original?tenant={TENANT}")
    assert set(source["range"]) == {"start", "end"}
    assert source["page"] is None


@pytest.mark.parametrize(
    ("path", "query", "status", "param"),
    [
        ("unknown/passages", {}, 404, None),
        ("unknown/text", {}, 404, None),
        ("manual/passages", {"cursor": "nonsense"}, 400, "cursor"),
        ("manual/passages", {"cursor": "0123456789abcdef01234567-2"}, 400, "cursor"),
        ("manual/passages", {"limit": 0}, 400, "limit"),
        ("manual/passages", {"tenant": "another"}, 404, None),
        ("manual/text", {"tenant": "another"}, 404, None),
        ("-/passages", {}, 400, "id"),
    ],
)
def test_wrong_requests_are_refused(
    documents: Documents, error_of: ErrorOf, path: str, query: dict[str, Any], status: int, param: str | None
) -> None:
    documents.add("manual", "A manual.")
    assert error_of(get(documents, path, status, **query))["param"] == param


def test_a_document_that_is_not_indexed_has_no_passages(documents: Documents) -> None:
    form = {"id": "broken", "tenant": TENANT}
    documents.client.post("/rag/documents", files={"file": ("a.pdf", b"%PDF-1.4 broken")}, data=form).raise_for_status()
    assert documents.settled("broken")["state"] == "failed"
    assert get(documents, "broken/passages").json() == {"passages": [], "cursor": None}
    get(documents, "broken/text", 404)


# ---- indexing again --------------------------------------------------------------------------------------------------


def test_a_document_is_indexed_again_while_its_readers_find_it(documents: Documents, simulator: Simulator) -> None:
    documents.add("manual", MANUAL, title="Manual", url="https://example.com/manual", metadata={"language": "en"})
    before = documents.search("pengüin")[0]
    simulator.set_fault(model=EMBEDDING, hold_response=True)
    simulator.ignore_past_requests()
    response = reindex(documents, "manual")
    assert (response.status_code, response.json()["state"]) == (202, "queued")
    assert response.headers["location"] == response.json()["status_url"]
    simulator.wait_for_request(model=EMBEDDING)
    assert documents.search("pengüin", stages={"vector": False})[0]["id"].split("-")[0] == before["id"].split("-")[0]
    # a second request joins the first
    joined = reindex(documents, "manual")
    assert (joined.status_code, joined.json()["created_at"]) == (202, response.json()["created_at"])
    simulator.clear_faults()
    state = documents.settled("manual")
    assert (state["title"], state["url"], state["metadata"]) == (
        "Manual",
        "https://example.com/manual",
        {"language": "en"},
    )
    after = documents.search("pengüin")[0]
    assert after["id"] != before["id"]
    assert after["text"] == before["text"]
    assert get(documents, "manual/original").text == MANUAL


def test_a_document_that_failed_is_tried_again(documents: Documents) -> None:
    form = {"id": "broken", "tenant": TENANT}
    documents.client.post("/rag/documents", files={"file": ("a.pdf", b"%PDF-1.4 broken")}, data=form).raise_for_status()
    failed = documents.settled("broken")
    assert reindex(documents, "broken").json()["state"] == "queued"
    again = documents.settled("broken")
    assert (again["state"], again["reason"]) == ("failed", failed["reason"])
    assert again["created_at"] > failed["created_at"]


def test_an_upload_of_the_same_content_is_known_after_indexing_again(
    documents: Documents, simulator: Simulator
) -> None:
    documents.add("manual", MANUAL)
    reindex(documents, "manual")
    documents.settled("manual")
    calls = NewCalls(simulator)
    assert documents.put(MANUAL, id="manual").status_code == 200
    assert calls.of(binding="AI") == []


def test_only_documents_of_the_tenant_are_indexed_again(documents: Documents, error_of: ErrorOf) -> None:
    documents.add("manual", "A manual.")
    for document_id, tenant, status in (("unknown", TENANT, 404), ("manual", "another", 404), ("-", TENANT, 400)):
        response = reindex(documents, document_id, tenant)
        assert response.status_code == status
        error_of(response)
    documents.client.delete("/rag/documents/manual", params={"tenant": TENANT}).raise_for_status()
    assert reindex(documents, "manual").status_code == 404
