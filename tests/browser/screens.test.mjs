// The console's other screens, in Chromium, against a running server (see console.mjs).

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";
import {
  assertAccessible,
  assertFits,
  clearFaults,
  fault,
  NEEDS_SIMULATOR,
  open,
  PHONE,
  recorded,
  SERVER,
  shown,
} from "./console.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PDF = readFileSync(`${ROOT}/public/console/examples/lighthouse.pdf`);
const run = promisify(execFile);

// ---- code -------------------------------------------------------------------------------------

/** The snippets that "Code" shows, by name. */
async function codeOf(page, button = page.locator("#actions").getByRole("button", { name: "Code" })) {
  await button.click();
  const dialog = page.getByRole("dialog");
  const code = {};
  for (const tab of await dialog.getByRole("tab").all()) {
    await tab.click();
    code[await tab.textContent()] = await dialog.locator("code").textContent();
  }
  await page.keyboard.press("Escape");
  return code;
}

const RUN = {
  curl: (text) => run("sh", ["-c", text], { cwd: ROOT }),
  fetch: (text) => run("node", ["--input-type=module", "--eval", text], { cwd: ROOT }),
  Python: (text) => run(process.env.PYTHON ?? "python3", ["-c", text], { cwd: ROOT }),
  "OpenAI SDK": (text) => run("node", ["--input-type=module", "--eval", text], { cwd: ROOT }),
};

test("the code of a chat runs as pasted, in every language", NEEDS_SIMULATOR, async (t) => {
  const page = await open(t);
  await page.getByLabel("Your message").fill('What\'s a `$(Worker)` \\ "here"?');
  const code = await codeOf(page);
  assert.deepEqual(Object.keys(code), ["curl", "fetch", "React", "Python", "OpenAI SDK"]);
  await transform(code.React, { loader: "jsx" });
  const names = Object.keys(RUN);
  const outputs = await Promise.all(names.map((name) => RUN[name](code[name])));
  const text = outputs[names.indexOf("fetch")].stdout.trim();
  assert.match(text, /You wrote: “What's a `\$\(Worker\)` \\ "here"\?”/);
  outputs.forEach(({ stdout }, index) => {
    const written = names[index] === "curl" ? curlText(stdout) : stdout.trim();
    assert.equal(written, text, names[index]);
  });
});

test("the code of the other screens runs as pasted", NEEDS_SIMULATOR, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "console-"));
  t.after(() => rm(folder, { recursive: true }));
  const page = await open(t, { at: "documents" });
  const python = process.env.PYTHON ?? "python3";
  const sdk = {};
  for (const [screen, expected] of [
    ["documents", /data: /],
    ["images", /^$/],
    ["audio", /"text"/],
    ["text", /translated_text/],
    ["structured", /"attempts"/],
    ["decide", /"probabilities"/],
  ]) {
    await page.evaluate((hash) => {
      location.hash = hash;
    }, `#/${screen}`);
    await page.locator(`#main.screen-${screen} > *`).first().waitFor();
    if (screen === "documents") {
      await writeFile(join(folder, "handbook.md"), "# Handbook\n\nThe boat leaves at nine.\n");
      const upload = await codeOf(page, page.getByRole("button", { name: "Code of an upload" }));
      await transform(upload.React, { loader: "jsx" });
      await run("sh", ["-c", `${upload.curl} --fail`], { cwd: folder });
      assert.match((await run(python, ["-c", upload.Python], { cwd: folder })).stdout, /'title': 'handbook.md'/);
    }
    if (screen === "audio") {
      await page.getByRole("tab", { name: "Speak" }).click();
      const spoken = await codeOf(page);
      sdk.speech = spoken["OpenAI SDK"];
      await run(python, ["-c", spoken.Python], { cwd: folder });
      await rename(join(folder, "speech.wav"), join(folder, "recording.wav"));
      await page.getByRole("tab", { name: "Transcribe" }).click();
    }
    const code = await codeOf(page);
    await transform(code.React, { loader: "jsx" });
    const outputs = await Promise.all([
      run("sh", ["-c", code.curl], { cwd: folder }),
      ["documents", "audio"].includes(screen) && run(python, ["-c", code.Python], { cwd: folder }),
      ["structured", "images"].includes(screen) && RUN.fetch(code.fetch),
    ]);
    assert.match(outputs[0].stdout, expected, screen);
    sdk[screen] = code["OpenAI SDK"];
    if (screen !== "images") continue;
    await page.getByLabel("Start from an image").setInputFiles(join(folder, "image.png"));
    sdk.edits = (await codeOf(page))["OpenAI SDK"];
  }
  // the routes of the others have none under /v1
  assert.deepEqual(
    Object.keys(sdk).filter((name) => !sdk[name]),
    ["documents", "text"],
  );
  const named = Object.entries(sdk).filter(([, text]) => text);
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  await Promise.all(named.map(([name, text]) => writeFile(join(folder, `${name}.mjs`), text)));
  // each is a module of its own, and one process reads the SDK once
  const program = named.map(([name]) => `console.log("${name}:"); await import("./${name}.mjs");`).join("\n");
  const { stdout } = await run("node", ["--input-type=module", "--eval", program], { cwd: folder });
  for (const expected of [
    /^images:\nedits:\nspeech:\naudio:\n.*"text": "[^"]*train to Bern.*structured:/s,
    /"segments": \[/,
    /structured:\n\{\s+\w+: /,
    /"type": "predicate",\n\s+"probability": /,
  ])
    assert.match(stdout, expected);
  assert.ok((await stat(join(folder, "speech.mp3"))).size > 1000);
});

