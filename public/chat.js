// Client of the Worker's API, independent of the page.

import { readEvents } from "./events.js";

/** An error response of the Worker. `details` is its `error`: type, code, message, param, request_id and others. */
export class ApiError extends Error {
  constructor(details) {
    super(details.message);
    this.details = details;
  }
}

let key = null;

/** Send this API key with every request from now on; null for none. */
export function useKey(newKey) {
  key = newKey;
}

/** No response, or one that is not the Worker's. */
export class Unreachable extends Error {}

/** A stream that ended without `[DONE]`. */
export class StreamBrokenOff extends Error {}

export async function getJson(path) {
  const response = await request(path);
  return response.json();
}

/**
 * Request a completion.
 *
 * `parts` yields `{text, reasoning, usage}` as they arrive; a completion without streaming is one part. It throws ApiError when the
 * model fails, StreamBrokenOff when the stream ends without `[DONE]`, and AbortError after an abort.
 */
export async function postChat(body, signal) {
  const headers = { "content-type": "application/json" };
  const response = await request("/chat", { method: "POST", headers, body, signal });
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
  return {
    model: response.headers.get("x-model"),
    requestId: response.headers.get("x-request-id"),
    parts: isStream ? streamedParts(response.body) : wholeCompletion(response),
  };
}

/** Return the same request as a curl command for a POSIX shell, with the key in a variable, so that it can be shared. */
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
  const data = await response.json().catch(() => null);
  if (data?.error) throw new ApiError(data.error);
  throw new Unreachable(`Something other than the Worker answered, with HTTP status ${response.status}.`);
}

async function* wholeCompletion(response) {
  yield part(await response.json());
}

async function* streamedParts(body) {
  let isComplete = false;
  for await (const { event, data } of readEvents(body)) {
    // the loop reads to the end, because the Worker takes leaving it for a disconnected client
    if (data === "[DONE]") isComplete = true;
    else yield part(JSON.parse(data), event);
  }
  if (!isComplete) throw new StreamBrokenOff("The stream ended before the model had finished.");
}

/** Read a frame or a whole completion in either dialect: Workers AI's own, or OpenAI's with `choices`. */
function part(data, event) {
  if (event === "error" || data.error) throw new ApiError(data.error);
  const choice = data.choices?.[0];
  // Workers AI sends a text that is valid JSON, even a single digit, as that value
  const content = choice?.delta?.content ?? choice?.message?.content ?? data.response ?? "";
  const reasoning = choice?.delta?.reasoning_content ?? choice?.message?.reasoning_content ?? "";
  return { text: typeof content === "string" ? content : JSON.stringify(content), reasoning, usage: data.usage };
}
