// examples/react-vite, built, served by its own server, in Chromium, against a Worker that wants keys.
//
//   AIWORKER_URL, AIWORKER_SIMULATOR, CHROMIUM  as in console.mjs
//   AIWORKER_KEY  a key for the app's server
//   EXAMPLE       folder of the built app

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { assertAccessible, assertFits, fault, open, PHONE, SIMULATOR, shown } from "./console.mjs";

let server;
let address;

before(async () => {
  server = spawn(process.execPath, ["server.mjs"], {
    cwd: process.env.EXAMPLE,
    env: { ...process.env, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(server.stdout, "data");
  address = /Ready on (\S+)/.exec(String(line))[1];
});
after(() => server.kill());

/** A page of 64 KB, whose upload takes a while, with a short text, whose indexing does not. */
const PENGUINS = `<h1>Penguins</h1><p>Penguins live in the southern hemisphere.</p><!-- ${"They swim. ".repeat(6_000)} -->`;
const file = (name, mimeType, text) => ({ name, mimeType, buffer: Buffer.from(text) });

async function ask(page, question) {
  await page.getByLabel("Question").fill(question);
  await page.keyboard.press("Enter");
}

async function assertCancelled() {
  const requests = await (await fetch(`${SIMULATOR}/simulator/requests?operation=run`)).json();
  const ended = await fetch(`${SIMULATOR}/simulator/requests/${requests.at(-1).id}?state=cancelled&seconds=60`);
  assert.equal((await ended.json()).state, "cancelled");
}

test("a document is added with its progress, asked, and deleted", async (t) => {
  const tokens = [];
  const page = await open(t, { address });
  page.on("request", (request) => request.url().endsWith("/api/token") && tokens.push(request));
  await shown(page.locator(".hint"), "Nothing here yet.");
  await page.evaluate(() => {
    globalThis.shares = [];
    const look = () => globalThis.shares.push(document.querySelector("progress")?.value);
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  const network = await page.context().newCDPSession(page);
  const speed = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 10_000 };
  await network.send("Network.emulateNetworkConditions", speed);
  await page.setInputFiles("input[type=file]", file("penguins.html", "text/html", PENGUINS));
  await page.locator("progress").waitFor();
  await page.waitForFunction(() => globalThis.shares.some((share) => share > 0 && share < 1));
  await network.send("Network.emulateNetworkConditions", { ...speed, uploadThroughput: -1 });
  await page.locator("progress").waitFor({ state: "detached", timeout: 60_000 });
  await shown(page.locator(".document"), /Penguins.*Ready/i);

  await ask(page, "Where do penguins live?");
  await shown(page.locator(".answer"), "[1]");
  const source = page.locator(".sources summary").first();
  await source.click();
  await shown(page.locator("blockquote"), "southern hemisphere");
  await assertAccessible(page, "desktop");

  await page.getByRole("button", { name: /Delete penguins/i }).click();
  await shown(page.locator(".hint"), "Nothing here yet.");
  assert.ok(tokens.length <= 1, "one token serves all requests");
});

test("Stop and Escape stop the model", async (t) => {
  const page = await open(t, { address });
  await page.getByLabel("Answer from my documents").uncheck();
  for (const stop of [() => page.getByRole("button", { name: "Stop" }).click(), () => page.keyboard.press("Escape")]) {
    await fault({ tokens_per_second: 4 });
    await ask(page, "What is a Worker?");
    await page.locator(".answer[aria-busy=true] p:not(.hint)").waitFor();
    await page.getByLabel("Question").focus();
    await stop();
    await page.locator(".answer[aria-busy=true]").waitFor({ state: "detached" });
    await shown(page.locator(".answer").last(), "Stopped.");
    await assertCancelled();
    await fetch(`${SIMULATOR}/simulator/faults`, { method: "DELETE" });
  }
});

test("a phone, a refused file and a failing model", async (t) => {
  const page = await open(t, { address, refused: /^\/(chat|rag\/documents)$/, ...PHONE });
  await assertFits(page, "empty");
  await page.setInputFiles("input[type=file]", file("slides.pptx", "application/vnd.ms-powerpoint", "no slides"));
  await shown(page.getByRole("alert"), /cannot be read/);
  await page.getByLabel("Answer from my documents").uncheck();
  await fault({ status: 400, code: 5006, description: "words of upstream" });
  await ask(page, "What is a Worker?");
  await shown(page.getByRole("alert"), "words of upstream");
  await ask(page, "What is a Worker?");
  await shown(page.locator(".answer"), "Worker?");
  await assertFits(page, "answered");
  await assertAccessible(page, "phone");
});

test("a token is for the page alone", async () => {
  const token = (method, headers) => fetch(`${address}/api/token`, { method, headers });
  assert.equal((await token("POST", {})).status, 403);
  assert.equal((await token("POST", { origin: "https://evil.example" })).status, 403);
  assert.equal((await token("GET", { origin: address })).status, 403);
  const made = await token("POST", { origin: address });
  assert.equal(made.status, 201);
  const { token: value, origin, scopes, subject } = await made.json();
  assert.deepEqual([origin, scopes], [address, ["chat", "rag:read", "rag:write"]]);
  assert.match(made.headers.get("set-cookie"), new RegExp(`^user=${subject};.*HttpOnly; SameSite=Strict`));
  const call = (from) =>
    fetch(`${process.env.AIWORKER_URL}/rag/documents`, { headers: { authorization: `Bearer ${value}`, origin: from } });
  assert.equal((await call(address)).status, 200);
  assert.equal((await call("http://localhost:1")).status, 401);
  for (const path of ["/../package.json", "/%2e%2e/server.mjs", "/nothing"]) {
    assert.equal((await fetch(address + path)).status, 404);
  }
});