function curlText(stream) {
  const frames = stream.split("\n\n").filter((event) => event.startsWith("data: {"));
  return frames.map((event) => JSON.parse(event.slice(6)).choices?.[0]?.delta?.content ?? "").join("");
}

// ---- Home -------------------------------------------------------------------------------------

test("each card of Home runs with one click", NEEDS_SIMULATOR, async (t) => {
  const page = await open(t, { at: "home" });
  const card = (name) => page.getByRole("region", { name, exact: true });
  for (const [name, expected] of [
    ["Ask a PDF", /\[1\]/],
    ["Describe a picture", /simulated/],
    ["Speak and listen", /Heard: .*lighthouse leaves at nine/],
    ["Extract data", /"customer"/],
    ["Call a tool", /Called current_time/],
    ["Compare two models", /neurons.*neurons/],
  ]) {
    await card(name).locator("button:not(.quiet)").first().click();
    await card(name).locator(".result").filter({ hasText: expected }).waitFor();
    await page.locator(`section[aria-label="${name}"]:not([aria-busy])`).waitFor();
  }
  await assertAccessible(page, "Home");
  await page.setViewportSize(PHONE.viewport);
  await assertFits(page, "Home");
});

// ---- Documents --------------------------------------------------------------------------------

test("from Ready to a cited answer about a PDF of one's own in at most five clicks", async (t) => {
  const page = await open(t, { at: "" });
  let clicks = 0;
  const click = (locator) => {
    clicks += 1;
    return locator.click();
  };
  await click(page.getByRole("link", { name: "Documents", exact: true }));
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    click(page.getByRole("button", { name: "Choose files" })),
  ]);
  await chooser.setFiles({ name: "my-lighthouse.pdf", mimeType: "application/pdf", buffer: PDF });
  const row = page.getByRole("listitem").filter({ hasText: /lighthouse/i });
  await row
    .filter({ hasText: /\d passages?/ })
    .first()
    .waitFor();
  await page.getByLabel("Your question").fill("How much does a ticket cost?");
  await click(page.getByRole("button", { name: "Ask", exact: true }));
  const citation = page.getByRole("button", { name: "Source 1" }).first();
  await citation.waitFor();
  await click(citation);
  await shown(page.getByRole("dialog").locator("mark"), "6 euros");
  await page.getByRole("link", { name: /^Open the file at page \d$/ }).waitFor();
  assert.ok(clicks <= 5, `${clicks} clicks`);
  await assertAccessible(page, "a passage");
});

