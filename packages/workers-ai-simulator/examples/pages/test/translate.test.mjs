// The project of this folder while `npm run dev` runs: $WORKER and $SIMULATOR are the two addresses.
import assert from "node:assert/strict";
import * as hooks from "node:test";
import { useSimulator } from "workers-ai-simulator/testing";

const { test } = hooks;
const worker = process.env.WORKER ?? "http://localhost:8787";
const ai = useSimulator(hooks, { url: process.env.SIMULATOR ?? "http://localhost:8788", strict: true });

test("a function calls a model", async () => {
  await ai.setAnswer({ prompt: "The cat", text: "Le chat" });
  const response = await fetch(`${worker}/api/translate`, { method: "POST", body: "The cat" });
  assert.deepEqual(await response.json(), { translated_text: "Le chat" });
});

test("files are served", async () => {
  assert.match(await (await fetch(worker)).text(), /<title>Pages<\/title>/);
});
