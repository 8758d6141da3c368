"""`scripts/dev` as a command: its output, its refusals, and that it leaves nothing behind."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.conftest import TLS, DevServer, until
from tools import ROOT
from tools.dev import ports, variables
from tools.dev.processes import SECONDS_TO_STOP

DEV = [sys.executable, str(ROOT / "scripts/dev")]

CONFIGURATION = (
    '{"name": "edited", "main": "src/entry.py",  // a comment\n'
    '"compatibility_date": "2026-11-01", "compatibility_flags": ["python_workers"],}'
)
"""Configuration of a Worker of one file."""

WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/broken"):
            raise ValueError("broken")
        return Response("first")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a Worker of one file, which starts in half the time."""
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "wrangler.jsonc").write_text(CONFIGURATION)
    (folder / "src/entry.py").write_text(WORKER)
    return folder


def descendants(pid: int) -> set[int]:
    """Return the ids of all descendants of a process."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], text=True, capture_output=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in listing.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    inodes: set[int] = set()
    to_visit = [pid]
    while to_visit:
        for child in children.get(to_visit.pop(), []):
            inodes.add(child)
            to_visit.append(child)
    return inodes


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], text=True, capture_output=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")  # nobody may be there to bury it: dead all the same


@pytest.mark.parametrize("path", ["/", "/health", "/rag/documents", "/cdn-cgi/local/explorer"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8787", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_a_name_that_a_web_page_made_up_is_refused(client: httpx.Client, host: str, path: str) -> None:
    spoofed = {
        "mf-original-url": str(client.base_url.join("/health")),
        "x-forwarded-host": "localhost",
        "x-forwarded-proto": "http",
    }
    for more in ({}, spoofed):
        response = client.get(path, headers={"host": host, **more})
        assert response.status_code == 403
        assert "ALLOWED_HOSTS" in response.text or "Host" in response.text


def test_names_and_addresses_of_this_machine_are_served(client: httpx.Client) -> None:
    for host in ("localhost", "app.localhost:1", "127.0.0.1", "[::1]:8787", "192.168.0.7"):
        assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "path", ["", "/", "/api", "/api/d1/database", "/api/r2/buckets", "/api/workers/durable_objects/namespaces"]
)
def test_wrangler_s_explorer_gives_no_data_to_those_without_a_key(client: httpx.Client, path: str) -> None:
    for explorer in ("/cdn-cgi/explorer", "/cdn-cgi/local/explorer"):  # the older place and the newer one
        response = client.get(f"{explorer}{path}")
        assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/cdn-cgi/local/r2/public/aiworker/images/a.png", "/cdn-cgi/local/r2/s3/aiworker", "/cdn-cgi/local/email",
        "/cdn-cgi/handler/email", "/cdn-cgi/handler/r2/s3/aiworker", "/__cf_local/stream/a",
        "/cdn-cgi/mf/stream/a", "//cdn-cgi/../cdn-cgi/local/r2/s3/aiworker",
    ],
)  # fmt: skip
def test_none_of_miniflare_s_own_paths_is_served(client: httpx.Client, path: str) -> None:
    spoofed = {"mf-original-url": str(client.base_url.join(path)), "mf-op": "GET"}
    for url, headers in ((path, {}), ("/health", spoofed), (path, spoofed)):
        for method in ("GET", "PUT"):
            response = client.request(method, url, headers=headers)
            is_worker_s = url == "/health" and response.status_code in (200, 405)  # the header says nothing
            assert is_worker_s or (response.status_code, response.json()["error"]["type"]) == (404, "not_found")


@pytest.mark.parametrize("headers", [{}, {"mf-op": "GET"}, {"mf-op": "GET", "mf-op-secret": "0" * 64}])
def test_the_proxy_of_bindings_is_closed(client: httpx.Client, headers: dict[str, str]) -> None:
    # miniflare's own, in front of wrangler's proxy: it has the secret of its process
    response = client.get("/cdn-cgi/local/platform-proxy", headers=headers)
    assert response.status_code in (400, 401)
    assert len(response.content) < 50


def test_the_host_that_is_given_is_served() -> None:
    printed = subprocess.run([*DEV, "--host", "devbox", "--dry-run"], text=True, capture_output=True, check=True).stdout
    assert json.loads(printed)["configuration"]["vars"]["ALLOWED_HOSTS"] == "localhost devbox"


def stop_without_a_trace(server: DevServer, number: signal.Signals) -> None:
    """Send a signal to end: scripts/dev must end well, and nothing that it has started or written may be left."""
    started = descendants(server.process.pid)
    assert len(started) >= 3  # the simulator, wrangler, workerd
    assert server.stop(number) == 0
    assert {pid for pid in started if is_alive(pid)} == set()
    assert not list((ROOT / ".aiworker").glob(f"run-{server.process.pid}*"))


def test_no_process_is_left_after_ctrl_c(tmp_path: Path) -> None:
    stop_without_a_trace(DevServer.start("--persist-to", tmp_path), signal.SIGINT)


def stop_the_deaf(server: DevServer) -> None:
    """Send SIGTERM while no child can react to anything: all of them must end all the same, and in time."""
    started = descendants(server.process.pid)
    for pid in started:
        os.kill(pid, signal.SIGSTOP)
    server.process.send_signal(signal.SIGTERM)
    assert SECONDS_TO_STOP < 5  # the promise to the user
    assert server.process.wait(60) == 0
    assert {pid for pid in started if is_alive(pid)} == set()


def test_a_crashed_workerd_is_started_again_and_sighup_leaves_no_process(project: Path) -> None:
    server = DevServer.start("--project", project)
    try:
        seen = len(server.lines)
        os.kill(workerd_of(server), signal.SIGKILL)
        server.wait_for(r"workerd has crashed: starting it again \(1 of 3\)", after=seen)
        server.wait_for(r"Ready on", after=seen)
        assert httpx.get(server.url, verify=TLS, timeout=60).text == "first"
        stop_without_a_trace(server, signal.SIGHUP)
    finally:
        server.stop()


def workerd_of(server: DevServer) -> int:
    """The process of wrangler's proxy, which is the first to be started. If it is killed, scripts/dev starts again."""
    started = descendants(server.process.pid)
    listing = subprocess.run(["ps", "-eo", "pid=,args="], text=True, capture_output=True, check=True).stdout
    rows = (line.split(maxsplit=2) for line in listing.splitlines())
    workerd = [int(pid) for pid, program, *_ in rows if program.endswith("workerd") and int(pid) in started]
    return min(workerd)


