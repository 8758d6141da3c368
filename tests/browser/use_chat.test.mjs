// The pages of docs/clients.md that are made with useChat, as Vite builds them, in Chromium.
//
//   AIWORKER_URL        the server, as scripts/dev starts it, with a model that takes its time
//   AIWORKER_SIMULATOR  its simulator
//   PAGES               the folder that Vite has built
//   WORKERD             the process of workerd that is killed in the end
//   CHROMIUM            the browser, if it is not /usr/bin/chromium

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import net from "node:net";
import { after, afterEach, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const SERVER = process.env.AIWORKER_URL;
const SIMULATOR = process.env.AIWORKER_SIMULATOR;
const PAGES = process.env.PAGES;
const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"];
const TYPES = { html: "text/html", js: "text/javascript" };

let browser;
const sockets = new Set();
/** Between the browser and the Worker, to cut connections. */
const cable = net.createServer((near) => {
  const { hostname, port } = new URL(SERVER);
  const far = net.connect(Number(port), hostname);
  for (const [one, other] of [
    [near, far],
    [far, near],
  ]) {
    sockets.add(one);
    one.pipe(other);
    one.on("error", () => {});
    one.on("close", () => {
      sockets.delete(one);
      other.destroy();
    });
  }
});
const cut = () => {
  for (const socket of sockets) socket.destroy();
};

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
  await new Promise((resolve) => cable.listen(0, "127.0.0.1", resolve));
});
after(async () => {
  await browser?.close();
  cut();
  cable.close();
});
afterEach(() => simulator("/faults", "DELETE"));

async function simulator(path, method, body) {
  const headers = { "content-type": "application/json" };
  await fetch(`${SIMULATOR}/simulator${path}`, { method, headers, body: body && JSON.stringify(body) });
}

/** Hold the next answer behind so many frames, of which the first 20 are reasoning, until the faults are cleared. */
const hold = (frames) => simulator("/faults", "POST", { hold_after_frames: frames, operation: "run" });
const release = () => simulator("/faults", "DELETE");

/** Browser tabs that share their storage, and see the built pages on the Worker's own origin. */
async function newContext(t) {
  const context = await browser.newContext();
  t.after(() => context.close());
  context.setDefaultTimeout(30_000);
  await context.route("**/pages/**", async (route) => {
    const name = new URL(route.request().url()).pathname.replace("/pages/", "");
    const contentType = TYPES[name.split(".").at(-1)];
    await route.fulfill({ contentType, body: await readFile(`${PAGES}/${name}`) });
  });
  return context;
}

async function open(context, address = "/pages/react.html") {
  const page = await context.newPage();
  await page.goto(new URL(address, `http://127.0.0.1:${cable.address().port}`).href);
  return page;
}

async function say(page, text) {
  await page.fill("input", text);
  await page.press("input", "Enter");
}

const status = (page, expected) => page.locator("output", { hasText: new RegExp(`^${expected}$`) }).waitFor();
const answers = (page) => page.locator("p.assistant").allTextContents();

async function began(page) {
  await page.waitForFunction(() => document.querySelector("p.assistant")?.textContent.length > 5);
}

test("an answer streams, and the next one knows it", async (t) => {
  const page = await open(await newContext(t));
  await hold(30);
  await say(page, "My name is Ada.");
  await began(page);
  await status(page, "streaming");
  await release();
  await status(page, "ready");
  await say(page, "What is my name?");
  await page.locator("p.assistant").nth(1).waitFor();
  await status(page, "ready");
  assert.match((await answers(page))[1], /Ada/);
});

test("after a reload amidst the answer, all of it is there, once", async (t) => {
  const page = await open(await newContext(t));
  await hold(30);
  await say(page, "What is a Worker?");
  await began(page);
  await page.reload();
  await began(page);
  await status(page, "streaming");
  await release();
  await status(page, "ready");
  const [answer, ...more] = await answers(page);
  assert.deepEqual(more, []);
  assert.equal(answer.split("Worker?").length, 2);
  assert.deepEqual(await page.locator("p.user").allTextContents(), ["What is a Worker?"]);
});

