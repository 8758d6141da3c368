// The Worker of this folder while `npm run dev` runs: $WORKER is its address.
import assert from "node:assert/strict";
import { test } from "node:test";

const worker = process.env.WORKER ?? "http://localhost:8787";
const NOTES = [
  { id: "cat", text: "The cat sleeps on the sofa.", language: "en" },
  { id: "train", text: "The train to Oslo leaves at nine.", language: "en" },
  { id: "katze", text: "Die Katze schläft auf dem Sofa.", language: "de" },
];

const search = async (query) => (await fetch(`${worker}/search?${new URLSearchParams(query)}`)).json();

/** The results, once Vectorize shows what was written: here as on Cloudflare, a moment later. */
async function searchUntil(query, count) {
  for (;;) {
    const matches = await search(query);
    if (matches.length === count) return matches;
  }
}

test("notes are found by meaning and by a filter", { timeout: 60_000 }, async () => {
  const stored = await fetch(`${worker}/notes`, { method: "POST", body: JSON.stringify(NOTES) });
  assert.equal(stored.status, 202);
  const matches = await searchUntil({ q: "When does the train leave?" }, 3);
  assert.equal(matches[0].id, "train");
  assert.ok(matches[0].score > matches[1].score);
  assert.deepEqual(
    (await search({ q: "cat", language: "de" })).map(({ id }) => id),
    ["katze"],
  );
});
