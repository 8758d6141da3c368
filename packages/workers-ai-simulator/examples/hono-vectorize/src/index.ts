/** Notes that are found by their meaning: Hono, embeddings of Workers AI, Vectorize. */

import { Hono } from "hono";

interface Note {
  id: string;
  text: string;
  language: string;
}

interface Match {
  id: string;
  score: number;
  metadata: { text: string; language: string };
}

/** The parts of the bindings that are used here; `wrangler types` writes all of them. */
interface Env {
  AI: { run(model: string, inputs: { text: string[] }): Promise<{ data: number[][] }> };
  NOTES: {
    upsert(
      vectors: { id: string; values: number[]; metadata: Record<string, string> }[],
    ): Promise<{ mutationId: string }>;
    query(vector: number[], options: object): Promise<{ matches: Match[] }>;
  };
}

const EMBEDDING = "@cf/baai/bge-base-en-v1.5";
const app = new Hono<{ Bindings: Env }>();

async function vectors(env: Env, texts: string[]): Promise<number[][]> {
  return (await env.AI.run(EMBEDDING, { text: texts })).data;
}

app.post("/notes", async (context) => {
  const notes = await context.req.json<Note[]>();
  const values = await vectors(
    context.env,
    notes.map(({ text }) => text),
  );
  const stored = notes.map(({ id, text, language }, at) => ({ id, values: values[at], metadata: { text, language } }));
  return context.json(await context.env.NOTES.upsert(stored), 202);
});

app.get("/search", async (context) => {
  const { q = "", language } = context.req.query();
  const [vector] = await vectors(context.env, [q]);
  const filter = language ? { filter: { language } } : {};
  const { matches } = await context.env.NOTES.query(vector, { topK: 3, returnMetadata: "all", ...filter });
  return context.json(matches.map(({ id, score, metadata }) => ({ id, score, text: metadata.text })));
});

export default app;
