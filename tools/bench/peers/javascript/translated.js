// A model's stream, in either dialect or both → OpenAI's chunks, by a TransformStream that parses each frame.

const DATA = "data: ";

/** Translate a model's native stream into the stream of bytes that an OpenAI client reads. */
export function openaiStream(stream, model) {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const head = { id: `chatcmpl-${crypto.randomUUID()}`, object: "chat.completion.chunk", model };
  head.created = Math.floor(Date.now() / 1000);
  const chunk = (delta, finish_reason = null) =>
    `${DATA}${JSON.stringify({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason }] })}\n\n`;
  let rest = "";
  let hasBegun = false;

  const frame = (block) => {
    if (!block.startsWith(DATA)) return "";
    const data = block.slice(DATA.length);
    if (data === "[DONE]") return `${chunk({}, "stop")}${block}\n\n`;
    const { response, choices } = JSON.parse(data);
    const content = choices?.[0]?.delta.content || response;
    if (!content) return "";
    const begin = hasBegun ? "" : chunk({ role: "assistant", content: "" });
    hasBegun = true;
    return begin + chunk({ content });
  };

  return stream.pipeThrough(
    new TransformStream({
      transform(bytes, controller) {
        const blocks = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
        rest = blocks.pop();
        const text = blocks.map(frame).join("");
        if (text) controller.enqueue(encoder.encode(text));
      },
    }),
  );
}
