// The console's frame and its chat, as a person meets them, in Chromium, against a running server (see console.mjs).

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import {
  assertAccessible,
  assertFits,
  clearFaults,
  fault,
  NEEDS_SIMULATOR,
  open,
  PHONE,
  recorded,
  SERVER,
  SIMULATOR,
  shown,
} from "./console.mjs";

const DONE = "data: [DONE]\n\n";
const NATIVE = "@cf/meta/llama-3.1-8b-instruct-fast";
const MAX_FIRST_SCREEN = 150_000;

// ---- what a person does and sees --------------------------------------------------------------

const text = (page) => page.getByLabel("Your message");
const answers = (page) => page.locator(".turn.assistant");
const last = (page) => answers(page).last();
/** Wait until the last answer has ended. */
const ended = (page) => page.locator(".turn.assistant:last-child:not([aria-busy])").waitFor();
const notice = (page) => page.locator(".composer").getByRole("alert");

/** The chat with a model whose first frames are text: the default one reasons first. */
async function openNative(t, options) {
  const page = await open(t, options);
  await page.getByLabel("Model", { exact: true }).selectOption(NATIVE);
  return page;
}

async function ask(page, question) {
  await text(page).fill(question);
  await text(page).press("Enter");
}

/** Ask, and wait until the answer has ended. Returns its text and the body that was sent. */
async function askAndWait(page, question) {
  const count = await answers(page).count();
  const [request] = await Promise.all([page.waitForRequest("**/chat"), ask(page, question)]);
  await answers(page).nth(count).waitFor();
  await ended(page);
  return { text: await last(page).locator(".markdown").textContent(), body: request.postDataJSON() };
}

/** Ask, with the model held after three pieces of its answer. Returns the id of the model's call. */
async function askHeld(page, question, more) {
  await fault({ hold_after_frames: 3, ...more });
  const [response] = await Promise.all([page.waitForResponse("**/chat"), ask(page, question)]);
  await shown(last(page).locator(".markdown"), /^This is a$/);
  return response.headers()["x-ai-request-id"];
}

/** Answer the next requests to /chat from here. */
async function answerWith(page, body) {
  await page.route("**/chat", (route) => route.fulfill({ contentType: "text/event-stream", body }));
}

const frames = (...texts) => texts.map((each) => `data: ${JSON.stringify({ response: each })}\n\n`).join("");

// ---- arriving ---------------------------------------------------------------------------------

test(
  "the first screen is small, comes with a strict policy, and names what is simulated",
  NEEDS_SIMULATOR,
  async (t) => {
    const responses = [];
    const prepare = (page) => page.on("response", (response) => responses.push(response));
    const page = await open(t, { at: "", prepare });
    await page.getByRole("button", { name: "Ask it" }).first().waitFor();
    await page.waitForLoadState("networkidle");
    const bodies = await Promise.all(responses.map((response) => response.body().catch(() => Buffer.alloc(0))));
    const size = bodies.reduce((sum, body) => sum + gzipSync(body).length, 0);
    assert.ok(size > 20_000 && size < MAX_FIRST_SCREEN, `${size} bytes`);
    const document = responses.find((response) => new URL(response.url()).pathname === "/");
    const policy = document.headers()["content-security-policy"];
    assert.match(policy, /^default-src 'self';.*require-trusted-types-for 'script'/);
    assert.doesNotMatch(policy, /unsafe/);
    const { version } = await (await fetch(`${SERVER}/health`)).json();
    assert.equal(await page.locator(".brand p").textContent(), `aiworker ${version}`);
    assert.equal(await page.locator("#badge").textContent(), "Simulated");
  },
);

test("the badge, Home and each answer name the real model that generates text", async (t) => {
  const health = await (await fetch(`${SERVER}/health`)).json();
  const real = { ...health, simulated: ["AI"], real_models: { "text-generation": "llama3.2 by Ollama" } };
  const headers = {
    "x-model": "@cf/google/gemma-4-26b-a4b-it",
    "x-request-id": "req_1",
    "x-real-model": "llama3.2 by Ollama",
  };
  const prepare = async (page) => {
    await page.route("**/health", (route) => route.fulfill({ json: real }));
    await page.route("**/chat", (route) =>
      route.fulfill({ headers, contentType: "text/event-stream", body: `${frames("I am real.")}data: [DONE]\n\n` }),
    );
  };
  const page = await open(t, { at: "", prepare });
  await page.getByText("where llama3.2 by Ollama generates text and other models are simulated").waitFor();
  const badge = page.locator("#badge");
  assert.equal(await badge.textContent(), "Real: llama3.2 by Ollama");
  assert.match(
    await badge.getAttribute("title"),
    /embeddings, reranking, images, speech and translation are simulated/,
  );
  assert.doesNotMatch((await badge.getAttribute("class")) ?? "", /simulated/);
  await page.goto(`${SERVER}/#/chat`);
  await text(page).fill("Who are you?");
  await page.keyboard.press("Enter");
  await shown(last(page).locator(".facts"), /llama3\.2 by Ollama/);
  await last(page).getByText("Details").click();
  await shown(last(page).locator(".details"), /Answered by/);
});

