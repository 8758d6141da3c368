"""The Model Context Protocol over HTTP: its versions, a client's JSON-RPC messages, and what is wrong with them.

Up to 2025-11-25, a client begins with `initialize`. From 2026-07-28 on, there is no such handshake: each request stands
alone, says in `params._meta` who sends it, and repeats in headers what a proxy has to know.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from aiworker.http.messages import Request

HANDSHAKE_VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Versions that begin with `initialize`, the oldest first."""
STATELESS_VERSIONS = ("2026-07-28",)
"""Versions without a handshake, the oldest first."""

VERSION_HEADER, METHOD_HEADER, NAME_HEADER = "mcp-protocol-version", "mcp-method", "mcp-name"
NAMED_BY: Mapping[str, str] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Method → the parameter that NAME_HEADER repeats."""
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
CLIENT_KEY = "io.modelcontextprotocol/clientInfo"
SERVER_KEY = "io.modelcontextprotocol/serverInfo"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
RESOURCE_NOT_FOUND = -32002
"""In HANDSHAKE_VERSIONS only; later ones have INVALID_PARAMS for it."""
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022

ENCODED = re.compile(r"=\?base64\?(.*)\?=")
"""A header's value that is not plain ASCII."""


class RpcError(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def to_json(self, message_id: str | int | None) -> dict[str, Any]:
        """Return the message that answers the request with that id; None for a request whose id is unknown."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        data = {} if self.data is None else {"data": self.data}
        return {"jsonrpc": "2.0", "id": message_id, "error": error | data}


@dataclass(frozen=True)
class RpcRequest:
    """A request that expects an answer."""

    id: str | int
    method: str
    params: Mapping[str, Any]
    is_stateless: bool
    """True for versions without a handshake."""


def request_id(message: Any) -> str | int | None:
    """Return the id of a JSON-RPC message; None if it has none that is valid."""
    known = cast("dict[str, Any]", message).get("id") if isinstance(message, dict) else None
    return known if isinstance(known, (str, int)) and not isinstance(known, bool) else None


def is_stateless(request: Request, message: Any) -> bool:
    """Tell whether a message is of a version without a handshake, by its header or by what it says itself."""
    return request.header(VERSION_HEADER) in STATELESS_VERSIONS or VERSION_KEY in _meta(message)


def read_request(request: Request, message: Any) -> RpcRequest | None:
    """Return a JSON-RPC message as a request; None for a message that expects no answer. Raises RpcError."""
    if not isinstance(message, dict):
        raise RpcError(INVALID_REQUEST, "The body must be one JSON-RPC message, a JSON object.")
    body, stateless = cast("dict[str, Any]", message), is_stateless(request, message)
    if body.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'jsonrpc must be "2.0".')
    if not stateless and "method" not in body and ("result" in body or "error" in body):
        return None  # an answer to a request that nobody has sent
    method, params = _method(body)
    if not stateless and method != "initialize":
        _check_version(request.header(VERSION_HEADER))
    if "id" not in body:
        return None
    message_id = request_id(body)
    if message_id is None:
        raise RpcError(INVALID_REQUEST, "id must be a text or a whole number.")
    if stateless:
        _check_envelope(request, method, params)
    return RpcRequest(message_id, method, params, stateless)


def _method(body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    method, params = body.get("method"), body.get("params", {})
    if not isinstance(method, str) or not isinstance(params, dict):
        raise RpcError(INVALID_REQUEST, "method must be a text, and params, if it is there, an object.")
    return method, cast("dict[str, Any]", params)


def negotiate(requested: Any) -> str:
    """Return the version of a session: the requested one if it is known, else the newest with a handshake."""
    return requested if requested in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[-1]


def _meta(message: Any) -> Mapping[str, Any]:
    match message:
        case {"params": {"_meta": dict()}}:
            return cast("dict[str, Any]", message["params"]["_meta"])
        case _:
            return {}


def _check_version(version: str | None) -> None:
    """Raise RpcError for a header that names an unknown version. A missing header stands for any version."""
    if version is not None and version not in HANDSHAKE_VERSIONS:
        raise _unsupported(version)


def _check_envelope(request: Request, method: str, params: Mapping[str, Any]) -> None:
    """Raise RpcError for a request without a handshake that does not say who sends it, or whose headers differ."""
    meta = _meta({"params": params})
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta must have {' and '.join(missing)}.")
    expected: dict[str, Any] = {VERSION_HEADER: meta[VERSION_KEY], METHOD_HEADER: method}
    if method in NAMED_BY and NAMED_BY[method] in params:
        expected[NAME_HEADER] = params[NAMED_BY[method]]
    for name, value in expected.items():
        if _decode(request.header(name)) != value:
            raise RpcError(HEADER_MISMATCH, f"The header {name} must be there and equal what the body says.")
    if meta[VERSION_KEY] not in STATELESS_VERSIONS:
        raise _unsupported(str(meta[VERSION_KEY]))


def _decode(value: str | None) -> str | None:
    """Return the value of a header; None for one that is missing or wrongly encoded."""
    encoded = ENCODED.fullmatch(value or "")
    if not encoded:
        return value
    try:
        return base64.b64decode(encoded[1], validate=True).decode()
    except ValueError:
        return None


def encode(value: str) -> str:
    """Return a value as a header may carry it."""
    is_plain = value.isascii() and value.isprintable() and value == value.strip() and not ENCODED.fullmatch(value)
    return value if is_plain else f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def _unsupported(version: str) -> RpcError:
    supported = [*HANDSHAKE_VERSIONS, *STATELESS_VERSIONS]
    data = {"supported": supported, "requested": version[:100]}
    return RpcError(UNSUPPORTED_VERSION, "This Worker does not know the protocol version.", data)
