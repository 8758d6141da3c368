// The simulator's own page as a person meets it, in Chromium, with simulators of its own.
//
//   PYTHON    the interpreter that runs the simulator, with the simulator on its PYTHONPATH
//   CHROMIUM  the browser, if it is not /usr/bin/chromium

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { chromium } from "playwright-core";

const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"];
const MODEL = "@cf/meta/llama-3.1-8b-instruct-fast";
const EMBEDDER = "@cf/baai/bge-base-en-v1.5";
const PAINTER = "@cf/black-forest-labs/flux-1-schnell";
const AXE = readFileSync(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const NARROW = { viewport: { width: 360, height: 740 } };

let browser;
let simulator;

before(async () => {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  [browser, simulator] = await Promise.all([chromium.launch({ executablePath, args: ARGUMENTS }), started()]);
});
after(async () => {
  await browser?.close();
  await stop(simulator);
});
afterEach(() => clear());
process.on("exit", () => simulator?.process.kill());

// ---- simulators -------------------------------------------------------------------------------

/** A simulator on that port; 0: any free one. */
async function started(port = 0) {
  const options = ["--port", String(port), "--tokens-per-second", "0", "--vectorize-delay", "0"];
  const stdio = ["ignore", "pipe", "inherit"];
  const child = spawn(process.env.PYTHON ?? "python3", ["-m", "workers_ai_simulator", ...options], { stdio });
  const [line] = await once(child.stdout, "data");
  const url = String(line).replace("Ready on ", "").trim();
  return { process: child, url, port: Number(new URL(url).port) };
}

async function stop({ process: child }) {
  const ended = once(child, "exit");
  child.kill();
  await ended;
}

/** Send what `env.AI.run` sends. */
function run(inputs, { model = MODEL, options = {}, url = simulator.url } = {}) {
  const headers = { "content-type": "application/json", "cf-consn-model-id": model };
  return fetch(`${url}/run?version=3`, { method: "POST", headers, body: JSON.stringify({ inputs, options }) });
}

function setFault(what, url = simulator.url) {
  const headers = { "content-type": "application/json" };
  return fetch(`${url}/simulator/faults`, { method: "POST", headers, body: JSON.stringify(what) });
}

async function fault(what) {
  const response = await setFault(what);
  assert.ok(response.ok);
}

async function clearFaults() {
  await fetch(`${simulator.url}/simulator/faults`, { method: "DELETE" });
}

async function clear() {
  await clearFaults();
  await fetch(`${simulator.url}/simulator/answers`, { method: "DELETE" });
}

/** A call of Cloudflare's REST API. */
async function rest(path, body, type = "application/json") {
  const headers = { authorization: "Bearer any", "content-type": type };
  const content = type === "application/json" ? JSON.stringify(body) : body;
  const url = `${simulator.url}/client/v4/accounts/any/${path}`;
  const response = await fetch(url, { method: "POST", headers, body: content });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return (await response.json()).result;
}

// ---- what a person does and sees --------------------------------------------------------------

/** Chromium's own message for requests that fail. */
const FAILED_REQUEST = /^Failed to load resource/;

/**
 * The page, connected, in a fresh browser context. `at`: the view; `logs`: what the gateways have logged, or null for a simulator
 * without; `expected`: complaints of the browser that this test causes; `clock`: whether the test may stop the page's
 * clock.
 */
async function open(
  t,
  { url = simulator.url, at = "requests", logs = [], expected = null, clock = false, ...context } = {},
) {
  const opened = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: "reduce",
    ...context,
  });
  const page = await opened.newPage();
  page.setDefaultTimeout(30_000);
  if (clock) await page.clock.install();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    const isComplaint = ["error", "warning"].includes(message.type());
    if (isComplaint && !expected?.test(message.text())) complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== url) complaints.push(`asked another host: ${request.url()}`);
  });
  t.after(async () => {
    await opened.close();
    assert.deepEqual(complaints, [], "the browser complains");
  });
  await page.route("**/simulator/gateway-logs*", (route) => {
    if (logs === null) return route.fulfill({ status: 501, json: {} });
    const last = Number(new URL(route.request().url()).searchParams.get("after"));
    return route.fulfill({ json: logs.filter(({ number }) => number > last) });
  });
  await page.goto(`${url}/#${at}`);
  await page.getByText("Live", { exact: true }).waitFor();
  return page;
}

