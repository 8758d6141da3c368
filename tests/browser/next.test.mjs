// The page of docs/clients.md in Next.js itself, in Chromium.
//
//   NEXT_URL  the address of `next start`
//   CHROMIUM  the browser, if it is not /usr/bin/chromium

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"];

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
});
after(() => browser?.close());

async function open() {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(process.env.NEXT_URL);
  return page;
}

test("the answer streams through Next.js without a route handler", async () => {
  const page = await open();
  const lengths = await page.evaluate(() => {
    window.lengths = new Set();
    const look = () => window.lengths.add(document.querySelectorAll("p")[1]?.textContent.length ?? 0);
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
    return window.lengths.size;
  });
  assert.equal(lengths, 0);
  await page.fill("input", "What is a Worker?");
  await page.press("input", "Enter");
  await page.locator("p", { hasText: /simulated/ }).waitFor();
  await page.locator("input:enabled").waitFor();
  // "" and the whole text would be two
  assert.ok((await page.evaluate(() => window.lengths.size)) > 2, "the text has grown piece by piece");
});

test("an error of the Worker is what the page shows", async () => {
  const page = await open();
  await page.fill("input", "a".repeat(9_000));
  await page.press("input", "Enter");
  const alert = page.locator("p[role=alert]");
  await alert.waitFor();
  assert.match(await alert.textContent(), /at most 8,192 characters/);
});
