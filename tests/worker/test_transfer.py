"""scripts/export and scripts/import: the same documents and conversations after a loss of all."""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import until
from tools import ROOT

TENANT = "test-transfer"
COMPARED = ("id", "title", "url", "metadata", "media_type", "size", "state", "chunks")
TURN = [{"role": "user", "content": "Grüße"}, {"role": "assistant", "content": "Hello!"}]


@pytest.fixture
def tenant(client: httpx.Client) -> Generator[str]:
    erase(client)
    yield TENANT
    erase(client)


def erase(client: httpx.Client) -> None:
    job = client.delete(f"/tenants/{TENANT}").raise_for_status().headers["location"]
    until(lambda: client.get(job).json(), lambda job: job["state"] == "done", seconds=60)


def run(client: httpx.Client, script: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / script, folder, "--url", str(client.base_url), *more]
    return subprocess.run(command, text=True, capture_output=True, check=False)


def documents(client: httpx.Client) -> list[dict[str, Any]]:
    def read() -> list[dict[str, Any]]:
        listed = client.get("/rag/documents", params={"tenant": TENANT}).json()["documents"]
        return [{name: each[name] for name in COMPARED} for each in listed]

    return until(read, lambda listed: all(each["state"] in ("indexed", "failed") for each in listed), seconds=60)


def conversations(client: httpx.Client) -> list[tuple[str, str | None, Any]]:
    listed = client.get("/conversations", params={"tenant": TENANT}).json()["conversations"]
    return [(each["conversation"], each["subject"], history(client, each)) for each in listed]


def history(client: httpx.Client, entry: dict[str, Any]) -> Any:
    owner = {name: entry[name] for name in ("tenant", "subject") if entry[name] is not None}
    return client.get(f"/conversations/{entry['conversation']}", params=owner).json()["messages"]


def fill(client: httpx.Client) -> None:
    form = {"id": "page", "title": "A page", "url": "https://example.com/p", "metadata": '{"year": 2026}'}
    file = ("Räume.html", "<h1>Räume</h1><p>Der Saal ist groß.</p>".encode("latin-1"), "text/html; charset=latin1")
    client.post("/rag/documents", data={**form, "tenant": TENANT}, files={"file": file}).raise_for_status()
    body = {"text": "# Bears\n\nPolar bears live in the Arctic.", "id": "bears", "tenant": TENANT}
    client.post("/rag/documents", json=body).raise_for_status()
    for subject in ("anna", None):
        owner = {"tenant": TENANT} | ({"subject": subject} if subject else {})
        for _ in range(2):
            path = "/conversations/talk/messages"
            client.post(path, params=owner, json={"messages": TURN}).raise_for_status()


def test_documents_and_conversations_survive_a_loss_of_all(client: httpx.Client, tenant: str, tmp_path: Path) -> None:
    fill(client)
    before = documents(client), conversations(client)
    assert [each["state"] for each in before[0]] == ["indexed", "indexed"]
    assert [(name, subject) for name, subject, _ in before[1]] == [("talk", None), ("talk", "anna")]
    exported = run(client, "export", tmp_path, "--tenant", tenant)
    assert exported.stdout.splitlines()[-2:] == ["documents: 2 exported", "conversations: 2 exported"], exported
    # what an interruption leaves: a line that is cut off, and a file of which a part is missing
    listing = tmp_path / "documents.jsonl"
    listing.write_text(listing.read_text() + '{"tenant": "test-tr')
    (tmp_path / "files" / tenant / "bears").write_text("# Be")
    again = run(client, "export", tmp_path, "--tenant", tenant)
    assert "documents: 1 exported, 1 unchanged" in again.stdout
    assert "conversations: 2 unchanged" in again.stdout
    assert len([json.loads(line) for line in listing.read_text().splitlines()]) == 2

    erase(client)
    assert (documents(client), conversations(client)) == ([], [])
    imported = run(client, "import", tmp_path)
    assert "documents: 2 imported\nconversations: 2 imported" in imported.stdout, imported
    assert (documents(client), conversations(client)) == before
    passages = client.post("/rag/search", json={"query": "Saal", "tenant": tenant}).json()["passages"]
    assert passages[0]["document"] == "page"
    repeated = run(client, "import", tmp_path)
    assert "documents: 2 there already\nconversations: 2 there already" in repeated.stdout
    # what is gone from the Worker is gone from the next export
    erase(client)
    run(client, "export", tmp_path, "--tenant", tenant)
    assert listing.read_text() == ""


def test_things_that_cannot_be_transferred_are_named(client: httpx.Client, tenant: str, tmp_path: Path) -> None:
    missing = run(client, "import", tmp_path / "nothing")
    assert missing.returncode == 1
    assert "it is not the folder of an export" in missing.stderr
    document: dict[str, Any] = {
        "tenant": tenant, "id": "lost", "title": "Lost", "url": None, "metadata": {}, "size": 4, "file_name": "a.md",
        "content_type": "text/markdown",
    }  # fmt: skip
    (tmp_path / "documents.jsonl").write_text(json.dumps(document) + "\n")
    failed = run(client, "import", tmp_path)
    assert failed.returncode == 1
    assert "documents: 1 failed" in failed.stdout
    assert f"{tenant}/lost" in failed.stderr
