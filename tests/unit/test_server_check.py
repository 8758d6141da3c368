"""The check of scripts/test --url before it runs any test."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tools import ROOT
from tools.dev import server_check, variables

TEST = [sys.executable, str(ROOT / "scripts/test")]


@contextmanager
def serving(answer: Callable[[str], tuple[int, Any]]) -> Generator[str]:
    """A server that answers each path with a status and JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


NOT_INDEXED = {"error": {"message": "kind is not indexed."}}


@pytest.mark.parametrize(
    ("health", "search", "words"),
    [
        ((404, None), (200, None), "is not aiworker: it answers GET /health with status 404"),
        ((200, {"access": "keys"}), (200, None), "is not open to all: its AUTH_MODE is keys"),
        ((200, {"access": "public"}), (422, NOT_INDEXED), "with status 422: kind is not indexed."),
        ((200, {"access": "public"}), (200, None), None),
    ],
)
def test_a_server_that_lacks_a_setting_is_told_from_one_that_is_ready(
    health: tuple[int, Any], search: tuple[int, Any], words: str | None
) -> None:
    with serving(lambda path: health if path == "/health" else search) as url:
        complaint = server_check.complaint(url)
    assert complaint is None if words is None else words in str(complaint)


def test_an_unreachable_address_fails_with_one_sentence() -> None:
    with serving(lambda _: (200, {})) as url:
        pass  # by now the port is free
    done = subprocess.run([*TEST, f"--url={url}"], text=True, capture_output=True, timeout=100, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{url} cannot be reached: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_the_help_says_what_the_server_has_to_be_started_with() -> None:
    shown = subprocess.run([*TEST, "--help"], text=True, capture_output=True, timeout=100, check=True).stdout
    for name, value in {**variables.FOR_TESTS, **variables.OPEN}.items():
        assert f"{name}={value}" in shown
    assert "scripts/dev --for-tests" in shown


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ([], None),
        (["tests/unit", "-k", "url"], None),
        (["--url", "http://a", "-q"], "http://a"),
        (["-q", "--url=http://a"], "http://a"),
        (["--urls", "http://a"], None),
    ],
)
def test_the_address_is_found_among_pytest_s_arguments(arguments: list[str], url: str | None) -> None:
    program = runpy.run_path(TEST[1])
    assert program["_url"](arguments) == url
