// The models of the bench: they answer at once, on the wire that the binding classes `Ai` and `VectorizeIndexImpl` speak.
//
//   node server.mjs PORT          prints "Ready on http://127.0.0.1:PORT" when it listens
//
// Texts are ordered in the prompt: "frames=2000" for the length of a stream, written in one piece; "frames=2000 flushed"
// for each frame in a piece of its own; "frames=50 every=20" for a frame every 20 ms, which says when it was written.
// Everything that does not depend on the request is made once, so that this server is never what is measured.

import { createServer } from "node:http";

const DIMENSIONS = 768;
const IMAGE_BYTES = 1_000_000;
const HEAD_BYTES = 12;
const MATCHES = 50;

const JSON_TYPE = "application/json";
const ANSWER =
  "A greenhouse valve opens when the hub has seen three readings below the set point, and says so in its log.";
const USAGE = { prompt_tokens: 24, completion_tokens: 27, total_tokens: 51 };
const WORD = " word";

// ---- dialects of text models ---------------------------------------------------------------------------------------

const chunk = (model, delta, finish_reason = null, fields = {}) =>
  `data: ${JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion.chunk",
    created: 1_790_000_000,
    model,
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    ...fields,
  })}\n\n`;

/** The last frames of every stream: the usage is in a native one, whatever the dialect. */
const END = `data: ${JSON.stringify({ response: "", usage: USAGE })}\n\ndata: [DONE]\n\n`;

const DIALECTS = {
  native: {
    whole: () => ({ response: ANSWER, tool_calls: [], usage: USAGE }),
    frame: (_, text) => `data: {"response":${JSON.stringify(text)},"p":"abdegjmpqtux"}\n\n`,
    end: () => END,
  },
  openai: {
    whole: (model) => ({
      id: "chatcmpl-bench",
      object: "chat.completion",
      created: 1_790_000_000,
      model,
      choices: [{ index: 0, message: { role: "assistant", content: ANSWER }, finish_reason: "stop" }],
      usage: USAGE,
    }),
    frame: (model, text) => chunk(model, { content: text }),
    end: (model) => `${chunk(model, {}, "stop")}${END}`,
  },
};
DIALECTS.both = {
  whole: (model) => ({ ...DIALECTS.openai.whole(model), response: ANSWER }),
  frame: (model, text) => chunk(model, { content: text }, null, { response: text, p: "abdegh" }),
  end: DIALECTS.openai.end,
};

/** A function whose result is made once for each combination of its arguments. */
function once(make) {
  const made = new Map();
  return (...key) => {
    const name = key.join(" ");
    if (!made.has(name)) made.set(name, make(...key));
    return made.get(name);
  };
}

const wholeText = once((dialect, model) => Buffer.from(JSON.stringify(DIALECTS[dialect].whole(model))));
const wordFrame = once((dialect, model) => Buffer.from(DIALECTS[dialect].frame(model, WORD)));
const lastFrames = once((dialect, model) => Buffer.from(DIALECTS[dialect].end(model)));
const allFrames = once((dialect, model, count) =>
  Buffer.concat([...Array(count).fill(wordFrame(dialect, model)), lastFrames(dialect, model)]),
);

function text(dialect) {
  return (response, model, body) => {
    const { stream } = JSON.parse(body).inputs;
    if (!stream) return send(response, JSON_TYPE, wholeText(dialect, model));
    const frames = Number(/frames=(\d+)/.exec(body)?.[1] ?? 20);
    const every = Number(/every=(\d+)/.exec(body)?.[1] ?? 0);
    response.writeHead(200, { ...head(), "content-type": "text/event-stream" });
    if (every) return writeInTime(response, dialect, model, frames, every);
    if (body.includes("flushed")) return writeOneByOne(response, dialect, model, frames);
    response.end(allFrames(dialect, model, frames));
  };
}

/** A frame each `every` milliseconds, whose text is the time at which it is written: nanoseconds of the system's clock
 *  that counts from its start, which is the client's too. */
function writeInTime(response, dialect, model, frames, every) {
  let left = frames;
  const timer = setInterval(() => {
    response.write(DIALECTS[dialect].frame(model, `t${process.hrtime.bigint()}`));
    if (--left) return;
    clearInterval(timer);
    response.end(lastFrames(dialect, model));
  }, every);
  response.once("close", () => clearInterval(timer));
}