test(
  "documents: several at once, passages and scores, a filter, a failure, indexed again, deleted",
  NEEDS_SIMULATOR,
  async (t) => {
    const tenant = `console-${Date.now()}`;
    const page = await open(t, { at: "documents", refused: /^\/rag/ });
    await page.getByText("Tenant and sources").click();
    await page.getByLabel("Tenant", { exact: true }).fill(tenant);
    await page.getByLabel("Tenant", { exact: true }).press("Enter");
    await page.getByText("No documents yet.").waitFor();
    const file = (name, text) => ({ name, mimeType: "text/markdown", buffer: Buffer.from(text) });
    await page
      .getByLabel("Files")
      .setInputFiles([
        file("penguins.md", "# Penguins\n\nPenguins live in the southern hemisphere.\n"),
        file("bears.md", "# Bears\n\nPolar bears live in the Arctic.\n"),
        file("empty.md", ""),
      ]);
    await shown(page.getByRole("status"), /2 of 3 indexed, 1 failed/);
    await page.getByText(/empty\.md: /).waitFor();
    await page.getByRole("button", { name: "bears.md", exact: true }).click();
    await shown(page.getByRole("dialog").locator(".passage"), "Polar bears");
    await page.keyboard.press("Escape");

    await page.getByLabel("Your question").fill("Where do penguins live?");
    await page.getByRole("button", { name: "Search only" }).click();
    await shown(page.locator(".sources li").first(), /Penguins live.*vector.*rerank/);
    await page.getByText("Advanced").click();
    await page.getByLabel("Filter").fill("{no");
    await page.getByRole("button", { name: "Search only" }).click();
    await page.getByText(/the filter is not JSON/).waitFor();
    await page.getByLabel("Filter").fill('{"colour": "red"}');
    await page.getByRole("button", { name: "Search only" }).click();
    await page.locator(".asking .failure").filter({ hasText: "colour" }).waitFor();
    await page.getByLabel("Filter").fill("");
    // an answer that comes late takes nobody's place
    const { promise: isLate, resolve: late } = Promise.withResolvers();
    await page.route("**/rag/search", (route) => isLate.then(() => route.continue()), { times: 1 });
    const [first] = await Promise.all([
      page.waitForRequest("**/rag/search"),
      page.getByRole("button", { name: "Search only" }).click(),
    ]);
    await page.getByLabel("Your question").fill("Where do polar bears live?");
    await page.getByRole("button", { name: "Search only" }).click();
    await shown(page.locator(".sources li").first(), "Polar bears live");
    late();
    await (await first.response()).finished();
    await recorded(page, () => records.all.every(({ end }) => end));
    await shown(page.locator(".sources li").first(), "Polar bears live");

    const bears = page.locator(".documents").getByRole("listitem").filter({ hasText: "bears.md" });
    // a row is made anew with each state: the one that is there is of the first time
    await bears.evaluate((row) => row.setAttribute("data-first", ""));
    const again = page.waitForResponse(/bears[^/]*\/reindex/);
    await bears.getByRole("button", { name: "Index bears.md again" }).click();
    assert.equal((await again).status(), 202);
    await bears.and(page.locator(":not([data-first])")).filter({ hasText: "1 passage" }).waitFor();
    await bears.getByRole("button", { name: "Delete bears.md" }).click();
    await assertAccessible(page, "asked before it is deleted");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await bears.waitFor({ state: "detached" });
    const left = await (await fetch(`${SERVER}/rag/documents?tenant=${tenant}`)).json();
    assert.deepEqual(
      left.documents.map(({ title }) => title),
      ["penguins.md"],
    );

    const network = await page.context().newCDPSession(page);
    const speed = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 5_000 };
    await network.send("Network.emulateNetworkConditions", speed);
    const archive = { name: "archive.xyz", mimeType: "application/x-xyz", buffer: Buffer.alloc(200_000) };
    await page.getByLabel("Files").setInputFiles(archive);
    await page.getByText(/^Uploading: [\d.]+ kB of 200\.\d kB$/).waitFor();
    assert.ok((await page.getByRole("progressbar", { name: "Uploaded" }).getAttribute("value")) > 0);
    await assertAccessible(page, "an upload");
    assert.ok(await page.getByText(/^Uploading: /).isVisible(), "it has been looked at while it was under way");
    await network.send("Network.emulateNetworkConditions", { ...speed, uploadThroughput: -1 });
    await shown(page.locator(".documents li:has(.failure)"), /archive\.xyz.*cannot be read/);
    await page.setViewportSize(PHONE.viewport);
    await assertFits(page, "Documents");
  },
);