test("a Worker that is closed, has no models or does not answer: the page says what to do, and tries again", async (t) => {
  let health = { version: "1", access: "closed", bindings: { AI: true }, simulated: [] };
  const prepare = (page) => page.route("**/health", (route) => route.fulfill({ json: health }));
  const page = await open(t, { prepare, refused: /^\/health$/ });
  await page.getByText("This Worker is closed").waitFor();
  await page.getByText('AUTH_MODE to "public"').waitFor();
  health = { ...health, access: "public", bindings: { AI: false } };
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("its binding AI is missing").waitFor();
  await page.unroute("**/health");
  await page.route("**/health", (route) => route.abort());
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The Worker does not answer. If it runs on this machine, start it with scripts/dev").waitFor();
  await assertAccessible(page, "not connected");
  await page.unroute("**/health");
  // as the local runtime answers while a module cannot be imported
  const traceback = `Traceback (most recent call last):\n  File "src/entry.py", line 1, in <module>\nNameError: <b>x</b>\n`;
  await page.route("**/health", (route) => route.fulfill({ status: 500, contentType: "text/plain", body: traceback }));
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("The Worker's Python cannot be imported. Edit the file").waitFor();
  assert.equal(await page.getByLabel("Traceback").textContent(), traceback);
  await assertAccessible(page, "a traceback");
  await page.unroute("**/health");
  await page.getByRole("button", { name: "Try again" }).click();
  await text(page).waitFor();
});

// ---- a Worker that wants a key ----------------------------------------------------------------

const KEY = "aiw_right";

test("a Worker that wants a key: the page asks for one, sends it, keeps it only if told to, and forgets it", async (t) => {
  const unauthorized = (message) => ({ status: 401, json: { error: { type: "unauthorized", message } } });
  let isRevoked = false;
  const late = Promise.withResolvers();
  const lock = (page) =>
    page.route(/\/(models|chat|conversations)(\?|$)/, async (route) => {
      const sent = route.request().headers().authorization;
      if (sent === "Bearer aiw_late") await late.promise;
      if (sent === `Bearer ${KEY}` && !isRevoked) return route.continue();
      return route.fulfill(unauthorized(sent ? "This API key is not known." : "Send an API key."));
    });
  const page = await open(t, { refused: /^\/(models|chat)$/, prepare: lock });
  const field = page.getByRole("textbox", { name: "API key" });
  const kept = () => page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]));
  const give = async (key) => {
    await field.fill(key);
    await field.press("Enter");
  };
  await field.waitFor();
  await assertAccessible(page, "the form for the key");
  await give("aiw_wrong");
  await page.getByText("This API key is not known.").waitFor();
  assert.equal(await field.inputValue(), "");
  const sent = page.waitForRequest(
    (request) => request.url().endsWith("/models") && request.headers().authorization === "Bearer aiw_late",
  );
  await give("aiw_late");
  await sent; // /health comes before it: with another key by then, this connection would go on with that
  await give(` ${KEY} `); // as pasted
  await text(page).waitFor();
  late.resolve();
  // the answers to the wrong key and to the late one, both read
  await recorded(page, () => records.all.filter(({ error }) => error === "This API key is not known.").length === 2);
  assert.ok(await text(page).isVisible(), "the answer to the first key is late, and changes nothing");
  assert.ok(!(await kept()).includes(KEY));
  await page.reload();
  await field.waitFor();
  await page.getByLabel("Keep it until this tab is closed").check();
  await give(KEY);
  await text(page).waitFor();
  await page.reload();
  await text(page).waitFor();
  await page.locator("#actions").getByRole("button", { name: "Code" }).click();
  await shown(page.getByRole("dialog"), 'authorization: Bearer $AIWORKER_KEY"');
  assert.ok(!(await page.content()).includes(KEY), "the key is shown nowhere");
  await page.keyboard.press("Escape");
  await askAndWait(page, "Anybody there?");
  await page.locator("#chats").getByText("Anybody there?").waitFor();
  isRevoked = true;
  await ask(page, "Hello?");
  await page.getByText("This API key is not known.").waitFor();
  isRevoked = false;
  await give(KEY);
  await page.locator("#chats").getByText("Anybody there?").waitFor();
  await page.getByRole("button", { name: "Forget the key" }).click();
  await field.waitFor();
  assert.equal(await page.locator("#chats a").count(), 0, "the chats of the key are not shown either");
  assert.ok(!(await kept()).includes(KEY));
});

