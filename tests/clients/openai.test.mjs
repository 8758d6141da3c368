// `openai` for Node.js cannot tell the Worker from the original.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI, { toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast";
const DIALECTS = [NATIVE, "@cf/openai/gpt-oss-20b"];
const SIMULATOR = process.env.AIWORKER_SIMULATOR;
const HELLO = [{ role: "user", content: "What is a Wörker? 👋🏽" }];
const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const Person = z.object({ name: z.string(), age: z.number() });

const openai = new OpenAI({ baseURL: `${process.env.AIWORKER_URL}/v1`, apiKey: "unused", maxRetries: 0 });

async function collected(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const fault = (body) =>
  fetch(`${SIMULATOR}/simulator/faults`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

for (const model of DIALECTS) {
  test(`a completion and a stream say the same: ${model}`, async () => {
    const whole = await openai.chat.completions.create({ model, messages: HELLO });
    const options = { model, messages: HELLO, stream: true, stream_options: { include_usage: true } };
    const chunks = await collected(await openai.chat.completions.create(options));
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
    assert.equal(text, whole.choices[0].message.content);
    assert.match(text, /Wörker\? 👋🏽/);
    assert.equal(chunks.at(-1).usage.completion_tokens, whole.usage.completion_tokens);
  });

  for (const stream of [false, true]) {
    test(`the tool runner calls a function and goes on${stream ? " in a stream" : ""}: ${model}`, async () => {
      const cities = [];
      const runner = openai.chat.completions.runTools({
        model,
        stream,
        messages: [{ role: "user", content: 'What is the weather in "Paris" and "Rome"?' }],
        tools: [
          {
            type: "function",
            function: {
              name: "get_weather",
              description: "The weather of a city",
              parameters: PARAMETERS,
              parse: JSON.parse,
              function: ({ city }) => {
                cities.push(city);
                return `23 degrees in ${city}`;
              },
            },
          },
        ],
      });
      const content = await runner.finalContent();
      assert.deepEqual(cities.sort(), ["Paris", "Rome"]);
      assert.match(content, /23 degrees in Paris.*23 degrees in Rome/s);
    });
  }

  test(`structured output: ${model}`, async () => {
    const messages = [{ role: "user", content: "Ann is 30 years old." }];
    const format = zodResponseFormat(Person, "person");
    const answer = await openai.chat.completions.parse({ model, messages, response_format: format });
    assert.deepEqual(answer.choices[0].message.parsed, { name: "Ann", age: 30 });
    const text = { format: zodTextFormat(Person, "person") };
    const response = await openai.responses.parse({ model, input: "Ann is 30 years old.", text });
    assert.deepEqual(response.output_parsed, { name: "Ann", age: 30 });
  });

  test(`a response's events: ${model}`, async () => {
    const stream = openai.responses.stream({ model, input: "Hi there" });
    const events = await collected(stream);
    const text = events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join("");
    assert.equal(text, (await stream.finalResponse()).output_text);
    assert.equal(events.at(-1).type, "response.completed");
  });

  test(`a stream that is cut rejects: ${model}`, { skip: !SIMULATOR }, async () => {
    await fault({ cut_after_frames: 5 });
    const stream = await openai.chat.completions.create({ model, messages: HELLO, stream: true });
    await assert.rejects(
      collected(stream),
      (error) => error instanceof OpenAI.APIError && /broke off/.test(error.message),
    );
    await fault({ cut_after_frames: 5 });
    const events = await openai.responses.create({ model, input: "Hi there", stream: true });
    await assert.rejects(
      collected(events),
      (error) => error instanceof OpenAI.APIError && /broke off/.test(error.message),
    );
  });
}

test("errors are the client's own", async () => {
  await assert.rejects(openai.chat.completions.create({ model: "gpt-99", messages: HELLO }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    assert.match(error.requestID, /^req_/);
    return true;
  });
  await assert.rejects(openai.chat.completions.create({ model: NATIVE, messages: [] }), OpenAI.BadRequestError);
});

test("a busy model is tried again", { skip: !SIMULATOR }, async () => {
  await fault({ status: 429, code: 3021, count: 1 });
  const answer = await openai.chat.completions.create({ model: NATIVE, messages: HELLO }, { maxRetries: 2 });
  assert.ok(answer.choices[0].message.content);
  await fault({ status: 429, code: 3021, count: 1 });
  await assert.rejects(openai.chat.completions.create({ model: NATIVE, messages: HELLO }), OpenAI.RateLimitError);
});

test("embeddings, images, sounds and models", async () => {
  const embedded = await openai.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] });
  assert.deepEqual(
    embedded.data.map((each) => each.embedding.length),
    [1024, 1024],
  );
  const image = await openai.images.generate({ prompt: "A lighthouse" });
  assert.equal(Buffer.from(image.data[0].b64_json, "base64")[0], 0xff);
  const spoken = { model: "tts-1", voice: "alloy", input: "Good morning.", response_format: "wav" };
  const sound = await (await openai.audio.speech.create(spoken)).arrayBuffer();
  const file = await toFile(Buffer.from(sound), "morning.wav");
  assert.equal((await openai.audio.transcriptions.create({ model: "whisper-1", file })).text, "Good morning.");
  const ids = (await collected(await openai.models.list())).map((model) => model.id);
  assert.ok(ids.includes("gpt-4o-mini"));
  assert.equal((await openai.models.retrieve(NATIVE)).id, NATIVE);
});
