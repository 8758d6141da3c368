"""An MCP server by the official package, for versions without a handshake. Prints its port."""

import asyncio
import socket

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("harbour")


@server.tool()
def get_tide(city: str) -> str:
    """The tide in a city."""
    if city == "Bern":
        raise ToolError("Bern has no harbour")
    return f"high tide in {city}"


async def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)  # noqa: T201
    await uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="warning")).serve([listening])


asyncio.run(main())