// ---- answers ----------------------------------------------------------------------------------

test(
  "an answer appears piece by piece, with its cost; a reload keeps the chat, and it goes on",
  NEEDS_SIMULATOR,
  async (t) => {
    const elsewhere = ["a", "z"].map((letter) => `${letter}-${Date.now()}`);
    const turn = { messages: [{ role: "user", content: "Where do\nllamas live?" }] };
    const headers = { "content-type": "application/json" };
    const address = (id) => `${SERVER}/conversations/${id}`;
    for (const id of elsewhere)
      await fetch(`${address(id)}/messages`, { method: "POST", headers, body: JSON.stringify(turn) });
    // more than one page of them
    const prepare = (page) =>
      page.route("**/conversations?*", (route) =>
        route.continue({ url: route.request().url().replace("limit=100", "limit=1") }),
      );
    const page = await openNative(t, { prepare });
    for (const id of elsewhere) {
      await shown(page.locator(`#chats a[href$="${id}"]`), /^Where do llamas live\?$/);
      await fetch(address(id), { method: "DELETE" });
    }
    await page.unroute("**/conversations?*");
    await askHeld(page, "What is a Worker?");
    assert.equal(await last(page).getAttribute("aria-busy"), "true");
    await clearFaults();
    await shown(
      last(page).locator(".facts"),
      /llama-3\.1-8b-instruct-fast\d+ tokens[\d,]+ tokens\/s[\d.]+ neurons, \$0\.0/,
    );
    assert.match(
      await last(page).locator(".markdown").textContent(),
      /^This is a simulated answer in place of .* You wrote: “What is a Worker\?”/,
    );
    assert.equal(await last(page).getAttribute("aria-busy"), null);
    await last(page).getByText("Details").click();
    await shown(last(page).locator(".details"), /req_/);

    const { promise: isRead, resolve: read } = Promise.withResolvers();
    await page.route(/\/conversations\/\w+$/, (route) => isRead.then(() => route.continue()));
    await page.reload();
    await page.getByText("Reading the conversation…").waitFor();
    const sent = page.waitForRequest("**/chat");
    await ask(page, "And an isolate?"); // before the conversation is there
    read();
    const body = (await sent).postDataJSON();
    assert.deepEqual(body.messages, [{ role: "user", content: "And an isolate?" }]);
    await shown(answers(page).first().locator(".markdown"), /^This is a simulated answer/);
    const entry = page.locator("#chats li").filter({ has: page.locator(`[href$="${body.conversation}"]`) });
    await shown(entry, "What is a Worker?");
    await ended(page);
    assert.equal(await answers(page).count(), 2);
    assert.ok(page.url().endsWith(`#/chat/${body.conversation}`));
    await page.getByRole("button", { name: "New chat" }).click();
    await page.getByRole("heading", { name: "What would you like to ask?" }).waitFor();
    await page.locator("#chats a").first().click();
    await shown(last(page).locator(".markdown"), /And an isolate/);
    await entry.getByRole("button", { name: "Delete the chat: What is a Worker?" }).click();
    await page.getByRole("heading", { name: "What would you like to ask?" }).waitFor();
    const stored = await (await fetch(`${SERVER}/conversations/${body.conversation}`)).json();
    assert.deepEqual(stored.messages, []);
  },
);