const requests = (page) => page.locator("#request-table tbody:visible");
const request = (page, text) => requests(page).filter({ hasText: text });
const count = (page) => page.locator("#requests-count");

/** Go to a view by its link. */
const go = (page, view) => page.getByRole("navigation").getByRole("link", { name: view }).click();

/** Has axe no finding on the page as it is, in light and dark? */
async function assertAccessible(page, name) {
  await page.evaluate(AXE);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const violations = await page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
    });
    assert.deepEqual(violations, [], `${name}, ${colorScheme}`);
  }
}

async function assertFits(page, name) {
  const tooWide = await page
    .locator("html, .frame, .rows, .rows p, form, .details td, #model-groups, pre:visible")
    .evaluateAll((all) => all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.outerHTML));
  assert.deepEqual(tooWide, [], name);
}

async function shown(locator, text) {
  await locator.filter({ hasText: text }).waitFor();
}

async function setAnswer(what) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(what);
  const response = await fetch(`${simulator.url}/simulator/answers`, { method: "POST", headers, body });
  assert.equal(response.status, 201);
}

/** A text that no other test asks with. */
let questions = 0;
const unique = (text) => `${text} no. ${++questions}.`;

// ---- the page itself --------------------------------------------------------------------------

test("the page and its parts are served with headers that keep foreign code out", async () => {
  const types = {
    "": "text/html",
    "page/page.js": "text/javascript",
    "page/page.css": "text/css",
    "page/icon.svg": "image/svg+xml",
    "page/fidelity.json": "application/json",
  };
  for (const [path, type] of Object.entries(types)) {
    const { status, headers } = await fetch(`${simulator.url}/${path}`);
    assert.equal(status, 200, path);
    assert.equal(headers.get("content-type").split(";")[0], type);
    assert.match(headers.get("content-security-policy"), /^default-src 'self';/);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("cache-control"), "no-cache");
  }
});

test("what the browser has already is not sent again", async () => {
  const url = `${simulator.url}/page/page.js`;
  const etag = (await fetch(url)).headers.get("etag");
  const again = await fetch(url, { headers: { "if-none-match": etag } });
  assert.equal(again.status, 304);
  assert.equal(await again.text(), "");
  assert.equal((await fetch(url, { headers: { "if-none-match": '"other"' } })).status, 200);
});

test("nothing but the page's own files is served from its folder", async () => {
  for (const name of ["nothing.js", "..%2fserver.py", "..%2F..%2Fpyproject.toml"]) {
    const { status } = await fetch(`${simulator.url}/page/${name}`);
    assert.ok(status === 404 || status === 501, `${name}: ${status}`);
  }
});

test("code in the page's own markup would not run", async (t) => {
  const page = await open(t, { expected: /Content Security Policy/ });
  const refusal = page.evaluate(
    () => new Promise((resolve) => document.addEventListener("securitypolicyviolation", (e) => resolve(e.blockedURI))),
  );
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    return window.ran ?? false;
  });
  assert.equal(ran, false);
  assert.equal(await refusal, "inline");
});

test("the page says what this is, and which version", async (t) => {
  const page = await open(t);
  const { version } = await (await fetch(`${simulator.url}/simulator`)).json();
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), `workers-ai-simulator ${version}`);
  await page.getByText("A simulator: answers are made up deterministically.").waitFor();
});

test("the commands for clients have this address, and can be copied", async (t) => {
  const page = await open(t, { at: "clients", permissions: ["clipboard-read", "clipboard-write"] });
  const texts = await page.locator("#snippets pre").allTextContents();
  assert.ok(
    texts.every((text) => text.includes(simulator.url.replace("http://", ""))),
    texts.join("\n"),
  );
  await page.getByRole("button", { name: "Copy: OpenAI clients" }).click();
  await page.getByText("Copied").waitFor();
  assert.equal(
    await page.evaluate(() => navigator.clipboard.readText()),
    `export OPENAI_BASE_URL=${simulator.url}/client/v4/accounts/any/ai/v1\nexport OPENAI_API_KEY=any`,
  );
});

