// Calls the bindings as a test asks: POST {"path": ["AI", "run"], "arguments": […]} calls env.AI.run(…) and answers what
// it has returned or thrown, and what it has left behind on env.AI. For a call inside a call (env.AI.gateway(id).getLog(id))
// "then" has the next path and arguments.

/** What JSON cannot say: an object with one such key in the arguments stands for what it makes. */
const MADE = {
  $stream: (text) => new Response(text).body,
  $bytes: (base64) => new Response(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))).body,
  $form: (fields) => form(fields).body,
  $formType: (fields) => form(fields).headers.get("content-type"),
  $blob: ({ text, type }) => new Blob([text], { type }),
  $float32: (numbers) => new Float32Array(numbers),
  $aborted: () => AbortSignal.abort(),
  $timeout: (milliseconds) => AbortSignal.timeout(milliseconds),
};

/** A form as a Response writes it, with the same boundary each time, so that body and type fit each other. */
function form(fields) {
  const boundary = "----the-boundary";
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const headers = { "content-type": `multipart/form-data; boundary=${boundary}` };
  return new Response(`${parts.join("")}--${boundary}--\r\n`, { headers });
}

const made = (_, value) => {
  const [name, ...others] = value && typeof value === "object" ? Object.keys(value) : [];
  return name in MADE && others.length === 0 ? MADE[name](value[name]) : value;
};

async function call(target, { path, arguments: given = [], then }) {
  const name = path.at(-1);
  const owner = path.slice(0, -1).reduce((object, key) => object[key], target);
  const result = await owner[name](...given);
  return then ? call(result, then) : result;
}

/** The kind of a result, and what is in it. */
async function shown(result) {
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
    if (request.method === "GET") {
      const names = Object.entries(env).map(([name, binding]) => [name, binding.constructor.name]);
      return Response.json(Object.fromEntries(names));
    }
    const asked = JSON.parse(await request.text(), made);
    const outcome = await call(env, asked).then(
      async (result) => ({ result: await shown(result) }),
      (error) => ({ error: thrown(error) }),
    );
    const left = Object.fromEntries(FIELDS.map((name) => [name, env.AI[name]]));
    return Response.json({ ...outcome, ai: left });
  },
};
