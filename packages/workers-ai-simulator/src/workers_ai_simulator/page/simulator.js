// Requests to the simulator's own API, and their errors.

/** Seconds that the simulator waits for a change before it answers. */
const LONG_POLL = 25;
/** Seconds until a request times out. */
const TIMEOUT = 10;

/** The simulator does not answer, or not as expected. */
export class ConnectionError extends Error {}

/** This simulator does not have the resource. */
export class NotFoundError extends Error {}

/** Requests in the journal, oldest first. */
export function allRequests(signal) {
  return getJson("simulator/requests", signal);
}

/** Requests changed after the change of that number, as soon as there are any. */
export function requestsSince(number, signal) {
  return getJson(`simulator/requests?since=${number}&seconds=${LONG_POLL}`, signal, LONG_POLL + TIMEOUT);
}

/** Logs of all gateways after the log of that number, oldest first; for 0, the last logs. */
export function logsAfter(number, signal) {
  return getJson(`simulator/gateway-logs?after=${number}`, signal);
}

export async function clearFaults() {
  await request("simulator/faults", { method: "DELETE", signal: AbortSignal.timeout(TIMEOUT * 1000) });
}

/** JSON of a resource. Aborted by the signal, or after so many seconds. */
export async function getJson(path, signal, seconds = TIMEOUT) {
  const limits = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
  const response = await request(path, { signal: limits });
  try {
    return await response.json();
  } catch {
    throw new ConnectionError(`The simulator broke off in its answer to ${path}.`);
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ConnectionError("The simulator does not answer.");
  }
  if ([404, 405, 501].includes(response.status)) throw new NotFoundError(`This simulator has no ${path}.`);
  if (!response.ok) throw new ConnectionError(`The simulator answers ${path} with status ${response.status}.`);
  return response;
}
