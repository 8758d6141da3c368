"""scripts/ingest with addresses of pages: a real site, and a stand-in for the Worker, on this machine."""

import json
import threading
from argparse import Namespace
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tools.ingest import run

PAGES = {"/guide": "<h1>Guide</h1>", "/": "<h1>Home</h1>", "/broken.pdf": "%PDF", "/large": "a" * 2_000}


class Handler(BaseHTTPRequestHandler):
    server: "Web"  # pyright: ignore[reportIncompatibleVariableOverride] - the only server that it is of

    def do_GET(self) -> None:
        if self.path == "/moved":
            self._answer(302, "", location="/guide")
        elif self.path.startswith("/rag/documents/broken"):
            self._answer(200, json.dumps({"id": "broken", "state": "failed", "reason": "It is encrypted."}))
        elif self.path.startswith("/rag/documents/"):
            self._answer(200, json.dumps({"id": "page", "state": "indexed"}))
        else:
            self._answer(200 if self.path in PAGES else 404, PAGES.get(self.path, ""))

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.uploads.append(form)
        self._answer(202, json.dumps({"id": "broken" if "broken.pdf" in form else "page", "state": "queued"}))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Print nothing."""

    def _answer(self, status: int, text: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())


class Web(ThreadingHTTPServer):
    """A site and a Worker. `uploads`: the forms that the Worker was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.uploads: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Generator[Web]:
    monkeypatch.setattr(run, "POLL_SECONDS", 0)
    web = Web()
    yield web
    web.shutdown()
    web.server_close()


def ingest(web: Web, capsys: pytest.CaptureFixture[str], *paths: str, **options: Any) -> dict[str, Any]:
    """The outcome of a run with these pages, and its exit status."""
    arguments: dict[str, Any] = {
        "key": "",
        "tenant": "",
        "folder": "",
        "metadata": [],
        "dry_run": False,
        "json": True,
        **options,
    }
    status = run.run(Namespace(url=web.url, sources=[web.url + path for path in paths], **arguments))
    printed = capsys.readouterr().out
    return {**(json.loads(printed) if not arguments["dry_run"] else {"printed": printed}), "status": status}


def test_pages_become_documents_that_link_to_them(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = ingest(web, capsys, "/moved", "/", metadata=[("year", 2026)])
    assert (outcome["status"], outcome["indexed"], outcome["failed"]) == (0, 2, [])
    moved, home = web.uploads
    assert f"{web.url}/guide\r\n" in moved, "the address that it was redirected to"
    assert 'filename="guide"' in moved
    assert "<h1>Guide</h1>" in moved
    assert '{"year": 2026}' in moved
    assert 'filename="index.html"' in home


def test_a_page_that_fails_is_told_and_the_others_are_indexed(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = ingest(web, capsys, "/missing", "/broken.pdf", "/guide")
    assert (outcome["status"], outcome["indexed"]) == (1, 1)
    reasons = {each["path"].removeprefix(web.url): each["reason"] for each in outcome["failed"]}
    assert reasons["/broken.pdf"] == "It is encrypted."
    assert "404" in reasons["/missing"]


def test_a_page_that_is_too_large_is_not_sent(
    web: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "MAX_FILE_BYTES", 1_000)
    outcome = ingest(web, capsys, "/large")
    assert (outcome["status"], web.uploads) == (1, [])
    assert "more than 1,000 bytes" in outcome["failed"][0]["reason"]


def test_a_dry_run_fetches_no_page(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = ingest(web, capsys, "/missing", dry_run=True)
    assert outcome["status"] == 0
    assert f"{web.url}/missing" in outcome["printed"]
    assert web.uploads == []
