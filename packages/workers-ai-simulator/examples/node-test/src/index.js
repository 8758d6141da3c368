/** The text of a request in three words, by a model that streams. */
export default {
  async fetch(request, env) {
    const messages = [
      { role: "system", content: "Say the same in three words." },
      { role: "user", content: await request.text() },
    ];
    const stream = await env.AI.run("@cf/meta/llama-3.1-8b-instruct-fast", { messages, stream: true });
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  },
};
