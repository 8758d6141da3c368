"""A client of MCP servers: their tools, listed and called, in versions with a handshake and without.

A server's session and list of tools are kept for the isolate: plain values, which requests may share.
"""

import contextlib
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_core import from_json

from aiworker import __version__
from aiworker.bindings import Web, WebResponse
from aiworker.errors import ApiError
from aiworker.http.body import EVENT_STREAM, JSON
from aiworker.mcp import protocol
from aiworker.mcp.protocol import RpcError
from aiworker.mcp.servers import McpServer

MAX_RESPONSE_BYTES = 1_048_576
"""Bytes of one answer of a server, which is read in JavaScript before Python parses it."""
MAX_PAGES = 10
"""Pages of a server's list of tools."""
MAX_TOOLS = 64
"""Tools of one server."""
KEPT_SECONDS = 300
"""Time for which a list of tools is kept."""
CLIENT = {"name": "aiworker", "version": __version__}


@dataclass(frozen=True)
class Session:
    """The protocol's version that a server speaks, and the id of a session if it has one."""

    version: str
    id: str | None = None


@dataclass
class Connection:
    """A server's session and tools, as far as they are known."""

    session: Session | None = None
    """None before the first request to the server."""
    tools: tuple[Mapping[str, Any], ...] = ()
    listed_at: float | None = None
    """Seconds on the monotonic clock; None before the first list."""


@dataclass(frozen=True)
class Connections:
    """Server's name → its connection."""

    by_name: dict[str, Connection] = field(default_factory=dict[str, Connection])

    def of(self, server: McpServer) -> Connection:
        return self.by_name.setdefault(server.name, Connection())


@dataclass(frozen=True)
class CallResult:
    """The answer of a tool."""

    text: str
    is_error: bool


class SessionLostError(Exception):
    """The server does not know the session any more."""


