"""GET /rag/documents/{id}/original: the file of a document, as it was uploaded."""

import io
import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from tests.conftest import ErrorOf, Simulator
from tests.worker.conftest import TENANT, Documents

EMBED_MODEL = "@cf/baai/bge-base-en-v1.5"
SCRIPT = b"<!doctype html><title>Bears</title><script>alert(document.domain)</script><p>Polar bears eat seals.</p>"


def original(documents: Documents, document_id: str, tenant: str = TENANT, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return documents.client.get(f"/rag/documents/{document_id}/original", params={"tenant": tenant}, headers=sent)


def upload(documents: Documents, document_id: str, name: str, content: bytes, media_type: str) -> None:
    response = documents.client.post(
        "/rag/documents", files={"file": (name, content, media_type)}, data={"id": document_id, "tenant": TENANT}
    )
    assert response.status_code == 202, response.text
    assert documents.settled(document_id)["state"] == "indexed"


def pdf() -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file)
    canvas.drawString(72, 720, "Polar bears live in the Arctic.")
    canvas.save()
    return file.getvalue()


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (224, 32, 32)).save(file, "PNG")
    return file.getvalue()


def test_a_document_s_text_is_read_as_it_was_sent(documents: Documents) -> None:
    documents.add("fjord", "# Ærø\n\nFerries leave at 8.")
    response = original(documents, "fjord")
    assert (response.status_code, response.text) == (200, "# Ærø\n\nFerries leave at 8.")
    headers = response.headers
    assert headers["content-type"] == "text/markdown; charset=utf-8"
    assert headers["content-disposition"] == 'inline; filename="fjord.md"'
    assert headers["cache-control"] == "private, no-cache"
    assert headers["content-length"] == str(len(response.content))


@pytest.mark.parametrize("is_escaped", [True, False])
def test_a_long_text_is_kept_as_it_was_sent_and_found(documents: Documents, is_escaped: bool) -> None:
    text = '# Ærø 👩‍👩‍👧\n\nThe "Marstal" ferry\\boat leaves at 8.' + " " * 150_000
    body = {"id": "ferry", "text": text, "tenant": TENANT, "metadata": {"year": 2**53 - 1}}
    content = json.dumps(body, ensure_ascii=is_escaped)
    response = documents.client.post("/rag/documents", content=content, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["size"]) == (202, len(text.encode())), response.text
    assert documents.settled("ferry")["state"] == "indexed"
    document = documents.state("ferry")
    assert (document["title"], document["metadata"]) == ("Ærø 👩‍👩‍👧", {"year": 2**53 - 1})
    assert original(documents, "ferry").text == text
    assert documents.search("marstal ferryboat")[0]["document"] == "ferry"
    # nothing has changed: the same version
    again = documents.client.post("/rag/documents", json=body)
    assert again.status_code == 200, again.text


@pytest.mark.parametrize(
    ("content", "status", "param"),
    [
        (b'{"text": "%b \\ud800"}', 400, "text"),
        (b'{"text": "%b \xff"}', 400, "text"),
        (b'{"text": "%b \x00"}', 400, "text"),
        (b'{"text": "%b"', 400, None),
        (b'{"text": "a", "title": "%b"}', 400, None),
        (b'{"text": " \\n%b"}', 422, "text"),
    ],
)
def test_a_long_text_that_is_none_is_refused_and_not_kept(
    documents: Documents, error_of: ErrorOf, content: bytes, status: int, param: str | None
) -> None:
    body = content % (b" " * 150_000)
    headers = {"content-type": "application/json"}
    response = documents.client.post("/rag/documents", content=body, headers=headers, params={"tenant": TENANT})
    assert (response.status_code, error_of(response)["param"]) == (status, param), response.text
    assert documents.all() == []


def send(documents: Documents, content: bytes) -> httpx.Response:
    file = ("scan.pdf", content, "application/pdf")
    return documents.client.post("/rag/documents", files={"file": file}, data={"id": "scan", "tenant": TENANT})


def test_a_large_file_is_stored_whole(documents: Documents) -> None:
    # above 1 MiB, a file is hashed and stored in windows; this one ends within the last of them, and is no PDF
    content = b"%PDF-1.7\n" + bytes(range(256)) * 11_000 + b"the end"
    first = send(documents, content)
    assert first.status_code == 202, first.text
    assert original(documents, "scan").content == content
    assert documents.settled("scan")["state"] == "failed"
    assert send(documents, content[:-1] + b"!").json()["fingerprint"] != first.json()["fingerprint"]


