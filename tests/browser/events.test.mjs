// public/events.js: whatever the network does to the bytes, the same events come out.

import assert from "node:assert/strict";
import { test } from "node:test";

import { readEvents } from "../../public/events.js";

const STREAM = [
  ": a comment\n",
  'data: {"response":"naïve 東京 👋🏽"}\n\n',
  "event: error\r\ndata: with CRLF\r\n\r\n",
  "data: one\ndata:two\ndata:  three\n\n",
  "data: returns only\r\r",
  "id: 7\nretry: 10\nunknown: field\n\n",
  "event: named but empty\n\n",
  "data\n\n",
  "data: [DONE]\n\n",
].join("");

const EVENTS = [
  { event: "message", data: '{"response":"naïve 東京 👋🏽"}' },
  { event: "error", data: "with CRLF" },
  { event: "message", data: "one\ntwo\n three" },
  { event: "message", data: "returns only" },
  { event: "message", data: "" },
  { event: "message", data: "[DONE]" },
];

/** For tests that wait for what would never come if the code were wrong. */
const MAY_HANG = { timeout: 60_000 };

const BYTES = new TextEncoder().encode(STREAM);

async function eventsOf(...chunks) {
  const events = [];
  for await (const event of readEvents(ReadableStream.from(chunks))) events.push(event);
  return events;
}

test("a stream in one piece", async () => {
  assert.deepEqual(await eventsOf(BYTES), EVENTS);
});

test("cut in two at every byte, also within a character and within CRLF", async () => {
  for (let cut = 0; cut <= BYTES.length; cut++) {
    const events = await eventsOf(BYTES.subarray(0, cut), BYTES.subarray(cut));
    assert.deepEqual(events, EVENTS, `cut after ${cut} bytes`);
  }
});

test("byte by byte", async () => {
  const bytes = Array.from(BYTES, (byte) => Uint8Array.of(byte));
  assert.deepEqual(await eventsOf(...bytes), EVENTS);
});

test("the same events with every kind of line end", async () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const bytes = new TextEncoder().encode(`event: a${end}data: 1${end}data: 2${end}${end}data: 3${end}${end}`);
    const expected = [
      { event: "a", data: "1\n2" },
      { event: "message", data: "3" },
    ];
    assert.deepEqual(await eventsOf(bytes), expected, JSON.stringify(end));
  }
});

test("an event comes as soon as it is complete, while the stream is still open", MAY_HANG, async () => {
  for (const end of ["\n\n", "\r\n\r\n", "\r\r"]) {
    const stream = new TransformStream();
    const writer = stream.writable.getWriter();
    const events = readEvents(stream.readable);
    const first = events.next();
    await writer.write(new TextEncoder().encode(`data: now${end}`));
    assert.deepEqual(await first, { done: false, value: { event: "message", data: "now" } });
    await events.return();
  }
});

test("an event that the stream's end cuts short is not one", async () => {
  assert.deepEqual(await eventsOf(new TextEncoder().encode("data: whole\n\ndata: half\n")), [
    { event: "message", data: "whole" },
  ]);
});

test("who leaves the loop cancels the stream", MAY_HANG, async () => {
  const cancelled = Promise.withResolvers();
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(new TextEncoder().encode("data: more\n\n")),
    cancel: cancelled.resolve,
  });
  for await (const event of readEvents(body)) {
    assert.equal(event.data, "more");
    break;
  }
  await cancelled.promise;
});

test("a stream that fails throws its error to the reader", async () => {
  const body = new ReadableStream({ start: (controller) => controller.error(new Error("connection lost")) });
  await assert.rejects(readEvents(body).next(), /connection lost/);
});