// ---- requests ---------------------------------------------------------------------------------

test("a request appears by itself, and changes while it streams", async (t) => {
  const page = await open(t);
  const question = unique("Hold this");
  await fault({ hold_after_frames: 3 });
  const answer = run({ prompt: question, stream: true });
  const row = request(page, question);
  await shown(row.locator(".badge"), /^streaming$/);
  await shown(row.locator(".frames"), /^3$/);
  assert.equal(await row.locator(".open").textContent(), MODEL);
  assert.equal(await row.locator(".what").textContent(), "AI · run");

  await page.getByRole("button", { name: "Clear all" }).click();
  await (await answer).text();
  await shown(row.locator(".badge"), /^finished$/);
  assert.ok(Number(await row.locator(".frames").textContent()) > 3);
});

test("a request that runs shows how long it has, without news from the simulator", async (t) => {
  const page = await open(t);
  const question = unique("Wait here");
  await fault({ hold_response: true });
  const answer = run({ prompt: question });
  await shown(request(page, question).locator(".badge"), /^received$/);
  await shown(request(page, question).locator(".duration"), /^[1-9]\.\d s$/);
  await clearFaults();
  await (await answer).text();
  await shown(request(page, question).locator(".badge"), /^finished$/);
});

test("the newest request is on top, and failed ones say their status", async (t) => {
  const page = await open(t);
  const [first, second] = [unique("One"), unique("Two")];
  await run({ prompt: first });
  await run({ prompt: second }, { model: "@cf/no/such-model" });
  await shown(request(page, second).locator(".badge"), /^failed 400$/);
  const texts = await requests(page).locator(".inputs").allTextContents();
  assert.deepEqual(texts.slice(0, 2), [second, first]);
});

test("a row opens by keyboard and shows the inputs as JSON", async (t) => {
  const page = await open(t);
  const inputs = { messages: [{ role: "user", content: unique("Open me") }], max_tokens: 7 };
  const id = (await run(inputs)).headers.get("cf-ai-req-id");
  const row = request(page, inputs.messages[0].content);
  const button = row.getByRole("button", { name: MODEL });
  assert.equal(await button.getAttribute("aria-expanded"), "false");
  await button.focus();
  await page.keyboard.press("Enter");
  assert.equal(await button.getAttribute("aria-expanded"), "true");
  assert.equal(await row.locator(".details pre").first().textContent(), JSON.stringify(inputs, null, 2));
  await shown(row.locator(".details dl"), id);
  await page.keyboard.press("Enter");
  assert.equal(await row.locator(".details").count(), 0);
});

test("what is asked is text, never markup", async (t) => {
  const page = await open(t);
  const markup = `${unique("Markup")} <img src=x onerror="document.title='run'"><b>bold</b>`;
  await run({ prompt: markup }, { model: MODEL, options: { tags: ["<i>tag</i>"] } });
  await run({ prompt: unique("<script>") }, { model: "<img src=y onerror=alert(1)>" });
  await shown(page.locator("#request-table"), "<img src=y onerror=alert(1)>");
  const row = request(page, markup);
  await row.locator(".open").click();
  assert.equal(await row.locator(".inputs").textContent(), markup);
  assert.equal(JSON.parse(await row.locator(".details pre").first().textContent()).prompt, markup);
  assert.equal(await page.locator("main :is(img, b, i, script)").count(), 0);
  assert.equal(await page.title(), "workers-ai-simulator");
});

