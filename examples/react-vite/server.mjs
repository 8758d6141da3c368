// The app's own server: it has the API key, makes a token for each browser, and serves the built page.
//
//   AIWORKER_URL   the Worker, such as https://ai.example.com; default http://localhost:8787
//   AIWORKER_KEY   a key of it: scripts/keys new site --scopes chat,rag:read,rag:write
//   PORT           default 3001
//   ORIGIN         origin of the page, if it is not this server: http://localhost:3000 beside `vite`

import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const WORKER = process.env.AIWORKER_URL ?? "http://localhost:8787";
const KEY = process.env.AIWORKER_KEY;
const PAGES = fileURLToPath(new URL("dist/", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" };
const TOKEN_SECONDS = 600;
const WORKER_TIMEOUT_MS = 10_000;

if (!KEY) throw new Error("AIWORKER_KEY is missing: a key of the Worker, from scripts/keys new.");

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  try {
    if (pathname === "/api/token") await answerToken(request, response);
    else await answerFile(pathname, response);
  } catch (error) {
    console.error(error);
    if (!response.headersSent) answerJson(response, 502, { error: "The server has failed." });
  }
});

server.listen(Number(process.env.PORT ?? 3001), "127.0.0.1", () => {
  console.log(`Ready on http://localhost:${server.address().port}`);
});

/** Answer with a token that lets this user chat, ask and add documents, from this page only, for ten minutes. */
async function answerToken(request, response) {
  const origin = process.env.ORIGIN ?? `http://${request.headers.host}`;
  // only the page itself may ask: no other site, in whose pages the browser would send the cookie too
  if (request.method !== "POST" || request.headers.origin !== origin) {
    answerJson(response, 403, { error: "A token is for this site's own page." });
    return;
  }
  const subject = user(request, response);
  const made = await fetch(`${WORKER}/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ scopes: ["chat", "rag:read", "rag:write"], origin, subject, seconds: TOKEN_SECONDS }),
    signal: AbortSignal.timeout(WORKER_TIMEOUT_MS),
  });
  if (!made.ok) console.error(`The Worker makes no token: ${await made.text()}`);
  answerJson(response, made.ok ? 201 : 502, made.ok ? await made.json() : { error: "The Worker makes no token." });
}

/** Return the name of the user. Your app has a session here, and answers 401 without one; this one takes everybody. */
function user(request, response) {
  const known = /(?:^|; )user=([0-9a-f-]{36})(?:;|$)/.exec(request.headers.cookie ?? "")?.[1];
  const name = known ?? randomUUID();
  response.setHeader("set-cookie", `user=${name}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000`);
  return name;
}

function answerJson(response, status, body) {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}

/** Answer with a file of the built page. */
async function answerFile(pathname, response) {
  const file = join(PAGES, normalize(pathname === "/" ? "/index.html" : decodeURIComponent(pathname)));
  const isFile = file.startsWith(PAGES) && (await stat(file).catch(() => null))?.isFile();
  if (!isFile) {
    answerJson(response, 404, { error: "There is no such file. Has `npm run build` been run?" });
    return;
  }
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
  createReadStream(file).pipe(response);
}
