/** A chat: a page, and a route that streams what the model answers. */

interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

/** The part of `env.AI` that is used here; `wrangler types` writes all of it. */
interface Ai {
  run(model: string, inputs: { messages: Message[]; max_tokens: number; stream: true }): Promise<ReadableStream>;
}

interface Env {
  AI: Ai;
  ASSETS: { fetch(request: Request): Promise<Response> };
}

const MODEL = "@cf/meta/llama-3.3-70b-instruct-fp8-fast";
const SYSTEM: Message = { role: "system", content: "You are a friendly assistant. Answer briefly." };

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname !== "/api/chat") return env.ASSETS.fetch(request);
    if (request.method !== "POST") return new Response("Send messages by POST.", { status: 405 });
    const { messages } = (await request.json()) as { messages: Message[] };
    try {
      const stream = await env.AI.run(MODEL, { messages: [SYSTEM, ...messages], max_tokens: 1024, stream: true });
      return new Response(stream, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
    } catch (error) {
      return Response.json({ error: `The model does not answer: ${(error as Error).message}` }, { status: 502 });
    }
  },
};
