// The same Worker with aiworker's protections: keys, a rate limit, a line in the log for each request. As
// there, an unknown path is refused first, stored images are open, and a stream's line follows its last byte.

import { routeOf } from "./index.js";

const encoder = new TextEncoder();
let keys;

/** The key of `API_KEYS` (`[{"name", "sha256"}]`) that the request shows; all are compared, in constant time. */
async function shownKey(request, env) {
  keys ??= JSON.parse(env.API_KEYS).map(({ name, sha256 }) => ({ name, digest: encoder.encode(sha256) }));
  const [, text = ""] = /^Bearer (.+)$/.exec(request.headers.get("authorization")) ?? [];
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
  const shown = encoder.encode(digest.toHex());
  return keys.filter((key) => crypto.subtle.timingSafeEqual(shown, key.digest))[0];
}

async function answer(request, env, record) {
  const route = routeOf(request);
  if (!route) return new Response("Not found", { status: 404 });
  const isOpen = request.method === "GET";
  const key = isOpen ? { name: null } : await shownKey(request, env);
  if (!key) return Response.json({ error: "no such key" }, { status: 401 });
  record.caller = key.name;
  const { success } = await env.RATE_LIMIT_MODEL.limit({ key: key.name ?? "address" });
  return success ? route(request, env) : Response.json({ error: "too many requests" }, { status: 429 });
}

export default {
  async fetch(request, env, ctx) {
    const began = Date.now();
    const record = {
      id: crypto.randomUUID(),
      method: request.method,
      path: new URL(request.url).pathname,
      caller: null,
    };
    const response = await answer(request, env, record);
    const write = () => console.log(JSON.stringify({ ...record, status: response.status, ms: Date.now() - began }));
    if (response.headers.get("content-type") !== "text/event-stream") {
      write();
      return response;
    }
    const { readable, writable } = new IdentityTransformStream();
    ctx.waitUntil(response.body.pipeTo(writable).then(write, write));
    return new Response(readable, response);
  },
};
