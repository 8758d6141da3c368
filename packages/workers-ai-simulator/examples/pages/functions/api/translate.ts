/** POST /api/translate: a text in French. */

interface Env {
  AI: { run(model: string, inputs: { text: string; target_lang: string }): Promise<{ translated_text: string }> };
}

export async function onRequestPost({ request, env }: { request: Request; env: Env }): Promise<Response> {
  const inputs = { text: await request.text(), target_lang: "fr" };
  return Response.json(await env.AI.run("@cf/meta/m2m100-1.2b", inputs));
}
