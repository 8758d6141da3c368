// The client, installed from its packed package, against a Worker that wants keys and calls each model once.
//
//   AIWORKER_URL        the Worker
//   AIWORKER_SIMULATOR  its simulator
//   AIWORKER_KEY        a key for everything but `admin`

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import {
  Aiworker,
  AiworkerError,
  ApiError,
  DocumentFailedError,
  ForbiddenError,
  InvalidRequestError,
  ModelNotFoundError,
  NotFoundError,
  RateLimitedError,
  StreamInterruptedError,
  UnauthorizedError,
  UpstreamError,
} from "aiworker-client";

const { AIWORKER_URL: baseUrl, AIWORKER_SIMULATOR: SIMULATOR, AIWORKER_KEY: KEY } = process.env;
const NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast";
const OPENAI = "@cf/openai/gpt-oss-20b";
const QUESTION = { messages: [{ role: "user", content: "What is a Wörker? 👋🏽" }] };
const PIXEL = await (
  await fetch(
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  )
).blob();
const SCOPES = ["chat", "embed", "text", "image", "audio", "rag:read", "rag:write"];

/** Make a browser token, as the server of a web site does for its pages. */
async function newToken(scopes = SCOPES) {
  const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const body = JSON.stringify({ scopes, subject: "ada" });
  const response = await fetch(`${baseUrl}/tokens`, { method: "POST", headers, body });
  assert.equal(response.status, 201);
  return response.json();
}

const ai = new Aiworker({ baseUrl, getToken: () => newToken(), maxRetries: 0 });

