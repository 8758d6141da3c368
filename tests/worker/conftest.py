"""Documents for the tests of `/rag`."""

from collections.abc import Generator
from typing import Any

import httpx
import pytest

from tests.conftest import until

TENANT = "test-rag"


@pytest.fixture
def documents(client: httpx.Client) -> Generator["Documents"]:
    documents = Documents(client)
    documents.clear()
    yield documents
    documents.clear()


class Documents:
    """Documents of one tenant."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def put(self, text: str, **fields: Any) -> httpx.Response:
        return self.client.post("/rag/documents", json={"text": text, "tenant": TENANT, **fields})

    def state(self, document_id: str) -> dict[str, Any]:
        return self.client.get(f"/rag/documents/{document_id}", params={"tenant": TENANT}).json()

    def settled(self, document_id: str) -> dict[str, Any]:
        """The document as soon as it is indexed or has failed."""
        return until(
            lambda: self.state(document_id), lambda document: document["state"] in ("indexed", "failed"), seconds=60
        )

    def add(self, document_id: str, text: str, **fields: Any) -> None:
        response = self.put(text, id=document_id, **fields)
        assert response.status_code in (200, 202), response.text
        document = self.settled(document_id)
        assert document["state"] == "indexed", document

    def all(self) -> list[dict[str, Any]]:
        response = self.client.get("/rag/documents", params={"tenant": TENANT, "limit": 100})
        assert response.status_code == 200, response.text
        return response.json()["documents"]

    def search(self, query: str, **options: Any) -> list[dict[str, Any]]:
        response = self.client.post("/rag/search", json={"query": query, "tenant": TENANT, **options})
        assert response.status_code == 200, response.text
        return response.json()["passages"]

    def clear(self) -> None:
        for document in self.all():
            self.client.delete(f"/rag/documents/{document['id']}", params={"tenant": TENANT}).raise_for_status()
