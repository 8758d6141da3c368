// Calls methods of the bindings for a test: POST {"path": ["AI", "run"], "arguments": […]} calls env.AI.run(…) and answers
// its result or error, and the fields that the call has set on env.AI. For a call on the result of another, as in
// env.AI.gateway(id).getLog(id), "then" has the next path and arguments. A websocket, with the model and its inputs in the
// query's "call", is handed on to env.AI.run.

/** Values that JSON lacks: an object in the arguments with one of these keys only stands for the function's result. */
const FACTORIES = {
  $stream: (text) => new Response(text).body,
  $bytes: (base64) => new Response(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))).body,
  $form: (fields) => form(fields).body,
  $formType: (fields) => form(fields).headers.get("content-type"),
  $buffer: (text) => new TextEncoder().encode(text).buffer,
  $blob: ({ text, type }) => new Blob([text], { type }),
  $float32: (numbers) => new Float32Array(numbers),
  $aborted: () => AbortSignal.abort(),
  $timeout: (milliseconds) => AbortSignal.timeout(milliseconds),
};

/** Response with a form, always with the same boundary, so that a body and a type from different calls match. */
function form(fields) {
  const boundary = "----the-boundary";
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const headers = { "content-type": `multipart/form-data; boundary=${boundary}` };
  return new Response(`${parts.join("")}--${boundary}--\r\n`, { headers });
}

const revive = (_, value) => {
  const [name, ...others] = value && typeof value === "object" ? Object.keys(value) : [];
  return name in FACTORIES && others.length === 0 ? FACTORIES[name](value[name]) : value;
};

async function call(target, { path, arguments: args = [], then }) {
  const name = path.at(-1);
  const owner = path.slice(0, -1).reduce((object, key) => object[key], target);
  const result = await owner[name](...args);
  return then ? call(result, then) : result;
}

/** Kind and content of a result. */
async function described(result) {
  if (result instanceof ReadableStream) return { kind: "ReadableStream", value: await new Response(result).text() };
  if (result instanceof Response) {
    const headers = Object.fromEntries(result.headers);
    return { kind: "Response", status: result.status, headers, value: await result.text() };
  }
  return { kind: result?.constructor?.name ?? typeof result, value: result };
}

const thrown = (error) => ({ name: error.name, message: error.message, cause: error.cause?.message });

const FIELDS = ["lastRequestId", "aiGatewayLogId", "lastRequestHttpStatusCode", "lastRequestInternalStatusCode"];

export default {
  async fetch(request, env) {
    if (request.headers.get("upgrade") === "websocket") {
      const { model, inputs } = JSON.parse(new URL(request.url).searchParams.get("call"));
      return env.AI.run(model, inputs, { websocket: true });
    }
    if (request.method === "GET") {
      const names = Object.entries(env).map(([name, binding]) => [name, binding.constructor.name]);
      return Response.json(Object.fromEntries(names));
    }
    const body = JSON.parse(await request.text(), revive);
    const outcome = await call(env, body).then(
      async (result) => ({ result: await described(result) }),
      (error) => ({ error: thrown(error) }),
    );
    const fields = Object.fromEntries(FIELDS.map((name) => [name, env.AI[name]]));
    return Response.json({ ...outcome, ai: fields });
  },
};
