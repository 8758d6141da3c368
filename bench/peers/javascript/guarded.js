// The same Worker with what aiworker has against strangers: keys, a rate limit, a line in the log for each request.

import worker from "./index.js";

const encoder = new TextEncoder();

/** The key of `API_KEYS` (`[{"name", "sha256"}]`) that the request shows; all are compared, in constant time. */
async function shownKey(request, env) {
  const [, text = ""] = /^Bearer (.+)$/.exec(request.headers.get("authorization")) ?? [];
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
  const shown = encoder.encode(digest.toHex());
  return JSON.parse(env.API_KEYS).filter(({ sha256 }) =>
    crypto.subtle.timingSafeEqual(shown, encoder.encode(sha256)),
  )[0];
}

async function answer(key, request, env) {
  if (!key) return Response.json({ error: "no such key" }, { status: 401 });
  const { success } = await env.RATE_LIMIT_MODEL.limit({ key: key.name });
  return success ? worker.fetch(request, env) : Response.json({ error: "too many requests" }, { status: 429 });
}

export default {
  async fetch(request, env) {
    const began = Date.now();
    const key = await shownKey(request, env);
    const response = await answer(key, request, env);
    const { method, url } = request;
    const told = { id: crypto.randomUUID(), method, path: new URL(url).pathname, status: response.status };
    console.log(JSON.stringify({ ...told, ms: Date.now() - began, caller: key?.name ?? null }));
    return response;
  },
};