// ---- the other screens ------------------------------------------------------------------------

test("images are made, edited, kept and deleted", NEEDS_SIMULATOR, async (t) => {
  const page = await open(t, { at: "images", refused: /^\/image/ });
  await page.getByLabel("Prompt", { exact: true }).fill("a red fox");
  await page.getByLabel("Model").selectOption("@cf/lykon/dreamshaper-8-lcm");
  await page.getByText("Advanced").click();
  await page.getByLabel("steps").fill("99");
  await page.getByRole("button", { name: "Generate" }).click();
  await page.getByText(/steps must be/).waitFor();
  await page.locator("[name=steps][aria-invalid]").waitFor();
  for (const [name, value] of [
    ["steps", "2"],
    ["width", "256"],
    ["height", "256"],
  ])
    await page.getByLabel(name).fill(value);
  await page.getByRole("button", { name: "Generate" }).click();
  await page.getByAltText("The generated image").waitFor();
  await page.getByRole("button", { name: "Edit this image" }).click();
  await page.getByLabel("Keep the image").check();
  const [sent] = await Promise.all([
    page.waitForRequest("**/image"),
    page.getByRole("button", { name: "Generate" }).click(),
  ]);
  assert.match(sent.headers()["content-type"], /^multipart\/form-data/);
  const stored = page.getByRole("list", { name: "Stored images" });
  await stored.getByRole("img", { name: "a red fox" }).waitFor();
  await page.reload();
  await stored.getByRole("button", { name: "Delete the image: a red fox" }).click();
  await stored.getByRole("img").waitFor({ state: "detached" });
});