test(
  "reasoning is folded, calls of tools are cards, and both models' dialects come whole, too",
  NEEDS_SIMULATOR,
  async (t) => {
    const page = await open(t);
    await page.getByLabel("Model", { exact: true }).selectOption("@cf/openai/gpt-oss-20b");
    await page.getByRole("button", { name: "Advanced" }).click();
    await page.getByLabel("Let the model call the Worker's tools").check();
    await ask(page, "What is the current time?");
    await shown(last(page).locator(".tool"), /Called current_time.*done/);
    await ended(page);
    await last(page).getByText("Called").click();
    await shown(last(page).locator(".tool dl"), /T\d\d:\d\d/);
    const reasoning = last(page).locator(".reasoning");
    assert.ok(await reasoning.locator("p").isHidden());
    await reasoning.locator("summary").click();
    await shown(reasoning.locator("p"), /^Simulated/);
    await page.reload(); // tools come back as cards
    await shown(last(page).locator(".tool"), /Called current_time/);

    await page.getByRole("button", { name: "Advanced" }).click();
    await page.getByLabel("Let the model call the Worker's tools").uncheck();
    await page.getByLabel("Stream the answer").uncheck();
    for (const model of [NATIVE, "@cf/openai/gpt-oss-20b"]) {
      await page.getByLabel("Model", { exact: true }).selectOption(model);
      const { body, text } = await askAndWait(page, "Hello");
      assert.equal(body.stream, false);
      assert.match(text, /Hello/, model);
    }
  },
);

test("Markdown is shown, code is highlighted and copied, and nothing in it can do anything", async (t) => {
  const page = await open(t, { permissions: ["clipboard-read", "clipboard-write"] });
  const answer = [
    "# Title\n\nA **bold** word, [a link](https://example.com) and [a trap](javascript:alert(1)).\n\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\ndef f():\n    return 'x'\n```\n\n",
    "<img src=x onerror=alert(1)><script>alert(2)</script>\n\n![p](https://example.com/p.png)\n\n",
    "```html\n<script>alert(3)</script>\n```\n",
  ];
  page.on("dialog", (dialog) => assert.fail(dialog.message()));
  await answerWith(page, frames(...answer) + DONE);
  await ask(page, "<i>Hello</i><img src=x onerror=alert(4)>");
  await ended(page);
  const markdown = last(page).locator(".markdown");
  assert.equal(await markdown.locator("strong").textContent(), "bold");
  assert.equal(await markdown.getByRole("link", { name: "a link" }).getAttribute("rel"), "noopener noreferrer");
  assert.equal(await markdown.locator("a[href^=javascript]").count(), 0);
  assert.equal(await markdown.locator("td").count(), 2);
  assert.equal(await page.locator(".turn :is(img, script, i)").count(), 0);
  await shown(markdown, "<img src=x onerror=alert(1)>");
  await shown(markdown.locator(".hljs-keyword"), "def");
  await markdown.getByRole("button", { name: "Copy the code" }).first().click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "def f():\n    return 'x'");
  await assertAccessible(page, "an answer of Markdown");
  await page.setViewportSize(PHONE.viewport);
  await assertFits(page, "an answer of Markdown");
  await page.unroute("**/chat");
  await answerWith(page, `data: {"response":4}\n\ndata: {"response":2}\n\n${DONE}`); // a text that is a JSON value
  assert.equal((await askAndWait(page, "6 × 7?")).text, "42");
});

test(
  "Stop and Escape keep what has come, end the model's work, and the next question knows it",
  NEEDS_SIMULATOR,
  async (t) => {
    const page = await openNative(t);
    // slow enough that it has not ended by the time that workerd notices that its reader has gone
    const call = await askHeld(page, "Tell me everything", { tokens_per_second: 4 });
    await ask(page, "a draft meanwhile"); // Enter neither sends it nor stops the answer
    assert.equal(await last(page).getAttribute("aria-busy"), "true");
    await page.keyboard.press("Escape");
    await shown(last(page).locator(".facts"), "Stopped");
    assert.equal(await last(page).locator(".markdown").textContent(), "This is a");
    assert.equal(await text(page).inputValue(), "a draft meanwhile");
    await clearFaults(); // workerd notices that a reader has gone when it has something to hand on
    const journal = await fetch(`${SIMULATOR}/simulator/requests/${call}?seconds=60`);
    assert.equal((await journal.json()).state, "cancelled");

    await page.reload(); // the Worker has stored nothing of it
    await shown(last(page).locator(".facts"), "Stopped");
    const { body } = await askAndWait(page, "Go on");
    assert.deepEqual(body.messages, [
      { role: "user", content: "Tell me everything" },
      { role: "assistant", content: "This is a" },
      { role: "user", content: "Go on" },
    ]);
    await fault({ hold_response: true });
    await ask(page, "Are you there?");
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("button", { name: "Send" }).waitFor();
    assert.equal(await text(page).inputValue(), "Are you there?");
    assert.equal(await page.locator(".turn.user").count(), 2);
    assert.equal(await notice(page).count(), 0);
  },
);