async function simulator(path, method = "GET", body = undefined) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${SIMULATOR}/simulator${path}`, {
    method,
    headers,
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, await response.clone().text());
  return response.status === 204 ? undefined : response.json();
}

const fault = (parts) => simulator("/faults", "POST", { operation: "run", model: NATIVE, ...parts });
const lastCall = async () => (await simulator("/requests?operation=run")).at(-1);
afterEach(() => simulator("/faults", "DELETE"));

/** workerd, on this machine, notices that a client has left when it next writes: models here write slowly, but write. */
const slow = () => fault({ tokens_per_second: 4 });

async function assertCancelled() {
  const { id } = await lastCall();
  assert.equal((await simulator(`/requests/${id}?state=cancelled&seconds=60`)).state, "cancelled");
}

async function read(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

// ---- streams -------------------------------------------------------------------------------------------------------

for (const model of [NATIVE, OPENAI]) {
  test(`an answer streams, whatever the dialect: ${model}`, async () => {
    const events = await read(ai.chat({ ...QUESTION, model }));
    const kinds = [...new Set(events.map((event) => event.type))];
    const reasoning = model === OPENAI ? ["reasoning"] : [];
    assert.deepEqual(kinds, ["start", ...reasoning, "text", "usage", "end"]);
    assert.equal(events[0].model, model);
    assert.match(events[0].requestId, /^req_/);
    assert.ok(events.filter((event) => event.type === "text").length > 3);
    assert.ok(events.find((event) => event.type === "usage").usage.total_tokens > 10);
    const answer = await ai.chat({ ...QUESTION, model }).answer();
    assert.match(answer.text, /Wörker\? 👋🏽/);
    assert.equal(answer.stopped, false);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  });

  test(`the model may ask for a function of the page: ${model}`, async () => {
    const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const tools = [{ type: "function", function: { name: "weather", description: "The weather.", parameters } }];
    const messages = [{ role: "user", content: "What is the weather in Paris?" }];
    const { toolCalls } = await ai.chat({ messages, model, tools, tool_choice: "required" }).answer();
    assert.deepEqual(
      toolCalls.map((call) => call.name),
      ["weather"],
    );
    assert.equal(typeof JSON.parse(toolCalls[0].arguments).city, "string");
    assert.notEqual(toolCalls[0].id, "");
  });
}

test("calls of the Worker's own tools are events", async () => {
  const request = { prompt: "What is the current time?", worker_tools: ["current_time"], model: OPENAI };
  const { tools, text } = await ai.chat(request).answer();
  assert.equal(tools[0].name, "current_time");
  assert.equal(typeof tools[0].arguments, "string");
  assert.equal(typeof tools[0].result, "string");
  assert.notEqual(text, "");
});

test("stop() stops the model, and the loop ends without an error", async () => {
  await slow();
  const stream = ai.chat({ ...QUESTION, model: NATIVE });
  const texts = [];
  for await (const event of stream) {
    if (event.type !== "text") continue;
    texts.push(event.text);
    if (texts.length === 2) setImmediate(() => stream.stop());
  }
  assert.ok(texts.length >= 2);
  assert.equal(stream.stopped, true);
  await assertCancelled();
});

test("answer() returns what was written before stop()", async () => {
  await slow();
  const stream = ai.chat({ ...QUESTION, model: NATIVE });
  const answer = stream.answer();
  while ((await lastCall())?.state !== "streaming") await new Promise(setImmediate);
  stream.stop();
  const { stopped, reason } = await answer;
  assert.deepEqual({ stopped, reason }, { stopped: true, reason: null });
  await assertCancelled();
});

test("leaving the loop stops the model", async () => {
  await slow();
  for await (const event of ai.chat({ ...QUESTION, model: NATIVE })) if (event.type === "text") break;
  await assertCancelled();
});

test("an abort throws the signal's reason, before the answer and within it", async () => {
  await slow();
  const controller = new AbortController();
  const reason = new Error("enough");
  const stream = ai.chat({ ...QUESTION, model: NATIVE }, { signal: controller.signal });
  await assert.rejects(async () => {
    for await (const event of stream) if (event.type === "text") controller.abort(reason);
  }, reason);
  await assertCancelled();
  await assert.rejects(ai.chat(QUESTION, { signal: controller.signal }).answer(), reason);
  await assert.rejects(ai.embed("a", { signal: AbortSignal.timeout(0) }), { name: "TimeoutError" });
});

test("an answer is read once, and one that was stopped before sends nothing", async () => {
  const stream = ai.chat(QUESTION);
  stream.stop();
  assert.equal((await stream.answer()).text, "");
  await assert.rejects(stream.answer(), /once/);
});

test("a stream that is cut is an error, behind what has arrived", async () => {
  await fault({ cut_after_frames: 5 });
  const texts = [];
  await assert.rejects(
    async () => {
      for await (const event of ai.chat({ ...QUESTION, model: NATIVE }))
        if (event.type === "text") texts.push(event.text);
    },
    (error) => {
      assert.ok(error instanceof UpstreamError || error instanceof StreamInterruptedError, String(error));
      assert.match(error.requestId, /^req_/);
      return true;
    },
  );
  assert.ok(texts.length > 0);
});

// ---- documents -----------------------------------------------------------------------------------------------------

test("a file is uploaded, found, cited and deleted", async () => {
  const text = "# Penguins\n\nPenguins live in the southern hemisphere. They cannot fly.";
  const file = new File([text], "penguins.md", { type: "text/markdown" });
  const progress = [];
  const states = [];
  const options = {
    id: "client-penguins",
    metadata: { kind: "bird" },
    onProgress: (each) => progress.push(each),
    onState: ({ state }) => states.push(state),
  };
  const document = await ai.documents.upload(file, options);
  assert.equal(document.state, "indexed");
  assert.equal(document.metadata.kind, "bird");
  assert.deepEqual(progress, [
    { loaded: 0, total: file.size },
    { loaded: file.size, total: file.size },
  ]);
  assert.equal(states.at(-1), "indexed");

  const events = await read(ai.rag.ask("Where do penguins live?"));
  assert.deepEqual(
    events.slice(0, 2).map((event) => event.type),
    ["start", "sources"],
  );
  assert.equal(events[1].sources[0].document, "client-penguins");
  const answer = await ai.rag.ask({ query: "Where do penguins live?", top_k: 1 }).answer();
  assert.match(answer.text, /\[1\]/);
  assert.equal(answer.sources.length, 1);
  const { passages } = await ai.rag.search("Where do penguins live?");
  assert.match(passages[0].text, /southern hemisphere/);

  const { documents } = await ai.documents.list({ limit: 100 });
  assert.ok(documents.some(({ id }) => id === "client-penguins"));
  await ai.documents.delete("client-penguins");
  await assert.rejects(ai.documents.get("client-penguins"), NotFoundError);
});

test("a text is uploaded without waiting, and waited for", async () => {
  const queued = await ai.documents.upload("# Bears\n\nBears sleep in winter.", { id: "client-bears", wait: false });
  assert.equal(queued.id, "client-bears");
  assert.equal((await ai.documents.waitUntilIndexed("client-bears")).title, "Bears");
  await ai.documents.delete("client-bears");
});

test("a document that cannot be indexed is an error with the reason", async () => {
  const broken = new Blob(["%PDF-1.7 and nothing else"], { type: "application/pdf" });
  await assert.rejects(ai.documents.upload(broken, { id: "client-broken", name: "broken.pdf" }), (error) => {
    assert.ok(error instanceof DocumentFailedError, String(error));
    assert.equal(error.document.state, "failed");
    assert.equal(error.message, error.document.reason);
    return true;
  });
  await ai.documents.delete("client-broken");
});

// ---- single calls --------------------------------------------------------------------------------------------------

test("images are bytes, or an address", async () => {
  const picture = await ai.image({ prompt: "The same at night", image: PIXEL });
  assert.match(picture.type, /^image\//);
  assert.ok(picture.size > 0);
  const { url } = await ai.image({ prompt: "A lighthouse", store: true });
  assert.equal((await fetch(url)).status, 200);
});

test("speech is written down again", async () => {
  const sound = await ai.speak("Good morning. The train leaves at nine.");
  assert.match(sound.type, /^audio\//);
  const { text, vtt } = await ai.transcribe(sound, { vtt: true });
  assert.match(text, /train leaves at nine/);
  assert.match(vtt, /^WEBVTT/);
});

test("vectors, translations, data and decisions have their shapes", async () => {
  const [embedded, translated, extracted, decided] = await Promise.all([
    ai.embed(["a", "b"]),
    ai.translate({ text: "Good morning", target_lang: "fr" }),
    ai.extract({
      text: "Ada",
      schema: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
    }),
    ai.decide({ state: "Late.", questions: { late: { type: "noul", instructions: "Is it late?" } } }),
  ]);
  assert.equal(embedded.data.length, 2);
  assert.equal(typeof translated.translated_text, "string");
  assert.equal(typeof extracted.data.name, "string");
  assert.equal(decided.answers.late.type, "noul");
  const models = await (await ai.request("GET", "/models?task=embeddings")).json();
  assert.ok(models.models.length > 0);
});

// ---- errors, tokens, retries ---------------------------------------------------------------------------------------

test("errors have their class, their field and the request's id", async () => {
  await assert.rejects(ai.chat({ ...QUESTION, temperature: 9 }).answer(), (error) => {
    assert.ok(error instanceof InvalidRequestError && error instanceof ApiError && error instanceof AiworkerError);
    assert.deepEqual([error.name, error.status, error.param], ["InvalidRequestError", 400, "temperature"]);
    assert.match(error.requestId, /^req_/);
    return true;
  });
  await assert.rejects(ai.chat({ ...QUESTION, model: "@cf/nobody/nothing" }).answer(), ModelNotFoundError);
  await assert.rejects(ai.request("GET", "/nothing"), NotFoundError);
  await assert.rejects(ai.embed(""), InvalidRequestError);
  const reader = new Aiworker({ baseUrl, getToken: () => newToken(["rag:read"]) });
  await assert.rejects(reader.chat(QUESTION).answer(), ForbiddenError);
  await assert.rejects(new Aiworker({ baseUrl }).embed("a"), UnauthorizedError);
  await assert.rejects(new Aiworker({ baseUrl, apiKey: "aiw_wrong" }).embed("a"), UnauthorizedError);
  assert.equal((await new Aiworker({ baseUrl, apiKey: KEY }).embed("a")).data.length, 1);
});

test("one token serves all requests, and is renewed in time", async () => {
  let made = 0;
  let secondsLeft = 29;
  const getToken = async () => {
    made += 1;
    return { ...(await newToken()), expires_at: new Date(Date.now() + secondsLeft * 1000).toISOString() };
  };
  const client = new Aiworker({ baseUrl, getToken });
  await Promise.all([client.embed("a"), client.embed("b")]);
  assert.equal(made, 1);
  secondsLeft = 600;
  await client.embed("c");
  await client.embed("d");
  assert.equal(made, 2);
});

test("a token that is refused is renewed once", async () => {
  const { token } = await newToken();
  const tokens = ["refused", token, "refused", "refused"];
  const client = new Aiworker({ baseUrl, getToken: () => tokens.shift() });
  assert.equal((await client.embed("a")).data.length, 1);
  assert.equal((await client.embed("b")).data.length, 1);
  assert.equal(tokens.length, 2);
  const other = new Aiworker({ baseUrl, getToken: () => tokens.shift() });
  await assert.rejects(other.embed("a"), UnauthorizedError);
  assert.equal(tokens.length, 0);
});

test("a busy model is called again, as often as the client may", async () => {
  await fault({ status: 429, code: 3040 });
  await assert.rejects(ai.chat({ ...QUESTION, model: NATIVE }).answer(), RateLimitedError);
  await fault({ status: 429, code: 3040 });
  const patient = new Aiworker({ baseUrl, apiKey: KEY });
  assert.match((await patient.chat({ ...QUESTION, model: NATIVE }).answer()).text, /Wörker/);
});
