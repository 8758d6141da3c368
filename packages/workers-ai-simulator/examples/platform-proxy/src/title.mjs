/** A title for a text, without the quotation marks that models like to add. */
export async function title(env, text) {
  const messages = [
    { role: "system", content: "Write a title for the text. Answer with nothing else." },
    { role: "user", content: text },
  ];
  const { response } = await env.AI.run("@cf/meta/llama-3.1-8b-instruct-fast", { messages });
  return response.trim().replace(/^["“](.+)["”]$/s, "$1");
}