test("a question is edited and an answer retried, as a conversation of their own", NEEDS_SIMULATOR, async (t) => {
  const page = await openNative(t);
  const first = await askAndWait(page, "One?");
  const second = await askAndWait(page, "Two?");
  const sentBy = async (act) => (await Promise.all([page.waitForRequest("**/chat"), act()]))[0].postDataJSON();
  const deleted = page.waitForResponse(
    (response) =>
      response.request().method() === "DELETE" && response.url().endsWith(`/conversations/${second.body.conversation}`),
  );
  const retried = await sentBy(() => last(page).getByRole("button", { name: "Retry" }).click());
  assert.deepEqual(
    retried.messages.map(({ content }) => content),
    ["One?", first.text, "Two?"],
  );
  assert.notEqual(retried.conversation, second.body.conversation);
  await ended(page);
  const question = page.locator(".turn.user").first();
  await question.hover();
  await question.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Edit the message").fill("Three?");
  const edited = await sentBy(() => page.locator(".edit").getByRole("button", { name: "Send" }).click());
  assert.deepEqual(edited.messages, [{ role: "user", content: "Three?" }]);
  await shown(last(page).locator(".markdown"), "Three?");
  await ended(page);
  assert.equal(await page.locator(".turn").count(), 2);
  await deleted;
  const old = await (await fetch(`${SERVER}/conversations/${second.body.conversation}`)).json();
  assert.deepEqual(old.messages, []);
});

test("pictures are attached, made smaller, removed, and sent to a model that sees", async (t) => {
  const page = await openNative(t);
  const png = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "base64",
  );
  const file = { name: "dot.png", mimeType: "image/png", buffer: png };
  await page.getByLabel("Pictures", { exact: true }).setInputFiles([file, file]);
  await page.getByText("sees pictures, and is chosen now.").waitFor();
  await page.getByRole("button", { name: "Remove the picture" }).nth(1).click();
  const { body } = await askAndWait(page, "What is it?");
  assert.deepEqual(body.messages[0].content[0], { type: "text", text: "What is it?" });
  assert.match(body.messages[0].content[1].image_url.url, /^data:image\/jpeg;base64,/);
  assert.equal(body.messages[0].content.length, 2);
  await page.reload();
  await page.getByAltText("Attached picture").waitFor();
});

test("the page follows the answer only while the reader is at its end", NEEDS_SIMULATOR, async (t) => {
  const page = await openNative(t);
  const scroller = page.locator(".scroller");
  await answerWith(page, frames("line\n\n".repeat(60)) + DONE);
  await askAndWait(page, "A long one");
  await last(page).locator(".markdown p").nth(59).waitFor();
  const toEnd = await scroller.evaluate((e) => e.scrollHeight - e.clientHeight - e.scrollTop);
  assert.ok(toEnd < 2, `followed a long answer: ${toEnd}`);
  await page.unroute("**/chat");
  await askHeld(page, "Read meanwhile");
  await scroller.hover();
  await page.mouse.wheel(0, -1e5);
  await page.waitForFunction(() => document.querySelector(".scroller").scrollTop === 0);
  await clearFaults();
  await ended(page);
  assert.equal(await scroller.evaluate((e) => e.scrollTop), 0, "left the reader where they were");
});

// ---- what can go wrong ------------------------------------------------------------------------

test(
  "429: the sentence, the details, and a wait that is counted; the question is not lost",
  NEEDS_SIMULATOR,
  async (t) => {
    const page = await openNative(t, { prepare: (opened) => opened.clock.install() });
    const error = {
      type: "rate_limited",
      code: 7505,
      message: "Too many requests.",
      request_id: "req_1",
      retry_after: 3600,
    };
    await page.route("**/chat", (route) => route.fulfill({ status: 429, json: { error } }));
    await ask(page, "Hello?");
    await shown(notice(page), "Too many requests.");
    assert.ok(await notice(page).getByRole("button", { name: "Try again in" }).isDisabled());
    await notice(page).getByText("Details").click();
    await shown(notice(page), /type rate_limited.*code 7505.*req_1/);
    assert.equal(await text(page).inputValue(), "Hello?");
    await page.unroute("**/chat");
    await page.clock.runFor(1000 * error.retry_after);
    await notice(page).getByRole("button", { name: "Try again", exact: true }).click();
    await ended(page);
    assert.equal(await notice(page).count(), 0);
  },
);

