"""Tools of MCP servers, which models use by way of the Worker: the official servers, with a handshake and without."""

import json
import shutil
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import TLS, ErrorOf, StartServer
from tools.dev.processes import end_with_parent
from tools.setup import install

HERE = Path(__file__).parent
MODEL = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"


@contextmanager
def running(*command: str | Path) -> Generator[str]:
    """An MCP server as a process; yields its address."""
    process = subprocess.Popen(
        command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=end_with_parent
    )
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def client(start_server: StartServer) -> Iterator[httpx.Client]:
    """A Worker with two MCP servers that answer, and one that does not."""
    try:
        python = install.install_clients()
    except install.InstallError as error:
        pytest.skip(f"the clients cannot be installed: {error}")
    node = shutil.which("node") or "node"
    with running(node, HERE / "mcp_server.mjs") as weather, running(python, HERE / "frameworks/mcp_server.py") as tides:
        servers = {
            "weather": {"url": weather, "headers": {"authorization": "Bearer of-this-test"}},
            "tides": {"url": tides},
            "locked": {"url": weather, "headers": {"authorization": "Bearer wrong"}},
        }
        with (
            start_server(MCP_SERVERS=json.dumps(servers)) as server,
            httpx.Client(base_url=server.url, timeout=60, verify=TLS) as http,
        ):
            yield http


def ask(client: httpx.Client, prompt: str, tools: Any, *, stream: bool = False) -> httpx.Response:
    body = {"prompt": prompt, "worker_tools": tools, "model": MODEL, "stream": stream}
    return client.post("/chat", json=body)


@pytest.mark.parametrize("tools", [["weather_get_weather"], True])
def test_a_model_uses_a_server_with_a_handshake(client: httpx.Client, tools: Any) -> None:
    response = ask(client, 'What is the weather in "Paris"?', tools)
    assert response.status_code == 200, response.text
    assert "23 degrees in Paris" in response.text


def test_a_model_uses_a_server_without_one_and_is_told_of_its_errors(client: httpx.Client) -> None:
    response = ask(client, 'What is the tide in "Brest"?', ["tides_get_tide"], stream=True)
    assert '"name":"tides_get_tide"' in response.text.replace('": "', '":"')
    assert "high tide in Brest" in response.text
    response = ask(client, 'What is the tide in "Bern"?', ["tides_get_tide"], stream=True)
    assert "Bern has no harbour" in response.text


def test_a_server_that_refuses_its_key_is_said_to_do_so(client: httpx.Client, error_of: ErrorOf) -> None:
    refused = ask(client, "Hello", ["locked_get_weather"])
    assert (refused.status_code, error_of(refused)["type"]) == (502, "upstream_error")
    assert "MCP server locked refuses the headers" in error_of(refused)["message"]
    unknown = ask(client, "Hello", ["weather_get_rain"])
    assert (unknown.status_code, error_of(unknown)["param"]) == (400, "worker_tools")
    assert "it has weather_get_weather, web_search, current_time" in error_of(unknown)["message"]
