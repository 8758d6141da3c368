// Make the console's pictures in the README and in docs/documents.md anew.
//
//   node tools/console/pictures.mjs [FOLDER]   into FOLDER instead of docs/
//   CHROMIUM                                   the browser, if it is not one of Debian's
//
// Starts scripts/dev with a state of its own, so that the pictures show no documents but those of the examples.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PDF = join(ROOT, "public/console/examples/lighthouse.pdf");
const CHROMIUM =
  process.env.CHROMIUM ?? ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"].find((path) => existsSync(path));
const ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"];

/** File → the function that brings a new page to what the picture shows. */
const PICTURES = { "console.png": showHome, "console-documents.png": showAnswer };

async function showHome(page, server) {
  await page.goto(server);
  await page.getByRole("button", { name: "Compare them" }).waitFor();
  await page.locator("img").evaluateAll((images) => Promise.all(images.map((image) => image.decode())));
}

async function showAnswer(page, server) {
  await page.goto(`${server}/#/documents`);
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    page.getByRole("button", { name: "Choose files" }).click(),
  ]);
  await chooser.setFiles(PDF);
  await page.getByRole("listitem").filter({ hasText: "2 passages" }).waitFor();
  await page.getByLabel("Your question").fill("How much does a ticket cost?");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  await page.getByText(/neurons, \$/).waitFor(); // at the end of the answer
}

/** Start scripts/dev; return its process and its address. */
async function start(state) {
  const server = spawn(join(ROOT, "scripts/dev"), ["--port", "0", "--persist-to", state], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const printed = [];
  for await (const line of createInterface({ input: server.stdout })) {
    const [, address] = line.match(/^Ready on (\S+)/) ?? [];
    if (address) {
      server.stdout.resume();
      return { server, address };
    }
    printed.push(line);
  }
  throw new Error(`scripts/dev did not start:\n${printed.join("\n")}`);
}

async function stop(server) {
  if (server.exitCode !== null) return;
  server.kill("SIGTERM");
  await once(server, "exit");
}

async function takeAll(folder, address) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  try {
    for (const [name, show] of Object.entries(PICTURES)) {
      const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
      page.setDefaultTimeout(60_000);
      await show(page, address);
      await page.screenshot({ path: join(folder, name), animations: "disabled" });
      console.log(join(folder, name));
    }
  } finally {
    await browser.close();
  }
}

async function main(folder) {
  if (!CHROMIUM) throw new Error("Needs Chromium: apt-get install chromium-headless-shell, or set CHROMIUM.");
  const state = await mkdtemp(join(tmpdir(), "aiworker-pictures-"));
  const { server, address } = await start(state);
  try {
    await takeAll(folder, address);
  } finally {
    await stop(server);
    await rm(state, { recursive: true });
  }
}

await main(process.argv[2] ?? join(ROOT, "docs"));
