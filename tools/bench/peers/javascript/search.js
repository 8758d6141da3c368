// The retrieval that `POST /rag/search` of aiworker does, with the same calls: embedding, Vectorize, two statements to D1
// (the words; the texts of the best passages), reranker.

const EMBED = "@cf/baai/bge-base-en-v1.5";
const RERANK = "@cf/baai/bge-reranker-base";
const PREFIX = "Represent this sentence for searching relevant passages: ";
const TENANT = "default";
const CANDIDATES = 50;
const RERANKED = 25;
const FUSION = 60;
const COMMON = new Set(
  "a an and are as at by does for from how in is it of on or the to what when where which who why".split(" "),
);

const LIVE = `
CROSS JOIN versions v ON v.id = c.version
CROSS JOIN documents d ON d.tenant = v.tenant AND d.id = v.document_id AND d.live_version = v.id
WHERE v.tenant = ?1
`;
const FULLTEXT = `
SELECT c.version || '-' || c.number AS vector_id
FROM passage_words CROSS JOIN chunks c ON c.row = passage_words.rowid ${LIVE}
AND passage_words.rank MATCH 'bm25(0, 2, 2, 1)' AND passage_words MATCH ?2 ORDER BY passage_words.rank LIMIT ?3
`;
const BY_ID = `
SELECT value AS vector_id, c.heading, c.text, v.document_id, v.title, v.url
FROM json_each(?2) CROSS JOIN chunks c ON c.version = substr(value, 1, instr(value, '-') - 1)
AND c.number = CAST(substr(value, instr(value, '-') + 1) AS INTEGER) ${LIVE}
`;

export async function search(request, env) {
  const { query, top_k = 5 } = await request.json();
  if (typeof query !== "string") return Response.json({ error: "query must be a string" }, { status: 400 });
  const best = fuse(await Promise.all([vectorSearch(env, query), fulltextSearch(env, query)])).slice(0, RERANKED);
  const { results } = await env.DB.prepare(BY_ID).bind(TENANT, JSON.stringify(best)).all();
  return Response.json({ passages: await reranked(env, query, results, top_k) });
}

async function vectorSearch(env, query) {
  const { data } = await env.AI.run(EMBED, { text: [PREFIX + query] });
  const options = { topK: CANDIDATES, namespace: TENANT, returnValues: false, returnMetadata: "none" };
  return (await env.VECTORIZE.query(data[0], options)).matches.map(({ id }) => id);
}

async function fulltextSearch(env, query) {
  const words = [...new Set(query.toLowerCase().match(/\w+/g))].filter((word) => !COMMON.has(word));
  const match = `scope : ${await scope(TENANT)} AND {title heading text} : (${words.map((word) => `"${word}"`).join(" OR ")})`;
  const { results } = await env.DB.prepare(FULLTEXT).bind(TENANT, match, CANDIDATES).all();
  return results.map(({ vector_id }) => vector_id);
}

async function scope(tenant) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(tenant)));
  return `t${digest.toHex().slice(0, 32)}`;
}

function fuse(rankings) {
  const scores = new Map();
  for (const ids of rankings)
    ids.forEach((id, rank) => {
      scores.set(id, (scores.get(id) ?? 0) + 1 / (FUSION + rank + 1));
    });
  return [...scores.keys()].sort((one, other) => scores.get(other) - scores.get(one));
}

async function reranked(env, query, passages, top_k) {
  const contexts = passages.map(({ title, heading, text }) => ({ text: `${title}\n${heading}\n${text}` }));
  const { response } = await env.AI.run(RERANK, { query, contexts });
  response.sort((one, other) => other.score - one.score);
  return response.slice(0, top_k).map(({ id, score }) => {
    const { document_id, title, url, heading, text } = passages[id];
    return { document: document_id, title, url, heading, text, score };
  });
}
