// The JavaScript Worker once more, on Hono.

import { Hono } from "hono";

const CHAT = "@cf/meta/llama-3.1-8b-instruct-fast";
const EMBED = "@cf/baai/bge-base-en-v1.5";

const app = new Hono();

app.post("/chat", async (context) => {
  const { prompt, stream = true } = await context.req.json();
  if (typeof prompt !== "string") return context.json({ error: "prompt must be a string" }, 400);
  const answer = await context.env.AI.run(CHAT, { prompt, stream });
  return stream ? context.body(answer, 200, { "content-type": "text/event-stream" }) : context.json(answer);
});

app.post("/embed", async (context) => {
  const { text } = await context.req.json();
  return context.json(await context.env.AI.run(EMBED, { text }));
});

export default app;
