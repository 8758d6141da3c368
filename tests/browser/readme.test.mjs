// The README's page, as pasted, served from a port of its own.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";
import { chromium } from "playwright-core";

const README = new URL("../../README.md", import.meta.url);

test("the page of the README shows the answer as it streams", async (t) => {
  const [, html] = readFileSync(README, "utf8").match(/```html\n(.*?)```/s);
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end(html.replace("http://localhost:8787", process.env.AIWORKER_URL));
  }).listen(0, "localhost");
  t.after(() => server.close());
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const trouble = [];
  page.on("pageerror", (error) => trouble.push(String(error)));
  await page.goto(`http://localhost:${server.address().port}/page.html`);
  await page.getByText(await wholeAnswer(), { exact: true }).waitFor({ timeout: 10_000 });
  assert.deepEqual(trouble, []);
});

/** The simulated answer is the same for the same question, streamed or not. */
async function wholeAnswer() {
  const response = await fetch(`${process.env.AIWORKER_URL}/chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ stream: false, messages: [{ role: "user", content: "What is a Worker?" }] }),
  });
  return (await response.json()).choices[0].message.content;
}
