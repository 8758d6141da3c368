// The official clients of the Model Context Protocol: `@modelcontextprotocol/sdk`, whose versions begin with a handshake,
// and `@modelcontextprotocol/client`, which speaks those without one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as stateless from "@modelcontextprotocol/client";
import { auth } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const BASE = process.env.AIWORKER_URL;
const DOCUMENT = `${BASE}/rag/documents/mcp-ibex`;
const INFO = { name: "tests", version: "1" };
const TOOLS = [
  "ask_documents",
  "current_time",
  "generate_image",
  "list_documents",
  "search_documents",
  "transcribe",
  "web_search",
];

const CLIENTS = {
  "a handshake": () => [new Client(INFO), StreamableHTTPClientTransport],
  "no handshake": () => [
    new stateless.Client(INFO, { versionNegotiation: { mode: { pin: "2026-07-28" } } }),
    stateless.StreamableHTTPClientTransport,
  ],
  "either of them": () => [
    new stateless.Client(INFO, { versionNegotiation: { mode: "auto" } }),
    stateless.StreamableHTTPClientTransport,
  ],
};

async function connect(name, options) {
  const [client, Transport] = CLIENTS[name]();
  await client.connect(new Transport(new URL(`${BASE}/mcp`), options));
  return client;
}

before(async () => {
  const body = { id: "mcp-ibex", text: '# Ibex\n\nThe "ibex" climbs dams, ünd licks salt. ✓' };
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const posted = await fetch(`${BASE}/rag/documents`, init);
  assert.ok(posted.ok, await posted.text());
  for (;;) {
    const { state } = await (await fetch(DOCUMENT)).json();
    if (state === "indexed") break;
    assert.notEqual(state, "failed");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

after(() => fetch(DOCUMENT, { method: "DELETE" }));

for (const name of Object.keys(CLIENTS)) {
  test(`tools are listed and called: ${name}`, async () => {
    const client = await connect(name);
    assert.equal(client.getServerVersion().name, "aiworker");
    const { tools } = await client.listTools();
    const names = new Set(tools.map((tool) => tool.name));
    assert.deepEqual(
      TOOLS.filter((each) => !names.has(each)),
      [],
    );

    const search = await client.callTool({
      name: "search_documents",
      arguments: { query: "Where does the ibex climb?" },
    });
    assert.match(search.content[0].text, /climbs dams/);
    const passage = search.structuredContent.passages.find((each) => each.document === "mcp-ibex");
    assert.match(passage.text, /The "ibex" climbs dams, ünd licks salt\. ✓/);

    const answer = await client.callTool({ name: "ask_documents", arguments: { query: "Where does the ibex climb?" } });
    assert.equal(answer.isError ?? false, false, JSON.stringify(answer));
    assert.ok(answer.structuredContent.sources.some((each) => each.document === "mcp-ibex"));

    const image = { prompt: "a fox", width: 256, height: 256, model: "@cf/lykon/dreamshaper-8-lcm" };
    const { content } = await client.callTool({ name: "generate_image", arguments: image });
    assert.match(content[0].mimeType, /^image\//);
    assert.ok(Buffer.from(content[0].data, "base64").length > 1000);
    await client.close();
  });

  test(`documents are resources: ${name}`, async () => {
    const client = await connect(name);
    const { resources } = await client.listResources();
    const { uri } = resources.find((each) => each.name === "mcp-ibex");
    const { contents } = await client.readResource({ uri });
    assert.deepEqual(
      [contents[0].uri, contents[0].mimeType, contents[0].text],
      [uri, "text/markdown", '# Ibex\n\nThe "ibex" climbs dams, ünd licks salt. ✓'],
    );
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.equal(resourceTemplates.length, 1);
    await assert.rejects(client.readResource({ uri: "aiworker://documents/none" }), /no document none/);
    await client.close();
  });

  test(`what is wrong is said to models and to programs: ${name}`, async () => {
    const client = await connect(name);
    const refused = await client.callTool({ name: "search_documents", arguments: { query: "ibex", top_k: 99 } });
    assert.equal(refused.isError, true);
    assert.match(refused.content[0].text, /top_k must be between 1 and 50/);
    await assert.rejects(client.callTool({ name: "nothing", arguments: {} }), /There is no tool nothing/);
    await client.close();
  });
}

for (const [name, authorize] of Object.entries({ "a handshake": auth, "no handshake": stateless.auth })) {
  test(`a client that looks for OAuth reads that there is none: ${name}`, async () => {
    const nothing = () => undefined;
    const provider = {
      redirectUrl: "http://localhost:1/",
      clientMetadata: { redirect_uris: ["http://localhost:1/"], client_name: "tests" },
      clientInformation: nothing,
      saveClientInformation: nothing,
      tokens: nothing,
    };
    await assert.rejects(authorize(provider, { serverUrl: new URL(`${BASE}/mcp`) }), /This Worker has no OAuth/);
  });
}
