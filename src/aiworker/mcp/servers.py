"""MCP servers whose tools models may use: the variable MCP_SERVERS, in the form of hosts' configuration files."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")
MAX_SERVERS = 10
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
RESERVED = re.compile(r"accept|content-type|host|mcp-.*", re.IGNORECASE)
"""Headers that the client sets itself."""


@dataclass(frozen=True)
class McpServer:
    name: str
    """Its tools' names begin with it."""
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def parse_servers(text: str) -> tuple[McpServer, ...]:
    """Read the variable: JSON, name → `{"url", "headers"}`. Raises ValueError for anything else."""
    data = json.loads(text or "{}")
    if not isinstance(data, dict) or len(cast("dict[str, Any]", data)) > MAX_SERVERS:
        raise ValueError("no object, or too many servers")
    return tuple(_server(name, each) for name, each in cast("dict[str, Any]", data).items())


def _server(name: str, data: Any) -> McpServer:
    match data:
        case {"url": str(url), **rest} if NAME.fullmatch(name) and set(rest) <= {"headers", "type"}:
            pass
        case _:
            raise ValueError(name)
    if rest.get("type", "http") not in ("http", "streamable-http"):
        raise ValueError(name)
    headers = rest.get("headers", {})
    if not isinstance(headers, dict):
        raise ValueError(name)
    return McpServer(name, url, _headers(cast("dict[str, Any]", headers)))


def _headers(headers: dict[str, Any]) -> dict[str, str]:
    for name, value in headers.items():
        is_valid = HEADER.fullmatch(name) and not RESERVED.fullmatch(name)
        if not (is_valid and isinstance(value, str) and value.isascii() and value.isprintable()):
            raise ValueError(name)
    return {name.lower(): value for name, value in headers.items()}
