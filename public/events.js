// Reads server-sent events from a fetch() response, by the HTML standard. The browsers' own EventSource cannot send a
// POST, which a chat needs. This file imports nothing: copy it into your own front end.
//
//   const response = await fetch("/chat", { method: "POST", headers, body, signal });
//   for await (const { event, data } of readEvents(response.body)) {
//     if (data === "[DONE]") break;
//     show(JSON.parse(data).choices[0]?.delta.content ?? "");
//   }

const LINE_END = /\r\n|\r|\n/;

/**
 * Yield the events of a stream of bytes, each as soon as it is complete.
 *
 * Leaving the loop early cancels the stream. An event that is incomplete at the end of the stream is dropped, by the standard.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{event: string, data: string}>} `event` is "message" if the stream does not name it
 */
export async function* readEvents(body) {
  const lines = readLines(body.pipeThrough(new TextDecoderStream()));
  let event = "";
  let data = [];
  for await (const line of lines) {
    const [name, value] = splitField(line);
    if (line === "") {
      if (data.length) yield { event: event || "message", data: data.join("\n") };
      event = "";
      data = [];
    } else if (name === "event") {
      event = value;
    } else if (name === "data") {
      data.push(value);
    }
  }
}

async function* readLines(texts) {
  const reader = texts.getReader();
  let rest = "";
  let afterReturn = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // a chunk may end between \r and \n: the \r has ended the line, so this \n does not end another
      const text = afterReturn && value.startsWith("\n") ? value.slice(1) : value;
      afterReturn = value.endsWith("\r");
      const lines = (rest + text).split(LINE_END);
      rest = lines.pop();
      yield* lines;
    }
  } finally {
    // after the end or an error, cancelling fails, which does not matter
    await reader.cancel().catch(() => {});
  }
}

/** Return a line's name and value. A comment, which begins with a colon, has an empty name and so is ignored. */
function splitField(line) {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value];
}
