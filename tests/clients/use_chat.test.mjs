// What `useChat` of Vercel's AI SDK is made of, AbstractChat and DefaultChatTransport, against /api/chat.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { AbstractChat, DefaultChatTransport } from "ai";

const URL = process.env.AIWORKER_URL;
const SIMULATOR = process.env.AIWORKER_SIMULATOR;
const NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast";
const REASONING = "@cf/openai/gpt-oss-20b";
const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WITH_SIMULATOR = { skip: !SIMULATOR };

/** The state that React keeps for `useChat`. */
class State {
  status = "ready";
  error = undefined;
  messages = [];
  pushMessage = (message) => {
    this.messages = [...this.messages, message];
  };
  replaceMessage = (index, message) => {
    this.messages = this.messages.with(index, structuredClone(message));
  };
  snapshot = structuredClone;
}

class Chat extends AbstractChat {
  constructor(id, { onFinish, ...options } = {}) {
    super({
      id,
      state: new State(),
      transport: new DefaultChatTransport({ api: `${URL}/api/chat`, ...options }),
      onFinish: (finish) => {
        this.finish = finish;
      },
    });
  }

  get answer() {
    return this.lastMessage?.role === "assistant" ? textOf(this.lastMessage) : "";
  }
}

const textOf = (message) =>
  message.parts
    .filter((part) => part.type === "text")
    .map((part) => part.text)
    .join("");
const kinds = (message) => message.parts.map((part) => part.type);
const newId = () => `chat-${crypto.randomUUID()}`;

