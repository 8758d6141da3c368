// The Worker's API as the console uses it; nothing of the page is in here.

import { readEvents } from "./events.js";

/** What the Worker refused, in its own words: `details` has type, code, param, request_id and the rest. */
export class ApiError extends Error {
  constructor(details) {
    super(details.message);
    this.details = details;
  }
}

let key = null;

/** Send this API key with every request from now on; null for none. */
export function useKey(given) {
  key = given;
}

/** Nothing came back that this Worker could have sent. */
export class Unreachable extends Error {}

/** The answer ended before the model had said that it was complete. */
export class CutOff extends Error {}

export async function getJson(path) {
  const response = await request(path);
  return response.json();
}

/**
 * Ask a model.
 *
 * `parts` yields `{text, reasoning, usage}` as they arrive, of a stream and of an answer in one piece alike. It throws ApiError when
 * the model fails on its way, CutOff when the stream ends without its end mark, and AbortError after an abort.
 */
export async function postChat(body, signal) {
  const headers = { "content-type": "application/json" };
  const response = await request("/chat", { method: "POST", headers, body, signal });
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
  return {
    model: response.headers.get("x-model"),
    requestId: response.headers.get("x-request-id"),
    parts: isStream ? streamedParts(response.body) : wholeAnswer(response),
  };
}

/** The same request for a POSIX shell; the key is in a variable there, so that it can be shown to others. */
export function asCurl(body) {
  const quoted = body.replaceAll("'", "'\\''");
  const access = key ? ` \\\n  -H "authorization: Bearer $AIWORKER_KEY"` : "";
  return `curl -N ${location.origin}/chat${access} \\\n  -H 'content-type: application/json' \\\n  -d '${quoted}'`;
}

async function request(path, options) {
  let response;
  const access = key ? { authorization: `Bearer ${key}` } : {};
  try {
    response = await fetch(path, { ...options, headers: { ...options?.headers, ...access } });
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw new Unreachable("The Worker does not answer.", { cause: error });
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  if (answer?.error) throw new ApiError(answer.error);
  throw new Unreachable(`Something other than the Worker answered, with HTTP status ${response.status}.`);
}

async function* wholeAnswer(response) {
  yield part(await response.json());
}

async function* streamedParts(body) {
  let isComplete = false;
  for await (const { event, data } of readEvents(body)) {
    // read on to the end: leaving now would look to the Worker like a reader who has gone
    if (data === "[DONE]") isComplete = true;
    else yield part(JSON.parse(data), event);
  }
  if (!isComplete) throw new CutOff("The stream ended before the model had finished.");
}

/** One frame or answer in either shape: Workers AI's own, or OpenAI's `choices`. */
function part(answer, event) {
  if (event === "error" || answer.error) throw new ApiError(answer.error);
  const choice = answer.choices?.[0];
  const content = choice?.delta?.content ?? choice?.message?.content ?? answer.response ?? "";
  // an answer that reads as JSON, even a lone digit, comes from Workers AI as that value instead of as text
  const reasoning = choice?.delta?.reasoning_content ?? choice?.message?.reasoning_content ?? "";
  return { text: typeof content === "string" ? content : JSON.stringify(content), reasoning, usage: answer.usage };
}