/** A recording of a sentence. */
async function spoken() {
  const body = JSON.stringify({ text: "Good morning. The train to Bern leaves at nine." });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${SERVER}/speak`, { method: "POST", headers, body });
  return Buffer.from(await response.arrayBuffer());
}

test(
  "speech, text and data: spoken, heard, translated, classified, summarised, extracted, recorded",
  NEEDS_SIMULATOR,
  async (t) => {
    const page = await open(t, { at: "audio", permissions: ["microphone"], refused: /^\/(tokens|extract)$/ });
    const go = (name) => page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("tab", { name: "Speak" }).click();
    await page.getByRole("button", { name: "Speak", exact: true }).click();
    await page.getByLabel("The text, spoken").waitFor();
    await page.getByRole("tab", { name: "Transcribe" }).click();
    await page.getByRole("button", { name: "Transcribe", exact: true }).click();
    await page.getByText("there is no recording yet").waitFor();
    await page
      .getByLabel("Choose a file")
      .setInputFiles({ name: "a.wav", mimeType: "audio/wav", buffer: await spoken() });
    await page.getByLabel("Subtitles (WebVTT), too").check();
    await page.getByRole("button", { name: "Transcribe", exact: true }).click();
    await page.getByRole("list", { name: "Segments" }).getByText("The train to Bern leaves at nine.").waitFor();
    await page.getByRole("link", { name: "Subtitles" }).waitFor();
    await page.getByRole("button", { name: "Record" }).click();
    await page.getByRole("button", { name: "Stop recording" }).click();
    await page.getByRole("button", { name: "Record", exact: true }).waitFor();
    // a screen that is left while the browser asks for the permission records nothing
    await page.evaluate(() => {
      const allowed = new Promise((resolve) => {
        globalThis.allow = resolve;
      });
      const { mediaDevices } = navigator;
      const ask = mediaDevices.getUserMedia.bind(mediaDevices);
      mediaDevices.getUserMedia = async (wanted) => {
        globalThis.stream = await ask(wanted);
        await allowed;
        return globalThis.stream;
      };
    });
    await page.getByRole("button", { name: "Record", exact: true }).click();
    await page.waitForFunction(() => globalThis.stream);

    await go("Text");
    await page.getByRole("button", { name: "Translate" }).waitFor();
    await page.evaluate(() => globalThis.allow());
    await page.waitForFunction(() => globalThis.stream.getTracks().every(({ readyState }) => readyState === "ended"));
    await page.getByRole("button", { name: "Translate" }).click();
    await page.getByText("[simulated, en→fr] Good morning!").waitFor();
    await page.getByRole("tab", { name: "Classify" }).click();
    await page.getByRole("button", { name: "Classify" }).click();
    await page.getByText("POSITIVE").waitFor();
    await page.getByRole("tab", { name: "Summarise" }).click();
    await page.getByRole("button", { name: "Summarise" }).click();
    await shown(page.locator(".spoken"), /./);

    await go("Structured");
    await fault({ status: 500, code: 8007, count: 1 });
    await page.getByRole("button", { name: "Extract" }).click();
    await page.getByText("Fits the schema, at the first attempt").waitFor();
    await page.getByLabel("JSON Schema").fill('{"type": "nothing"}');
    await page.getByRole("button", { name: "Extract" }).click();
    await page.locator("[name=schema][aria-invalid]").waitFor();

    await go("Decide");
    await page.getByRole("button", { name: "Decide" }).click();
    await shown(page.getByRole("region", { name: "Answers" }), /refund.*yes.*%.*topic.*shipping.*mood.*unhappy/s);

    await go("Requests");
    const extract = page.locator(".request").filter({ hasText: "POST /extract" });
    await shown(extract.first(), "400");
    await shown(extract.last().locator("summary"), "1 retry");
    await extract.last().locator("summary").click();
    await shown(extract.last().getByRole("region", { name: "Gateway" }), /200, success.*\d in, \d+ out/);
    await page.getByRole("list", { name: "Timing" }).waitFor();
    await shown(extract.last().locator("dl").first(), /x-model.*x-request-id/);
    const [journal] = await Promise.all([
      page.context().waitForEvent("page"),
      extract.last().getByRole("link", { name: "Simulator" }).click(),
    ]);
    const call = journal.locator("#request-table tbody").filter({ has: journal.locator("[aria-expanded=true]") });
    await shown(call, "finished");
    await journal.close();
    await extract.last().getByRole("button", { name: "Code", exact: true }).click();
    await shown(page.getByRole("dialog"), /curl .*\/extract/);
    assert.equal(await page.getByRole("dialog").getByRole("tab", { name: "OpenAI SDK" }).count(), 1);
    await page.keyboard.press("Escape");
    await shown(page.getByRole("region", { name: "Simulator" }).getByRole("link"), "the simulator's page");
    const simulator = page.getByRole("region", { name: "Simulator" });
    await simulator.getByText("Let the next calls fail").click();
    await simulator.getByLabel("How").selectOption("Cut after five pieces of a stream");
    const { stdout } = await RUN.curl(await simulator.locator("code").textContent());
    assert.equal(JSON.parse(stdout).cut_after_frames, 5);
    await clearFaults();
    await assertAccessible(page, "a request");

    await go("Access");
    await shown(page.getByRole("list", { name: "What it may do" }), "rag:write");
    await page.getByLabel("Seconds").fill("60");
    await page.getByRole("button", { name: "Make a token" }).click();
    await page.getByText("Only an API key can create tokens").waitFor();
  },
);

// ---- every screen -----------------------------------------------------------------------------

for (const [name, context] of [
  ["light, on a desktop", {}],
  ["dark, on a phone", { ...PHONE, colorScheme: "dark" }],
])
  test(`axe has no finding on any screen: ${name}`, async (t) => {
    const page = await open(t, { at: "home", ...context });
    await page.locator("#screens a").first().waitFor({ state: "attached" });
    const addresses = await page.locator("#screens a").evaluateAll((links) => links.map(({ hash }) => hash));
    for (const address of addresses) {
      await page.evaluate((hash) => {
        location.hash = hash;
      }, address);
      await page
        .locator(`#main.screen-${address.slice(2)} > *`)
        .first()
        .waitFor();
      await recorded(page, () => records.all.every(({ end }) => end));
      await assertAccessible(page, address);
      await assertFits(page, address);
    }
  });
