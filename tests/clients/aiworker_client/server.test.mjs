// The client against servers that are not the Worker, and against streams as proxies cut them.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import {
  Aiworker,
  ApiError,
  BudgetExceededError,
  ConnectionError,
  StreamInterruptedError,
  TokenError,
  UnavailableError,
  UnexpectedResponseError,
} from "aiworker-client";

/** Address of a server on this machine; answers: one after the other, the last one again and again. */
async function serve(t, ...answers) {
  let requests = 0;
  const server = createServer((request, response) => {
    const answer = answers[Math.min(requests, answers.length - 1)];
    requests += 1;
    answer(response, request);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return { url: `http://127.0.0.1:${server.address().port}`, requests: () => requests };
}

const page = (status) => (response) => response.writeHead(status, { "content-type": "text/html" }).end("<p>Hello");
const json =
  (body, status = 200, headers = {}) =>
  (response) =>
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
const failure = (type, status, retry_after = null) =>
  json(
    { error: { code: null, type, message: "No.", param: null, upstream_code: null, request_id: "req_1", retry_after } },
    status,
  );
const EMBEDDINGS = json({ shape: [1, 1], data: [[1]], usage: {} });

/** Answers a stream in these chunks of bytes, each in a packet of its own. */
const stream = (chunks, end = (response) => response.end()) =>
  async function answer(response) {
    response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req_2" });
    for (const chunk of chunks) await new Promise((resolve) => response.write(chunk, () => setImmediate(resolve)));
    end(response);
  };

const FRAMES =
  '\uFEFF: a comment\r\n\r\nevent: message\r\ndata: {"response": "Wö"}\r\n\r\n:\ndata: {"response":\ndata: " 👋🏽"}\n\n' +
  'retry: 5\nunknown\ndata: {"response": 7}\r\rdata:{"response": "", "usage": {"prompt_tokens": 1, "completion_tokens": 2, ' +
  '"total_tokens": 3}}\n\nevent: later\ndata: {"what": "a newer Worker says"}\n\ndata: [DONE]\n\n';

for (const [name, chunks] of [
  ["whole", [FRAMES]],
  ["cut into single bytes", [...Buffer.from(FRAMES)].map((byte) => Buffer.of(byte))],
]) {
  test(`a stream with comments, every line end and characters of several bytes: ${name}`, async (t) => {
    const { url } = await serve(t, stream(chunks));
    const answer = await new Aiworker({ baseUrl: url }).chat("Hello").answer();
    assert.equal(answer.text, "Wö 👋🏽7");
    assert.equal(answer.usage.total_tokens, 3);
    assert.equal(answer.requestId, "req_2");
  });
}

test("calls of functions are put together from their pieces", async (t) => {
  const part = (tool_calls) => `data: ${JSON.stringify({ choices: [{ delta: { tool_calls } }] })}\n\n`;
  const frames = [
    part([{ index: 0, id: "a", type: "function", function: { name: "one", arguments: "" } }]),
    part([{ index: 0, function: { arguments: '{"x":' } }]),
    part([
      { index: 1, id: "b", function: { name: "two", arguments: "{}" } },
      { index: 0, function: { arguments: "1}" } },
    ]),
    'data: {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}\n\ndata: [DONE]\n\n',
  ];
  const { url } = await serve(t, stream(frames));
  const { toolCalls, reason } = await new Aiworker({ baseUrl: url }).chat("Hello").answer();
  assert.deepEqual(
    toolCalls.map(({ id, name, arguments: text }) => [id, name, text]),
    [
      ["a", "one", '{"x":1}'],
      ["b", "two", "{}"],
    ],
  );
  assert.equal(reason, "tool_calls");
});

test("a stream that ends early, breaks, or is no stream of frames is interrupted", async (t) => {
  const first = 'data: {"response": "Hello"}\n\n';
  for (const answer of [
    stream([first]),
    stream([first], (response) => response.destroy()),
    stream([`${first}data: {"respo\n\n`]),
    stream([]),
  ]) {
    const { url } = await serve(t, answer);
    await assert.rejects(new Aiworker({ baseUrl: url }).chat("Hello").answer(), (error) => {
      assert.ok(error instanceof StreamInterruptedError, String(error));
      assert.equal(error.requestId, "req_2");
      return true;
    });
  }
});

test("something other than the Worker is named", async (t) => {
  for (const status of [200, 404, 502]) {
    const { url } = await serve(t, page(status));
    const ai = new Aiworker({ baseUrl: `${url}/api/` });
    const calls = [
      () => ai.chat("Hello").answer(),
      () => ai.embed("a"),
      () => ai.speak("a"),
      () => ai.documents.list(),
    ];
    for (const call of calls) {
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof UnexpectedResponseError, String(error));
        assert.equal(error.status, status);
        assert.match(error.message, /other than aiworker answered of http:.*\/api\//);
        return true;
      });
    }
  }
});