async function simulator(path, method = "GET", body = undefined) {
  const response = await fetch(`${SIMULATOR}/simulator${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, await response.clone().text());
  return response.status === 204 ? undefined : response.json();
}

/** Wait until it is so; what a test waits for always comes. */
async function until(isSo) {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

const hold = (frames) => simulator("/faults", "POST", { hold_after_frames: frames, operation: "run" });
const release = () => simulator("/faults", "DELETE");
const calls = () => simulator("/requests?operation=run");
/** The id of the last call of a model. The simulator keeps a thousand calls, so that their number tells nothing. */
const lastCall = async () => (await calls()).at(-1)?.id;

afterEach(() => SIMULATOR && release());

test("an answer streams, with its model, usage and cost", async () => {
  const chat = new Chat(newId(), { body: { model: NATIVE } });
  await chat.sendMessage({ text: "What is a Wörker? 👋🏽" });
  assert.equal(chat.error, undefined);
  assert.match(chat.answer, /Wörker\? 👋🏽/);
  assert.deepEqual(kinds(chat.lastMessage), ["step-start", "text"]);
  assert.equal(chat.lastMessage.parts[1].state, "done");
  assert.equal(chat.finish.finishReason, "stop");
  const { model, usage, neurons, requestId } = chat.lastMessage.metadata;
  assert.equal(model, NATIVE);
  assert.ok(usage.outputTokens > 20 && usage.totalTokens === usage.inputTokens + usage.outputTokens);
  assert.ok(neurons > 0);
  assert.match(requestId, /^req_/);
});

test("every turn is sent, and a regenerated answer takes the place of the first", async () => {
  const chat = new Chat(newId(), { body: { model: NATIVE } });
  await chat.sendMessage({ text: "My name is Ada." });
  await chat.sendMessage({ text: "What is my name?" });
  assert.match(chat.answer, /Ada/);
  const before = chat.lastMessage.id;
  await chat.regenerate();
  assert.equal(chat.messages.length, 4);
  assert.notEqual(chat.lastMessage.id, before);
  assert.match(chat.answer, /Ada/);
});

test("reasoning is a part of its own, and is not sent again", async () => {
  const chat = new Chat(newId(), { body: { model: REASONING } });
  await chat.sendMessage({ text: "Hello" });
  assert.deepEqual(kinds(chat.lastMessage), ["step-start", "reasoning", "text"]);
  assert.match(chat.lastMessage.parts[1].text, /Simulated reasoning/);
  await chat.sendMessage({ text: "Again" });
  assert.equal(chat.error, undefined);
});

for (const model of [NATIVE, REASONING])
  test(`tools of the Worker run, and their parts are sent again: ${model}`, async () => {
    const chat = new Chat(newId(), { body: { model, worker_tools: ["current_time"] } });
    await chat.sendMessage({ text: "What is the current time?" });
    assert.equal(chat.error, undefined);
    const tool = chat.lastMessage.parts.find((part) => part.type === "tool-current_time");
    assert.equal(tool.state, "output-available");
    assert.match(tool.output, /^\d{4}-\d\d-\d\dT/);
    assert.equal(chat.lastMessage.parts.filter((part) => part.type === "step-start").length, 2);
    assert.ok(chat.answer.length > 0);
    await chat.sendMessage({ text: "Thank you." });
    assert.equal(chat.error, undefined);
    assert.ok(chat.answer.length > 0);
  });

test("the page's own tools are called by the page", async () => {
  const tools = [
    {
      type: "function",
      function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
    },
  ];
  const chat = new Chat(newId(), { body: { model: NATIVE, tools } });
  await chat.sendMessage({ text: 'What is the weather in "Paris"?' });
  assert.equal(chat.finish.finishReason, "tool-calls");
  const call = chat.lastMessage.parts.find((part) => part.type === "tool-get_weather");
  assert.deepEqual([call.state, call.input], ["input-available", { city: "Paris" }]);
  await chat.addToolOutput({ tool: "get_weather", toolCallId: call.toolCallId, output: "23 degrees in Paris" });
  await chat.sendMessage();
  // the answer goes on with the same message
  assert.equal(chat.messages.length, 2);
  assert.match(chat.answer, /23 degrees in Paris/);
});

test("an image is seen", async () => {
  const chat = new Chat(newId(), { body: { model: "@cf/meta/llama-4-scout-17b-16e-instruct" } });
  await chat.sendMessage({ text: "What is this?", files: [{ type: "file", mediaType: "image/png", url: PIXEL }] });
  assert.equal(chat.error, undefined);
  assert.ok(chat.answer.length > 0);
});

test("the last message is enough for a conversation that is stored", async () => {
  const id = newId();
  const options = {
    prepareSendMessagesRequest: ({ id, messages, trigger, messageId }) => ({
      body: { id, message: messages.at(-1), trigger, messageId, model: NATIVE },
    }),
  };
  const chat = new Chat(id, options);
  await chat.sendMessage({ text: "My name is Ada." });
  await chat.sendMessage({ text: "What is my name?" });
  assert.match(chat.answer, /Ada/);
  await chat.regenerate();
  const history = async () => (await (await fetch(`${URL}/conversations/${id}`)).json()).messages;
  assert.deepEqual(
    (await history()).map((message) => message.role),
    ["user", "assistant", "user", "assistant"],
  );
  assert.equal((await history()).at(-1).content, chat.answer);
  const listed = await (await fetch(`${URL}/conversations?limit=100`)).json();
  assert.ok(listed.conversations.some((each) => each.conversation === id) || listed.cursor);
  await fetch(`${URL}/conversations/${id}`, { method: "DELETE" });
  assert.deepEqual(await history(), []);
  assert.equal((await fetch(`${URL}/api/chat/${id}/stream`)).status, 204);
});

test("after a lost connection, the answer is taken up from its beginning", WITH_SIMULATOR, async () => {
  await hold(5);
  const id = newId();
  const chat = new Chat(id, { body: { model: NATIVE } });
  const sent = chat.sendMessage({ text: "Hello" });
  await until(() => chat.answer);
  await chat.stop(); // this client's own: it only disconnects
  await sent;
  const other = new Chat(id);
  const resumed = [chat.resumeStream(), other.resumeStream()];
  await until(() => other.answer);
  await release();
  await Promise.all(resumed);
  assert.equal(chat.messages.length, 2);
  assert.equal(other.messages.length, 1);
  assert.equal(chat.answer, other.answer);
  assert.equal(chat.lastMessage.id, other.lastMessage.id);
  assert.equal(chat.status, "ready");
  assert.equal(other.finish.finishReason, "stop");
  // it is kept for a while
  const late = new Chat(id);
  await late.resumeStream();
  assert.equal(late.answer, chat.answer);
});

test("an answer is taken up that has not begun", WITH_SIMULATOR, async () => {
  await simulator("/faults", "POST", { hold_response: true, operation: "run" });
  const id = newId();
  const chat = new Chat(id, { body: { model: NATIVE } });
  const before = await lastCall();
  const sent = chat.sendMessage({ text: "Hello" });
  await until(async () => (await lastCall()) !== before);
  await chat.stop();
  await sent;
  const resumed = chat.resumeStream();
  await until(() => chat.status === "submitted");
  await release();
  await resumed;
  assert.equal(chat.messages.length, 2);
  assert.match(chat.answer, /Hello/);
});

test("stop ends the model and every listener", WITH_SIMULATOR, async () => {
  await hold(5);
  const id = newId();
  const chats = [new Chat(id, { body: { model: NATIVE } }), new Chat(id)];
  const sent = chats[0].sendMessage({ text: "Hello" });
  await until(() => chats[0].answer);
  const resumed = chats[1].resumeStream();
  await until(() => chats[1].answer);
  const stop = (query) => fetch(`${URL}/api/chat/${id}/stop${query}`, { method: "POST" });
  assert.equal((await stop("?messageId=another")).status, 404);
  assert.equal((await stop(`?messageId=${chats[0].lastMessage.id}`)).status, 204);
  await Promise.all([sent, resumed]);
  for (const chat of chats) {
    assert.equal(chat.status, "ready");
    assert.equal(chat.lastMessage.parts.at(-1).state, "done");
  }
  assert.equal(chats[0].answer, chats[1].answer);
  await until(async () => (await calls()).at(-1).state === "cancelled");
  assert.equal((await stop("")).status, 204); // it has ended already
});

test("a further message takes the place of an answer that is being written", WITH_SIMULATOR, async () => {
  await hold(5);
  const id = newId();
  const first = new Chat(id, { body: { model: NATIVE } });
  const sent = first.sendMessage({ text: "Hello" });
  await until(() => first.answer);
  const before = await lastCall();
  const second = new Chat(id, { body: { model: NATIVE } });
  const replaced = second.sendMessage({ text: "What is a Worker?" });
  await until(async () => (await lastCall()) !== before);
  await release();
  await Promise.all([sent, replaced]);
  assert.match(second.answer, /Worker/);
  const late = new Chat(id);
  await late.resumeStream();
  assert.equal(late.answer, second.answer);
});

test("a chat without an answer has none to take up", async () => {
  const chat = new Chat(newId());
  await chat.resumeStream();
  assert.deepEqual([chat.status, chat.error, chat.messages], ["ready", undefined, []]);
  assert.equal((await fetch(`${URL}/api/chat/${newId()}/stop`, { method: "POST" })).status, 404);
});

const REFUSED = [
  ["an unknown model", { model: "gpt-99" }, {}, 404, /^There is no model gpt-99\./],
  ["an unknown field", { modell: NATIVE }, {}, 400, /^modell is not known here/],
  [
    "a file that is no PDF",
    {},
    { files: [{ type: "file", mediaType: "application/pdf", url: "data:application/pdf;base64,AA==" }] },
    400,
    /could not be converted/,
  ],
  [
    "the address of an image",
    {},
    { files: [{ type: "file", mediaType: "image/png", url: "https://example.com/a.png" }] },
    400,
    /ATTACHMENT_HOSTS does not name/,
  ],
  ["a part of an unknown type", {}, { parts: [{ type: "video", url: "a" }] }, 400, /is no part of a message/],
  [
    "a message without a text",
    {},
    { parts: [{ type: "data-mine", data: 1 }] },
    400,
    /^messages has no text and no file\./,
  ],
  ["a tool that the Worker does not have", { worker_tools: ["launch"] }, {}, 400, /no tool launch/],
  ["documents and tools", { worker_tools: true, documents: true }, {}, 400, /cannot be combined/],
  ["a temperature that is too high", { temperature: 9 }, {}, 400, /^temperature /],
];
for (const [name, body, message, status, sentence] of REFUSED)
  test(`onError gets the sentence: ${name}`, async () => {
    const chat = new Chat(newId(), { body });
    await chat.sendMessage({ ...("parts" in message ? {} : { text: "Hello" }), ...message });
    assert.equal(chat.status, "error");
    assert.match(chat.error.message, sentence);
    assert.equal(chat.error.statusCode, status);
  });

test("onError gets the sentence of an answer that does not begin, or breaks off", WITH_SIMULATOR, async () => {
  const id = newId();
  const chat = new Chat(id, { body: { model: NATIVE } });
  await simulator("/faults", "POST", { status: 400, code: 5004, description: "The prompt is odd", operation: "run" });
  await chat.sendMessage({ text: "Hello" });
  assert.match(chat.error.message, /The prompt is odd/);
  assert.equal(chat.error.statusCode, 400);
  assert.equal((await fetch(`${URL}/api/chat/${id}/stream`)).status, 204);
  await simulator("/faults", "POST", { cut_after_frames: 5, operation: "run" });
  await chat.regenerate();
  assert.equal(chat.status, "error");
  assert.match(chat.error.message, /^The model's answer broke off/);
  assert.equal(chat.lastMessage.parts.at(-1).state, "done");
  await chat.regenerate();
  assert.equal(chat.status, "ready");
});

test("ids that no chat can have are not found", async () => {
  assert.equal((await fetch(`${URL}/api/chat/${"x".repeat(65)}/stream`)).status, 404);
  assert.equal((await fetch(`${URL}/api/chat/a.b/stop`, { method: "POST" })).status, 404);
});
