// An answer of a model, received piece by piece.

import { completionPart, events, isStream, request } from "../api.js";
import { neuronsOf } from "../worker.js";

/**
 * Ask for an answer of POST /chat or POST /rag. `on` is called with what arrives: `{text, reasoning, tool, sources}`.
 *
 * Returns the assistant's message. Its `error` is set if it failed, its `facts` if the answer began.
 */
export async function answer(body, signal, on, path = "/chat") {
  const start = performance.now();
  const message = { role: "assistant", content: "", reasoning: "", tools: [], facts: {} };
  const { facts } = message;
  try {
    const response = await request("POST", path, { json: body, signal });
    Object.assign(facts, headerFacts(response.headers));
    const parts = isStream(response) ? events(response) : wholeAnswer(response);
    for await (const { event, data } of parts) add(message, event, data, start, on);
  } catch (error) {
    message.error = error;
  }
  facts.total = performance.now() - start;
  facts.neurons ??= neuronsOf(facts.model, facts.usage);
  return message;
}

async function* wholeAnswer(response) {
  yield { event: "message", data: await response.json() };
}

function add(message, event, data, start, on) {
  if (event === "tool") {
    message.tools.push(data);
    return on({ text: "", reasoning: "", tool: data });
  }
  if (event === "sources") {
    message.sources = data.sources;
    return on({ text: "", reasoning: "", sources: data.sources });
  }
  const { text, reasoning, usage } = completionPart(data);
  if (text || reasoning) message.facts.first ??= performance.now() - start;
  message.content += text;
  message.reasoning += reasoning;
  message.facts.usage = usage ?? message.facts.usage;
  on({ text, reasoning });
}

function headerFacts(headers) {
  const neurons = headers.get("x-neurons");
  return {
    model: headers.get("x-model"),
    realModel: headers.get("x-real-model"),
    requestId: headers.get("x-request-id"),
    aiRequestId: headers.get("x-ai-request-id"),
    logId: headers.get("x-gateway-log-id"),
    cache: headers.get("x-gateway-cache"),
    warning: headers.get("warning"),
    ...(neurons ? { neurons: Number(neurons) } : {}),
  };
}
