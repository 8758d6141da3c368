// Vercel's AI SDK, with `@ai-sdk/openai-compatible`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  embed,
  embedMany,
  generateImage,
  generateObject,
  generateText,
  isStepCount,
  streamObject,
  streamText,
  tool,
} from "ai";
import { z } from "zod";

const NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast";
const DIALECTS = [NATIVE, "@cf/openai/gpt-oss-20b"];
const SIMULATOR = process.env.AIWORKER_SIMULATOR;
const schema = z.object({ name: z.string(), age: z.number() });

const aiworker = createOpenAICompatible({
  name: "aiworker",
  baseURL: `${process.env.AIWORKER_URL}/v1`,
  includeUsage: true,
  supportsStructuredOutputs: true,
});

const weather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `23 degrees in ${city}`,
});

for (const id of DIALECTS) {
  const model = aiworker(id);

  test(`generateText and streamText say the same: ${id}`, async () => {
    const whole = await generateText({ model, prompt: "What is a Wörker? 👋🏽" });
    const stream = streamText({ model, prompt: "What is a Wörker? 👋🏽" });
    let text = "";
    for await (const part of stream.textStream) text += part;
    assert.equal(text, whole.text);
    assert.match(text, /Wörker\? 👋🏽/);
    assert.equal(await stream.finishReason, "stop");
    assert.equal((await stream.usage).outputTokens, whole.usage.outputTokens);
    assert.ok(whole.usage.outputTokens > 20);
  });

  test(`tools are called, one step after the other: ${id}`, async () => {
    const options = {
      model,
      tools: { get_weather: weather },
      stopWhen: isStepCount(3),
      prompt: 'What is the weather in "Paris" and "Rome"?',
    };
    const { text, steps } = await generateText(options);
    assert.match(text, /23 degrees in Paris.*23 degrees in Rome/s);
    assert.equal(steps[0].toolCalls.length, 2);
    const stream = streamText(options);
    assert.match(await stream.text, /23 degrees in Paris.*23 degrees in Rome/s);
  });

  test(`generateObject and streamObject: ${id}`, async () => {
    const { object } = await generateObject({ model, schema, prompt: "Ann is 30 years old." });
    assert.deepEqual(object, { name: "Ann", age: 30 });
    const stream = streamObject({ model, schema, prompt: "Ann is 30 years old." });
    let last;
    for await (const part of stream.partialObjectStream) last = part;
    assert.deepEqual(last, { name: "Ann", age: 30 });
  });

  test(`a stream that is cut is an error: ${id}`, { skip: !SIMULATOR }, async () => {
    await fetch(`${SIMULATOR}/simulator/faults`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ cut_after_frames: 5 }),
    });
    const errors = [];
    const stream = streamText({ model, prompt: "Hello", maxRetries: 0, onError: ({ error }) => errors.push(error) });
    for await (const part of stream.fullStream) if (part.type === "error") errors.push(part.error);
    assert.match(JSON.stringify(errors.map((error) => error.message ?? error)), /broke off/);
  });
}

test("what reasons shows its reasoning", async () => {
  const { reasoningText } = await generateText({ model: aiworker(DIALECTS[1]), prompt: "Hello" });
  assert.match(reasoningText, /Simulated reasoning/);
});

test("embed and embedMany", async () => {
  const model = aiworker.embeddingModel("text-embedding-3-small");
  const { embeddings, usage } = await embedMany({ model, values: ["one", "two", "three"] });
  assert.deepEqual(
    embeddings.map((each) => each.length),
    [1024, 1024, 1024],
  );
  assert.ok(usage.tokens > 0);
  assert.deepEqual((await embed({ model, value: "two" })).embedding, embeddings[1]);
});

test("an image", async () => {
  const { image } = await generateImage({ model: aiworker.imageModel("dall-e-3"), prompt: "A lighthouse" });
  assert.equal(image.mediaType, "image/jpeg");
});

test("an unknown model is an error that is not tried again", async () => {
  await assert.rejects(generateText({ model: aiworker("gpt-99"), prompt: "Hello" }), (error) => {
    assert.equal(error.statusCode, 404);
    assert.equal(error.isRetryable, false);
    assert.match(error.message, /no model gpt-99/);
    return true;
  });
});
