// Server-sent events from a fetch() response, as the HTML standard parses them. Browsers have EventSource for this, but
// it can only GET; a chat is a POST. This file stands alone: copy it into your own front end.
//
//   const response = await fetch("/chat", { method: "POST", headers, body, signal });
//   for await (const { event, data } of readEvents(response.body)) {
//     if (data === "[DONE]") break;
//     show(JSON.parse(data).response);
//   }

const LINE_END = /\r\n|\r|\n/;

/**
 * The events of a stream of bytes, each as soon as it is complete, however the network has cut the bytes.
 *
 * Leaving the loop early cancels the stream. One that ends within an event loses that event, as the standard wants it.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<{event: string, data: string}>} `event` is "message" where the stream does not name it
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
  let begun = "";
  let afterReturn = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // a chunk may end between \r and \n: the \r has ended the line already, this \n is not a second end
      const text = afterReturn && value.startsWith("\n") ? value.slice(1) : value;
      afterReturn = value.endsWith("\r");
      const lines = (begun + text).split(LINE_END);
      begun = lines.pop();
      yield* lines;
    }
  } finally {
    // after an end or an error there is nothing to cancel, and that refusal is no news
    await reader.cancel().catch(() => {});
  }
}

/** A comment, which begins with a colon, becomes a field without a name: nobody asks for it. */
function splitField(line) {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value];
}
