// Requests to the simulator's own API, and their errors.

/** Seconds that the simulator waits for a change before it answers. */
const LONG_POLL = 25;
/** Seconds until a request times out. */
const TIMEOUT = 10;
/** Characters of a text in the list of requests; an opened request has them all. */
const LISTED_CHARACTERS = 2000;

/** The simulator does not answer, or not as expected. */
export class ConnectionError extends Error {}

/** This simulator does not have the resource. */
export class NotFoundError extends Error {}

/** The simulator refuses a request of this page; the message is its reason. */
export class RefusedError extends Error {}

/** Requests in the journal, oldest first. */
export function allRequests(signal) {
  return getJson(`simulator/requests?characters=${LISTED_CHARACTERS}`, signal);
}

/** Requests changed after the change of that number, as soon as there are any. */
export function requestsSince(number, signal) {
  const path = `simulator/requests?characters=${LISTED_CHARACTERS}&since=${number}&seconds=${LONG_POLL}`;
  return getJson(path, signal, LONG_POLL + TIMEOUT);
}

/** Logs of all gateways after the log of that number, oldest first; for 0, the last logs. */
export function logsAfter(number, signal) {
  return getJson(`simulator/gateway-logs?after=${number}`, signal);
}

/** JSON of a resource. Aborted by the signal, or after so many seconds. */
export async function getJson(path, signal, seconds = TIMEOUT) {
  const timeout = AbortSignal.timeout(seconds * 1000);
  const response = await request(path, { signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
  try {
    return await response.json();
  } catch {
    throw new ConnectionError(`The simulator broke off in its answer to ${path}.`);
  }
}

/** Send JSON, or nothing. Returns the JSON of the answer, or null. Throws RefusedError with the simulator's reason. */
export async function send(method, path, body) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const options = { method, headers, body: JSON.stringify(body), signal: AbortSignal.timeout(TIMEOUT * 1000) };
  const response = await fetched(path, options);
  const text = await response.text();
  if (response.ok) return text ? JSON.parse(text) : null;
  throw new RefusedError(reason(text) ?? `The simulator answers with status ${response.status}.`);
}

function reason(text) {
  try {
    return JSON.parse(text).error;
  } catch {
    return null;
  }
}

async function request(path, options) {
  const response = await fetched(path, options);
  if ([404, 405, 501].includes(response.status)) throw new NotFoundError(`This simulator has no ${path}.`);
  if (!response.ok) throw new ConnectionError(`The simulator answers ${path} with status ${response.status}.`);
  return response;
}

async function fetched(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new ConnectionError("The simulator does not answer.");
  }
}
