"""/rag/sync: documents that follow a site, which a small server of this test is."""

import contextlib
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import ErrorOf, until
from tests.worker.conftest import TENANT, Documents


class Site:
    """A real web server on 127.0.0.1. `pages`: path → content, a status, or `->` and an address to redirect to."""

    def __init__(self) -> None:
        self.pages: dict[str, str | bytes | int] = {}
        self.paths: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.paths.append(self.path)
                page = site.pages.get(self.path, 404)
                is_known = isinstance(page, str) and self.headers["if-none-match"] == f'"{hash(page)}"'
                is_redirect = isinstance(page, str) and page[:2] == "->"
                status = page if isinstance(page, int) else 304 if is_known else 302 if is_redirect else 200
                self.send_response(status)
                content = page.encode() if isinstance(page, str) else page
                body = content if isinstance(content, bytes) and status == 200 else b""
                if isinstance(page, str):
                    self.send_header("etag", f'"{hash(page)}"')
                    self.send_header("content-type", "text/xml" if self.path.endswith(".xml") else "text/html")
                if isinstance(page, str) and status == 302:
                    self.send_header("location", page[2:])
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def list(self, *paths: str) -> None:
        """Let the sitemap list these pages."""
        listed = "".join(f"<url><loc>{self.url}{path}</loc></url>" for path in paths)
        self.pages["/sitemap.xml"] = f"<urlset>{listed}</urlset>"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site(base_url: str) -> Generator[Site]:
    if urlsplit(base_url).hostname not in ("localhost", "127.0.0.1"):
        pytest.skip("the server cannot reach a site on this machine")
    site = Site()
    yield site
    site.stop()


@pytest.fixture
def sync(documents: Documents) -> Generator["Sync"]:
    sync = Sync(documents.client)
    sync.clear()
    yield sync
    sync.clear()


