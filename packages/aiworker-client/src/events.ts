/** Server-sent events, by the HTML standard. */

export interface ServerSentEvent {
  /** `message` if the stream does not name it. */
  event: string;
  data: string;
}

const LINE_END = /\r\n|\r|\n/;

/**
 * Yield the events of a body, each as soon as it is complete.
 *
 * Leaving the loop cancels the body. An event that is incomplete at the end of the body is dropped, by the standard.
 */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent, void, undefined> {
  let event = "";
  let data: string[] = [];
  for await (const line of readLines(body)) {
    const [name, value] = splitField(line);
    if (line === "") {
      if (data.length > 0) yield { event: event || "message", data: data.join("\n") };
      event = "";
      data = [];
    } else if (name === "event") {
      event = value;
    } else if (name === "data") {
      data.push(value);
    }
  }
}

async function* readLines(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  // characters of several bytes may be split between chunks; a byte order mark is left out
  const decoder = new TextDecoder();
  let rest = "";
  let afterReturn = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const chunk = decoder.decode(value, { stream: true });
      if (chunk === "") continue;
      // a chunk may end between \r and \n: the \r has ended the line, so this \n does not end another
      const text = afterReturn && chunk.startsWith("\n") ? chunk.slice(1) : chunk;
      afterReturn = chunk.endsWith("\r");
      const lines = (rest + text).split(LINE_END);
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } finally {
    // after the end or an error, cancelling fails, which does not matter
    await reader.cancel().catch(() => {});
  }
}

/** Return a line's name and value. A comment, which begins with a colon, has an empty name and so is ignored. */
function splitField(line: string): [name: string, value: string] {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value];
}
