// The console as a person meets it, in Chromium, against a running server.
//
//   AIWORKER_URL        the server, such as http://localhost:8787
//   AIWORKER_SIMULATOR  its simulator, as scripts/dev prints it; without it, tests that need one are skipped
//   CHROMIUM            the browser, if it is not /usr/bin/chromium

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, afterEach, before, test } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const SERVER = process.env.AIWORKER_URL;
const SIMULATOR = process.env.AIWORKER_SIMULATOR;
const NEEDS_SIMULATOR = { skip: SIMULATOR ? false : "AIWORKER_SIMULATOR is not set" };
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];
const DONE = "data: [DONE]\n\n";

if (!SERVER) throw new Error("Set AIWORKER_URL to the address of a running server (scripts/dev).");

let browser;

before(async () => {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ARGUMENTS });
});
after(() => browser?.close());
afterEach(() => SIMULATOR && clearFaults());

// ---- what a person does and sees --------------------------------------------------------------

/** The page in a fresh browser context. `refused`: the path of requests that this test lets fail. */
async function open(t, { refused = "/chat", prepare, ...context } = {}) {
  const opened = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...context });
  const page = await opened.newPage();
  page.setDefaultTimeout(10_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // Chromium itself notes every refused request as an error
    const isRefusal = message.text().startsWith("Failed to load resource");
    if (isRefusal && new URL(message.location().url).pathname === refused) return;
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  t.after(async () => {
    await opened.close();
    assert.deepEqual(complaints, [], "the browser complains");
  });
  await prepare?.(page);
  await page.goto(SERVER);
  return page;
}

async function openReady(t, options) {
  const page = await open(t, options);
  await page.locator("#writing:enabled").waitFor();
  return page;
}

/** With a model whose first frames are text: the default one reasons first. */
async function openNative(t, options) {
  const page = await openReady(t, options);
  await page.getByLabel("Model").selectOption("@cf/meta/llama-3.1-8b-instruct-fast", { force: true });
  return page;
}

const question = (page) => page.getByLabel("Your message");
const answers = (page) => page.locator(".turn.assistant");
const lastText = (page) => answers(page).last().locator(".text");
const lastFacts = (page) => answers(page).last().locator(".facts");
const notice = (page) => page.getByRole("alert");

async function ask(page, text) {
  await question(page).fill(text);
  await question(page).press("Enter");
}

/** Ask, and wait until the answer has ended. Returns its text and the request that was sent. */
async function askAndWait(page, text) {
  const number = await answers(page).count();
  const [request] = await Promise.all([page.waitForRequest("**/chat"), ask(page, text)]);
  const answer = answers(page).nth(number);
  await answer.locator(".facts span").first().waitFor();
  return { text: await answer.locator(".text").textContent(), request: request.postDataJSON() };
}

async function setting(page, label, value) {
  await page.getByLabel(label, { exact: true }).fill(value);
}

/** Have answers cut short: for tests that need one, but not all of it. */
async function keepShort(page) {
  await setting(page, "max_tokens", "5");
}

/** Answer the next requests to /chat from here. */
async function answerWith(page, body, contentType = "text/event-stream") {
  await page.route("**/chat", (route) => route.fulfill({ contentType, body }));
}

/** What scrolls sideways. */
function tooWide(page) {
  return page
    .locator("html, main, #composer, #panel")
    .evaluateAll((all) => all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.outerHTML));
}

async function shown(locator, text) {
  await locator.filter({ hasText: text }).waitFor();
}

// ---- the simulator ----------------------------------------------------------------------------

