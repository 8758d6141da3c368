// Vite's own development server, with the Worker in workerd and the simulator behind its bindings.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createServer } from "vite";

test("the Worker answers in vite dev", { timeout: 120_000 }, async () => {
  const server = await createServer({ server: { port: 0, host: "127.0.0.1" } });
  await server.listen();
  const { port } = server.httpServer.address();
  const response = await fetch(`http://127.0.0.1:${port}/?q=Rain`);
  assert.match(await response.text(), /simulated .* “Rain”/);
  await server.close();
});