def kill_simulator(server: DevServer) -> None:
    started = descendants(server.process.pid)
    listing = subprocess.run(["ps", "-eo", "pid=,args="], text=True, capture_output=True, check=True).stdout
    rows = (line.split(maxsplit=1) for line in listing.splitlines())
    [simulator] = [int(pid) for pid, *args in rows if "workers_ai_simulator" in "".join(args) and int(pid) in started]
    os.kill(simulator, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent was killed")
def test_a_killed_run_leaves_no_process_and_the_files_of_one_are_removed(project: Path) -> None:
    files = [project / f".wrangler-official-999999999.{kind}" for kind in ("json", "env")]
    for file in files:
        file.write_text("TOKEN_SECRET=s3cret")
    server = DevServer.start("--project", project)
    assert [file for file in files if file.exists()] == []
    started = descendants(server.process.pid)
    server.stop(signal.SIGKILL)
    until(lambda: {pid for pid in started if is_alive(pid)}, lambda alive: alive == set())


HASTY = """
import runpy
from tools.dev import long_steps, server
server.NUDGE_SECONDS = 3
long_steps.FIRST_SECONDS = long_steps.NEXT_SECONDS = 0.3
runpy.run_path("scripts/dev", run_name="__main__")
"""
"""Program that runs scripts/dev with NUDGE_SECONDS of 3, and with lines about steps that take a third of a second."""


def test_an_edit_that_loads_for_long_is_loaded_once(project: Path) -> None:
    entry = project / "src/entry.py"
    worker = (
        "from workers import Response, WorkerEntrypoint\n"
        "for _ in range({rounds}): pass\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request): return Response('{rounds}')\n"
    )
    entry.write_text(worker.format(rounds=0))
    server = DevServer.start("--project", project, program=("-c", HASTY))
    try:
        # four seconds with the start of the Worker, and a quick one to see whether another came in between
        for rounds in (20_000_000, 1):
            with server.reload():
                entry.write_text(worker.format(rounds=rounds))
            assert httpx.get(server.url, timeout=60, verify=TLS).text == str(rounds)
        assert server.lines.count("Reloaded") == 2
        steps = [line.partition(" … ") for line in server.lines if line.endswith(" s")]
        assert {"Starting the Worker", "Loading the Worker again"} <= {title for title, *_ in steps}
        assert all(re.fullmatch(r"\d+ s", seconds) for *_, seconds in steps)
    finally:
        server.stop()


def check_that_pages_of_this_machine_may_read_the_traceback(url: str) -> None:
    for origin, is_allowed in (("http://localhost:3000", True), ("http://[::1]:5173", True), ("https://a.b", False)):
        response = httpx.post(url, headers={"origin": origin}, verify=TLS, timeout=60)
        assert response.status_code == 500
        assert (response.headers.get("access-control-allow-origin") == origin) is is_allowed
    headers = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    preflight = httpx.options(url, headers={"origin": "http://localhost:3000", **headers}, verify=TLS, timeout=60)
    assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (204, "content-type")


def test_an_edit_is_served_and_the_end_comes_in_time_though_no_child_listens(project: Path) -> None:
    entry = project / "src/entry.py"
    server = DevServer.start("--project", project)
    get = partial(httpx.get, server.url, timeout=60, verify=TLS)
    try:
        assert get().text == "first"
        httpx.get(f"{server.url}/broken", timeout=60, verify=TLS)
        server.wait_for("GET /broken 500")
        assert server.lines.count("ValueError: broken") == 1  # workerd and wrangler both report it
        assert any('File "src/entry.py"' in line for line in server.lines)
        assert not any("wasm://" in line for line in server.lines)
        with server.reload():
            entry.write_text(WORKER.replace("first", "second"))
        assert get().text == "second"
        with server.reload():
            (project / "src/added.py").write_text("TEXT = 'third'\n")
        with server.reload():
            entry.write_text("import added\n" + WORKER.replace('"first"', "added.TEXT"))
        assert get().text == "third"
        with server.reload():
            entry.unlink()
        assert get().status_code == 500
        with server.reload():
            entry.write_bytes(b"\xe9")
        assert "SyntaxError" in get().text
        assert 'File "src/entry.py"' in get().text
        check_that_pages_of_this_machine_may_read_the_traceback(server.url)
        printed = [line for line in server.lines if "SyntaxError" in line]
        assert len(printed) == 1
        assert not any("\x1b" in line or "/session/" in line for line in server.lines)
        with server.reload():
            entry.write_text(WORKER.replace("first", "mended"))
        assert get().text == "mended"
        stop_the_deaf(server)
    finally:
        server.stop()


def take_two(taken: contextlib.ExitStack) -> int:
    """Listen on a port and the next one, which another process may have. Returns the first."""
    while True:
        port = ports.claim()
        with contextlib.ExitStack() as both, contextlib.suppress(OSError):
            for each in (port, port + 1):
                both.enter_context(socket.create_server(("127.0.0.1", each)))
            taken.push(both.pop_all())
            return port


def test_a_taken_port_is_refused_with_another(tmp_path: Path) -> None:
    with contextlib.ExitStack() as taken:
        port = take_two(taken)
        done = subprocess.run([*DEV, "--port", str(port)], text=True, capture_output=True, timeout=100, check=False)
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 cannot be used" in done.stderr
    proposed = re.search(r"This one is free: scripts/dev --port (\d+)$", done.stderr, re.MULTILINE)
    assert proposed
    assert int(proposed[1]) > port + 1


def test_an_address_of_another_machine_is_refused_without_another_port() -> None:
    command = [*DEV, "--host", "192.0.2.1"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=100, check=False)
    assert done.returncode == 1
    assert "Port 8787 of 192.0.2.1 cannot be used" in done.stderr
    assert "free" not in done.stderr


def test_a_server_that_is_ready_names_its_pages(dev_server: DevServer | None) -> None:
    if dev_server is None:
        pytest.skip("the output of a server that is already up is not seen")
    ready = dev_server.lines.index(f"Ready on {dev_server.url}")
    assert dev_server.lines[ready + 1 : ready + 4] == [
        f"  Console   {dev_server.url}", f"  API       {dev_server.url}/docs", f"  Simulator {dev_server.simulator}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ('{"name": "a"', "is not valid JSON with comments"),
        ("[]", "must hold an object"),
        ('{"name": "a", "compatibility_date": "2025-01-01"}', "compatibility_date must be 2026-09-08 or later"),
        ('{"name": "a", "compatibility_date": 20261101}', "compatibility_date must be 2026-09-08 or later"),
        ('{"name": "a", "compatibility_date": "2026-11-01"}', "main must be the Worker's Python module"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_configuration_that_cannot_be_run_is_refused(tmp_path: Path, configuration: str | None, words: str) -> None:
    if configuration is not None:
        (tmp_path / "wrangler.jsonc").write_text(configuration)
    command = [*DEV, "--port", "0", "--project", str(tmp_path)]
    done = subprocess.run(command, text=True, capture_output=True, timeout=100, check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def dry_run(*arguments: str) -> dict[str, dict[str, object]]:
    done = subprocess.run([*DEV, "--dry-run", *arguments], text=True, capture_output=True, timeout=100, check=True)
    return json.loads(done.stdout)


def test_a_dry_run_shows_what_would_run() -> None:
    plan = dry_run("--port", "8799", "--models", "http://localhost:11434", "--chat-models", "*=qwen3:4b")
    assert plan["configuration"]["main"] == "main.mjs"
    assert "ai" not in plan["configuration"]
    assert plan["configuration"]["vars"]["AUTH_MODE"] == "public"  # type: ignore[index]
    assert "8799" in plan["commands"]["wrangler"]  # type: ignore[operator]
    simulator: list[str] = plan["commands"]["simulator"]  # type: ignore[assignment]
    assert simulator[-4:] == ["--models", "http://localhost:11434", "--chat-models", "*=qwen3:4b"]


def test_a_variable_of_the_command_line_takes_the_place_of_the_configuration_s() -> None:
    plan = dry_run("--var", "CHAT_MODEL=a=b", "--var", "AUTH_MODE=closed", "--var", "GUARD=")
    variables = plan["configuration"]["vars"]
    assert (variables["CHAT_MODEL"], variables["AUTH_MODE"], variables["GUARD"]) == ("a=b", "closed", "")  # type: ignore[index]
    assert variables["SIMULATED"] == "AI VECTORIZE"  # type: ignore[index]


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("CHAT_MDEL=x", "--var: CHAT_MDEL is no variable of aiworker; did you mean CHAT_MODEL?"),
        ("WEATHER=rain", "--var: WEATHER is no variable of aiworker; docs/configuration.md lists those"),
    ],
)
def test_a_variable_that_the_worker_does_not_read_is_refused(variable: str, words: str) -> None:
    for options in (["--dry-run"], ["--port", "0"]):
        command = [*DEV, *options, "--var", variable]
        done = subprocess.run(command, text=True, capture_output=True, timeout=60, check=False)
        assert done.returncode == 1
        assert words in done.stderr


def test_another_worker_s_variables_are_its_own() -> None:
    plan = dry_run("--project", str(ROOT / "tests/runtime/project"), "--var", "CHAT_MDEL=x")
    assert plan["configuration"]["vars"]["CHAT_MDEL"] == "x"  # type: ignore[index]


@pytest.mark.parametrize("variable", ["CHAT_MODEL", "=value", "", "CHAT MODEL=a"])
def test_a_variable_without_a_name_or_a_value_is_refused(variable: str) -> None:
    command = [*DEV, "--dry-run", "--var", variable]
    done = subprocess.run(command, text=True, capture_output=True, timeout=100, check=False)
    assert done.returncode == 2
    assert "is not NAME=VALUE" in done.stderr


def test_the_official_runtime_has_the_project_s_own_main_module_and_the_simulators() -> None:
    plan = dry_run("--official")
    configuration = plan["configuration"]
    assert configuration["main"] == "src/entry.py"
    assert configuration["compatibility_flags"] == ["python_workers", "enable_request_signal"]
    assert [binding["name"] for binding in configuration["unsafe"]["bindings"]] == ["AI", "VECTORIZE"]  # type: ignore[index]
    assert plan["commands"]["wrangler"][0].endswith("pywrangler")  # type: ignore[union-attr]
    assert Path(str(plan["configuration_file"])).parent == ROOT


def test_remote_has_the_account_s_own_models_and_no_simulator() -> None:
    plan = dry_run("--remote")
    assert plan["configuration"]["ai"] == {"binding": "AI", "remote": True}
    assert plan["configuration"]["vectorize"][0]["remote"] is True  # type: ignore[index]
    assert "unsafe" not in plan["configuration"]
    assert plan["commands"]["simulator"] is None


ODD = """it's "$HOME" # and\na line"""
"""A value that is hard to write into a file for wrangler."""


def test_variables_given_by_hand_are_nowhere_to_be_read_and_the_end_of_a_child_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "wrangler.jsonc").write_text(CONFIGURATION)
    (tmp_path / ".dev.vars").write_text("TOKEN_SECRET=of-the-file\nKEPT=yes\n")
    (tmp_path / "src/entry.py").write_text(
        "from workers import Response, WorkerEntrypoint\n"
        "NAMES = ('TOKEN_SECRET', 'KEPT', 'ODD', 'EMPTY', 'RATE_LIMITS')\n"
        "class Default(WorkerEntrypoint):\n"
        "    async def fetch(self, request): return Response.json({n: str(getattr(self.env, n)) for n in NAMES})\n"
    )
    options = ["--var=TOKEN_SECRET=s3cret$x", f"--var=ODD={ODD}", "--var=EMPTY="]
    server = DevServer.start("--project", tmp_path, *options)
    try:
        seen = httpx.get(server.url, timeout=60, verify=TLS).json()
        assert seen == {"TOKEN_SECRET": "s3cret$x", "KEPT": "yes", "ODD": ODD, "EMPTY": "", "RATE_LIMITS": "off"}
        for pid in descendants(server.process.pid):
            listed = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], text=True, capture_output=True)
            assert "s3cret" not in listed.stdout
        assert "s3cret" not in "\n".join(server.lines)
        run = ROOT / f".aiworker/run-{server.process.pid}"
        assert run.stat().st_mode & 0o077 == 0
        assert {name for name in ("wrangler.json", "variables.env") if (run / name).stat().st_mode & 0o077} == set()
        started = descendants(server.process.pid)
        kill_simulator(server)
        assert server.process.wait(60) == 1
        assert server.wait_for("The simulator ended with status -9")
        assert {pid for pid in started if is_alive(pid)} == set()
    finally:
        server.stop()


