// `@anthropic-ai/sdk` cannot tell the Worker from the original.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";

const anthropic = new Anthropic({ baseURL: process.env.AIWORKER_URL, apiKey: "unused", maxRetries: 0 });
const HELLO = [{ role: "user", content: "What is a Wörker? 👋🏽" }];
const WEATHER = {
  name: "get_weather",
  description: "The weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

for (const model of ["@cf/meta/llama-3.3-70b-instruct-fp8-fast", "@cf/openai/gpt-oss-20b", "claude-sonnet-5"]) {
  test(`a message and a stream say the same: ${model}`, async () => {
    const options = { model, max_tokens: 400, messages: HELLO };
    const whole = await anthropic.messages.create(options);
    const stream = anthropic.messages.stream(options);
    let text = "";
    stream.on("text", (delta) => {
      text += delta;
    });
    const streamed = await stream.finalMessage();
    assert.match(text, /Wörker\? 👋🏽/);
    assert.equal(whole.content[0].text, text);
    assert.deepEqual(streamed.content, whole.content);
    assert.equal(streamed.stop_reason, "end_turn");
    assert.equal(streamed.usage.output_tokens, whole.usage.output_tokens);
  });

  test(`a loop of tools ends with an answer: ${model}`, async () => {
    const messages = [{ role: "user", content: "What is the weather in Paris and in Rome? Use the tool." }];
    const cities = [];
    for (;;) {
      const answer = await anthropic.messages
        .stream({ model, max_tokens: 900, tools: [WEATHER], messages })
        .finalMessage();
      if (answer.stop_reason !== "tool_use") {
        assert.match(answer.content.at(-1).text, /18 degrees/);
        break;
      }
      const calls = answer.content.filter((block) => block.type === "tool_use");
      cities.push(...calls.map((call) => call.input.city));
      const results = calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "18 degrees" }));
      messages.push({ role: "assistant", content: answer.content }, { role: "user", content: results });
    }
    assert.deepEqual(cities, ["Paris", "Rome"]);
  });
}

test("errors are of the client's own classes", async () => {
  const create = (fields) =>
    anthropic.messages.create({ model: "claude-sonnet-5", max_tokens: 9, messages: HELLO, ...fields });
  await assert.rejects(create({ model: "gpt-99" }), Anthropic.NotFoundError);
  await assert.rejects(create({ max_tokens: 0 }), Anthropic.BadRequestError);
});
