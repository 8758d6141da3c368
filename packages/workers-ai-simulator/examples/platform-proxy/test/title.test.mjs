// Functions of a Worker in plain node:test: getPlatformProxy hands them the real bindings.
import assert from "node:assert/strict";
import * as hooks from "node:test";
import { simulatedWorker } from "workers-ai-simulator/config";
import { useSimulator } from "workers-ai-simulator/testing";
import { getPlatformProxy } from "wrangler";
import { title } from "../src/title.mjs";

const { after, test } = hooks;
const worker = await simulatedWorker();
const { env, dispose } = await getPlatformProxy({ configPath: worker.configPath, persist: false });
const ai = useSimulator(hooks, { url: worker.url, strict: true });

after(async () => {
  await dispose();
  await worker.stop();
});

test("quotation marks are removed", async () => {
  await ai.setAnswer({ prompt: "It rains", text: "“Rain”\n" });
  assert.equal(await title(env, "It rains in Oslo."), "Rain");
  const [call] = await ai.assertAsked({ prompt: "Oslo", times: 1 });
  assert.equal(call.inputs.messages[0].role, "system");
});

test("a busy model is an error", async () => {
  await ai.setAnswer({ error: { status: 429, code: 3040, description: "Capacity temporarily exceeded" } });
  await assert.rejects(title(env, "It rains."), /3040: Capacity temporarily exceeded/);
});
