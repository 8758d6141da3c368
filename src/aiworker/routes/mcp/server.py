"""`POST /mcp`: the Model Context Protocol, without sessions and streams: a JSON-RPC message in, its answer out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from aiworker import __version__
from aiworker.auth import limits
from aiworker.context import Context
from aiworker.errors import ApiError, ClientDisconnected
from aiworker.http import pages
from aiworker.http.body import JSON, read_json_with_files
from aiworker.http.json_parts import to_body
from aiworker.http.messages import Payload, Response
from aiworker.mcp import protocol
from aiworker.mcp.errors import rpc_error
from aiworker.mcp.protocol import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    UNSUPPORTED_VERSION,
    RpcError,
    RpcRequest,
)
from aiworker.routes.mcp import resources, tools
from aiworker.routes.mcp.tool import ToolResult
from aiworker.routing import Returns, Shape, route

SERVER = {"name": "aiworker", "title": "aiworker", "version": __version__}
INSTRUCTIONS = (
    "An AI backend with documents of its own. search_documents finds passages, ask_documents answers from them with "
    "sources, list_documents and the resources show what there is; further tools make images and transcripts."
)
MESSAGE: Shape = {
    "type": "object",
    "properties": {
        "jsonrpc": {"type": "string", "const": "2.0"},
        "id": {"type": ["string", "integer"]},
        "method": {"type": "string"},
        "params": {"type": "object"},
    },
    "required": ["jsonrpc", "method"],
    "description": "A JSON-RPC message, as in the Model Context Protocol's reference.",
}
ANSWER: Shape = {
    "type": "object",
    "properties": {
        "jsonrpc": {"type": "string", "const": "2.0"},
        "id": {"type": ["string", "integer", "null"]},
        "result": {"type": "object"},
        "error": {"type": "object"},
    },
    "required": ["jsonrpc", "id"],
}


@route(
    "POST", "/mcp", scope="any", rate="read", tag="MCP",
    body={JSON: MESSAGE},
    returns=(Returns({JSON: ANSWER}, "The result, or an error."), Returns(status=202, description="No answer is due.")),
    errors=("method_not_allowed", "not_found", "upstream_error"),
    example={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
)  # fmt: skip
async def mcp(context: Context) -> Response:
    """Use the Worker's tools and documents, for agents.

    The Model Context Protocol's streamable HTTP without sessions; docs/mcp.md describes it. Each tool needs the scope
    of its route, and counts against that route's rate limit.
    """
    # checked for every key: the protocol requires it
    pages.check_page(context.request, context.settings.allowed_origins, "/mcp")
    try:
        message, files = await _read(context)
    except RpcError as error:
        return _refusal(context, error, None, 400)
    message_id = protocol.request_id(message)
    exchange = Exchange(context, files)
    try:
        request = protocol.read_request(context.request, message)
        if request is None:
            return Response(status=202)
        result = await _answer(exchange, request)
    except RpcError as error:
        status = _status(error, message_id, is_stateless=protocol.is_stateless(context.request, message))
        return _refusal(context, error, message_id, status)
    return _response({"jsonrpc": "2.0", "id": request.id, "result": result}, 200, exchange.headers)


@dataclass
class Exchange:
    """A request and what belongs to it."""

    context: Context
    files: Mapping[str, Payload]
    """Files among a tool's arguments, by name."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Headers of model calls, for the response."""


async def _read(context: Context) -> tuple[Any, Mapping[str, Payload]]:
    """Return the message, and the files among a tool's arguments. Raises RpcError for one that is not JSON."""
    limit, within = context.settings.max_audio_bytes, ("params", "arguments")
    try:
        return await read_json_with_files(context.request, limit, tools.file_names(), within)
    except ApiError as error:
        if error.type != "invalid_request":
            raise
        raise RpcError(PARSE_ERROR if error.param is None else INVALID_PARAMS, error.message) from None


def _status(error: RpcError, message_id: str | int | None, *, is_stateless: bool) -> int:
    """Return the HTTP status of an error. Clients of versions with a handshake expect 200 for what they can read."""
    if error.code == INTERNAL_ERROR:
        return 200
    if is_stateless:
        return 404 if error.code == METHOD_NOT_FOUND else 400
    return 400 if message_id is None or error.code in (INVALID_REQUEST, UNSUPPORTED_VERSION) else 200


def _refusal(context: Context, error: RpcError, message_id: str | int | None, status: int) -> Response:
    if context.log.error is None:
        context.log.record_error(ApiError("invalid_request", error.message))
    return _response(error.to_json(message_id), status, {})


