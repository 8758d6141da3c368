// The pages of the README, docs/tutorial.md and docs/streaming.md, as pasted, served from a port of their own.
//
//   AIWORKER_URL, AIWORKER_SIMULATOR  the server and its simulator, as scripts/dev starts them
//   PAGES                             folder of the built pages of docs/streaming.md
//   CHROMIUM                          the browser, if it is not /usr/bin/chromium

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const SERVER = process.env.AIWORKER_URL;
const SIMULATOR = process.env.AIWORKER_SIMULATOR;
const PDF = new URL("../../public/console/examples/lighthouse.pdf", import.meta.url);

let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
});
after(() => browser?.close());

/** Open a page of another origin. files: path → text. An error in the page fails the test. */
async function open(t, files, address = "/page.html") {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const text = files(pathname);
    response.writeHead(text === null ? 404 : 200, {
      "content-type": TYPES[pathname.split(".").at(-1)] ?? "text/plain",
    });
    response.end(text?.replaceAll("http://localhost:8787", SERVER));
  }).listen(0, "localhost");
  t.after(() => server.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  const trouble = [];
  page.on("pageerror", (error) => trouble.push(String(error)));
  t.after(() => assert.deepEqual(trouble, []));
  await page.goto(`http://localhost:${server.address().port}${address}`);
  return page;
}

const TYPES = { html: "text/html", js: "text/javascript" };

/** Open the HTML that the pattern finds in a document. */
function openFrom(t, document, pattern) {
  const [, html] = readFileSync(new URL(`../../${document}`, import.meta.url), "utf8").match(pattern);
  return open(t, (path) => (path === "/page.html" ? html : null));
}

const openReadme = (t) => openFrom(t, "README.md", /```html\n(.*?)```/s);

async function deleteDocuments() {
  const { documents } = await (await fetch(`${SERVER}/rag/documents`)).json();
  await Promise.all(documents.map(({ id }) => fetch(`${SERVER}/rag/documents/${id}`, { method: "DELETE" })));
}

async function setFault(t, fault) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${SIMULATOR}/simulator/faults`, {
    method: "POST",
    headers,
    body: JSON.stringify({ binding: "AI", ...fault }),
  });
  assert.equal(response.status, 201);
  t.after(() => fetch(`${SIMULATOR}/simulator/faults`, { method: "DELETE" }));
}

test("the page of the README shows the answer as it streams", async (t) => {
  const page = await openReadme(t);
  await page.getByText(await wholeAnswer(), { exact: true }).waitFor();
});

test("the page of the README says why there is no answer, and why one breaks off", async (t) => {
  await setFault(t, { status: 429, code: 3036, count: null });
  const refused = await openReadme(t);
  await refused.locator("#answer:not(:empty)").waitFor();
  const { status, sentence } = await problem();
  assert.equal(status, 429);
  assert.equal(await refused.locator("#answer").textContent(), sentence);
  await fetch(`${SIMULATOR}/simulator/faults`, { method: "DELETE" });
  await setFault(t, { cut_after_frames: 30, count: null });
  const broken = await openReadme(t);
  await broken.getByText(/The model's answer broke off/).waitFor();
});

test("the page of the tutorial answers from a PDF and links to its page", async (t) => {
  await deleteDocuments(); // those of other tests of this server may have the same words
  const form = new FormData();
  form.append("file", new File([readFileSync(PDF)], "lighthouse.pdf"));
  form.append("id", "tutorial");
  const { status_url: address } = await (await fetch(`${SERVER}/rag/documents`, { method: "POST", body: form })).json();
  t.after(() => fetch(address, { method: "DELETE" }));
  for (let state = ""; state !== "indexed"; ) {
    assert.notEqual(state, "failed");
    await new Promise((resolve) => setTimeout(resolve, 100));
    state = (await (await fetch(address)).json()).state;
  }
  const page = await openFrom(t, "docs/tutorial.md", /<<'END'\n(<!doctype html>.*?)^END$/ms);
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText("[1]").waitFor();
  const source = page.locator("#sources a").first();
  assert.match(await source.getAttribute("href"), /\/rag\/documents\/tutorial\/original.*#page=\d$/);
  const question = { query: await page.getByLabel("Question").inputValue() };
  await setFault(t, { status: 400, code: 5006, count: null });
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText((await problem("/rag", question)).sentence).waitFor();
});

for (const framework of ["react", "vue"])
  test(`the chat of docs/streaming.md for ${framework} streams, stops and says what is wrong`, async (t) => {
    const built = (path) =>
      path.startsWith("/pages/") ? readFileSync(`${process.env.PAGES}/${path.slice(7)}`, "utf8") : null;
    const page = await open(t, built, `/pages/streaming-${framework}.html`);
    const say = async (text) => {
      await page.getByLabel("Question").fill(text);
      await page.getByRole("button", { name: "Send" }).click();
    };
    await say("What is a Worker?");
    await page.locator("p.assistant", { hasText: await wholeAnswer() }).waitFor();
    await setFault(t, { hold_after_frames: 40, operation: "run" });
    await say("And what is a stream?");
    await page.locator("p.assistant").nth(1).filter({ hasText: /\w+/ }).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await fetch(`${SIMULATOR}/simulator/faults`, { method: "DELETE" });
    await setFault(t, { status: 429, code: 3036, count: null });
    await say("Again?");
    const { sentence } = await problem();
    await page.getByRole("alert").filter({ hasText: sentence }).waitFor();
  });

const QUESTION = { stream: false, messages: [{ role: "user", content: "What is a Worker?" }] };

function post(path, body) {
  const headers = { "content-type": "application/json" };
  return fetch(SERVER + path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** The simulated answer is the same for the same question, streamed or not. */
async function wholeAnswer() {
  return (await (await post("/chat", QUESTION)).json()).choices[0].message.content;
}

async function problem(path = "/chat", body = QUESTION) {
  const response = await post(path, body);
  return { status: response.status, sentence: (await response.json()).error.message };
}
