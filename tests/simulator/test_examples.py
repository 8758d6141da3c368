"""The simulator's example projects, each in an empty folder with only the built packages, without a network.

In scripts/test one of them, with what else it needs from this project; in scripts/nightly all, installed by npm and uv
as a stranger would.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import npm_packages
from tests.conftest import until
from tests.simulator.built_packages import (
    COMMAND,
    EXAMPLES,
    BuiltPackages,
    Dev,
    build,
    build_wheel,
    copy_wrangler,
    environment,
    install,
    install_python_modules,
    is_listening,
    lay_out,
    processes_of,
    run_tests,
)
from tools import ROOT


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> BuiltPackages:
    return build(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Folder whose path has spaces."""
    folder = tmp_path / "my Workers"
    folder.mkdir()
    return folder


def files(project: Path) -> set[str]:
    return {path.name for path in project.iterdir()} - {".wrangler"}


def contents(example: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (EXAMPLES / example).glob("wrangler.*")}


def command(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the npm package's command in a project that was laid out."""
    return subprocess.run(
        ["node", str(project.parent.parent / COMMAND), *arguments],
        cwd=project, env=environment(project), text=True, capture_output=True, timeout=100, check=False,
    )  # fmt: skip


def ends_without_a_trace(dev: Dev, addresses: dict[str, str], project: Path, before: set[str]) -> None:
    assert dev.end() == 143, dev.printed
    until(lambda: [url for url in addresses.values() if is_listening(url)], lambda left: not left)
    assert files(project) == before
    assert {path.name: path.read_bytes() for path in project.glob("wrangler.*")} == contents(project.name)


def test_a_chat_in_typescript_runs_offline_with_one_command(packages: BuiltPackages, top: Path) -> None:
    """In a monorepo with wrangler in its root folder, below a path with spaces, ended by a signal to one process."""
    project = lay_out(packages, "chat", top)
    before = files(project)
    dev = Dev.start(project)
    try:
        addresses = dev.addresses()
        assert "AI: simulated" in dev.printed
        run_tests(project, addresses)
        ends_without_a_trace(dev, addresses, project, before)
    finally:
        dev.close()


TYPED = """
import { type Hooks, type ScriptedAnswer, SimulatorClient, useSimulator } from "workers-ai-simulator/testing";
import { simulatedWorker } from "workers-ai-simulator/config";

declare const hooks: Hooks;
const ai: SimulatorClient = useSimulator(hooks, { strict: true });
const answers: ScriptedAnswer[] = [
  { prompt: "a", text: "b", tool_calls: [{ name: "c" }] },
  { pattern: /a/i, count: null, stream: ["a", "b"], usage: { prompt_tokens: 1, completion_tokens: 2 } },
  { error: { status: 429, code: 3040 } },
];
const ids: number[] = await ai.setAnswers(answers);
const [{ prompt, inputs }] = await ai.assertAsked({ model: "@cf/*", pattern: /a/, times: ids.length });
const worker: { configPath: string; url: string } = await simulatedWorker({ simulator: ["--plan", "free"] });
await ai.setFault({ binding: "AI", status: 500 });
// @ts-expect-error: nothing is answered
await ai.setAnswer({ prompt });
// @ts-expect-error: an error has a status
await ai.setAnswer({ error: { code: 1 } });
// @ts-expect-error: there is no such binding
await ai.setFault({ binding: "R2", status: 500 });
export { inputs, worker };
"""


def test_the_types_of_the_npm_package_fit_its_use(packages: BuiltPackages, top: Path) -> None:
    project = lay_out(packages, "chat", top)
    (project / "typed.mts").write_text(TYPED)
    options = {
        "strict": True, "noEmit": True, "module": "nodenext", "target": "esnext", "lib": ["esnext", "dom"],
        "types": [],
    }  # fmt: skip
    configuration = {"compilerOptions": options, "files": ["typed.mts", "src/index.ts"]}
    (project / "tsconfig.json").write_text(json.dumps(configuration))
    tsc = [str(ROOT / "node_modules/.bin/tsc"), "--pretty", "false"]
    done = subprocess.run(tsc, cwd=project, text=True, capture_output=True, timeout=100, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


# ---- nightly -------------------------------------------------------------------------------------------------------


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("example", "options"),
    [
        ("chat", ()),
        ("hono-vectorize", ("--index", "notes:768", "--metadata-index", "notes:language:string")),
        ("pages", ()),
    ],
)
def test_a_worker_runs_offline_with_one_command(
    packages: BuiltPackages, top: Path, example: str, options: tuple[str, ...]
) -> None:
    project = install(packages, example, top)
    before = files(project)
    dev = Dev.start(project, *options, command=("npx", "--offline", "workers-ai-simulator"))
    try:
        addresses = dev.addresses()
        run_tests(project, addresses)
        dev.end()
        until(lambda: [url for url in addresses.values() if is_listening(url)], lambda left: not left)
        assert files(project) == before
    finally:
        dev.close()


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("example", "program"),
    [
        ("vitest", ("npx", "--offline", "vitest", "run")),
        ("vite", ("node", "--test")),
        ("platform-proxy", ("node", "--test")),
        ("node-test", ("node", "--test")),
    ],
)
def test_tests_run_offline_with_one_command(
    packages: BuiltPackages, top: Path, example: str, program: tuple[str, ...]
) -> None:
    project = install(packages, example, top)
    before = files(project)
    run_tests(project, {}, *program)
    assert files(project) == before