test("parameters are the model's; what is empty is not sent, and what is refused is marked", async (t) => {
  const page = await openNative(t, PHONE);
  await page.getByRole("button", { name: "Advanced" }).click();
  await page.getByLabel("max_tokens").fill("5");
  await page.getByLabel("temperature").fill("9");
  await page.getByRole("button", { name: "Advanced" }).click();
  await ask(page, "Hello?");
  await shown(notice(page), "temperature must be between 0 and 5");
  await page.locator("[name=temperature][aria-invalid]:visible").waitFor();
  await assertFits(page, "a parameter is refused");
  await page.getByLabel("temperature").fill("0.5");
  assert.equal(await page.locator("[aria-invalid]").count(), 0);
  await page.getByLabel("Model", { exact: true }).selectOption("@cf/google/gemma-4-26b-a4b-it");
  assert.equal(await page.getByLabel("top_k").count(), 0);
  await page.getByLabel("System prompt").fill("Be brief.");
  const { body } = await askAndWait(page, "Hello?");
  const { conversation, ...rest } = body;
  assert.ok(conversation);
  assert.deepEqual(rest, {
    model: "@cf/google/gemma-4-26b-a4b-it",
    stream: true,
    max_tokens: 5,
    temperature: 0.5,
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hello?" },
    ],
  });
});

test("a stream that fails or is cut, a Worker that has gone, and being offline are shown as such", async (t) => {
  const page = await openNative(t);
  const error = { type: "upstream_error", message: "The model broke down.", code: null, request_id: "req_1" };
  await answerWith(page, `${frames("Half")}event: error\ndata: ${JSON.stringify({ error })}\n\n`);
  assert.equal((await askAndWait(page, "Hello?")).text, "Half");
  await shown(last(page).locator(".failure"), "The model broke down.");
  await shown(last(page).locator(".facts").last(), "Cut off");
  await page.unroute("**/chat");
  await answerWith(page, frames("Half an ans"));
  await last(page).getByRole("button", { name: "Try again" }).click();
  await shown(last(page), "The stream ended before the model had finished.");
  await page.unroute("**/chat");
  await page.route("**/chat", (route) => route.abort());
  await ask(page, "Are you there?");
  await shown(notice(page), "The Worker does not answer.");
  assert.equal(await text(page).inputValue(), "Are you there?");
  await page.context().setOffline(true);
  await page.getByText("You are offline. What you see stays").waitFor();
  await notice(page).getByRole("button", { name: "Try again" }).click();
  await shown(notice(page), "You are offline: the Worker cannot be reached.");
  await page.context().setOffline(false);
  await page.getByText("You are offline. What you see stays").waitFor({ state: "hidden" });
});

// ---- the frame --------------------------------------------------------------------------------

test("everything goes by keyboard: the palette, a question, its answer, the theme", NEEDS_SIMULATOR, async (t) => {
  const page = await open(t, { at: "home" });
  await page.getByRole("heading", { name: "What this Worker can do" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("chat");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter"); // "New chat"
  await text(page).waitFor();
  await page.keyboard.type("One");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("Two");
  await page.keyboard.press("Enter");
  await ended(page);
  assert.equal(await page.locator(".turn.user .text").textContent(), "One\nTwo");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("zzz");
  await page.getByText("Nothing has that name.").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.keyboard.type("theme");
  await page.keyboard.press("Enter");
  await page.reload();
  await text(page).waitFor();
  assert.equal(await page.locator("html").getAttribute("data-theme"), "light");
});

test("on a phone, the rail is a drawer that opens, closes and lets go of the focus", async (t) => {
  const page = await open(t, PHONE);
  await text(page).waitFor();
  assert.ok(await page.locator("#rail").isHidden());
  const menu = page.getByRole("button", { name: "Menu" });
  await menu.click();
  await page.getByRole("link", { name: "Documents" }).waitFor();
  await assertAccessible(page, "the drawer");
  await page.keyboard.press("Escape");
  await page.locator("#rail").waitFor({ state: "hidden" });
  assert.ok(await menu.evaluate((e) => e === document.activeElement));
  await menu.click();
  await page.getByRole("link", { name: "Home" }).click();
  await page.getByRole("heading", { name: "What this Worker can do" }).waitFor();
  await page.locator("#rail").waitFor({ state: "hidden" });
});
