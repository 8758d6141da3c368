// The whole Worker in workerd, by wrangler's own test harness, with its bindings simulated.
import assert from "node:assert/strict";
import * as hooks from "node:test";
import { simulatedWorker } from "workers-ai-simulator/config";
import { useSimulator } from "workers-ai-simulator/testing";
import { createTestHarness } from "wrangler";

const { after, before, test } = hooks;
const worker = await simulatedWorker();
const server = createTestHarness({ workers: [{ configPath: worker.configPath }] });
const ai = useSimulator(hooks, { url: worker.url, strict: true });

before(() => server.listen());
after(async () => {
  await server.close();
  await worker.stop();
});

test("the model's stream is the answer", async () => {
  await ai.setAnswer({ prompt: "rains", stream: ["It ", "is ", "raining"] });
  const response = await server.fetch("/", { method: "POST", body: "It rains in Oslo." });
  assert.match(await response.text(), /"It ".*\n\n.*"is ".*\n\n.*"raining"/);
  const [call] = await ai.assertAsked({ prompt: "Oslo", times: 1 });
  assert.equal(call.inputs.messages[0].role, "system");
});

test("a stream that breaks off breaks the answer", async () => {
  await ai.setAnswer({ text: "one two three four five six" });
  await ai.setFault({ cut_after_frames: 2 });
  const response = await server.fetch("/", { method: "POST", body: "Hello" });
  await assert.rejects(response.text());
});
