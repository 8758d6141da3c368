// Requests to the Worker: access, errors, streams, and a record of each request for the screen Requests.

import { readEvents } from "../events.js";
import { fetchWithProgress } from "./upload.js";

/** An error response of the Worker. `details` is its `error`: type, code, message, param, request_id and others. */
export class ApiError extends Error {
  constructor(details) {
    super(details.message);
    this.details = details;
  }
}

/** No response, or one that is not the Worker's. */
export class Unreachable extends Error {}

/** The Worker's Python cannot be imported. `traceback` says where and why. */
export class BrokenCode extends Error {
  constructor(traceback) {
    super("The Worker's Python cannot be imported. Edit the file, and the Worker loads again by itself.");
    this.traceback = traceback;
  }
}

/** A stream that ended without `[DONE]`. */
export class StreamBrokenOff extends Error {}

const MAX_RECORDS = 200;
const MAX_BODY_CHARACTERS = 20_000;

let key = null;

/** Send this API key with every request from now on; null for none. */
export function useKey(newKey) {
  key = newKey;
}

export const hasKey = () => key !== null;

/** Requests of this page, the newest first. The event "change" is dispatched for each new one and at its end. */
export const records = Object.assign(new EventTarget(), { all: [] });

/**
 * Send a request; return its response. Throws ApiError, Unreachable, and AbortError after an abort.
 *
 * options: those of fetch(); `json`, which is sent as a JSON body; `onProgress`, which is told `{loaded, total}` of an upload.
 */
export async function request(method, path, { json, onProgress, ...options } = {}) {
  const headers = { ...options.headers, ...(json === undefined ? {} : { "content-type": "application/json" }) };
  const access = key ? { authorization: `Bearer ${key}` } : {};
  const body = json === undefined ? options.body : JSON.stringify(json);
  const record = addRecord(method, path, headers, body);
  const init = { ...options, method, body, headers: { ...headers, ...access } };
  let response;
  try {
    response = await (onProgress ? fetchWithProgress(path, init, onProgress) : fetch(path, init));
  } catch (error) {
    end(record, { error: options.signal?.aborted ? "Stopped" : "No answer" });
    if (options.signal?.aborted) throw error;
    throw new Unreachable("The Worker does not answer.", { cause: error });
  }
  const counted = observed(response, record);
  if (response.ok) return counted;
  const text = await counted.text().catch(() => "");
  const data = parsed(text);
  record.error = data?.error?.message ?? `HTTP status ${response.status}`;
  if (data?.error) throw new ApiError(data.error);
  if (/^(Traceback| {2}File ")/.test(text)) throw new BrokenCode(text);
  throw new Unreachable(`Something other than the Worker answered, with HTTP status ${response.status}.`);
}

/** The value of a JSON text; null for any other text. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export async function getJson(path, options) {
  return (await request("GET", path, options)).json();
}

export async function postJson(path, json, options) {
  return (await request("POST", path, { ...options, json })).json();
}

/** Yield the events of a response, `{event, data}` with parsed data. Throws ApiError, and StreamBrokenOff without `[DONE]`. */
export async function* events(response) {
  let isComplete = false;
  for await (const { event, data } of readEvents(response.body)) {
    // the loop reads to the end: for the Worker, leaving it early would be a disconnected client
    if (data === "[DONE]") {
      isComplete = true;
      continue;
    }
    const parsed = JSON.parse(data);
    if (event === "error" || parsed.error) throw new ApiError(parsed.error);
    yield { event, data: parsed };
  }
  if (!isComplete) throw new StreamBrokenOff("The stream ended before the model had finished.");
}

export const isStream = (response) => response.headers.get("content-type")?.startsWith("text/event-stream");

/** Read a frame or a whole completion in either dialect: Workers AI's own, or OpenAI's with `choices`. */
export function completionPart(data) {
  const choice = data.choices?.[0];
  // Workers AI sends a text that is valid JSON, even a single digit, as the JSON value
  const content = choice?.delta?.content ?? choice?.message?.content ?? data.response ?? "";
  const reasoning = choice?.delta?.reasoning_content ?? choice?.message?.reasoning_content ?? "";
  return { text: typeof content === "string" ? content : JSON.stringify(content), reasoning, usage: data.usage };
}

// ---- the record of requests -------------------------------------------------------------------

function addRecord(method, path, headers, body) {
  const sent = typeof body === "string" ? body.slice(0, MAX_BODY_CHARACTERS) : body ? "(a file or a form)" : "";
  const record = {
    method,
    path,
    sent,
    requestHeaders: headers,
    at: Date.now(),
    start: performance.now(),
    status: null,
  };
  records.all.unshift(record);
  records.all.length = Math.min(records.all.length, MAX_RECORDS);
  records.dispatchEvent(new Event("change"));
  return record;
}

/** Statuses whose responses must not have a body, not even the empty one that browsers sometimes give them. */
const WITHOUT_BODY = [204, 205, 304];

/** Return a response whose bytes are counted, and whose end is noted. */
function observed(response, record) {
  Object.assign(record, { head: performance.now(), status: response.status, headers: [...response.headers], size: 0 });
  if (!response.body || WITHOUT_BODY.includes(response.status)) {
    end(record);
    return response;
  }
  const counter = new TransformStream({
    transform(chunk, controller) {
      record.size += chunk.byteLength;
      record.firstByte ??= performance.now();
      controller.enqueue(chunk);
    },
    flush: () => end(record),
    cancel: () => end(record, { error: "Stopped" }),
  });
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(counter), { status, statusText, headers });
}

function end(record, facts) {
  Object.assign(record, { end: performance.now() }, facts);
  records.dispatchEvent(new Event("change"));
}
