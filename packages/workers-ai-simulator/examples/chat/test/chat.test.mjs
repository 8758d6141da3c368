// The Worker of this folder while `npx workers-ai-simulator dev` runs: $WORKER and $SIMULATOR are the two addresses.
import assert from "node:assert/strict";
import * as hooks from "node:test";
import { useSimulator } from "workers-ai-simulator/testing";

const { test } = hooks;
const worker = process.env.WORKER ?? "http://localhost:8787";
const ai = useSimulator(hooks, { url: process.env.SIMULATOR ?? "http://localhost:8788", strict: true });

const chat = (content) =>
  fetch(`${worker}/api/chat`, { method: "POST", body: JSON.stringify({ messages: [{ role: "user", content }] }) });

test("an answer is streamed to the page", async () => {
  await ai.setAnswer({ prompt: "weather", stream: ["It ", "rains", "."] });
  const text = await (await chat("How is the weather?")).text();
  const frames = [...text.matchAll(/^data: (\{.+\})$/gm)].map(([, data]) => JSON.parse(data));
  assert.equal(frames.map(({ response }) => response ?? "").join(""), "It rains.");
  const [call] = await ai.assertAsked({ prompt: "weather", times: 1 });
  assert.equal(call.inputs.messages[0].role, "system");
});

test("an error of the model is reported", async () => {
  await ai.setAnswer({ error: { status: 429, code: 3040, description: "Capacity temporarily exceeded" } });
  const response = await chat("Hello");
  assert.equal(response.status, 502);
  assert.match((await response.json()).error, /3040: Capacity temporarily exceeded/);
});

test("the page is served", async () => {
  assert.match(await (await fetch(worker)).text(), /<title>Chat<\/title>/);
});