class Sync:
    """Sources of the test's tenant."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def post(self, **fields: Any) -> httpx.Response:
        return self.client.post("/rag/sync", json={"tenant": TENANT, **fields})

    def run(self, **fields: Any) -> dict[str, Any]:
        """Add a source, or run a known one again; return it when the run and its ingestions have ended."""
        response = self.post(**fields)
        assert response.status_code == 202, response.text
        return until(
            lambda: self.source(response.json()["id"]),
            lambda it: it["state"] in ("current", "failed") and not it["documents"]["running"],
            seconds=120,
        )

    def source(self, source_id: str) -> dict[str, Any]:
        return self.client.get(f"/rag/sync/{source_id}", params={"tenant": TENANT}).raise_for_status().json()

    def sources(self) -> list[dict[str, Any]]:
        return self.client.get("/rag/sync", params={"tenant": TENANT}).raise_for_status().json()["sources"]

    def failed(self, source_id: str) -> dict[str, str]:
        """Path → reason of the pages that have failed."""
        query = {"tenant": TENANT, "state": "failed"}
        answer = self.client.get(f"/rag/sync/{source_id}/pages", params=query).raise_for_status().json()
        pages: list[dict[str, str]] = answer["pages"]
        return {urlsplit(page["location"]).path: page["reason"] for page in pages}

    def delete(self, source_id: str, **query: str) -> httpx.Response:
        return self.client.delete(f"/rag/sync/{source_id}", params={"tenant": TENANT, **query})

    def clear(self) -> None:
        for source in self.sources():
            self.delete(source["id"]).raise_for_status()


def page(title: str, text: str) -> str:
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"


def test_documents_follow_a_site(sync: Sync, site: Site, documents: Documents) -> None:
    site.pages = {
        "/a": page("Ants", "Ants carry leaves."),
        "/guides/b": page("Bees", "Bees dance."),
        "/c": page("C", "x"),
    }
    site.list("/a", "/guides/b", "/c", "/forbidden", "/broken", "/circle", "/away", "/missing")
    site.pages |= {
        "/robots.txt": "User-agent: *\nDisallow: /forbidden",
        "/forbidden": page("F", "x"),
        "/broken": 500,
        "/circle": "->/circle",
        "/away": "->http://example.com/",
    }
    source = sync.run(sitemap=f"{site.url}/sitemap.xml")
    assert (source["state"], source["documents"]["indexed"], source["documents"]["failed"]) == ("current", 3, 4)
    failed = sync.failed(source["id"])
    assert set(failed) == {"/forbidden", "/broken", "/circle", "/away"}
    assert "robots.txt" in failed["/forbidden"]
    assert "500" in failed["/broken"]
    assert "itself" in failed["/circle"]
    assert "example.com" in failed["/away"]
    assert "/forbidden" not in site.paths
    [best, *_] = documents.search("Who dances?")
    assert (best["title"], best["url"]) == ("Bees", f"{site.url}/guides/b")
    assert documents.state(best["document"])["metadata"] == {"folder": "127.0.0.1/guides/"}

    before = {each["id"]: each["created_at"] for each in documents.all()}
    site.pages["/a"] = page("Ants", "Ants sleep.")
    site.list("/a", "/guides/b")
    source = sync.run(sitemap=f"{site.url}/sitemap.xml")
    assert source["documents"] == {"queued": 0, "running": 0, "indexed": 2, "failed": 0}
    after = {each["id"]: each["created_at"] for each in documents.all()}
    assert len(after) == 2
    assert [id_ for id_ in after if before.get(id_) == after[id_]] == [best["document"]]
    assert "sleep" in documents.search("ants")[0]["text"]


def test_a_source_is_deleted_with_or_without_its_documents(sync: Sync, site: Site, documents: Documents) -> None:
    site.pages = {"/a": page("Ants", "Ants carry leaves."), "/b": page("Bees", "Bees dance.")}
    source = sync.run(urls=[f"{site.url}/a", f"{site.url}/b"])
    assert [each["id"] for each in sync.sources()] == [source["id"]]
    assert sync.delete(source["id"]).status_code == 204
    assert len(documents.all()) == 2
    source = sync.run(urls=[f"{site.url}/a", f"{site.url}/b"])
    assert sync.delete(source["id"], documents="delete").status_code == 202
    until(sync.sources, lambda sources: sources == [])
    assert documents.all() == []


@pytest.mark.usefixtures("site")
def test_a_site_that_is_down_fails_with_a_reason(sync: Sync) -> None:
    source = sync.run(sitemap="http://127.0.0.1:9/sitemap.xml")
    assert (source["state"], bool(source["reason"])) == ("failed", True)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prefix": "a/", "sitemap": "https://example.com/sitemap.xml"},
        {"urls": []},
        {"urls": ["http://127.0.0.1/a", "http://127.0.0.1:81/b"]},
        {"sitemap": "http://169.254.169.254/latest"},
        {"sitemap": "http://localhost/sitemap.xml"},
        {"sitemap": "file:///etc/passwd"},
        {"sitemap": "http://user@127.0.0.1/"},
        {"urls": ["no address"]},
        {"prefix": "documents/"},
        {"prefix": "docum"},
        {"prefix": "images/x"},
        {"prefix": "a/", "hours": 0},
        {"prefix": "a/", "metadata": {"a": []}},
    ],
)
def test_a_source_that_may_not_be_read_is_refused(sync: Sync, error_of: ErrorOf, fields: dict[str, Any]) -> None:
    assert error_of(sync.post(**fields))["type"] == "invalid_request"
    assert sync.sources() == []


def test_an_unknown_source_is_not_found(sync: Sync, error_of: ErrorOf) -> None:
    for method, path in (("GET", "/rag/sync/none"), ("GET", "/rag/sync/none/pages"), ("DELETE", "/rag/sync/none")):
        assert error_of(sync.client.request(method, path))["type"] == "not_found"


def test_an_empty_folder_of_the_bucket_is_in_step(sync: Sync) -> None:
    source = sync.run(prefix=f"{TENANT}/nothing/")
    assert (source["state"], source["kind"], source["target"]) == ("current", "prefix", f"{TENANT}/nothing/")
    assert source["documents"] == {"queued": 0, "running": 0, "indexed": 0, "failed": 0}