class McpClient:
    """A server's tools. Methods raise ApiError `upstream_error`, whose message never repeats an address."""

    def __init__(self, web: Web, server: McpServer, connection: Connection, seconds: float) -> None:
        """seconds: time limit of each request to the server."""
        self._web = web
        self._server = server
        self._connection = connection
        self._seconds = seconds

    async def tools(self) -> tuple[Mapping[str, Any], ...]:
        """Return the server's tools as it lists them, at most MAX_TOOLS."""
        known, now = self._connection, time.monotonic()
        if known.listed_at is None or now - known.listed_at > KEPT_SECONDS:
            known.tools = await self._list()
            known.listed_at = now
        return known.tools

    async def call(self, name: str, arguments: Mapping[str, Any]) -> CallResult:
        """Call a tool. A JSON-RPC error becomes a result, too."""
        try:
            result = await self._request("tools/call", {"name": name, "arguments": arguments})
        except RpcError as error:
            return CallResult(error.message, is_error=True)
        return CallResult(_text(result), is_error=result.get("isError") is True)

    async def _list(self) -> tuple[Mapping[str, Any], ...]:
        tools: list[Mapping[str, Any]] = []
        cursor: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            try:
                page = await self._request("tools/list", cursor)
            except RpcError as error:
                raise self._failed(f"does not list its tools: {error.message}") from None
            items = page.get("tools")
            tools += [tool for tool in cast("list[Any]", items) if _is_tool(tool)] if isinstance(items, list) else []
            if not isinstance(page.get("nextCursor"), str) or len(tools) >= MAX_TOOLS:
                break
            cursor = {"cursor": page["nextCursor"]}
        return tuple(tools[:MAX_TOOLS])

    async def _request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request, after a handshake where there is none yet. Raises RpcError."""
        known = self._connection
        if known.session:
            with contextlib.suppress(SessionLostError):
                return await self._send(known.session, method, params)
        known.session = session = await self._connect()
        try:
            return await self._send(session, method, params)
        except SessionLostError:
            raise self._failed("ends each session at once") from None

    async def _connect(self) -> Session:
        """Find out which versions the server speaks, and begin a session where they have one."""
        stateless = Session(protocol.STATELESS_VERSIONS[-1])
        with contextlib.suppress(RpcError):
            discovered = await self._send(stateless, "server/discover", {})
            if stateless.version in discovered.get("supportedVersions", ()):
                return stateless
        try:
            return await self._shake_hands()
        except RpcError as error:
            raise self._failed(f"does not begin a session: {error.message}") from None

    async def _shake_hands(self) -> Session:
        offered = {"protocolVersion": protocol.HANDSHAKE_VERSIONS[-1], "capabilities": {}, "clientInfo": CLIENT}
        answer = await self._post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": offered}, {})
        version = self._result(answer, 0).get("protocolVersion")
        if version not in protocol.HANDSHAKE_VERSIONS:
            raise self._failed("speaks no version of the protocol that this Worker knows")
        session = Session(str(version), answer.headers.get("mcp-session-id"))
        await self._post({"jsonrpc": "2.0", "method": "notifications/initialized"}, _headers(session))
        return session

    # ---- one exchange --------------------------------------------------------------------------------------------

    async def _send(self, session: Session, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request, and return its result. Raises RpcError, and SessionLostError for a session that has ended."""
        number, headers = next(_numbers), _headers(session)
        if session.version in protocol.STATELESS_VERSIONS:
            meta = {protocol.VERSION_KEY: session.version, protocol.CAPABILITIES_KEY: {}, protocol.CLIENT_KEY: CLIENT}
            params = {**params, "_meta": meta}
            headers[protocol.METHOD_HEADER] = method
            if method in protocol.NAMED_BY:
                headers[protocol.NAME_HEADER] = protocol.encode(params[protocol.NAMED_BY[method]])
        answer = await self._post({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, headers)
        if answer.status == 404 and session.id:
            raise SessionLostError
        return self._result(answer, number)

    async def _post(self, message: Mapping[str, Any], headers: Mapping[str, str]) -> WebResponse:
        own = {"content-type": JSON, "accept": f"{JSON}, {EVENT_STREAM}", **headers}
        body = json.dumps(message, ensure_ascii=False)
        try:
            answer = await self._web.post(
                self._server.url, {**self._server.headers, **own}, body, MAX_RESPONSE_BYTES, self._seconds
            )
        except ApiError as error:
            reasons = {
                "timeout": f"has not answered within {self._seconds:g} seconds",
                "payload_too_large": f"has answered with more than {MAX_RESPONSE_BYTES:,} bytes",
            }
            # the platform's own message may repeat the address, which may hold a secret
            raise self._failed(reasons.get(error.type, "cannot be reached")) from None
        if answer.status in (401, 403):
            raise self._failed(f"refuses the headers of MCP_SERVERS with status {answer.status}")
        return answer

    def _result(self, answer: WebResponse, number: int) -> dict[str, Any]:
        """Return the result in an answer. Raises RpcError for an error, and for an answer that is none."""
        for message in _messages(answer):
            match message:
                case {"id": known, "result": dict()} if known == number:
                    return cast("dict[str, Any]", message["result"])
                case {"error": {"code": int(code), "message": str(text)}}:
                    raise RpcError(code, text[:1_000])
                case _:
                    pass
        raise RpcError(protocol.INTERNAL_ERROR, f"It answers with status {answer.status}, and no JSON-RPC message.")

    def _failed(self, what: str) -> ApiError:
        return ApiError("upstream_error", f"The MCP server {self._server.name} {what}.")


def _headers(session: Session) -> dict[str, str]:
    return {protocol.VERSION_HEADER: session.version, **({"mcp-session-id": session.id} if session.id else {})}


_numbers = itertools.count(1)
"""Ids of requests."""


def _messages(answer: WebResponse) -> list[Any]:
    """Return the JSON-RPC messages of an answer: one as JSON, or those of a stream of events."""
    text = answer.body.read().decode(errors="replace") if answer.body else ""
    is_stream = (answer.headers.get("content-type") or "").lower().startswith(EVENT_STREAM)
    texts = _event_data(text) if is_stream else [text]
    messages: list[Any] = []
    for each in texts:
        try:
            # not with the json module: in Pyodide, JSON nested thousands of levels deep would end the isolate
            messages.append(from_json(each))
        except ValueError:
            continue
    return messages


def _event_data(stream: str) -> list[str]:
    blocks = stream.replace("\r\n", "\n").split("\n\n")
    lines = [[line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")] for block in blocks]
    return ["\n".join(each) for each in lines if each]


def _is_tool(tool: Any) -> bool:
    match tool:
        case {"name": str(), "inputSchema": {"type": "object"}}:
            return True
        case _:
            return False


def _text(result: Mapping[str, Any]) -> str:
    """Return a tool's result for a model: its texts, else what is meant for programs."""
    content = result.get("content")
    blocks = cast("list[Any]", content) if isinstance(content, list) else []
    texts = [_block_text(cast("dict[str, Any]", block)) for block in blocks if isinstance(block, dict)]
    if not any(texts) and "structuredContent" in result:
        return json.dumps(result["structuredContent"], ensure_ascii=False)
    return "\n\n".join(filter(None, texts))


def _block_text(block: Mapping[str, Any]) -> str:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "resource", "resource": {"text": str(text)}}:
            return text
        case {"type": "resource_link", "uri": str(uri)}:
            return uri
        case {"type": str(kind)}:
            return f"[{kind[:100]}: not shown to models]"
        case _:
            return ""