test("no answer at all is a connection error", async (t) => {
  const { url } = await serve(t, (response) => response.destroy());
  for (const baseUrl of [url, "http://127.0.0.1:9", "http://nowhere.invalid"]) {
    const ai = new Aiworker({ baseUrl });
    await assert.rejects(ai.chat("Hello").answer(), ConnectionError);
    await assert.rejects(ai.documents.upload(new Blob(["a"]), { onProgress: () => {} }), ConnectionError);
  }
});

test("a response that breaks off is a connection error with the request's id", async (t) => {
  const { url } = await serve(t, (response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": 100, "x-request-id": "req_3" });
    response.write("{", () => setImmediate(() => response.destroy()));
  });
  await assert.rejects(new Aiworker({ baseUrl: url }).embed("a"), { name: "ConnectionError", requestId: "req_3" });
});

test("retry-after is honoured, from the Worker and from a proxy", async (t) => {
  for (const answer of [
    failure("unavailable", 503, 1),
    (response) => response.writeHead(503, { "retry-after": "1" }).end(),
  ]) {
    const { url, requests } = await serve(t, answer, EMBEDDINGS);
    const began = performance.now();
    await new Aiworker({ baseUrl: url }).embed("a");
    assert.ok(performance.now() - began >= 990);
    assert.equal(requests(), 2);
  }
});

test("what would be in vain is not sent again", async (t) => {
  for (const [answer, kind] of [
    [failure("unavailable", 503, 3600), UnavailableError],
    [failure("unavailable", 503), UnavailableError],
    [failure("budget_exceeded", 429), BudgetExceededError],
    [failure("a_newer_type", 500), ApiError],
    [page(500), UnexpectedResponseError],
  ]) {
    const { url, requests } = await serve(t, answer);
    await assert.rejects(new Aiworker({ baseUrl: url }).embed("a"), kind);
    assert.equal(requests(), 1);
  }
});

test("retries end, also by an abort", async (t) => {
  const { url, requests } = await serve(t, page(429));
  await assert.rejects(new Aiworker({ baseUrl: url, maxRetries: 1 }).embed("a"), { status: 429 });
  assert.equal(requests(), 2);
  const controller = new AbortController();
  const slow = await serve(t, (response) => {
    failure("rate_limited", 429, 20)(response);
    response.on("finish", () => setTimeout(() => controller.abort(), 100)); // while the client waits
  });
  await assert.rejects(new Aiworker({ baseUrl: slow.url }).embed("a", { signal: controller.signal }), {
    name: "AbortError",
  });
  assert.equal(slow.requests(), 1);
});

test("tokens come from an endpoint, and its failure is an error of its own", async (t) => {
  const authorizations = [];
  const worker = await serve(t, (response, request) => {
    authorizations.push(request.headers.authorization);
    EMBEDDINGS(response);
  });
  const endpoint = await serve(t, json({ token: "abc", expires_at: "2999-01-01T00:00:00Z" }, 201));
  const ai = new Aiworker({ baseUrl: worker.url, getToken: `${endpoint.url}/token` });
  await Promise.all([ai.embed("a"), ai.embed("b")]);
  assert.deepEqual(authorizations, ["Bearer abc", "Bearer abc"]);
  assert.equal(endpoint.requests(), 1);

  for (const [getToken, status] of [
    [(await serve(t, json({ error: "log in" }, 401))).url, 401],
    [(await serve(t, page(200))).url, null],
    [(await serve(t, json({}))).url, null],
    [() => Promise.reject(new Error("no session")), null],
    [() => "", null],
    [() => undefined, null],
  ]) {
    await assert.rejects(new Aiworker({ baseUrl: worker.url, getToken }).embed("a"), (error) => {
      assert.ok(error instanceof TokenError, String(error));
      assert.equal(error.status, status);
      return true;
    });
  }
});

test("wrong options are refused at once", () => {
  for (const options of [
    {},
    { baseUrl: "" },
    { baseUrl: "ai.example.com" },
    { baseUrl: "ftp://ai.example.com" },
    { baseUrl: "http://localhost", apiKey: "a", getToken: "/token" },
  ]) {
    assert.throws(() => new Aiworker(options), TypeError);
  }
});
