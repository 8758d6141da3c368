"""The example of docs/clients.md in Next.js itself: built, started, and used in Chromium."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import npm_packages
from tests.browser.test_browser import CHROMIUM, CLIENTS, needs_chromium, paced_server, run
from tests.conftest import DevServer, until
from tools import ROOT
from tools.dev import ports

__all__ = ["paced_server"]

VERSION = "16.4.6"
LAYOUT = "export default ({ children }) => <html><body>{children}</body></html>;\n"

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, paced_server: DevServer) -> Path:
    """The example as pasted, pointed at the server, with the versions of React and the AI SDK of package.json."""
    folder = tmp_path_factory.mktemp("next")
    versions = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    used = [f"{name}@{versions[name]}" for name in ("react", "react-dom", "@ai-sdk/react", "ai")]
    npm_packages.install(folder, f"next@{VERSION}", *used)
    examples = re.findall(r"^```(?:jsx|javascript)\n(.*?)^```$", CLIENTS.read_text(), re.DOTALL | re.MULTILINE)
    (folder / "app").mkdir()
    (folder / "next.config.mjs").write_text(examples[0].replace("http://localhost:8787", paced_server.url))
    (folder / "app/page.jsx").write_text(examples[1])
    (folder / "app/layout.jsx").write_text(LAYOUT)
    return folder


@pytest.fixture(scope="module")
def next_url(project: Path) -> Iterator[str]:
    environment = {**os.environ, "NEXT_TELEMETRY_DISABLED": "1"}
    command = project / "node_modules/.bin/next"
    built = subprocess.run(
        [command, "build"], cwd=project, env=environment, text=True, capture_output=True, timeout=600, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    port = ports.claim()
    # in a process group of its own: it starts others
    server = subprocess.Popen(
        [command, "start", "--hostname", "127.0.0.1", "--port", str(port)], cwd=project, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: is_up(url), lambda up: up)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def is_up(url: str) -> bool:
    try:
        return httpx.get(url, timeout=60).is_success
    except httpx.TransportError:
        return False


@needs_chromium
def test_the_page_works_in_next_js(next_url: str) -> None:
    run("next.test.mjs", NEXT_URL=next_url, CHROMIUM=CHROMIUM)
