/** The weather in a city, in a model's words. */
export default {
  async fetch(request, env) {
    const city = new URL(request.url).searchParams.get("city") ?? "Oslo";
    try {
      const inputs = { prompt: `How is the weather in ${city}?` };
      const { response } = await env.AI.run("@cf/meta/llama-3.1-8b-instruct-fast", inputs);
      return Response.json({ weather: response });
    } catch (error) {
      return Response.json({ error: error.message }, { status: 502 });
    }
  },
};