test("requests are filtered by their text and by their binding", async (t) => {
  const page = await open(t);
  const [wanted, other] = [unique("Lighthouse"), unique("Bakery")];
  await run({ prompt: wanted });
  await run({ prompt: other });
  for (const each of [wanted, other]) await shown(request(page, each).locator(".badge"), /^finished$/);

  await page.getByLabel("Filter requests by text").fill(`LIGHTHOUSE finished ${wanted.split(" ").at(-1)}`);
  assert.equal(await requests(page).count(), 1);
  assert.equal(await requests(page).locator(".inputs").textContent(), wanted);
  await shown(count(page), /^1 of \d+ requests$/);
  await run({ prompt: unique("Bakery, but later") });
  await run({ prompt: wanted }); // what comes is filtered too
  await shown(count(page), /^2 of \d+ requests$/);
  assert.equal(await requests(page).count(), 2);

  await page.getByLabel("Filter requests by text").fill("");
  await page.getByLabel("Filter requests by binding").selectOption("AI_GATEWAY");
  await page.getByText("No request fits the filter.").waitFor();
  await page.getByLabel("Filter requests by binding").selectOption("AI");
  await request(page, other).waitFor();
});

test("paused, the table stands still and says how much waits", async (t) => {
  const page = await open(t);
  const [before, during] = [unique("Before"), unique("During")];
  await run({ prompt: before });
  await shown(request(page, before).locator(".badge"), /^finished$/); // or its end would be what waits
  await page.getByRole("button", { name: "Pause" }).click();
  await run({ prompt: during });
  const resume = page.getByRole("button", { name: /^Resume \(1 waiting\)$/ });
  await resume.waitFor();
  assert.equal(await request(page, during).count(), 0);
  await resume.click();
  await request(page, during).waitFor();
  await page.getByRole("button", { name: /^Pause$/ }).waitFor();
});

test("the table holds the newest 500 requests", async (t) => {
  const own = await started();
  t.after(() => stop(own));
  const page = await open(t, { url: own.url, expected: FAILED_REQUEST });
  const last = unique("The last of many");
  const short = () => run({ prompt: "short", max_tokens: 1 }, { url: own.url });
  for (let batch = 0; batch < 11; batch++) await Promise.all(Array.from({ length: 50 }, short));
  await run({ prompt: last }, { url: own.url });
  await request(page, last).waitFor();
  assert.equal(await requests(page).count(), 500);
  await page.reload();
  await request(page, last).waitFor();
  assert.equal(await requests(page).count(), 500);
  assert.equal(await requests(page).first().locator(".inputs").textContent(), last);
});

test("screen readers hear the count of requests, and nothing else of the tables", async (t) => {
  const page = await open(t);
  await run({ prompt: unique("Announced") });
  await shown(page.getByRole("status"), /^\d+ requests?$/);
  assert.equal(await page.locator("main [aria-live], main [role=alert], main [role=log]").count(), 0);
});

// ---- faults -----------------------------------------------------------------------------------

test("faults are shown while any is set, and can be cleared", async (t) => {
  const page = await open(t);
  assert.equal(await page.locator("#faults").isVisible(), false);
  await fault({ status: 429, code: 3040, description: "<b>Busy</b>", model: "@cf/no/one", count: 2 });
  await page.getByText("1 fault set").waitFor();
  assert.equal(
    await page.locator("#fault-list li").textContent(),
    "model @cf/no/one, status 429, code 3040, description <b>Busy</b> (2 of 2 to come)",
  );
  await page.getByRole("button", { name: "Clear all" }).click();
  await page.locator("#faults").waitFor({ state: "hidden" });
  assert.deepEqual(await (await fetch(`${simulator.url}/simulator/faults`)).json(), []);
});

// ---- gateway logs -----------------------------------------------------------------------------

const LOG = {
  gateway: "pictures",
  created_at: "2026-11-21T06:35:41.123Z",
  provider: "workers-ai",
  model: MODEL,
  status_code: 200,
  success: true,
  cached: false,
  tokens_in: 24,
  tokens_out: 1280,
  cost: 0.000041,
  duration: 1830,
  request_head: '{"prompt":"<img src=x onerror=alert(1)>"}',
  response_head: '{"response":"cut o',
};

