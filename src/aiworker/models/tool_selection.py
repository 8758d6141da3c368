"""The tools that a request with `worker_tools` offers its model: the Worker's own, web search, those of MCP_SERVERS."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic_core import from_json

from aiworker import web_search
from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.mcp.client import McpClient
from aiworker.mcp.servers import McpServer
from aiworker.tools import TOOLS, Tool

MAX_NAME = 64
"""Characters of a tool's name, as models take it."""
MAX_DESCRIPTION = 2_000
MAX_PARAMETERS = 16_384
"""Characters of a description, and of a JSON Schema of arguments, that a model is sent for a tool."""
MAX_RESULT = 100_000
"""Characters of a result that a model is sent."""


@dataclass(frozen=True)
class ServerTool:
    """aiworker.tools.Tool: one of an MCP server's."""

    name: str
    """The server's name, `_` and the tool's."""
    client: McpClient
    tool: Mapping[str, Any]
    """The tool as its server lists it."""

    def to_json(self) -> dict[str, Any]:
        description = str(self.tool.get("description") or "")[:MAX_DESCRIPTION]
        function = {"name": self.name, "description": description, "parameters": self.tool["inputSchema"]}
        return {"type": "function", "function": function}

    async def call(self, arguments: str) -> str:
        try:
            values = from_json(arguments or "{}")
            if not isinstance(values, dict):
                raise ValueError("no object")
            result = await self.client.call(self.tool["name"], cast("dict[str, Any]", values))
        except ValueError:
            return json.dumps({"error": "Invalid arguments. They must be a JSON object."})
        except ApiError as error:
            return json.dumps({"error": error.message})
        text = result.text if len(result.text) <= MAX_RESULT else f"{result.text[:MAX_RESULT]}… (cut off)"
        return json.dumps({"error": text} if result.is_error else text, ensure_ascii=False)


async def select(resources: Resources, names: Sequence[str] | None) -> dict[str, Tool]:
    """Return the tools of these names, by name; all of them for None, without those of servers that do not answer.

    Raises ApiError `invalid_request` for a name that no tool has, `upstream_error` for one of a server that fails.
    """
    servers = [each for each in resources.settings.mcp_servers if names is None or _is_named(each, names)]
    lists = await asyncio.gather(*(_tools(resources, each, is_needed=names is not None) for each in servers))
    known: dict[str, Tool] = {each.name: each for tools in lists for each in tools}
    known |= {**web_search.tools_of(resources), **TOOLS}
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        message = f"This Worker has no tool {unknown[0]}: it has {', '.join(known)}"
        others = [f"those of {each.name}_…" for each in resources.settings.mcp_servers if each not in servers]
        raise ApiError("invalid_request", f"{', '.join([message, *others])}.", param="worker_tools")
    return {name: each for name, each in known.items() if names is None or name in names}


def _is_named(server: McpServer, names: Sequence[str]) -> bool:
    return any(name.startswith(f"{server.name}_") and name not in TOOLS for name in names)


async def _tools(resources: Resources, server: McpServer, *, is_needed: bool) -> list[ServerTool]:
    client = McpClient(resources.web, server, resources.mcp_connections.of(server), resources.settings.mcp_seconds)
    try:
        listed = await client.tools()
    except ApiError:
        if is_needed:
            raise
        return []
    tools = [ServerTool(_name(server, tool), client, tool) for tool in listed]
    return [each for each in tools if len(each.name) <= MAX_NAME and _is_short(each.tool["inputSchema"])]


def _name(server: McpServer, tool: Mapping[str, Any]) -> str:
    """Return a name in the form that models take: MCP allows more characters."""
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "_-") else "_" for each in tool["name"])
    return f"{server.name}_{plain}"


def _is_short(schema: Mapping[str, Any]) -> bool:
    return len(json.dumps(schema)) <= MAX_PARAMETERS
