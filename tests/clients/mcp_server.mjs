// An MCP server by `@modelcontextprotocol/sdk`, with sessions, whose answers are streams of events. Prints its port.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

const sessions = new Map();

async function connect() {
  const server = new McpServer({ name: "weather", version: "1" });
  const description = "The weather of a city";
  server.registerTool("get_weather", { description, inputSchema: { city: z.string() } }, async ({ city }) => ({
    content: [{ type: "text", text: `23 degrees in ${city}` }],
  }));
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await server.connect(transport);
  return transport;
}

const http = createServer(async (request, response) => {
  if (request.headers.authorization !== "Bearer of-this-test") {
    response.writeHead(401).end();
    return;
  }
  const transport = sessions.get(request.headers["mcp-session-id"]) ?? (await connect());
  await transport.handleRequest(request, response);
});
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