test("gateway logs appear as they are written, newest on top", async (t) => {
  const logs = [{ ...LOG, id: "A", number: 1 }];
  const page = await open(t, { at: "gateway", logs });
  const rows = page.locator("#log-table tbody");
  await shown(page.locator("#logs-count"), /^1 log$/);
  assert.equal(await rows.locator(".what").textContent(), "pictures · workers-ai");
  assert.equal(await rows.locator(".tokens").textContent(), "24 / 1,280");
  assert.equal(await rows.locator(".cost").textContent(), "$0.000041");
  assert.equal(await rows.locator(".duration").textContent(), "1.8 s");
  logs.push(
    { ...LOG, id: "B", number: 2, cached: true },
    { ...LOG, id: "C", number: 3, success: false, status_code: 429 },
  );
  await shown(page.locator("#logs-count"), /^3 logs$/);
  assert.deepEqual(await rows.locator(".badge").allTextContents(), ["429", "200 cached", "200"]);
});

test("a gateway log opens and shows request and response, cut ones as they are", async (t) => {
  const page = await open(t, { at: "gateway", logs: [{ ...LOG, id: "A", number: 1 }] });
  await page.locator("#log-table .open").click();
  const [sent, received] = await page.locator("#log-table pre").allTextContents();
  assert.deepEqual(JSON.parse(sent), JSON.parse(LOG.request_head));
  assert.equal(received, LOG.response_head);
  assert.equal(await page.locator("#log-table img").count(), 0);
});

test("a simulator without gateway logs: the page says so, and all else works", async (t) => {
  const page = await open(t, { at: "gateway", logs: null, expected: FAILED_REQUEST });
  await page.getByText("This simulator does not show gateway logs.").waitFor();
  await go(page, "Requests");
  const question = unique("Still here");
  await run({ prompt: question });
  await request(page, question).waitFor();
});

// ---- models and fidelity ----------------------------------------------------------------------

test("the models are grouped by task and found by name, task and ability", async (t) => {
  const page = await open(t, { at: "models" });
  const models = await (await fetch(`${simulator.url}/simulator/models`)).json();
  await shown(page.locator("#models-count"), `${models.length} models`);
  assert.equal(await page.locator(".group").count(), new Set(models.map(({ task }) => task)).size);
  const rows = page.locator(".group tbody tr:visible");
  assert.equal(await rows.count(), 0, "groups are closed at first");

  const search = page.getByLabel("Search the models");
  await search.fill("whisper Turbo");
  assert.deepEqual(await rows.locator(".model").allTextContents(), ["@cf/openai/whisper-large-v3-turbo"]);
  await search.fill("text generation vision");
  const seeing = models.filter(({ task, abilities }) => task === "text-generation" && abilities.includes("vision"));
  assert.equal(await rows.count(), seeing.length);
  await search.fill("no such model");
  await shown(page.locator("#models-count"), `0 of ${models.length} models`);
  assert.equal(await page.locator(".group:visible").count(), 0);
});

test("a model's row has its abilities, window, price and rate; deprecated ones are marked and last", async (t) => {
  const page = await open(t, { at: "models" });
  await page.getByLabel("Search the models").fill("llama-3.2-11b-vision");
  const row = page.locator(".group tbody tr:visible");
  assert.deepEqual(await row.locator(".chip").allTextContents(), ["streaming", "vision", "lora", "raw"]);
  assert.deepEqual(await row.locator(".number").allTextContents(), ["128,000", "4,410 in, 61,493 out", "300"]);
  await page.getByLabel("Search the models").fill("text-generation");
  const marks = await page
    .locator(".group tbody tr:visible")
    .evaluateAll((all) => all.map((each) => each.textContent.includes("deprecated")));
  assert.ok(marks.includes(true));
  assert.deepEqual(marks, marks.toSorted());
});

test("the page says what is simulated, approximated and not simulated", async (t) => {
  const page = await open(t, { at: "fidelity" });
  const parts = await (await fetch(`${simulator.url}/page/fidelity.json`)).json();
  const rows = page.locator("#fidelity-rows tr");
  assert.equal(await rows.count(), parts.length);
  for (const name of ["simulated", "approximated", "not simulated"]) {
    await rows.locator(".badge").getByText(name, { exact: true }).first().waitFor();
  }
});

// ---- the connection ---------------------------------------------------------------------------

