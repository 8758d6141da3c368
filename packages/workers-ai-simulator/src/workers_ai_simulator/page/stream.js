// What a model has written, read from the frames of a stream or from a whole answer, in any dialect.

/** `{text, reasoning, calls: [{name, arguments}], broken}` of a stream; `broken`: frames that are no JSON. */
export function fromFrames(frames) {
  const written = { text: "", reasoning: "", calls: [], broken: 0 };
  for (const data of frames.flatMap(({ text }) => dataLines(text))) {
    const value = parsed(data);
    if (value === undefined) written.broken += data === "[DONE]" ? 0 : 1;
    else if (value !== null && typeof value === "object") addFrame(written, value);
  }
  written.calls = written.calls.filter(Boolean);
  return written;
}

/** The same of a whole answer, with or without the envelope of the REST API. */
export function fromAnswer(answer) {
  const body = answer?.result ?? answer;
  if (body === null || typeof body !== "object") return { text: "", reasoning: "", calls: [], broken: 0 };
  const message = body.choices?.[0]?.message ?? {};
  const parts = [...(body.content ?? []), ...outputParts(body.output), ...(body.candidates?.[0]?.content?.parts ?? [])];
  const calls = [...(body.tool_calls ?? []), ...(message.tool_calls ?? []), ...parts];
  return {
    text: [body.response, message.content, ...parts.map(({ text }) => text)].find(isText) ?? "",
    reasoning:
      message.reasoning_content ?? message.reasoning ?? parts.map(({ thinking }) => thinking).find(isText) ?? "",
    calls: calls.map(calledTool).filter(Boolean),
    broken: 0,
  };
}

function outputParts(output) {
  if (!Array.isArray(output)) return [];
  return output.flatMap((item) => (item.type === "message" ? item.content : [item]));
}

function calledTool(call) {
  const called = call.function ?? call.functionCall ?? call;
  const isCall = called !== call || ["tool_use", "function_call"].includes(call.type) || !call.type;
  const value = called.arguments ?? called.args ?? called.input;
  return isCall && called.name ? { name: called.name, arguments: isText(value) ? value : JSON.stringify(value) } : null;
}

function isText(value) {
  return typeof value === "string" && value !== "";
}

function dataLines(text) {
  const lines = text.split("\n").filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice("data:".length).trim());
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

function addFrame(written, frame) {
  if (frame.choices) addDelta(written, frame.choices[0]?.delta ?? {});
  else if (frame.candidates) addParts(written, frame.candidates[0]?.content?.parts ?? []);
  else if (typeof frame.type === "string") addEvent(written, frame);
  else {
    written.text += frame.response ?? "";
    for (const call of frame.tool_calls ?? []) addCall(written, call.index ?? 0, call.function ?? call);
  }
}

/** OpenAI's chat completions. */
function addDelta(written, { content, reasoning_content, tool_calls }) {
  written.text += content ?? "";
  written.reasoning += reasoning_content ?? "";
  for (const call of tool_calls ?? []) addCall(written, call.index ?? 0, call.function ?? {});
}

/** Gemini's generateContent. */
function addParts(written, parts) {
  for (const { text, functionCall } of parts) {
    written.text += text ?? "";
    if (functionCall) {
      addCall(written, written.calls.length, { name: functionCall.name, arguments: JSON.stringify(functionCall.args) });
    }
  }
}

/** Anthropic's Messages and OpenAI's Responses, whose events have a type. */
function addEvent(written, event) {
  const { type, delta, item } = event;
  if (type === "content_block_delta") {
    written.text += delta.text ?? "";
    written.reasoning += delta.thinking ?? "";
    if (delta.partial_json) addCall(written, event.index, { arguments: delta.partial_json });
  } else if (type === "content_block_start" && event.content_block?.type === "tool_use") {
    addCall(written, event.index, { name: event.content_block.name });
  } else if (type === "response.output_item.added" && item?.type === "function_call") {
    addCall(written, event.output_index, { name: item.name });
  } else if (type === "response.function_call_arguments.delta") {
    addCall(written, event.output_index, { arguments: delta });
  } else if (type === "response.output_text.delta") written.text += delta;
  else if (type === "response.reasoning_text.delta") written.reasoning += delta;
}

function addCall(written, index, { name, arguments: piece }) {
  written.calls[index] ??= { name: "", arguments: "" };
  written.calls[index].name += name ?? "";
  written.calls[index].arguments += typeof piece === "object" && piece ? JSON.stringify(piece) : (piece ?? "");
}
