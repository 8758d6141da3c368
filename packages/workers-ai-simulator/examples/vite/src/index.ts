/** Whatever is asked, answered by a model. */

interface Env {
  AI: { run(model: string, inputs: { prompt: string }): Promise<{ response: string }> };
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const prompt = new URL(request.url).searchParams.get("q") ?? "Hello";
    const { response } = await env.AI.run("@cf/meta/llama-3.1-8b-instruct-fast", { prompt });
    return new Response(response);
  },
};