@pytest.mark.parametrize("runtime", ["--official", "--project=."])
def test_a_dry_run_shows_no_secret(runtime: str) -> None:
    plan = dry_run(runtime, "--var", "TOKEN_SECRET=s3cret", "--var", "MAX_TEXTS=9")
    assert "s3cret" not in json.dumps(plan)
    assert plan["configuration"]["vars"]["TOKEN_SECRET"] == "***"  # type: ignore[index]
    assert plan["configuration"]["vars"]["MAX_TEXTS"] == "9"  # type: ignore[index]


def test_a_run_for_tests_has_the_variables_that_tests_need_unless_others_are_given() -> None:
    plan = dry_run("--for-tests", "--var", "BREAKER=on")
    assert {**variables.FOR_TESTS, "BREAKER": "on"}.items() <= plan["configuration"]["vars"].items()  # type: ignore[attr-defined]
    assert "--metadata-index=aiworker-passages:year:number" in plan["commands"]["simulator"]  # type: ignore[operator]
    assert str(ROOT / ".wrangler/state-for-tests") in plan["commands"]["wrangler"]  # type: ignore[operator]


def test_the_properties_of_dev_vars_get_their_metadata_indexes(tmp_path: Path) -> None:
    more = '"vars": {"RAG_PROPERTIES": "kind:string"}, "vectorize": [{"binding": "V", "index_name": "passages"}]}'
    (tmp_path / "wrangler.jsonc").write_text(CONFIGURATION.removesuffix("}") + more)
    (tmp_path / ".dev.vars").write_text("RAG_PROPERTIES=language:string year:number\n")
    plan = dry_run("--project", str(tmp_path))
    indexes = [each for each in plan["commands"]["simulator"] if each.startswith("--metadata-index")]  # type: ignore[attr-defined]
    assert indexes == ["--metadata-index=passages:language:string", "--metadata-index=passages:year:number"]