async function fault(what) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${SIMULATOR}/simulator/faults`, {
    method: "POST",
    headers,
    body: JSON.stringify(what),
  });
  assert.equal(response.status, 201);
}

async function clearFaults() {
  await fetch(`${SIMULATOR}/simulator/faults`, { method: "DELETE" });
}

/** Ask, with the model held after three pieces of its answer. Returns the id of the model's call. */
async function askHeld(page, text) {
  await fault({ hold_after_frames: 3 });
  const [response] = await Promise.all([page.waitForResponse("**/chat"), ask(page, text)]);
  await shown(lastText(page), /^This is a$/);
  return response.headers()["x-ai-request-id"];
}

// ---- arriving ---------------------------------------------------------------------------------

test("the page says which version it is, and that answers are simulated", NEEDS_SIMULATOR, async (t) => {
  const page = await openReady(t);
  const { version } = await (await fetch(`${SERVER}/health`)).json();
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), `aiworker ${version}`);
  await page.getByText("Answers are simulated on this machine: no model reads what you write.").waitFor();
});

test("the page is served with headers that keep foreign code out", async () => {
  const { headers } = await fetch(SERVER);
  assert.match(headers.get("content-security-policy"), /^default-src 'self'/);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.equal(headers.get("referrer-policy"), "no-referrer");
});

test("a closed Worker: the page says what its owner can do", async (t) => {
  const health = { version: "1", access: "closed", bindings: { AI: true }, simulated: [] };
  const page = await open(t, {
    prepare: (page) => page.route("**/health", (route) => route.fulfill({ json: health })),
  });
  await shown(page.getByRole("status"), "This Worker is closed");
  await shown(page.getByRole("status"), 'AUTH_MODE to "public"');
  assert.ok(await question(page).isDisabled());
});

test("a Worker without models: the page says which binding is missing", async (t) => {
  const health = { version: "1", access: "public", bindings: { AI: false }, simulated: [] };
  const page = await open(t, {
    prepare: (page) => page.route("**/health", (route) => route.fulfill({ json: health })),
  });
  await shown(page.getByRole("status"), "binding AI is missing");
});

test("a Worker that does not answer: the page says so, and can try again", async (t) => {
  const prepare = (page) => page.route("**/health", (route) => route.abort());
  const page = await open(t, { refused: "/health", prepare });
  await shown(
    page.getByRole("status"),
    "The Worker does not answer. If it runs on this machine, start it with scripts/dev",
  );
  await page.unroute("**/health");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.locator("#writing:enabled").waitFor();
});

test("an example goes into the message, to be sent or changed", async (t) => {
  const page = await openReady(t);
  await page.getByRole("button", { name: "Write a haiku" }).click();
  assert.match(await question(page).inputValue(), /^Write a haiku/);
});

// ---- a Worker that wants a key ----------------------------------------------------------------

const KEY = "aiw_right";
const WANTS_KEY = { type: "unauthorized", message: "Send an API key." };
const UNKNOWN_KEY = { type: "unauthorized", message: "This API key is not known." };

/** Have the server refuse whoever does not send that key. */
async function lock(page) {
  await page.route(/\/(models|chat)(\?|$)/, (route) => {
    const sent = route.request().headers().authorization;
    if (sent === `Bearer ${KEY}`) return route.continue();
    return route.fulfill({ status: 401, json: { error: sent ? UNKNOWN_KEY : WANTS_KEY } });
  });
}

const openLocked = (t, options) => open(t, { refused: "/models", prepare: lock, ...options });
const keyField = (page) => page.getByLabel("API key");

async function giveKey(page, key) {
  await keyField(page).fill(key);
  await keyField(page).press("Enter");
}

test("a Worker that wants a key: the page asks for one, and sends it", async (t) => {
  const page = await openLocked(t);
  await keyField(page).waitFor();
  await page.setViewportSize({ width: 360, height: 740 });
  assert.deepEqual(await tooWide(page), []);
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.ok(await question(page).isDisabled());
  await giveKey(page, "aiw_wrong");
  await shown(page.getByRole("status"), "This API key is not known.");
  assert.equal(await keyField(page).inputValue(), "");
  await giveKey(page, ` ${KEY} `); // as pasted
  await page.locator("#writing:enabled").waitFor();
  assert.ok(await keyField(page).isHidden());
  await keepShort(page);
  await askAndWait(page, "Hello?");
  await page.getByText("Request as curl").click();
  const curl = await page.locator("#curl-text").textContent();
  assert.match(curl, /-H "authorization: Bearer \$AIWORKER_KEY"/);
  assert.ok(!(await page.content()).includes(KEY), "the key is shown nowhere");
});

test("a key is kept only if the user wants that, and in this tab", async (t) => {
  const page = await openLocked(t);
  const kept = () => page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]));
  await giveKey(page, KEY);
  await page.locator("#writing:enabled").waitFor();
  assert.ok(!(await kept()).includes(KEY));
  await page.reload();
  await keyField(page).waitFor();
  await page.getByLabel("Keep it until this tab is closed").check();
  await giveKey(page, KEY);
  await page.locator("#writing:enabled").waitFor();
  await page.reload();
  await page.locator("#writing:enabled").waitFor();
  await page.getByRole("button", { name: "Forget the key" }).click();
  await keyField(page).waitFor();
  assert.ok(!(await kept()).includes(KEY));
});

test("a key that is revoked meanwhile is asked for again, and the question is not lost", async (t) => {
  const page = await openLocked(t, { refused: "/chat", prepare: undefined });
  await page.locator("#writing:enabled").waitFor();
  await page.route("**/chat", (route) => route.fulfill({ status: 401, json: { error: UNKNOWN_KEY } }));
  await ask(page, "Hello?");
  await keyField(page).waitFor();
  assert.equal(await question(page).inputValue(), "Hello?");
});

test("a key that may not chat: the page says what it lacks, and how to use another", async (t) => {
  const page = await openReady(t);
  const message = "This route needs the scope chat. The key web has: image.";
  await page.route("**/chat", (route) =>
    route.fulfill({ status: 403, json: { error: { type: "forbidden", message } } }),
  );
  await ask(page, "Hello?");
  await shown(notice(page), "This route needs the scope chat.");
  await shown(notice(page), "Forget the key");
});

// ---- answers ----------------------------------------------------------------------------------

test("an answer appears piece by piece while the model is still writing", NEEDS_SIMULATOR, async (t) => {
  const page = await openNative(t);
  await askHeld(page, "What is a Worker?");
  assert.equal(await answers(page).last().getAttribute("aria-busy"), "true");
  assert.equal(await lastFacts(page).textContent(), "");
  await clearFaults();
  await shown(lastFacts(page), "s in all");
  const text = await lastText(page).textContent();
  assert.match(text, /^This is a simulated answer in place of .* You wrote: “What is a Worker\?”/);
  assert.equal(await answers(page).last().getAttribute("aria-busy"), null);
});

test("under the answer stand its model, tokens, times and request", NEEDS_SIMULATOR, async (t) => {
  const page = await openNative(t);
  await keepShort(page);
  const [response] = await Promise.all([page.waitForResponse("**/chat"), askAndWait(page, "Hello")]);
  const facts = await lastFacts(page).locator("span").allTextContents();
  assert.equal(facts[0], "@cf/meta/llama-3.1-8b-instruct-fast");
  assert.match(facts[1], /^\d+ tokens in, 5 out$/);
  assert.match(facts[2], /^first text after \d+\.\d\d s$/);
  assert.match(facts[3], /^\d+\.\d\d s in all$/);
  assert.equal(facts[4], response.headers()["x-request-id"]);
});

test("a model of the OpenAI dialect streams too", NEEDS_SIMULATOR, async (t) => {
  const page = await openReady(t);
  await page.getByLabel("Model").selectOption("@cf/openai/gpt-oss-20b");
  await fault({ hold_after_frames: 3 });
  await ask(page, "Hello");
  // this model thinks aloud first: that is shown, but is not the answer
  await shown(answers(page).last().locator(".reasoning"), /^Simulated/);
  assert.equal(await lastText(page).textContent(), "");
  await clearFaults();
  await shown(lastFacts(page), /gpt-oss-20b.* tokens in, .* out/);
  assert.match(
    await lastText(page).textContent(),
    /^This is a simulated answer in place of @cf\/openai\/gpt-oss-20b\./,
  );
});

test("without streaming, the answer of either dialect comes whole", async (t) => {
  const page = await openReady(t);
  await page.getByLabel("Stream the answer").uncheck();
  for (const model of ["@cf/meta/llama-3.2-1b-instruct", "@cf/openai/gpt-oss-20b"]) {
    await page.getByLabel("Model").selectOption(model);
    const { text, request } = await askAndWait(page, "Hello");
    assert.equal(request.stream, false);
    assert.ok(text.length > 0, model);
    await shown(lastFacts(page), /tokens in/);
  }
});

test("what a model writes is text, never markup", async (t) => {
  const page = await openReady(t);
  const markup = "<img src=x onerror=alert(1)><b>bold</b>";
  await answerWith(page, `data: ${JSON.stringify({ response: markup })}\n\n${DONE}`);
  const { text } = await askAndWait(page, "<i>Hello</i>");
  assert.equal(text, markup);
  assert.equal(await page.locator(".turn :is(img, b, i)").count(), 0);
});

test("a piece that comes as a number is shown as the model meant it", async (t) => {
  const page = await openReady(t);
  await answerWith(page, `data: {"response":4}\n\ndata: {"response":2}\n\n${DONE}`);
  assert.equal((await askAndWait(page, "6 × 7?")).text, "42");
});

test("Stop keeps what has come and ends the model's work", NEEDS_SIMULATOR, async (t) => {
  const page = await openNative(t);
  const call = await askHeld(page, "Tell me everything");
  await ask(page, "a draft meanwhile"); // Enter neither sends it nor stops the answer
  assert.equal(await answers(page).last().getAttribute("aria-busy"), "true");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter"); // the button Stop
  await shown(lastFacts(page), "Stopped");
  assert.equal(await lastText(page).textContent(), "This is a");
  assert.equal(await question(page).inputValue(), "a draft meanwhile");
  await page.getByRole("button", { name: "Send" }).waitFor();
  await clearFaults(); // workerd notices that a reader has gone when it has something to hand on
  const journal = await fetch(`${SIMULATOR}/simulator/requests/${call}?seconds=10`);
  assert.equal((await journal.json()).state, "cancelled");
});

test("Stop before any answer gives the question back", NEEDS_SIMULATOR, async (t) => {
  const page = await openReady(t);
  await fault({ hold_response: true });
  await ask(page, "Are you there?");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("button", { name: "Send" }).waitFor();
  assert.equal(await question(page).inputValue(), "Are you there?");
  assert.equal(await page.locator(".turn").count(), 0);
  assert.equal(await notice(page).textContent(), "");
});

// ---- the conversation -------------------------------------------------------------------------

test("the second question is sent with the history, after the system prompt", async (t) => {
  const page = await openReady(t);
  await keepShort(page);
  await setting(page, "System prompt", "Be brief.");
  const first = await askAndWait(page, "One?");
  const { request } = await askAndWait(page, "Two?");
  assert.deepEqual(request.messages, [
    { role: "system", content: "Be brief." },
    { role: "user", content: "One?" },
    { role: "assistant", content: first.text },
    { role: "user", content: "Two?" },
  ]);
});

test("Shift+Enter starts a new line", async (t) => {
  const page = await openReady(t);
  await keepShort(page);
  await question(page).pressSequentially("One");
  await question(page).press("Shift+Enter");
  await question(page).pressSequentially("Two");
  await question(page).press("Enter");
  await shown(lastFacts(page), "s in all");
  assert.equal(await page.locator(".turn.user .text").textContent(), "One\nTwo");
});

test("New conversation ends the answer and forgets the history", NEEDS_SIMULATOR, async (t) => {
  const page = await openNative(t);
  await askHeld(page, "Old");
  await page.getByRole("button", { name: "New conversation" }).click();
  await page.getByRole("heading", { name: "Chat with the models" }).waitFor();
  assert.equal(await page.locator(".turn").count(), 0);
  await clearFaults();
  await keepShort(page);
  const { request } = await askAndWait(page, "New");
  assert.deepEqual(request.messages, [{ role: "user", content: "New" }]);
});

test("the page follows the answer only while the reader is at its end", NEEDS_SIMULATOR, async (t) => {
  const page = await openNative(t);
  const main = page.locator("main");
  const toEnd = () => main.evaluate((e) => e.scrollHeight - e.clientHeight - e.scrollTop);
  await answerWith(page, `data: ${JSON.stringify({ response: "line\n".repeat(100) })}\n\n${DONE}`);
  await askAndWait(page, "A long one");
  assert.ok((await toEnd()) < 2, "followed a long answer");
  await page.unroute("**/chat");

  await askHeld(page, "Read meanwhile");
  await main.evaluate((e) => e.scrollTo(0, 0));
  await clearFaults();
  await shown(lastFacts(page), "s in all");
  assert.equal(await main.evaluate((e) => e.scrollTop), 0, "left the reader where they were");
});

// ---- what can go wrong ------------------------------------------------------------------------

test("an error is shown with its sentence, and the question is not lost", NEEDS_SIMULATOR, async (t) => {
  const page = await openReady(t);
  await keepShort(page);
  await fault({ status: 429, code: 3036, description: "You have used up your daily free allocation", count: 9 });
  const [response] = await Promise.all([page.waitForResponse("**/chat"), ask(page, "Hello?")]);
  await shown(notice(page), "You have used up your daily free allocation");
  await shown(notice(page), "type rate_limited");
  await shown(notice(page), "code 7505");
  await shown(notice(page), response.headers()["x-request-id"]);
  assert.equal(await question(page).inputValue(), "Hello?");
  await clearFaults();
  await question(page).press("Enter");
  await shown(lastFacts(page), "s in all");
  assert.equal(await notice(page).textContent(), "");
});

test("a parameter out of its range is marked until it is changed", async (t) => {
  const page = await openReady(t);
  await keepShort(page);
  await setting(page, "temperature", "9");
  await ask(page, "Hello?");
  await shown(notice(page), "temperature must be between 0 and 5");
  const marked = page.locator("[aria-invalid]");
  assert.deepEqual(await marked.evaluateAll((fields) => fields.map((field) => field.name)), ["temperature"]);
  await setting(page, "temperature", "0.5");
  assert.equal(await marked.count(), 0);
  const { request } = await askAndWait(page, "Hello?");
  assert.equal(request.temperature, 0.5);
});

test("a mark goes when the same parameter is accepted the next time", async (t) => {
  const page = await openReady(t);
  const error = { type: "context_exceeded", message: "Too long together.", param: "max_tokens" };
  await page.route("**/chat", (route) => route.fulfill({ status: 413, json: { error } }));
  await keepShort(page);
  await ask(page, "Hello, in very many words?");
  await page.locator("[name=max_tokens][aria-invalid]").waitFor();
  await page.unroute("**/chat");
  await askAndWait(page, "Hello?");
  assert.equal(await page.locator("[aria-invalid]").count(), 0);
});

test("a parameter that is no number is marked, and on a narrow screen brought into view", async (t) => {
  const page = await openNative(t, { viewport: { width: 360, height: 740 } });
  await page.getByText("Settings").click();
  await setting(page, "top_k", "many");
  await page.getByText("Settings").click();
  await ask(page, "Hello?");
  await page.locator("[name=top_k][aria-invalid]:visible").waitFor();
});

test("an error on the way is shown under the part that came", async (t) => {
  const page = await openReady(t);
  const error = { type: "upstream_error", message: "The model broke down.", code: null, request_id: "req_1" };
  await answerWith(page, `data: {"response":"Half"}\n\nevent: error\ndata: ${JSON.stringify({ error })}\n\n`);
  const { text } = await askAndWait(page, "Hello?");
  assert.equal(text, "Half");
  await shown(answers(page).last().locator(".failure"), "The model broke down.");
  await shown(answers(page).last().locator(".failure"), "type upstream_error");
  await shown(lastFacts(page), "Cut off");
});

test("a stream without its end mark is shown as cut off", async (t) => {
  const page = await openReady(t);
  await answerWith(page, 'data: {"response":"Half an ans"}\n\n');
  assert.equal((await askAndWait(page, "Hello?")).text, "Half an ans");
  await shown(lastFacts(page), "Cut off");
  await shown(answers(page).last(), "The stream ended before the model had finished.");
});

test("a Worker that has gone: the page says so, and the question is not lost", async (t) => {
  const page = await openReady(t);
  await page.route("**/chat", (route) => route.abort());
  await ask(page, "Hello?");
  await shown(notice(page), "The Worker does not answer.");
  assert.equal(await question(page).inputValue(), "Hello?");
});

// ---- settings and request ---------------------------------------------------------------------

test("the default model is chosen and marked, the deprecated ones come last", async (t) => {
  const page = await openReady(t);
  const catalogue = await (await fetch(`${SERVER}/models?task=text-generation`)).json();
  const model = page.getByLabel("Model");
  assert.equal(await model.inputValue(), catalogue.default);
  assert.match(await model.locator("option:checked").textContent(), / \(default\)$/);
  const deprecated = await model.locator("optgroup:last-child[label=Deprecated] option").count();
  assert.equal(deprecated, catalogue.models.filter((each) => each.deprecated).length);
});

test("the parameters and their ranges are the model's; what is empty is not sent", async (t) => {
  const page = await openReady(t);
  await keepShort(page);
  await setting(page, "temperature", "0.3");
  await page.getByLabel("Model").selectOption("@cf/google/gemma-4-26b-a4b-it");
  await shown(page.locator("#range-of-temperature"), /^0 to 2$/);
  assert.equal(await page.getByLabel("top_k").count(), 0);
  const { request } = await askAndWait(page, "Hello");
  assert.deepEqual(Object.keys(request), ["model", "messages", "stream", "max_tokens", "temperature"]);
});

test("the request as curl can be copied, and gets the same answer", NEEDS_SIMULATOR, async (t) => {
  const page = await openReady(t, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.getByLabel("Stream the answer").uncheck();
  const { text } = await askAndWait(page, 'What\'s a `$(Worker)` \\ "here"?');
  await page.getByText("Request as curl").click();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const { stdout } = await promisify(execFile)("sh", ["-c", command]);
  assert.equal(JSON.parse(stdout).choices[0].message.content, text);
});

test("nothing scrolls sideways at 360 pixels", async (t) => {
  const page = await openReady(t, { viewport: { width: 360, height: 740 } });
  assert.deepEqual(await tooWide(page), []);
  await askAndWait(page, `${"unbroken".repeat(20)} https://example.com/${"path/".repeat(20)}`);
  await page.getByText("Request as curl").click();
  assert.deepEqual(await tooWide(page), []);
  await page.getByText("Settings").click();
  await setting(page, "temperature", "9");
  await ask(page, "Hello?");
  await page.locator("[name=temperature][aria-invalid]").waitFor();
  assert.deepEqual(await tooWide(page), []);
});