test("after a lost connection, the answer goes on where it was", async (t) => {
  const page = await open(await newContext(t));
  await hold(30);
  await say(page, "What is a Worker?");
  await began(page);
  cut();
  await status(page, "error");
  const [before] = await answers(page);
  await page.click("text=Go on");
  await status(page, "streaming");
  await release();
  await status(page, "ready");
  const [answer, ...more] = await answers(page);
  assert.deepEqual(more, []);
  assert.ok(answer.startsWith(before) && answer.length > before.length);
  assert.equal(answer.split("Worker?").length, 2);
});

test("two tabs have the same answer, and either stops it", async (t) => {
  const context = await newContext(t);
  const first = await open(context);
  await hold(30);
  await say(first, "What is a Worker?");
  await began(first);
  const second = await open(context, first.url());
  await began(second);
  await status(second, "streaming");
  await second.click("text=Stop");
  await Promise.all([status(first, "ready"), status(second, "ready")]);
  assert.deepEqual(await answers(first), await answers(second));
  assert.equal((await answers(second)).length, 1);
  await release();
  await say(second, "Hello");
  await second.locator("p.assistant").nth(1).waitFor();
  await status(second, "ready");
});

test("the page of Next.js has sources, and its configuration passes the paths on", async (t) => {
  const document = { id: "ice", title: "Glaciers", text: "# Glaciers\n\nA glacier is a river of ice." };
  const headers = { "content-type": "application/json" };
  await fetch(`${SERVER}/rag/documents`, { method: "POST", headers, body: JSON.stringify(document) });
  for (let state = ""; state !== "indexed"; ) {
    assert.notEqual(state, "failed");
    await new Promise((resolve) => setTimeout(resolve, 100));
    ({ state } = await (await fetch(`${SERVER}/rag/documents/ice`)).json());
  }
  const page = await open(await newContext(t), "/pages/next.html");
  await say(page, "What is a glacier?");
  await page.locator("cite", { hasText: "Glaciers" }).first().waitFor();
  await page.locator("input:enabled").waitFor();
  assert.match(await page.locator("p").last().textContent(), /glacier/i);
  const { default: configuration } = await import(pathToFileURL(`${PAGES}/../next.config.mjs`));
  assert.deepEqual(await configuration.rewrites(), [
    { source: "/api/chat/:path*", destination: "http://localhost:8787/api/chat/:path*" },
  ]);
});

test("after a crash, what was stored is there once, and the answer ends as interrupted", async (t) => {
  const page = await open(await newContext(t));
  // held, so that it has not ended by the time of the crash
  await simulator("/faults", "POST", { tokens_per_second: 20, hold_after_frames: 100, operation: "run" });
  await say(page, "What is a Worker?");
  // a second of it: more than the time for which frames are in memory only
  await page.waitForFunction(() => document.querySelector("p.assistant")?.textContent.length > 120);
  process.kill(Number(process.env.WORKERD), "SIGKILL");
  await status(page, "error");
  const [before] = await answers(page);
  const isUp = () =>
    fetch(`${SERVER}/health`).then(
      (response) => response.ok,
      () => false,
    );
  while (!(await isUp())) await new Promise((resolve) => setTimeout(resolve, 100));
  await page.click("text=Go on");
  await page.locator("[role=alert]", { hasText: "interrupted" }).waitFor();
  const [answer, ...more] = await answers(page);
  assert.deepEqual(more, []);
  // either may have a little more: what is not stored yet, or has not reached the page
  assert.ok(before.startsWith(answer) || answer.startsWith(before), `${before}\n${answer}`);
  assert.equal(answer.split("Worker?").length, 2);
  await say(page, "Hello");
  await page.locator("p.assistant").nth(1).waitFor();
  await status(page, "ready");
});