def _response(message: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> Response:
    own = {name: value for name, value in headers.items() if name.startswith("x-") or name == "server-timing"}
    return Response(to_body(message), status, {"content-type": JSON, "cache-control": "no-store", **own})


async def _answer(exchange: Exchange, request: RpcRequest) -> dict[str, Any]:
    """Return the result of a request. Raises RpcError."""
    methods = STATELESS if request.is_stateless else HANDSHAKE
    if request.method not in methods:
        raise RpcError(METHOD_NOT_FOUND, f"This Worker has no method {request.method[:100]}.")
    try:
        result = await methods[request.method](exchange, request)
    except ClientDisconnected:
        raise
    except ApiError as error:
        exchange.context.log.record_error(error)
        raise rpc_error(error, exchange.context.request_id) from None
    if not request.is_stateless:
        return result
    milliseconds = KEPT.get(request.method)
    cache = {} if milliseconds is None else {"ttlMs": milliseconds, "cacheScope": "private"}
    return {"resultType": "complete", **cache, **result}


# ---- methods -----------------------------------------------------------------------------------------------------


def _capabilities(context: Context) -> dict[str, Any]:
    return {"tools": {}, **({"resources": {}} if resources.has_resources(context) else {})}


async def _initialize(exchange: Exchange, request: RpcRequest) -> dict[str, Any]:
    return {
        "protocolVersion": protocol.negotiate(request.params.get("protocolVersion")),
        "capabilities": _capabilities(exchange.context),
        "serverInfo": SERVER,
        "instructions": INSTRUCTIONS,
    }


async def _discover(exchange: Exchange, _: RpcRequest) -> dict[str, Any]:
    return {
        "supportedVersions": list(protocol.STATELESS_VERSIONS),
        "capabilities": _capabilities(exchange.context),
        "instructions": INSTRUCTIONS,
        "_meta": {protocol.SERVER_KEY: SERVER},
    }


async def _ping(*_: Any) -> dict[str, Any]:
    return {}


async def _list_tools(exchange: Exchange, _: RpcRequest) -> dict[str, Any]:
    return {"tools": [tool.listing for tool in tools.allowed(exchange.context).values()]}


async def _list_resources(exchange: Exchange, request: RpcRequest) -> dict[str, Any]:
    return await resources.list_page(exchange.context, _text(request.params, "cursor", ""))


async def _list_templates(exchange: Exchange, _: RpcRequest) -> dict[str, Any]:
    return {"resourceTemplates": [resources.TEMPLATE] if resources.has_resources(exchange.context) else []}


async def _read_resource(exchange: Exchange, request: RpcRequest) -> dict[str, Any]:
    return await resources.read(exchange.context, _text(request.params, "uri"), is_stateless=request.is_stateless)


async def _call_tool(exchange: Exchange, request: RpcRequest) -> dict[str, Any]:
    """Call a tool. Its errors become results, so that a model can correct its call. Raises RpcError for an unknown
    tool."""
    context, name = exchange.context, _text(request.params, "name")
    arguments = request.params.get("arguments", {})
    if not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "arguments must be an object.")
    tool = tools.allowed(context).get(name)
    if tool is None:
        raise RpcError(INVALID_PARAMS, f"There is no tool {name[:100]}, or this key's scopes do not allow it.")
    context.log.tool = name
    try:
        await limits.check_rate(context, tool.rate)
        result = await tool.run(context, cast("dict[str, Any]", arguments), exchange.files)
    except ClientDisconnected:
        raise
    except ApiError as error:
        context.log.record_error(error)
        details = error.to_json(context.request_id)["error"]
        result = ToolResult(error.message, headers=error.headers, error=details, is_error=True)
    exchange.headers.update(result.headers)
    return result.to_json()


def _text(params: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a parameter. Raises RpcError if it is not a text, or if it is missing and has no default."""
    value = params.get(name, default)
    if not isinstance(value, str):
        raise RpcError(INVALID_PARAMS, f"{name} must be a text.")
    return value


Method = Callable[[Exchange, RpcRequest], Awaitable[dict[str, Any]]]
COMMON: Mapping[str, Method] = {
    "tools/list": _list_tools,
    "tools/call": _call_tool,
    "resources/list": _list_resources,
    "resources/templates/list": _list_templates,
    "resources/read": _read_resource,
}
HANDSHAKE: Mapping[str, Method] = {"initialize": _initialize, "ping": _ping, **COMMON}
"""Method → function that answers it, in versions with a handshake."""
STATELESS: Mapping[str, Method] = {"server/discover": _discover, **COMMON}
"""The same in versions without."""
KEPT: Mapping[str, int] = {
    "server/discover": 60_000,
    "tools/list": 60_000,
    "resources/templates/list": 60_000,
    "resources/list": 0,
    "resources/read": 0,
}
"""Method → milliseconds for which a client may keep its result: tools change with a deployment, or with the key."""
