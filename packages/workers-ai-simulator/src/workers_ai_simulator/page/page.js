// The simulator's page: stays connected to the simulator, and shows its requests, logs and faults as they come.

import { showClients, showFidelity, showModels } from "./catalogue.js";
import { counted, element, page, write } from "./elements.js";
import { showLogs, showNoLogs } from "./gateway_logs.js";
import { announceCount, refreshRunning, showLostRequests, showRequests } from "./requests.js";
import { allRequests, clearFaults, getJson, logsAfter, NotFoundError, requestsSince } from "./simulator.js";

/** Milliseconds between two polls of the journal: a stream changes it with every token. */
const JOURNAL_PAUSE = 150;
/** Milliseconds between two polls of the logs and the faults, for which the simulator has no long polling. */
const POLL_INTERVAL = 1500;
/** Seconds until the next try to connect, after the first failure, the second and so on. */
const RETRY_DELAYS = [1, 2, 4, 8, 15];
/** Milliseconds between two announcements of the number of requests to screen readers. */
const ANNOUNCEMENT_INTERVAL = 5000;

/** Parts of a fault that hold an answer until it is cleared. */
const HOLDING_PARTS = ["hold_response", "hold_after_frames"];
/** Values of a fault's parts that have no effect, and are not shown. */
const DEFAULTS = {
  probability: 1,
  delay: 0,
  code: 0,
  description: "Simulated fault",
  empty_body: false,
  hold_response: false,
};

const ADDRESS = new URL(".", location.href).href.replace(/\/$/, "");

/** Ends the wait until the next try to connect. */
let tryNow = () => {};

async function stayConnected() {
  for (let failures = 0; ; failures++) {
    const connection = new AbortController();
    const { signal } = connection;
    try {
      const last = await connect(signal);
      failures = 0;
      showLive();
      await Promise.all([followRequests(last, signal), followLogs(signal), followFaults(signal)]);
    } catch (error) {
      connection.abort(); // when one of the three fails, the others end too
      await waitToRetry(error, RETRY_DELAYS[Math.min(failures, RETRY_DELAYS.length - 1)]);
    }
  }
}

/** Load everything and show it. Returns the number of the journal's last change. */
async function connect(signal) {
  const [about, models, fidelity, entries] = await Promise.all([
    getJson("simulator", signal),
    getJson("simulator/models", signal),
    getJson("page/fidelity.json", signal),
    allRequests(signal),
  ]);
  write(page.version, about.version);
  showModels(models);
  showFidelity(fidelity);
  showLostRequests(entries);
  showRequests(entries);
  return lastNumber(entries, 0);
}

async function followRequests(last, signal) {
  for (;;) {
    await untilVisible();
    const entries = await requestsSince(last, signal);
    showRequests(entries);
    last = lastNumber(entries, last);
    await pause(JOURNAL_PAUSE);
  }
}

async function followLogs(signal) {
  let last = 0;
  await follow(async () => {
    const logs = await logsAfter(last, signal);
    showLogs(logs);
    last = lastNumber(logs, last);
  }, showNoLogs);
}

async function followFaults(signal) {
  await follow(
    async () => showFaults(await getJson("simulator/faults", signal)),
    () => showFaults([]),
  );
}

/** Poll until it fails; if this simulator does not have the resource, call `showMissing` and stop. */
async function follow(poll, showMissing) {
  try {
    for (;;) {
      await untilVisible();
      await poll();
      await pause(POLL_INTERVAL);
    }
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    showMissing();
  }
}

function lastNumber(entries, minimum) {
  return entries.reduce((last, { number }) => Math.max(last, number), minimum);
}

// ---- the connection ---------------------------------------------------------------------------

function showLive() {
  page.connection.dataset.state = "live";
  write(page.connection, "Live");
  page.lost.hidden = true;
}

async function waitToRetry(error, seconds) {
  page.connection.dataset.state = "lost";
  write(page.connection, "Connection lost");
  page.lost.hidden = false;
  write(page["lost-text"], `${error.message} What is shown here is as it was.`);
  const isOver = new Promise((resolve) => {
    tryNow = resolve;
  });
  for (let left = seconds; left > 0; left--) {
    write(page["lost-wait"], `Next try in ${left} s`);
    if (await Promise.race([pause(1000), isOver.then(() => true)])) break;
  }
  write(page["lost-wait"], "Trying…");
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Resolves when the page is visible. Hidden pages do not poll: browsers allow six connections to a host for all tabs. */
function untilVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", () => resolve(), { once: true }));
}

// ---- faults -----------------------------------------------------------------------------------

/** Show the faults that may still have an effect: those not used up, and those that hold an answer. */
function showFaults(faults) {
  const active = faults.filter((fault) => fault.remaining !== 0 || HOLDING_PARTS.some((name) => fault[name] ?? false));
  const texts = active.map(faultText);
  const shown = Array.from(page["fault-list"].children, (each) => each.textContent);
  page.faults.hidden = active.length === 0;
  write(page["faults-title"], `${counted(active.length, "fault")} set`);
  if (texts.join("\n") !== shown.join("\n")) {
    page["fault-list"].replaceChildren(...texts.map((text) => element("li", text)));
  }
}

function faultText({ id, applied, remaining, count, ...parts }) {
  const isSet = ([name, value]) => value !== null && value !== DEFAULTS[name];
  const shown = Object.entries(parts).filter(isSet);
  const times = remaining === null ? "until cleared" : `${remaining} of ${count} to come`;
  return `${shown.map(([name, value]) => `${name} ${value}`).join(", ")} (${times})`;
}

async function clearAndShowFaults() {
  try {
    await clearFaults();
    showFaults([]);
  } catch (error) {
    write(page["faults-title"], error.message);
  }
}

page["clear-faults"].addEventListener("click", clearAndShowFaults);
page["try-now"].addEventListener("click", () => tryNow());
// the width from which page.css shows the introduction beside the rest
page.clients.open = matchMedia("(min-width: 68rem)").matches;
showClients(ADDRESS);
setInterval(refreshRunning, 1000);
setInterval(announceCount, ANNOUNCEMENT_INTERVAL);
stayConnected();
