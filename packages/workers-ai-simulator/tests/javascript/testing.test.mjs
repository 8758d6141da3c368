// The client and the fixtures of workers-ai-simulator/testing; test_scripted.py runs this and knows which tests fail.
import assert from "node:assert/strict";
import * as hooks from "node:test";
import { SimulatorClient, SimulatorError, useSimulator } from "workers-ai-simulator/testing";

const { test } = hooks;
const MODEL = "@cf/meta/llama-3.2-3b-instruct";
const url = process.env.WORKERS_AI_SIMULATOR;
const ai = useSimulator(hooks, { url, strict: true });

async function ask(prompt, more = {}) {
  const headers = { "content-type": "application/json", "cf-consn-model-id": MODEL };
  const body = JSON.stringify({ inputs: { prompt, ...more }, options: {} });
  return fetch(`${ai.url}/run`, { method: "POST", headers, body });
}

const textOf = async (response) => (await response.json()).response;

test("an answer that is no object is refused in a sentence", async () => {
  for (const answer of [null, undefined, "Hi"])
    await assert.rejects(ai.setAnswer(answer), { name: "SimulatorError", message: /^An answer is an object of its/ });
});

test("answers in order, by prompt and by regular expression", async () => {
  await ai.setAnswers([
    { prompt: "Oslo", text: "Rain" },
    { pattern: /^(?<where>berg|trond)\w+\?$/i, stream: ["Sn", "ow"], count: 2 },
  ]);
  const id = await ai.setAnswer({ error: { status: 429, code: 3040 } });
  assert.equal(await textOf(await ask("Bergen?")), "Snow");
  assert.equal(await textOf(await ask("Oslo?")), "Rain");
  assert.match(await (await ask("Trondheim?", { stream: true })).text(), /"response":"Sn".*"response":"ow"/s);
  assert.equal((await ask("Bodø?")).status, 429);
  const calls = await ai.assertAsked({ model: MODEL, pattern: /\?$/, times: 4 });
  assert.equal(calls.at(-1).scripted, id);
  assert.deepEqual(
    (await ai.answers()).map(({ applied, remaining }) => [applied, remaining]),
    [
      [1, 0],
      [2, 0],
      [1, 0],
    ],
  );
});

test("each test begins anew", async () => {
  assert.deepEqual(await ai.answers(), []);
  assert.deepEqual(await ai.requests(), []);
  await ai.setStrict(false);
  assert.match(await textOf(await ask("Oslo?")), /simulated/);
});

test("faults and requests", async () => {
  await ai.setStrict(false);
  await ai.setFault({ status: 500, count: 1 });
  const failed = await ask("a");
  assert.equal(failed.status, 500);
  assert.equal((await ai.request(failed.headers.get("cf-ai-req-id"))).state, "failed");
  assert.equal((await ai.waitForRequest({ binding: "AI" })).status, 500);
  assert.equal((await ai.faults()).length, 1);
});

test("what is wrong is said", async () => {
  await assert.rejects(ai.setAnswer({ text: 5 }), (error) => {
    assert.ok(error instanceof SimulatorError);
    assert.deepEqual([error.status, error.message], [400, "text: 5 is not of type 'string'"]);
    return true;
  });
  await assert.rejects(
    new SimulatorClient("http://127.0.0.1:1").answers(),
    /No simulator answers on http:\/\/127.0.0.1:1/,
  );
  await assert.rejects(async () => new SimulatorClient().url, /has not started yet/);
});

test("fails: an unexpected call", async () => {
  assert.equal((await ask("Bergen?")).status, 400);
});

test("fails: an unused answer", () => ai.setAnswer({ text: "Rain" }));

test("fails: what was not asked", () => ai.assertAsked({ prompt: "Oslo" }));