def lay_out_with(version: str, packages: BuiltPackages, top: Path, downloads: Path) -> Path:
    """The example chat with that release of wrangler, at a compatibility date that its workerd knows."""
    project = lay_out(packages, "chat", top)
    installed = npm_packages.install(downloads, f"wrangler@{version}").parent
    (top / "node_modules/wrangler").unlink()
    (top / "node_modules/wrangler").symlink_to(installed / "wrangler")
    file = project / "wrangler.jsonc"
    file.write_text(re.sub(r'("compatibility_date": )"[\d-]+"', r'\1"2025-09-01"', file.read_text()))
    return project


OLDEST, OLDER, TOO_OLD = "4.36.0", "4.131.0", "4.35.0"
"""Releases of wrangler: the oldest that takes plugins, one from September 2026, and the one before the oldest."""


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("version", "more"),
    [(OLDEST, {}), (OLDER, {"ai_search": [{"binding": "BOOK", "instance_name": "handbook"}]})],
)
def test_older_releases_of_wrangler_run_a_worker(
    packages: BuiltPackages, top: Path, tmp_path_factory: pytest.TempPathFactory, version: str, more: dict[str, object]
) -> None:
    project = lay_out_with(version, packages, top, tmp_path_factory.mktemp("wrangler"))
    file = project / "wrangler.jsonc"
    file.write_text(file.read_text().replace("{", f"{{ {json.dumps(more)[1:-1]}{',' if more else ''}", 1))
    done = command(project, "doctor")
    assert (done.returncode, f"ok    wrangler {version} is" in done.stdout) == (0, True), done.stdout + done.stderr
    dev = Dev.start(project)
    try:
        run_tests(project, dev.addresses())
        dev.end()
    finally:
        dev.close()


