// What the tests of the console share: the browser, pages that complain of nothing, the simulator, and axe.
//
//   AIWORKER_URL        the server, such as http://localhost:8787
//   AIWORKER_SIMULATOR  its simulator, as scripts/dev prints it; without it, tests that need one are skipped
//   CHROMIUM            the browser, if it is not /usr/bin/chromium

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before } from "node:test";
import { chromium } from "playwright-core";

export const SERVER = process.env.AIWORKER_URL;
export const SIMULATOR = process.env.AIWORKER_SIMULATOR;
export const NEEDS_SIMULATOR = { skip: SIMULATOR ? false : "AIWORKER_SIMULATOR is not set" };
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];
const AXE = readFileSync(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
export const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true };

if (!SERVER) throw new Error("Set AIWORKER_URL to the address of a running server (scripts/dev).");

let browser;

before(async () => {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ARGUMENTS });
});
after(() => browser?.close());
afterEach(() => SIMULATOR && clearFaults());

/**
 * A page in a browser context of its own, which must not complain.
 *
 * at: the screen, such as "chat". address: of another page. refused: a pattern of paths whose requests this test lets fail.
 */
export async function open(t, { at = "chat", address, refused = /^\/chat$/, prepare, ...context } = {}) {
  // without transitions, whose colours are neither those before nor those after
  const opened = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
    ...context,
  });
  const page = await opened.newPage();
  page.setDefaultTimeout(30_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    const { url } = message.location();
    // Chromium itself notes every refused request as an error
    const isRefusal = message.text().startsWith("Failed to load resource");
    if (isRefusal && refused.test(new URL(url).pathname)) return;
    if (["error", "warning"].includes(message.type())) complaints.push(`${message.text()} (${url})`);
  });
  t.after(async () => {
    await opened.close();
    assert.deepEqual(complaints, [], "the browser complains");
  });
  await prepare?.(page);
  await page.goto(address ?? `${SERVER}/#/${at}`);
  return page;
}

/** Has axe no finding on the page as it is? */
export async function assertAccessible(page, name) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  });
  assert.deepEqual(violations, [], name);
}

/** Assert that nothing on the page scrolls sideways. */
export async function assertFits(page, name) {
  const wide = await page
    .locator("html, #main, .scroller, .dock, #top, dialog")
    .evaluateAll((all) =>
      all.filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.outerHTML.slice(0, 200)),
    );
  assert.deepEqual(wide, [], name);
}

export async function shown(locator, text) {
  await locator.filter({ hasText: text }).first().waitFor();
}

/** Wait until a function of the page is true, which reads `records`: what the console has noted of its requests. */
export async function recorded(page, isTrue) {
  await page.evaluate(async () => {
    globalThis.records = (await import("/console/api.js")).records;
  });
  await page.waitForFunction(isTrue);
}

export async function fault(what) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(what);
  const response = await fetch(`${SIMULATOR}/simulator/faults`, { method: "POST", headers, body });
  assert.equal(response.status, 201);
}

export async function clearFaults() {
  await fetch(`${SIMULATOR}/simulator/faults`, { method: "DELETE" });
}
