// The Worker that Cloudflare's documentation teaches to write: `env.AI.run`, and its answer in a Response.

import { search } from "./search.js";
import { openaiStream } from "./translated.js";

const CHAT = "@cf/meta/llama-3.1-8b-instruct-fast";
const EMBED = "@cf/baai/bge-base-en-v1.5";
const IMAGE = "@cf/lykon/dreamshaper-8-lcm";
const EVENT_STREAM = { headers: { "content-type": "text/event-stream" } };

const invalid = (message) => Response.json({ error: message }, { status: 400 });

async function chat(request, env) {
  const { prompt, stream = true } = await request.json();
  if (typeof prompt !== "string") return invalid("prompt must be a string");
  const answer = await env.AI.run(CHAT, { prompt, stream });
  return stream ? new Response(answer, EVENT_STREAM) : Response.json(answer);
}

/** A model's stream as OpenAI's clients read it; in every dialect, it ends with a native frame. */
async function completions(request, env) {
  const { model, messages } = await request.json();
  const answer = await env.AI.run(model, { messages, stream: true });
  return new Response(openaiStream(answer, model), EVENT_STREAM);
}

async function embed(request, env) {
  const { text } = await request.json();
  return Response.json(await env.AI.run(EMBED, { text }));
}

async function createImage(request, env) {
  const { prompt } = await request.json();
  const image = await new Response(await env.AI.run(IMAGE, { prompt })).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", image));
  const key = `${digest.toHex()}.png`;
  await env.BUCKET.put(`images/${key}`, image, { httpMetadata: { contentType: "image/png" } });
  const url = `${new URL(request.url).origin}/images/${key}`;
  return Response.json({ key, url, content_type: "image/png", size: image.byteLength }, { status: 201 });
}

async function readImage(_, env, path) {
  const object = await env.BUCKET.get(path.slice(1));
  if (!object) return new Response("Not found", { status: 404 });
  return new Response(object.body, {
    headers: { "content-type": object.httpMetadata.contentType, etag: object.httpEtag },
  });
}

const ROUTES = {
  "POST /chat": chat,
  "POST /v1/chat/completions": completions,
  "POST /embed": embed,
  "POST /rag/search": search,
  "POST /image": createImage,
};

/** The function that answers a request: it takes the request, the environment and the path. */
export function routeOf(request) {
  const { pathname } = new URL(request.url);
  if (request.method === "GET" && pathname.startsWith("/images/")) return (...args) => readImage(...args, pathname);
  return ROUTES[`${request.method} ${pathname}`];
}

export default {
  async fetch(request, env) {
    const route = routeOf(request);
    return route ? route(request, env) : new Response("Not found", { status: 404 });
  },
};
