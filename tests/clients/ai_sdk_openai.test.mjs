// Vercel's AI SDK, with `@ai-sdk/openai` as it is: it speaks Responses, and refers to items of earlier responses by id.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { experimental_decide, generateText, isStepCount, Output, streamText, tool } from "ai";
import { z } from "zod";

const openai = createOpenAI({ baseURL: `${process.env.AIWORKER_URL}/v1`, apiKey: "unused" });
const weather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `23 degrees in ${city}`,
});

async function streamed(options) {
  const stream = streamText({ ...options, onError: ({ error }) => assert.fail(error) });
  return { text: await stream.text, messages: (await stream.response).messages };
}

async function whole(options) {
  const { text, response } = await generateText(options);
  return { text, messages: response.messages };
}

for (const id of ["gpt-4o-mini", "gpt-5-mini", "@cf/meta/llama-3.3-70b-instruct-fp8-fast"]) {
  for (const answer of [whole, streamed]) {
    test(`three turns with a tool: ${id}, ${answer.name}`, async () => {
      const messages = [];
      for (const city of ["Paris", "Rome", "Oslo"]) {
        messages.push({ role: "user", content: `What is the weather in "${city}"?` });
        const options = { model: openai(id), tools: { weather }, stopWhen: isStepCount(3), messages, maxRetries: 0 };
        const turn = await answer(options);
        assert.match(turn.text, new RegExp(`23 degrees in ${city}`));
        messages.push(...turn.messages);
      }
    });
  }

  test(`a typed result: ${id}`, async () => {
    const schema = z.object({ name: z.string(), age: z.number() });
    const options = { model: openai(id), output: Output.object({ schema }), prompt: "Ann is 30 years old." };
    assert.deepEqual((await generateText(options)).output, { name: "Ann", age: 30 });
  });
}

test("decisions about a text and an image", async () => {
  const red = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC";
  const { answers, usage } = await experimental_decide({
    model: openai.decisionModel("gpt-6-luna"),
    state: [
      { type: "text", text: "The delivery of my parcel is late. I want a refund of my payment." },
      { type: "file", mediaType: "image/png", data: red },
    ],
    questions: {
      refund: { type: "boolean", instructions: "Does the customer want a refund?" },
      colour: { type: "choice", instructions: "Which colour?", criteria: { blue: null, red: null } },
      mood: { type: "score", instructions: "How satisfied?", criteria: ["unhappy", "neutral", "happy"] },
    },
    maxRetries: 0,
  });
  assert.ok(answers.refund.probability > 0.5);
  assert.equal(answers.colour.choice, "red");
  assert.equal(Object.keys(answers.mood.probabilities).length, 3);
  assert.ok(usage.inputTokens > 20);
});
