// The reference of the API, /docs: every route opens with an example that works, on desktop and phone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { assertAccessible, assertFits, open, PHONE, SERVER } from "./console.mjs";

const ADDRESS = `${SERVER}/docs/`;
const { paths } = await (await fetch(`${SERVER}/openapi.json`)).json();
const OPERATIONS = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { operationId }]) => ({ id: operationId, method, path })),
);

/** Routes that a click cannot answer well on this machine → why. */
const LEFT_OUT = {
  usage: "shows what a key has spent",
  create_token: "is called with a key",
  feedback: "rates an answer that AI Gateway has logged",
  add_source: "reads a site on the network",
};
/** Bytes, compressed, that the page may load before it is usable: it loads 64 KB, half of which describe the API. */
const MAX_FIRST_PAGE = 80_000;
/** Methods in the order in which examples run: a thing is made, read, then deleted. */
const ORDER = ["post", "get", "delete"];

const go = (page, id) =>
  page.evaluate((id) => {
    location.hash = id;
  }, id);

async function settled(page, id) {
  await page.locator(`#routes a[href="#${id}"][aria-current=page]`).waitFor({ state: "attached" });
}

/** Press Send; return the status. */
async function send(page) {
  const form = page.getByRole("form", { name: "Try it" });
  await form.getByRole("button", { name: "Send" }).click();
  await form.locator(".answer:not([aria-busy]) .facts").waitFor({ timeout: 60_000 });
  return Number(await form.locator(".facts strong").textContent());
}

test("it is small; every page is whole, and answers as it opens if it needs nothing of one's own", async (t) => {
  const responses = [];
  const prepare = (page) => page.on("response", (response) => responses.push(response));
  const page = await open(t, { address: ADDRESS, prepare });
  await page.locator(".summaries").first().waitFor();
  const bodies = await Promise.all(responses.map((response) => response.body().catch(() => Buffer.alloc(0))));
  const size = bodies.reduce((sum, body) => sum + gzipSync(body).length, 0);
  assert.ok(size > 20_000 && size < MAX_FIRST_PAGE, `${size} bytes`);
  await assertAccessible(page, "start");
  const pressed = [];
  for (const { id, method } of ORDER.flatMap((method) => OPERATIONS.filter((each) => each.method === method))) {
    await go(page, id);
    await settled(page, id);
    const { isComplete, emptyTables, text } = await page.locator("#main").evaluate((main) => ({
      isComplete: main.querySelector("form").checkValidity(),
      emptyTables: [...main.querySelectorAll("table")].filter((table) => table.tBodies[0].rows.length === 0).length,
      text: main.textContent,
    }));
    assert.equal(emptyTables, 0, `${id} has a table without rows`);
    assert.doesNotMatch(text, /undefined|\[object|NaN/, id);
    // one that is not complete asks for a file, or for an id that only an answer has
    if (method === "delete" || id in LEFT_OUT || !isComplete) continue;
    const status = await send(page);
    const answer = await page.locator(".answer").textContent();
    assert.ok(status < 300, `${id}: ${status} ${answer.slice(0, 300)}`);
    pressed.push(id);
  }
  assert.ok(pressed.length >= 45, `only ${pressed.length}: ${pressed}`);
  await go(page, "chat");
  await settled(page, "chat");
  for (const details of await page.locator("#main details").all()) {
    await details.evaluate((each) => {
      each.open = true;
    });
  }
  await assertAccessible(page, "chat, all opened");
});

test("a phone has the routes behind a button, and finds one by a word", async (t) => {
  const page = await open(t, { address: ADDRESS, ...PHONE });
  await page.locator(".summaries").first().waitFor();
  await assertFits(page, "start");
  await page.getByRole("button", { name: "Routes" }).click();
  await page.getByLabel("Find a route").fill("image edit");
  assert.equal(await page.locator("#routes li:visible").count(), 1);
  await page.locator("#routes li:visible a").click();
  await page.getByRole("heading", { name: "Edit an image" }).waitFor();
  assert.equal(await page.locator("#routes").isVisible(), false);
  await assertFits(page, "an operation");
  await go(page, "chat");
  await settled(page, "chat");
  assert.equal(await send(page), 200);
  await page.locator(".answer pre").filter({ hasText: "[DONE]" }).waitFor();
  await assertFits(page, "an answer");
  await assertAccessible(page, "an answer");
});

test("a key is sent with every request, and errors are shown", async (t) => {
  const page = await open(t, { address: ADDRESS, refused: /^\/chat$/ });
  await page.getByLabel("API key or token").fill("aiw_mine");
  await go(page, "chat");
  await settled(page, "chat");
  const [request] = await Promise.all([page.waitForRequest(`${SERVER}/chat`), send(page)]);
  assert.equal(request.headers().authorization, "Bearer aiw_mine");
  await page.getByLabel("Body").fill('{"prompt": "Hello", "temperature": 9}');
  assert.equal(await send(page), 400);
  await page.locator(".answer pre").filter({ hasText: "temperature must be between" }).waitFor();
  await page.getByLabel("Body").fill("<img src=x onerror=alert(1)>");
  assert.equal(await send(page), 400);
});
