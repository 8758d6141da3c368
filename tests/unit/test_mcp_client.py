"""The tools of MCP_SERVERS: servers of both kinds, listed once, called, and all that they may do wrong."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from aiworker.bindings import WebResponse
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.mcp import client, protocol
from aiworker.models import tool_selection
from aiworker.settings import Settings
from aiworker.tools import TOOLS
from tests.unit.stand_ins import VARIABLES, FakeRequest, a_context

SECRET = "s3cret"
SERVERS = json.dumps(
    {
        "docs": {"url": f"https://docs.example/{SECRET}", "headers": {"Authorization": f"Bearer {SECRET}"}},
        "shop": {"type": "http", "url": "https://shop.example/mcp"},
    }
)
ECHO: dict[str, Any] = {
    "name": "echo",
    "description": "Say it again",
    "inputSchema": {"type": "object", "properties": {}},
}
Answer = Callable[[str, Mapping[str, Any]], Any]


class Body:
    """A payload that is only read."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self) -> bytes:
        return self._text.encode()


def web_response(status: int, data: Any = None, content_type: str = "application/json", **headers: str) -> WebResponse:
    text = data if isinstance(data, str) else json.dumps(data)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body: Any = None if data is None else Body(text)
    return WebResponse(status, {"content-type": content_type, **named}, body)


class FakeServer:
    """An MCP server, and the web that leads to it."""

    def __init__(self, *, is_stateless: bool, is_stream: bool = False, tools: Any = (ECHO,)) -> None:
        self.is_stateless, self.is_stream, self.tools = is_stateless, is_stream, tools
        self.sent: list[tuple[str, dict[str, Any], Mapping[str, str]]] = []
        """Address, message and headers of each request."""
        self.sessions = 0
        self.result: Any = {"content": [{"type": "text", "text": "again"}]}
        self.instead: WebResponse | ApiError | None = None
        """Answer to calls of tools in place of the result."""

    @property
    def methods(self) -> list[str]:
        return [message["method"] for _, message, _ in self.sent]

    async def get(self, *_: Any) -> WebResponse:
        raise NotImplementedError

    async def post(self, url: str, headers: Mapping[str, str], body: str, limit: int, seconds: float) -> WebResponse:
        message = json.loads(body)
        self.sent.append((url, message, headers))
        assert (limit, seconds) == (1_048_576, 7)
        is_new = "_meta" in message.get("params", {})
        if is_new != self.is_stateless:
            return web_response(400, {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "No session"}})
        return self._answer(message, headers)

    def _answer(self, message: Mapping[str, Any], headers: Mapping[str, str]) -> WebResponse:
        method = message["method"]
        if method == "initialize":
            self.sessions += 1
            return self._result(message, {"protocolVersion": "2025-06-18"}, mcp_session_id=f"session-{self.sessions}")
        if method.startswith("notifications/"):
            return web_response(202)
        if not self.is_stateless and headers.get("mcp-session-id") != f"session-{self.sessions}":
            return web_response(404, "Session not found", "text/plain")
        if method == "tools/call" and self.instead is not None:
            if isinstance(self.instead, ApiError):
                raise self.instead
            return self.instead
        results = {
            "server/discover": {"supportedVersions": ["2026-07-28"]},
            "tools/list": {"tools": list(self.tools)},
            "tools/call": self.result,
        }
        return self._result(message, results[method])

    def _result(self, message: Mapping[str, Any], result: Any, **headers: str) -> WebResponse:
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        if not self.is_stream:
            return web_response(200, answer, **headers)
        note: dict[str, Any] = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
        events = "".join(f"event: message\r\ndata: {json.dumps(each)}\r\n\r\n" for each in (note, answer))
        return web_response(200, f": hello\r\n\r\n{events}", "text/event-stream; charset=utf-8", **headers)


KINDS = pytest.mark.parametrize(
    "server",
    [
        lambda: FakeServer(is_stateless=True),
        lambda: FakeServer(is_stateless=False),
        lambda: FakeServer(is_stateless=False, is_stream=True),
        lambda: FakeServer(is_stateless=True, is_stream=True),
    ],
    ids=["stateless", "handshake", "handshake, events", "stateless, events"],
)


def a_worker(web: Any, servers: str = SERVERS) -> Context:
    settings = Settings.read({**VARIABLES, "MCP_SERVERS": servers, "MCP_SECONDS": 7})
    context = a_context(FakeRequest("POST", "/chat"), settings, None)
    return dataclasses.replace(context, web=web)


