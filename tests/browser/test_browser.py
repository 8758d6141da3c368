"""Runs the tests of the console and of the simulator's page, which are JavaScript: tests/browser/*.test.mjs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DevServer, StartServer
from tests.runtime.test_dev import workerd_of
from tools import ROOT

CLIENTS = ROOT / "docs/clients.md"
STREAMING = ROOT / "docs/streaming.md"
INSTALLED = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
"""Debian's Chromium. The one without a window takes half of the processor time of the other."""
CHROMIUM = os.environ.get("CHROMIUM") or str(next(filter(Path.exists, INSTALLED), INSTALLED[0]))
needs_chromium = pytest.mark.skipif(
    not Path(CHROMIUM).exists(), reason="needs Chromium: apt-get install chromium-headless-shell, or set CHROMIUM"
)


@pytest.fixture(scope="module")
def paced_server(start_server: StartServer) -> Iterator[DevServer]:
    """A model that takes its time, as a person in front of the page would see it, behind a gateway."""
    with start_server("--tokens-per-second", "60", GATEWAY_ID="console") as server:
        yield server


PAGES = {
    "react": "import './react.jsx';",
    "next": """import { createElement } from "react";
import { createRoot } from "react-dom/client";
import Page from "./page.jsx";
createRoot(document.getElementById("root")).render(createElement(Page));""",
    "streaming-react": """import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { Chat } from "./Chat.jsx";
createRoot(document.getElementById("root")).render(createElement(Chat));""",
    "streaming-vue": """import { createApp } from "vue";
import Chat from "./Chat.vue";
createApp(Chat).mount("#root");""",
}
"""Name of a page → the program that shows what docs/clients.md and docs/streaming.md have of it."""

VITE = """import { compileScript, parse } from "vue/compiler-sfc";

const vue = {
  name: "vue",
  transform(code, id) {
    if (!id.endsWith(".vue")) return null;
    const { descriptor } = parse(code, { filename: id });
    return { code: compileScript(descriptor, { id: "chat", inlineTemplate: true }).content };
  },
};
export default { base: "/pages/", plugins: [vue], build: { rolldownOptions: { external: /^http:/, input: INPUTS } } };
"""
"""Configuration of Vite, with what the plugin of Vue does for a component without styles. INPUTS: the pages' files."""


@pytest.fixture(scope="module")
def built_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of docs/clients.md and docs/streaming.md, as pasted, built by Vite."""
    source = tmp_path_factory.mktemp("pages")
    for page, languages, names in (
        (CLIENTS, "jsx|javascript", ("next.config.mjs", "page.jsx", "react.jsx")),
        (STREAMING, "js|jsx|vue", ("chat.js", "Chat.jsx", "Chat.vue")),
    ):
        examples = re.findall(rf"^```(?:{languages})\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
        for name, code in zip(names, examples, strict=True):
            (source / name).write_text(code)
    for name, program in PAGES.items():
        (source / f"{name}.main.jsx").write_text(program)
        page = f'<!doctype html><div id="root"></div><script type="module" src="./{name}.main.jsx"></script>'
        (source / f"{name}.html").write_text(page)
    inputs = [f"{name}.html" for name in PAGES]
    (source / "vite.config.mjs").write_text(VITE.replace("INPUTS", str(inputs)))
    (source / "node_modules").symlink_to(ROOT / "node_modules")
    vite = [ROOT / "node_modules/.bin/vite", "build", "--logLevel", "warn"]
    done = subprocess.run(vite, cwd=source, text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


def run(test: str, **environment: str) -> None:
    node = shutil.which("node")
    assert node
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", Path(__file__).with_name(test)],
        cwd=ROOT, env={**os.environ, **environment}, text=True, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ℹ pass 0" not in done.stdout  # noqa: RUF001 - Node's own sign


def test_events() -> None:
    run("events.test.mjs")


@pytest.mark.timeout(300)
@needs_chromium
@pytest.mark.parametrize(
    "test", ["console.test.mjs", "docs.test.mjs", "screens.test.mjs", "readme.test.mjs", "pages.test.mjs"]
)
def test_in_a_browser(paced_server: DevServer, built_pages: Path, test: str) -> None:
    addresses = {"AIWORKER_URL": paced_server.url, "AIWORKER_SIMULATOR": paced_server.simulator}
    run(test, CHROMIUM=CHROMIUM, PYTHON=sys.executable, PAGES=str(built_pages), **addresses)


@pytest.mark.timeout(300)
@needs_chromium
def test_use_chat(paced_server: DevServer, built_pages: Path) -> None:
    """Kills workerd, which scripts/dev starts again: after the tests of the same server."""
    run(
        "use_chat.test.mjs", AIWORKER_URL=paced_server.url, AIWORKER_SIMULATOR=paced_server.simulator,
        PAGES=str(built_pages), WORKERD=str(workerd_of(paced_server)), CHROMIUM=CHROMIUM,
    )  # fmt: skip


@pytest.mark.timeout(300)
@needs_chromium
def test_simulator_page() -> None:
    simulator = str(ROOT / "packages/workers-ai-simulator/src")
    run("simulator.test.mjs", PYTHON=sys.executable, PYTHONPATH=simulator, CHROMIUM=CHROMIUM)


@pytest.mark.nightly
@pytest.mark.timeout(300)
@needs_chromium
def test_the_pictures_of_the_documentation_can_be_made_anew(tmp_path: Path) -> None:
    command = [shutil.which("node") or "node", ROOT / "tools/console/pictures.mjs", tmp_path]
    environment = {**os.environ, "CHROMIUM": CHROMIUM}
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {each.name for each in tmp_path.iterdir()} == {each.name for each in (ROOT / "docs").glob("*.png")}