@pytest.mark.nightly
def test_the_release_before_the_oldest_is_refused_for_it_takes_no_plugins(
    packages: BuiltPackages, top: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = lay_out_with(TOO_OLD, packages, top, tmp_path_factory.mktemp("wrangler"))
    assert (
        f"wrangler {TOO_OLD} is too old: {OLDEST} is the oldest that can simulate AI"
        in command(project, "doctor").stdout
    )
    file = top / "node_modules" / SIMULATOR / "javascript/project.mjs"
    file.write_text(file.read_text().replace(OLDEST, TOO_OLD))
    admitted = command(project, "doctor")
    assert admitted.returncode == 1
    assert "miniflare does not ask the plugin" in admitted.stdout


PNPM = "pnpm@10.34.9"


@pytest.mark.nightly
def test_a_workspace_of_pnpm_runs_offline_and_without_python_says_what_to_do(
    packages: BuiltPackages, top: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """pnpm shows a package its own dependencies only, and runs no scripts of packages that nobody has allowed."""
    pnpm = str(npm_packages.install(tmp_path_factory.mktemp("pnpm"), PNPM) / "pnpm")
    project = lay_out(packages, "chat", top)
    shutil.rmtree(top / "node_modules")
    (top / "pnpm-workspace.yaml").write_text("packages: ['packages/*']\nonlyBuiltDependencies: [esbuild, workerd]\n")
    (top / "package.json").write_text('{"private": true}')
    manifest = (project / "package.json").read_text()
    (project / "package.json").write_text(manifest.replace('"0.1.0"', json.dumps(f"file:{packages.tarball}")))
    subprocess.run([pnpm, "install", "--silent"], cwd=project, check=True, timeout=600)
    script = project / COMMAND
    nowhere = {"PATH": "/nowhere", "HOME": str(top)}
    (top / ".venv").rename(top / "venv")
    without = subprocess.run(
        [str(shutil.which("node")), str(script), "dev"], cwd=project, env=nowhere, text=True, capture_output=True,
        check=False,
    )  # fmt: skip
    assert re.search(r"needs Python 3.11 to 3.14 \(there is none\). Install uv, which brings it: \S", without.stderr)
    (top / "venv").rename(top / ".venv")
    dev = Dev.start(project, command=(pnpm, "exec", "workers-ai-simulator"))
    try:
        addresses = dev.addresses()
        run_tests(project, addresses)
        dev.end()
        until(lambda: [url for url in addresses.values() if is_listening(url)], lambda left: not left)
        assert not list(project.glob(".wrangler.simulated-*"))
    finally:
        dev.close()


@pytest.mark.nightly
def test_pytest_runs_a_worker_and_a_program_offline(packages: BuiltPackages, top: Path) -> None:
    project = install(packages, "pytest", top, "httpx", "pytest")
    run_tests(project, {}, ".venv/bin/python", "-m", "pytest", "-p", "no:cacheprovider")
    assert processes_of(project) == {}


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_python_worker_runs_offline_with_one_command(packages: BuiltPackages, top: Path) -> None:
    """By pytest, which starts it, and by itself: its interpreter is compiled by the first of the two."""
    offline = build_wheel(packages.wheel.parent, ROOT / "packages/offline-python-workers")
    project = install(packages, "python-worker", top, "httpx", "pytest", str(offline))
    dependencies = tomllib.loads((project / "pyproject.toml").read_text())["project"]["dependencies"]
    install_python_modules(project, *dependencies)
    run_tests(project, {}, ".venv/bin/python", "-m", "pytest")
    assert processes_of(project) == {}
    dev = Dev.start(project, "--index", "notes:768", command=("npx", "--offline", "workers-ai-simulator"))
    try:
        addresses = dev.addresses()
        assert "AI, NOTES (vectorize notes): simulated" in dev.printed
        with httpx.Client(base_url=addresses["WORKER"], timeout=100) as client:
            notes = [{"id": "a", "text": "It rains in Oslo."}]
            assert client.post("/notes", json=notes).status_code == 202
            assert "It rains" in client.get("/ask?q=How+is+Oslo").json()["answer"]
            entry = project / "src/entry.py"
            entry.write_text(entry.read_text().replace("POST /notes with", "Send notes with"))
            until(lambda: client.get("/").text, lambda text: text.startswith("Send notes with"))
        dev.end()
        until(lambda: [url for url in addresses.values() if is_listening(url)], lambda left: not left)
        assert not list(project.glob(".wrangler.simulated-*"))
    finally:
        dev.close()


@pytest.fixture
def running(packages: BuiltPackages, top: Path) -> Iterator[tuple[Path, Dev]]:
    project = lay_out(packages, "hono-vectorize", top)
    dev = Dev.start(project, "--index", "notes:768")
    try:
        yield project, dev
    finally:
        dev.close()


@pytest.mark.nightly
def test_when_the_simulator_dies_wrangler_is_stopped(running: tuple[Path, Dev]) -> None:
    project, dev = running
    addresses = dev.addresses()
    [simulator] = [pid for pid, line in processes_of(project).items() if "-m workers_ai_simulator" in line]
    os.kill(simulator, signal.SIGKILL)
    assert dev.process.wait(60) == 1
    assert "the simulator ended with status SIGKILL; wrangler is stopped" in dev.printed
    assert not is_listening(addresses["WORKER"])
    assert processes_of(project) == {}


@pytest.mark.nightly
def test_when_wrangler_dies_the_simulator_is_stopped(running: tuple[Path, Dev]) -> None:
    project, dev = running
    addresses = dev.addresses()
    [wrangler] = [pid for pid, line in processes_of(project).items() if "bin/wrangler.js" in line]
    os.kill(wrangler, signal.SIGKILL)
    assert dev.process.wait(60) == 1
    assert not is_listening(addresses["SIMULATOR"])
    until(lambda: processes_of(project), lambda left: not left)
    assert not list(project.glob(".wrangler.simulated-*"))


@pytest.mark.nightly
def test_after_a_kill_nothing_runs_and_the_next_start_removes_the_file(running: tuple[Path, Dev]) -> None:
    project, dev = running
    dev.addresses()
    dev.process.kill()
    dev.process.wait()
    until(lambda: processes_of(project), lambda running: not running)
    [left] = project.glob(".wrangler.simulated-*")
    again = Dev.start(project)
    try:
        again.addresses()
        assert not left.exists()
        again.end()
    finally:
        again.close()


@pytest.mark.nightly
def test_an_edit_of_the_configuration_is_followed(running: tuple[Path, Dev]) -> None:
    project, dev = running
    worker = dev.addresses()["WORKER"]
    (project / "src/index.ts").write_text("export default { fetch: (_, env) => new Response(env.GREETING) };")
    file = project / "wrangler.toml"
    file.write_text(f'{file.read_text()}\n[vars]\nGREETING = "Hello"\n')
    until(lambda: httpx.get(worker, timeout=60).text, lambda text: text == "Hello")
    file.write_text("[")
    dev.wait_for(r"(wrangler cannot read)")
    assert httpx.get(worker, timeout=60).text == "Hello"


@pytest.mark.nightly
@pytest.mark.parametrize("example", ["chat", "hono-vectorize"])
def test_init_adds_an_environment(packages: BuiltPackages, top: Path, example: str) -> None:
    project = lay_out(packages, example, top)
    done = command(project, "init")
    assert 'has an environment "local" now' in done.stdout, done.stderr
    [(name, before)] = contents(example).items()
    written = (project / name).read_text()
    comments = [line.strip() for line in before.decode().splitlines() if line.strip().startswith("//")]
    assert [line for line in comments if line not in written] == []
    assert "\t" not in written
    listed = ("node", str(project.parent.parent / "node_modules/wrangler/bin/wrangler.js"), "deploy", "--dry-run")
    run_tests(project, {}, *listed, "--env", "local")
    again = command(project, "init")
    assert (again.returncode, 'has an environment "local" already' in again.stderr) == (1, True)


@pytest.mark.nightly
def test_init_leaves_a_pages_project_as_it_is(packages: BuiltPackages, top: Path) -> None:
    """wrangler refuses environments of Pages projects that are neither production nor preview."""
    project = lay_out(packages, "pages", top)
    done = command(project, "init")
    assert (done.returncode, "Run it as it is: npx workers-ai-simulator dev" in done.stderr) == (1, True)
    assert {path.name: path.read_bytes() for path in project.glob("wrangler.*")} == contents("pages")


SIMULATOR = "workers-ai-simulator/src/workers_ai_simulator"
MINIFLARE = "miniflare/dist/src/index.js"
PLUGIN = f"{SIMULATOR}/miniflare_plugin.cjs"
AI_SEARCH = """
[[ai_search_namespaces]]
binding = "SEARCH"
namespace = "default"

[[ai_search]]
binding = "BOOK"
instance_name = "handbook"
"""


def test_the_doctor_calls_each_binding_through_wrangler(packages: BuiltPackages, top: Path) -> None:
    """By each of the internals that the simulator relies on. After a release that has changed one, it says which."""
    project = lay_out(packages, "hono-vectorize", top)
    with (project / "wrangler.toml").open("a") as file:
        file.write(AI_SEARCH)
    done = command(project, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition(" ")[0] for line in done.stdout.splitlines()] == ["ok"] * 5
    called = "AI, NOTES (vectorize notes), SEARCH (ai-search-namespace default), BOOK (ai-search handbook)"
    assert done.stdout.splitlines()[-1].endswith(f"the simulator has answered: {called}")


STAGING = """
[env.staging]
ai = { binding = "MODEL" }

[env.plain]
vars = { A = "b" }
"""


@pytest.mark.nightly
def test_the_doctor_and_dev_take_an_environment(packages: BuiltPackages, top: Path) -> None:
    project = lay_out(packages, "hono-vectorize", top)
    with (project / "wrangler.toml").open("a") as file:
        file.write(STAGING)
    done = command(project, "doctor", "--env", "staging")
    assert done.stdout.splitlines()[-1].endswith("the simulator has answered: MODEL"), done.stdout + done.stderr
    plain = command(project, "doctor", "--env=plain")
    assert 'WRONG The environment "plain" of' in plain.stdout
    assert "has no binding to simulate" in plain.stdout
    (project / "src/index.ts").write_text("export default { fetch: (_, env) => new Response(Object.keys(env)) };")
    dev = Dev.start(project, command=("env", "CLOUDFLARE_ENV=staging", "node", str(top / COMMAND)))
    try:
        dev.wait_for(r"(simulator: MODEL: simulated)")
        assert httpx.get(dev.addresses()["WORKER"]).text == "MODEL"
        dev.end()
    finally:
        dev.close()


OWN = 'key === "workers-ai-simulator"'
CHANGES = {
    "no experimental_readRawConfig": (
        "wrangler/wrangler-dist/cli.js", "exports.experimental_readRawConfig", "exports.readRawConfig",
    ),
    "miniflare exports no class ProxyNodeBinding": (MINIFLARE, "ProxyNodeBinding: () =>", "NodeBinding: () =>"),
    "miniflare does not ask the plugin that": (
        MINIFLARE, "await plugin.getBindings(", f"{OWN} ? [] : await plugin.getBindings(",
    ),
    "hands getBindings another value than {config: {env:": (
        MINIFLARE, "plugin.getBindings(\n          workerOpts", f"plugin.getBindings({OWN} ? {{}} : workerOpts",
    ),
    "(getServices)": (
        MINIFLARE, "OptionsBase,\n          options: workerOpts", f"OptionsBase, options: {OWN} ? {{}} : workerOpts",
    ),
    "(getNodeBindings)": (
        MINIFLARE, "await plugin.getNodeBindings(workerOpts", f"await plugin.getNodeBindings({OWN} ? {{}} : workerOpts",
    ),
    # workerd is one file that no test can change: the plugin calls it as if it had another name for what it has
    "wrapped by its module cloudflare-internal:ai-api": (PLUGIN, "internal:ai-api", "internal:ai"),
    "wrapped by its module cloudflare-internal:vectorize-api": (PLUGIN, "internal:vectorize-api", "internal:index"),
    "the class Ai of workerd's": (PLUGIN, 'name: "fetcher"', 'name: "caller"'),
    "with indexId, indexVersion and useNdJson": (PLUGIN, 'kind === "vectorize" ?', 'kind === "none" ?'),
}  # fmt: skip
"""A part of the sentence → file of node_modules, a text in it, and what a later release would have in its place."""


@pytest.mark.nightly
@pytest.mark.parametrize(("sentence", "file", "before", "after"), [(name, *each) for name, each in CHANGES.items()])
def test_an_internal_that_a_release_has_changed_is_named(
    packages: BuiltPackages, top: Path, sentence: str, file: str, before: str, after: str
) -> None:
    project = lay_out(packages, "hono-vectorize", top)
    modules = top / "node_modules"
    copy_wrangler(modules)
    text = (modules / file).read_text()
    assert before in text
    (modules / file).write_text(text.replace(before, after))
    done = command(project, "doctor")
    [wrong] = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert sentence in wrong, done.stdout + done.stderr
    assert re.search(r"wrangler \d+\.\d+\.\d+", wrong)
    assert done.returncode == 1


PAGES = sorted(EXAMPLES.glob("*/README.md"))


def test_every_way_to_test_has_a_page() -> None:
    tools = {"node-test", "platform-proxy", "pytest", "python-worker", "vite", "vitest"}
    assert {page.parent.name for page in PAGES} == tools


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_code_of_a_page_is_the_example_s(page: Path) -> None:
    folders = [page.parent / name for name in ("", "src", "test", "tests")]
    texts = [path.read_text() for folder in folders for path in folder.glob("*.*") if path.is_file() and path != page]
    blocks = re.findall(r"^```(?!sh)\w+\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    assert [block for block in blocks if not any(block in text for text in texts)] == []