@KINDS
async def test_a_servers_tools_are_listed_once_and_called(server: Callable[[], FakeServer]) -> None:
    web = server()
    context = a_worker(web)
    for _ in range(2):
        tools = await tool_selection.select(context, ["docs_echo", "current_time"])
        assert set(tools) == {"docs_echo", "current_time"}
        function: dict[str, Any] = {
            "name": "docs_echo",
            "description": "Say it again",
            "parameters": ECHO["inputSchema"],
        }
        assert tools["docs_echo"].to_json() == {"type": "function", "function": function}
        assert await tools["docs_echo"].call('{"text": "ü"}') == '"again"'
    assert (web.methods.count("tools/list"), web.methods.count("tools/call")) == (1, 2)
    assert {url for url, _, _ in web.sent} == {f"https://docs.example/{SECRET}"}
    _, message, headers = web.sent[-1]
    assert message["params"]["arguments"] == {"text": "ü"}
    assert headers["authorization"] == f"Bearer {SECRET}"
    if web.is_stateless:
        assert headers["mcp-name"] == message["params"]["name"] == "echo"
        assert message["params"]["_meta"][protocol.VERSION_KEY] == headers["mcp-protocol-version"] == "2026-07-28"
    else:
        assert (headers["mcp-session-id"], headers["mcp-protocol-version"]) == ("session-1", "2025-06-18")


async def test_all_tools_are_those_of_all_servers_and_a_list_is_not_kept_forever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web = FakeServer(is_stateless=True)
    context = a_worker(web)
    assert set(await tool_selection.select(context, None)) == {*TOOLS, "docs_echo", "shop_echo"}
    monkeypatch.setattr(client, "KEPT_SECONDS", -1)
    web.tools = ()
    assert set(await tool_selection.select(context, None)) == {*TOOLS}


async def test_no_server_is_asked_for_tools_of_the_workers_own() -> None:
    web = FakeServer(is_stateless=True)
    await tool_selection.select(a_worker(web), ["current_time"])
    assert web.sent == []


async def test_a_session_that_has_ended_is_begun_again() -> None:
    web = FakeServer(is_stateless=False)
    tools = await tool_selection.select(a_worker(web), ["docs_echo"])
    web.sessions += 1
    assert await tools["docs_echo"].call("{}") == '"again"'
    assert web.methods.count("initialize") == 2


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, '"a\\n\\nb"'),
        ({"content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"}]}, '"[image: not shown to models]"'),
        ({"content": [{"type": "resource", "resource": {"uri": "a:b", "text": "c"}}]}, '"c"'),
        ({"content": [{"type": "resource_link", "uri": "a:b", "name": "c"}]}, '"a:b"'),
        ({"content": [], "structuredContent": {"a": 1}}, '"{\\"a\\": 1}"'),
        ({"content": [{"type": "text", "text": "no"}], "isError": True}, '{"error": "no"}'),
        ({"content": "odd", "isError": "yes"}, '""'),
        ({"content": [1, None, {}, {"type": 5}]}, '""'),
        ({}, '""'),
    ],
)
async def test_a_result_becomes_a_text_for_the_model(result: Any, text: str) -> None:
    web = FakeServer(is_stateless=True)
    web.result = result
    tools = await tool_selection.select(a_worker(web), ["docs_echo"])
    assert await tools["docs_echo"].call("") == text


async def test_a_long_result_is_cut() -> None:
    web = FakeServer(is_stateless=True)
    web.result = {"content": [{"type": "text", "text": "x" * 200_000}]}
    tools = await tool_selection.select(a_worker(web), ["docs_echo"])
    assert len(await tools["docs_echo"].call("")) < 100_100


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (web_response(200, {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "Odd"}}), "Odd"),
        (web_response(400, {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "Odd"}}), "Odd"),
        (web_response(200, {"jsonrpc": "2.0", "id": "other", "result": {}}), "no JSON-RPC message"),
        (web_response(200, "not JSON", "text/html"), "status 200, and no JSON-RPC"),
        (web_response(200, "[" * 100_000), "no JSON-RPC"),
        (web_response(202), "status 202"),
        (web_response(307, None, location="https://other.example"), "status 307"),
        (web_response(500, "Oh", "text/plain"), "status 500"),
        (web_response(401, "Who?", "text/plain"), "refuses the headers of MCP_SERVERS with status 401"),
        (ApiError("timeout", f"slow {SECRET}"), "has not answered within 7 seconds"),
        (ApiError("payload_too_large", f"large {SECRET}"), "more than 1,048,576 bytes"),
        (ApiError("upstream_error", f"no host {SECRET}"), "The MCP server docs cannot be reached."),
    ],
)
async def test_a_call_that_fails_is_an_error_for_the_model(answer: WebResponse | ApiError, words: str) -> None:
    web = FakeServer(is_stateless=True)
    tools = await tool_selection.select(a_worker(web), ["docs_echo"])
    web.instead = answer
    error = json.loads(await tools["docs_echo"].call("{}"))["error"]
    assert words in error
    assert SECRET not in error


