// What the page asks of the simulator, and what can go wrong on the way.

/** Seconds for which the simulator holds a question until there is something new. */
const LONG_POLL = 25;
/** Seconds after which an answer no longer comes. */
const PATIENCE = 10;

/** The simulator does not answer: it has ended, or the network to it has. */
export class Unreachable extends Error {}

/** It answers, but does not have what was asked for. */
export class Absent extends Error {}

/** The requests of the journal, oldest first. */
export function allRequests(signal) {
  return getJson("simulator/requests", signal);
}

/** Those that have changed after the change of that number, as soon as there are any. */
export function requestsSince(number, signal) {
  return getJson(`simulator/requests?since=${number}&seconds=${LONG_POLL}`, signal, LONG_POLL + PATIENCE);
}

/** The gateways' logs after the one of that number, newest last; after 0: the last ones. */
export function logsAfter(number, signal) {
  return getJson(`simulator/gateway-logs?after=${number}`, signal);
}

export async function clearFaults() {
  await asked("simulator/faults", { method: "DELETE", signal: AbortSignal.timeout(PATIENCE * 1000) });
}

/** Given up when the signal says so, or after so many seconds. */
export async function getJson(path, signal, seconds = PATIENCE) {
  const limits = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
  const response = await asked(path, { signal: limits });
  try {
    return await response.json();
  } catch {
    throw new Unreachable(`The simulator broke off in its answer to ${path}.`);
  }
}

async function asked(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Unreachable("The simulator does not answer.");
  }
  if ([404, 405, 501].includes(response.status)) throw new Absent(`This simulator has no ${path}.`);
  if (!response.ok) throw new Unreachable(`The simulator answers ${path} with status ${response.status}.`);
  return response;
}