test("a simulator that ends and comes back: the page says so, keeps what it has, and goes on", async (t) => {
  const own = await started();
  t.after(() => own.process.kill());
  const page = await open(t, { url: own.url, expected: FAILED_REQUEST, clock: true });
  const [finished, held] = [unique("Finished"), unique("Held")];
  await run({ prompt: finished }, { url: own.url });
  await setFault({ hold_response: true }, own.url);
  run({ prompt: held }, { url: own.url }).catch(() => {}); // the simulator ends before it answers
  await shown(request(page, held).locator(".badge"), /^received$/);

  own.process.kill("SIGKILL");
  await shown(page.getByRole("alert"), "The simulator does not answer. What is shown here is as it was.");
  await page.getByText("Connection lost").waitFor();
  await page.clock.pauseAt(Date.now() + 10_000); // from here it is the button that brings the page back
  await page.getByText(/^Next try in \d+ s$/).waitFor();
  assert.equal(await request(page, finished).count(), 1);

  const again = await started(own.port);
  t.after(() => stop(again));
  await page.getByRole("button", { name: "Try now" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
  await page.clock.resume();
  assert.equal(await page.getByRole("alert").isVisible(), false);
  await shown(request(page, held).locator(".badge"), /^lost$/);
  const later = unique("Later");
  await run({ prompt: later }, { url: own.url });
  await request(page, later).waitFor();
  assert.equal(await requests(page).count(), 3);
});

test("the page comes back without being asked to", async (t) => {
  const page = await open(t, { expected: FAILED_REQUEST });
  await page.route("**/simulator/requests*", (route) => route.abort());
  await run({ prompt: unique("The last news") }); // the question that waits is answered, the next one fails
  await page.getByText("Connection lost").waitFor();
  await page.unroute("**/simulator/requests*");
  await page.getByText("Live", { exact: true }).waitFor();
});

test("a stopping simulator does not wait for the page", async (t) => {
  const own = await started();
  await open(t, { url: own.url, expected: FAILED_REQUEST });
  const began = performance.now();
  await stop(own);
  assert.ok(performance.now() - began < 20_000, "the page's question waits for 25 seconds");
});

// ---- the page as a tool -----------------------------------------------------------------------

test("a call is found by filters, opened, replayed and replayed with an edit", async (t) => {
  const page = await open(t);
  const question = unique("Which boat");
  await setAnswer({ prompt: question, stream: ["It is the ", "*Aurora*."] });
  await run({ prompt: question, stream: true });
  await run({ prompt: unique("Another") });
  await page.getByLabel("Filter requests by task").selectOption("text-generation");
  await page.getByLabel("Filter requests by model").selectOption(MODEL);
  await page.getByLabel("Filter requests by state").selectOption("scripted");
  await page.getByLabel("Filter requests by text").fill(question);
  await shown(count(page), /^1 of \d+ requests$/);

  const row = request(page, question);
  await row.locator(".open").click();
  const answer = row.getByRole("region", { name: "Answer" });
  await shown(answer.getByRole("figure").filter({ hasText: "Text" }).locator("pre"), "It is the *Aurora*.");
  await answer.getByText(/^Frames: 4 frames$/).click();
  const frames = answer.locator(".frame-list code");
  assert.equal(JSON.parse((await frames.first().textContent()).replace("data: ", "")).response, "It is the ");
  assert.equal(await frames.last().textContent(), "data: [DONE]");
  await assertAccessible(page, "an opened call");

  await row.getByRole("button", { name: "Edit and replay" }).click();
  const edited = unique("Which train");
  const body = row.getByRole("textbox", { name: "Body of the request" });
  await body.fill((await body.inputValue()).replace(question, edited));
  await page.getByLabel("Filter requests by state").selectOption("");
  await page.getByLabel("Filter requests by text").fill("");
  await row.getByRole("button", { name: "Send" }).click();
  await row.getByRole("link", { name: "open the new call" }).click();
  const replayed = request(page, edited);
  await shown(replayed.locator(".badge"), /^finished$/);
  await shown(replayed.getByRole("region", { name: "Answer" }), "This is a simulated answer");
  await replayed.getByRole("button", { name: "Replay", exact: true }).click();
  await replayed.getByRole("link", { name: "open the new call" }).waitFor();
  await requests(page).filter({ hasText: edited }).nth(1).waitFor(); // the replay of the replay
});

test("pictures and sounds of an answer are seen and heard", async (t) => {
  const page = await open(t);
  const [painted, spoken] = [unique("A hill"), unique("Good evening")];
  await run({ prompt: painted }, { model: PAINTER });
  await run({ text: spoken }, { model: "@cf/deepgram/aura-2-en" });
  await request(page, painted).locator(".open").click();
  const picture = request(page, painted).locator("figure img");
  await picture.evaluate((image) => image.decode());
  assert.ok((await picture.evaluate((image) => image.naturalWidth)) > 100);
  await request(page, spoken).locator(".open").click();
  const sound = request(page, spoken).locator("figure audio");
  const seconds = sound.evaluate((audio) => {
    audio.load();
    return new Promise((resolve) => audio.addEventListener("durationchange", () => resolve(audio.duration)));
  });
  await sound.evaluate((audio) => (audio.preload = "auto"));
  assert.ok((await seconds) > 0.5);
});

test("the next answer is scripted, and a fault is set, by forms that a call fills", async (t) => {
  const page = await open(t);
  const question = unique("How high is the tide");
  await run({ prompt: question });
  await request(page, question).locator(".open").click();
  await request(page, question).getByRole("button", { name: "Script its next answer" }).click();
  const form = page.getByRole("form", { name: "Script an answer" });
  assert.equal(await form.getByLabel("Only calls of the model").inputValue(), MODEL);
  await form.getByLabel("Answer", { exact: true }).fill("Two metres.");
  await form.getByRole("button", { name: "Script it" }).click();
  await shown(form.getByRole("status"), /^Answer \d+ is set for the next call that matches\.$/);
  await shown(page.locator("#answer-list li"), "1 of 1 to come");
  await assertAccessible(page, "the forms");
  const answer = await (await run({ prompt: question })).json();
  assert.equal(answer.response, "Two metres.");
  await shown(page.locator("#answer-list li"), "used up");

  await form.getByLabel("Kind").selectOption("json");
  await form.getByLabel("JSON", { exact: true }).fill("{ no JSON");
  await form.getByRole("button", { name: "Script it" }).click();
  await shown(form.getByRole("status"), "The answer must be JSON.");
  await page.getByLabel("Refuse calls that no answer is for").check();
  await page.getByRole("button", { name: "Clear answers" }).click();
  await page.getByText("No answer is scripted.").waitFor();

  const faults = page.getByRole("form", { name: "Set a fault" });
  await faults.getByLabel("Only calls of the model").fill(MODEL);
  await faults.getByRole("button", { name: "Set it" }).click();
  await page.getByText("1 fault set").waitFor();
  await run({ prompt: question });
  await go(page, "Requests");
  await shown(requests(page).first().locator(".badge"), "failed 429");
});

test("indexes and instances are browsed and searched by text", async (t) => {
  const page = await open(t, { at: "indexes" });
  await page.getByText("No index yet.").waitFor();
  const texts = Array.from({ length: 55 }, (_, number) => `Passage ${number} about boats`);
  const { data } = await rest(`ai/run/${EMBEDDER}`, { text: [...texts, "How bread is baked"] });
  const lines = data.map((values, number) =>
    JSON.stringify({
      id: `text-${String(number).padStart(2, "0")}`,
      values,
      metadata: { topic: number < 55 ? "sea" : "food" },
    }),
  );
  await rest("vectorize/v2/indexes", { name: "notes", config: { dimensions: 768, metric: "cosine" } });
  await rest("vectorize/v2/indexes/notes/upsert", lines.join("\n"), "application/x-ndjson");

  await shown(page.locator("#index-list"), "56 vectors · 768 dimensions · cosine"); // it has come by itself
  await page.getByRole("link", { name: "notes" }).click();
  await shown(page.locator("#vectors-count"), "50 of 56, by their ids");
  await page.getByRole("button", { name: "Next page" }).click();
  await shown(page.locator("#vectors-count"), "6 of 56, by their ids");
  const form = page.getByRole("form", { name: "Query the index by text" });
  assert.equal(await form.getByLabel("Embedded by").inputValue(), EMBEDDER);
  await form.getByLabel("Text").fill("baking bread");
  await form.getByLabel("Matches").fill("2");
  await page.keyboard.press("Enter");
  await shown(form.getByRole("status"), "2 matches");
  const [first] = await page.locator("#matches code").allTextContents();
  assert.equal(first, "text-55");
  await form.getByLabel("Filter, as JSON").fill("{");
  await form.getByRole("button", { name: "Query" }).click();
  await shown(form.getByRole("status"), "The filter must be JSON");
  await page.getByRole("button", { name: "Whole vector text-55" }).first().click();
  await shown(page.locator("#matches pre"), String(data[55][767]).slice(0, 6));
  await assertAccessible(page, "an index");

  await go(page, "AI Search");
  await page.getByText("No instance yet.").waitFor();
  await rest("ai-search/instances", { id: "handbook" });
  const file = `--b\r\ncontent-disposition: form-data; name="file"; filename="a.md"\r\n\r\nBread is baked on Mondays.\r\n--b--\r\n`;
  await rest("ai-search/instances/handbook/items", file, "multipart/form-data; boundary=b");
  await page.getByRole("link", { name: "default/handbook" }).click();
  await shown(page.locator("#items"), "completed");
  await page.getByLabel("Question").fill("When is bread baked?");
  await page.getByRole("button", { name: "Search", exact: true }).click();
  await shown(page.locator("#chunks"), "Bread is baked on Mondays.");
  await assertAccessible(page, "an instance");
});

test("the address names a call, and going back shows the view before", async (t) => {
  const response = await run({ prompt: unique("Named") });
  const id = response.headers.get("cf-ai-req-id");
  const page = await open(t, { at: `requests/${id}` });
  await shown(page.locator(".details dl"), id);
  await go(page, "Fidelity");
  await page.getByRole("heading", { name: "Fidelity of the simulation" }).waitFor();
  assert.equal(await page.locator("main > .view:visible").count(), 1);
  await page.goBack();
  await page.getByRole("heading", { name: "Requests" }).waitFor();
});

test("axe has no finding in any view", async (t) => {
  const options = { gateway: { id: "tolls", cacheTtl: 60 } };
  const inputs = { prompt: unique("Twice") };
  for (let call = 0; call < 2; call++) await run(inputs, { options });
  const page = await open(t, { logs: [{ ...LOG, id: "A", number: 1 }] });
  await go(page, "AI Gateway");
  const sums = page.locator("#totals tbody tr").filter({ hasText: "tolls" });
  await shown(sums, /^tolls21 \(50 %\)0/); // calls, cache hits, failed
  for (const view of ["AI Gateway", "Models", "Fidelity", "Point a client here"]) {
    await go(page, view);
    await assertAccessible(page, view);
  }
});

// ---- widths -----------------------------------------------------------------------------------

test("nothing scrolls sideways at 360 pixels", async (t) => {
  const page = await open(t, { ...NARROW, logs: [{ ...LOG, id: "A", number: 1 }] });
  const long = unique("Long");
  await run({ prompt: `${long}${"unbroken".repeat(40)}` });
  await fault({ status: 500, description: "unbroken".repeat(20), model: "@cf/no/one" });
  await page.getByText("1 fault set").waitFor();
  await request(page, long).locator(".open").click();
  await request(page, long).getByRole("button", { name: "Edit and replay" }).click();
  await request(page, long).getByText("HTTP request").first().click();
  await assertFits(page, "requests");
  await go(page, "AI Gateway");
  await page.locator("#log-table .open").click();
  await assertFits(page, "gateway");
  await go(page, "Models");
  await page.getByLabel("Search the models").fill("a");
  for (const view of ["Next answers", "Vectorize", "AI Search", "Models", "Fidelity", "Point a client here"]) {
    await go(page, view);
    await assertFits(page, view);
  }
});