@pytest.mark.parametrize("arguments", ["[]", "{", '"text"', "[" * 100_000])
async def test_arguments_that_are_no_object_never_reach_the_server(arguments: str) -> None:
    web = FakeServer(is_stateless=True)
    tools = await tool_selection.select(a_worker(web), ["docs_echo"])
    assert "must be a JSON object" in await tools["docs_echo"].call(arguments)
    assert "tools/call" not in web.methods


async def test_a_server_that_does_not_answer_is_left_out_unless_it_is_named() -> None:
    context = a_worker(a_context(FakeRequest("POST", "/"), Settings.read(VARIABLES), None).web)
    assert set(await tool_selection.select(context, None)) == {*TOOLS}
    with pytest.raises(ApiError, match="The MCP server docs cannot be reached") as raised:
        await tool_selection.select(context, ["docs_echo"])
    assert raised.value.type == "upstream_error"


async def test_a_name_that_no_tool_has_is_refused_with_those_there_are() -> None:
    known = f"no tool docs_other: it has docs_echo, {', '.join(TOOLS)}, those of shop_"
    with pytest.raises(ApiError, match=known) as raised:
        await tool_selection.select(a_worker(FakeServer(is_stateless=True)), ["docs_other"])
    assert (raised.value.type, raised.value.param) == ("invalid_request", "worker_tools")


async def test_odd_tools_are_left_out_and_names_are_made_fit() -> None:
    odd: list[Any] = [
        1, {}, {"name": "a"}, {"name": "b", "inputSchema": {"type": "array"}}, {**ECHO, "name": "x" * 64},
        {**ECHO, "inputSchema": {"type": "object", "description": "x" * 20_000}}, {**ECHO, "name": "files/read.é"},
    ]  # fmt: skip
    tools = await tool_selection.select(a_worker(FakeServer(is_stateless=True, tools=odd)), None)
    assert set(tools) == {*TOOLS, "docs_files_read__", "shop_files_read__"}
    many = FakeServer(is_stateless=True, tools=[{**ECHO, "name": f"t{number}"} for number in range(500)])
    assert len(await tool_selection.select(a_worker(many), None)) == len(TOOLS) + 2 * client.MAX_TOOLS


@pytest.mark.parametrize(
    "servers",
    [
        "[]",
        "{",
        '{"docs": {}}',
        '{"docs": "https://docs.example"}',
        '{"docs": {"url": "https://docs.example", "command": "run"}}',
        '{"docs": {"url": "https://docs.example", "type": "stdio"}}',
        '{"docs": {"url": "https://docs.example", "headers": []}}',
        '{"docs": {"url": "https://docs.example", "headers": {"a": 1}}}',
        '{"docs": {"url": "https://docs.example", "headers": {"a b": "c"}}}',
        '{"docs": {"url": "https://docs.example", "headers": {"a": "b\\nc"}}}',
        '{"docs": {"url": "https://docs.example", "headers": {"Mcp-Name": "c"}}}',
        '{"Docs_1": {"url": "https://docs.example"}}',
        '{"docs": {"url": "ftp://docs.example"}}',
        '{"docs": {"url": "https://me:pass@docs.example"}}',
        '{"docs": {"url": "http://localhost/mcp"}}',
        '{"docs": {"url": "http://127.0.0.1/s3cret"}}',
        '{"docs": {"url": "http://169.254.169.254/latest"}}',
        '{"docs": {"url": "https://docs.example:8443/mcp"}}',
        json.dumps({f"s{number}": {"url": "https://docs.example"} for number in range(11)}),
    ],
)
def test_a_variable_that_is_wrong_is_refused_without_its_secrets(servers: str) -> None:
    with pytest.raises(ApiError, match="variable MCP_SERVERS must be JSON such as") as raised:
        Settings.read({"MCP_SERVERS": servers})
    assert (raised.value.type, SECRET in raised.value.message) == ("unavailable", False)


def test_a_local_run_may_have_servers_beside_it() -> None:
    local = '{"docs": {"url": "http://127.0.0.1:9000/mcp"}}'
    assert Settings.read({"MCP_SERVERS": local, "SIMULATED": "AI"}).mcp_servers[0].name == "docs"
