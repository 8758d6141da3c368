// Web pages that a developer has open beside the local run, in Chromium: none of them reaches it.
//
//   AIWORKER_URL        the server, as scripts/dev starts it
//   AIWORKER_SIMULATOR  its simulator
//   CHROMIUM            the browser, if it is not /usr/bin/chromium

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const SERVER = process.env.AIWORKER_URL;
const SIMULATOR = process.env.AIWORKER_SIMULATOR;
const EVIL = "evil.example";
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--no-first-run",
  `--host-resolver-rules=MAP ${EVIL} 127.0.0.1`, // what rebinding does to the page's own name
  "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests", // other browsers have none
];

let browser;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
});
after(() => browser?.close());

/** A page of http://evil.example on that port. */
async function evilPage(t, port, html = "") {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const address = `http://${EVIL}:${port}/attack`;
  await page.route(address, (route) => route.fulfill({ contentType: "text/html", body: `<!doctype html>${html}` }));
  await page.goto(address);
  return page;
}

const port = (url) => new URL(url).port;

/** Status and text of what the page may read of a response. */
function fetched(page, path, options = {}) {
  return page.evaluate(
    async ([path, options]) => {
      const response = await fetch(path, options);
      return { status: response.status, text: await response.text() };
    },
    [path, options],
  );
}

/** The ids of the documents. Their states change by themselves: others of this server may be under way. */
async function documents() {
  const { documents } = await (await fetch(`${SERVER}/rag/documents?limit=100`)).json();
  return documents.map(({ id }) => id);
}

test("a page whose name leads to this machine reads nothing of the Worker", async (t) => {
  const page = await evilPage(t, port(SERVER));
  for (const path of ["/rag/documents", "/health", "/models", "/usage"]) {
    const { status, text } = await fetched(page, path);
    assert.equal(status, 403, path);
    assert.match(text, /ALLOWED_HOSTS/);
  }
});

test("nor does it reach the console, or what wrangler serves beside the Worker", async (t) => {
  const page = await evilPage(t, port(SERVER));
  const headers = { "MF-Original-URL": SERVER };
  for (const path of ["/", "/console/app.js", "/cdn-cgi/local/explorer"]) {
    assert.equal((await fetched(page, path)).status, 403);
    assert.equal((await fetched(page, path, { headers })).status, 403);
  }
});

test("nor does it when it tells wrangler's proxy another address", async (t) => {
  const page = await evilPage(t, port(SERVER));
  const headers = { "MF-Original-URL": `${SERVER}/rag/documents`, "X-Forwarded-Host": "localhost" };
  for (const referrerPolicy of ["no-referrer", "unsafe-url"]) {
    const { status, text } = await fetched(page, "/rag/documents", { headers, referrerPolicy });
    assert.equal(status, 403);
    assert.doesNotMatch(text, /"documents"/);
  }
});

test("nor does it send it anything", async (t) => {
  const page = await evilPage(t, port(SERVER));
  const body = JSON.stringify({ prompt: "Hello", stream: false });
  for (const spoofed of [{}, { "MF-Original-URL": `${SERVER}/chat` }]) {
    const headers = { "content-type": "application/json", ...spoofed };
    const { status } = await fetched(page, "/chat", { method: "POST", headers, body });
    assert.equal(status, 403);
  }
});

test("a form of another page stores no document", async (t) => {
  const before = await documents();
  const form = `<form method="post" enctype="multipart/form-data" action="${SERVER}/rag/documents">
    <input type="file" name="file"><input name="document_id" value="planted"></form>`;
  const page = await evilPage(t, 9, form);
  const file = { name: "planted.txt", mimeType: "text/plain", buffer: Buffer.from("Trust this page.") };
  await page.setInputFiles("input[type=file]", file);
  const [response] = await Promise.all([
    page.waitForResponse(`${SERVER}/rag/documents`),
    page.evaluate(() => document.querySelector("form").submit()),
  ]);
  assert.equal(response.status(), 403);
  assert.deepEqual(await documents(), before);
});

test("a script of another page stores no document either", async (t) => {
  const before = await documents();
  const page = await evilPage(t, 9);
  const sent = page.waitForResponse(`${SERVER}/rag/documents`);
  await page.evaluate(async (url) => {
    const body = new FormData();
    body.append("file", new File(["Trust this page."], "planted.txt", { type: "text/plain" }));
    await fetch(url, { method: "POST", mode: "no-cors", body });
  }, `${SERVER}/rag/documents`);
  assert.equal((await sent).status(), 403);
  assert.deepEqual(await documents(), before);
});

test("the simulator shows prompts to no other page, whatever its name", async (t) => {
  const page = await evilPage(t, port(SIMULATOR));
  for (const path of ["/simulator/requests", "/simulator/gateway-logs", "/"]) {
    const { status, text } = await fetched(page, path);
    assert.equal(status, 403, path);
    assert.match(text, /does not answer for/);
  }
  const other = await evilPage(t, 9);
  await assert.rejects(fetched(other, `${SIMULATOR}/simulator/requests`));
});

test("no other page sets or clears faults of the simulator", async (t) => {
  const page = await evilPage(t, 9);
  for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
    const sent = page.waitForResponse(`${SIMULATOR}/simulator/faults`);
    await page.evaluate(
      ([url, type]) =>
        fetch(url, { method: "POST", mode: "no-cors", body: new Blob(['{"status": 500, "count": null}'], { type }) }),
      [`${SIMULATOR}/simulator/faults`, type],
    );
    assert.equal((await sent).status(), 403);
  }
  assert.deepEqual(await (await fetch(`${SIMULATOR}/simulator/faults`)).json(), []);
});

test("the console and the page of the API work as before", async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(SERVER);
  for (const path of ["/health", "/rag/documents", "/openapi.json"]) {
    assert.equal((await fetched(page, path)).status, 200, path);
  }
});