/** Write frames as fast as possible, but each in a turn of its own: frames written in one turn would travel as one piece. */
function writeOneByOne(response, dialect, model, frames) {
  const frame = wordFrame(dialect, model);
  let left = frames;
  const write = () => {
    if (response.destroyed) return;
    if (left-- === 0) return response.end(lastFrames(dialect, model));
    response.write(frame);
    setImmediate(write);
  };
  write();
}

// ---- other models ------------------------------------------------------------------------------------------------

/** Numbers that look like a vector's and are the same at every start (a linear congruential generator). */
function* numbers(seed) {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

const vectors = once((count) => {
  const source = numbers(count);
  const value = () => Number((source.next().value * 0.2 - 0.1).toFixed(10));
  const data = Array.from({ length: count }, () => Array.from({ length: DIMENSIONS }, value));
  return Buffer.from(JSON.stringify({ shape: [count, DIMENSIONS], data, pooling: "mean" }));
});

function embeddings(response, _, body) {
  const { text: texts } = JSON.parse(body).inputs;
  send(response, JSON_TYPE, vectors(Array.isArray(texts) ? texts.length : 1));
}

const ranking = once((count) => {
  const ranked = Array.from({ length: count }, (_, id) => ({ id, score: 0.99 - ((id * 7) % count) / (count + 1) }));
  return Buffer.from(JSON.stringify({ response: ranked.sort((one, other) => other.score - one.score) }));
});

function reranking(response, _, body) {
  send(response, JSON_TYPE, ranking(JSON.parse(body).inputs.contexts.length));
}

const noise = once(() => {
  const bytes = Buffer.alloc(IMAGE_BYTES - HEAD_BYTES);
  const source = numbers(1);
  for (let at = 0; at < bytes.length; at++) bytes[at] = source.next().value * 256;
  return bytes;
});

/** An image unlike those before it: what is stored already would not be stored again. Nobody decodes its noise. */
function image(response) {
  const begin = Buffer.alloc(HEAD_BYTES);
  begin.write("\x89PNG\r\n\x1a\n", "latin1");
  begin.writeUInt32BE(requests, HEAD_BYTES - 4);
  response.writeHead(200, { ...head(), "content-type": "image/png", "content-length": IMAGE_BYTES });
  response.write(begin);
  response.end(noise());
}

const MODELS = {
  "@cf/meta/llama-3.1-8b-instruct-fast": text("native"),
  "@cf/meta/llama-3.3-70b-instruct-fp8-fast": text("both"),
  "@cf/openai/gpt-oss-20b": text("openai"),
  "@cf/baai/bge-base-en-v1.5": embeddings,
  "@cf/baai/bge-reranker-base": reranking,
  "@cf/lykon/dreamshaper-8-lcm": image,
};

// ---- Vectorize ---------------------------------------------------------------------------------------------------

/** Passages of the document that tools/bench/documents.py puts into the databases. */
const matches = Buffer.from(
  JSON.stringify({
    count: MATCHES,
    matches: Array.from({ length: MATCHES }, (_, n) => ({ id: `bench-${(n * 3) % 200}`, score: 0.9 - n / 100 })),
  }),
);

// ---- HTTP --------------------------------------------------------------------------------------------------------

let requests = 0;
const head = () => ({ "cf-ai-req-id": `bench-${++requests}` });

function send(response, type, body) {
  response.writeHead(200, { ...head(), "content-type": type, "content-length": body.length });
  response.end(body);
}

function refuse(response, description) {
  response.writeHead(400, { "content-type": JSON_TYPE });
  response.end(JSON.stringify({ internalCode: 5007, name: "NoSuchModel", description, message: description }));
}

function answer(request, response, body) {
  if (request.url.endsWith("/query")) return send(response, JSON_TYPE, matches);
  const model = request.headers["cf-consn-model-id"];
  const answers = MODELS[model];
  if (!answers) return refuse(response, `The bench has no model ${model}: ${request.method} ${request.url}`);
  answers(response, model, body);
}

const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => answer(request, response, Buffer.concat(parts).toString()));
});
server.keepAliveTimeout = 0; // workerd keeps connections for the next call, however long it takes to come
server.listen(Number(process.argv[2]), "127.0.0.1", () => {
  console.log(`Ready on http://127.0.0.1:${server.address().port}`);
});