@pytest.mark.parametrize(
    ("name", "content", "media_type", "served", "disposition"),
    [
        ("plan.pdf", pdf(), "application/pdf", "application/pdf", 'inline; filename="plan.pdf"'),
        ("red.png", picture(), "image/png", "image/png", 'inline; filename="red.png"'),
        # a text whose encoding is declared, one whose encoding is recognised, and one that is UTF-8
        ("a.txt", "Straße".encode("cp1252"), "text/plain; charset=windows-1252",
         "text/plain; charset=windows-1252", 'inline; filename="a.txt"'),
        ("a.txt", "Straße".encode("cp1252"), "text/plain", "text/plain", 'inline; filename="a.txt"'),
        ("a.txt", "Straße".encode(), "text/plain", "text/plain; charset=utf-8", 'inline; filename="a.txt"'),
        ("a.py", b"print(1)", "text/x-python", "text/x-python; charset=utf-8", 'attachment; filename="a.py"'),
        # pages that could run scripts are downloaded
        ("bears.html", SCRIPT, "text/html", "text/html", 'attachment; filename="bears.html"'),
        ("Bär 100%.html", SCRIPT, "text/html", "text/html",
         f"attachment; filename=\"B_r 100_.html\"; filename*=UTF-8''{quote('Bär 100%.html')}"),
    ],
)  # fmt: skip
def test_each_kind_is_shown_or_downloaded(
    documents: Documents, name: str, content: bytes, media_type: str, served: str, disposition: str
) -> None:
    upload(documents, "file", name, content, media_type)
    response = original(documents, "file")
    assert (response.status_code, response.content) == (200, content)
    assert response.headers["content-type"] == served
    assert response.headers["content-disposition"] == disposition
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert ("sandbox" in response.headers["content-security-policy"]) == (media_type != "application/pdf")


def test_parts_and_copies_are_negotiated(documents: Documents) -> None:
    documents.add("count", "0123456789")
    whole = original(documents, "count")
    etag = whole.headers["etag"]
    part = original(documents, "count", range="bytes=2-4")
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "234", "bytes 2-4/10")
    assert part.headers["content-disposition"] == whole.headers["content-disposition"]
    outside = original(documents, "count", range="bytes=10-")
    assert (outside.status_code, outside.headers["content-range"]) == (416, "bytes */10")
    current = original(documents, "count", if_none_match=etag)
    assert (current.status_code, current.content, current.headers["etag"]) == (304, b"", etag)
    assert original(documents, "count", if_match='"other"').status_code == 412
    head = documents.client.head("/rag/documents/count/original", params={"tenant": TENANT})
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")


def test_the_version_that_searches_find_is_read(documents: Documents, simulator: Simulator) -> None:
    documents.add("animals", "Penguins swim.")
    etag = original(documents, "animals").headers["etag"]
    simulator.set_fault(model=EMBED_MODEL, hold_response=True)
    assert documents.put("Bears walk.", id="animals").status_code == 202
    assert original(documents, "animals").text == "Penguins swim."
    simulator.clear_faults()
    documents.settled("animals")
    changed = original(documents, "animals", if_none_match=etag)
    assert (changed.status_code, changed.text) == (200, "Bears walk.")


def test_the_file_of_a_document_that_failed_can_be_read(documents: Documents) -> None:
    response = documents.client.post(
        "/rag/documents", files={"file": ("a.pdf", b"%PDF-1.4 broken")}, data={"id": "broken", "tenant": TENANT}
    )
    assert response.status_code == 202
    assert documents.settled("broken")["state"] == "failed"
    assert original(documents, "broken").content == b"%PDF-1.4 broken"


@pytest.mark.parametrize(
    ("document_id", "tenant", "status"),
    [("unknown", TENANT, 404), ("penguins", "another", 404), ("penguins", "a/b", 400), (".hidden", TENANT, 400)],
)
def test_other_documents_are_refused(
    documents: Documents, error_of: ErrorOf, document_id: str, tenant: str, status: int
) -> None:
    documents.add("penguins", "Penguins swim.")
    response = original(documents, document_id, tenant)
    assert response.status_code == status
    error_of(response)


def test_a_deleted_document_has_no_file(documents: Documents) -> None:
    documents.add("penguins", "Penguins swim.")
    documents.client.delete("/rag/documents/penguins", params={"tenant": TENANT}).raise_for_status()
    assert original(documents, "penguins").status_code == 404


def test_pages_of_allowed_origins_can_read_the_headers(documents: Documents) -> None:
    documents.add("penguins", "Penguins swim.")
    exposed: Any = original(documents, "penguins", origin="http://localhost:3000").headers
    names = exposed["access-control-expose-headers"].split(", ")
    assert {"accept-ranges", "content-disposition", "content-range", "etag"} <= set(names)
