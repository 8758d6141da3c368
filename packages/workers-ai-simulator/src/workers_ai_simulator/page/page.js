// The page of the simulator: it stays connected, and shows what is new.

import { showClients, showFidelity, showModels } from "./catalogue.js";
import { counted, element, page, write } from "./elements.js";
import { showLogs, tellNoLogs } from "./gateway_logs.js";
import { announceCount, refreshRunning, showLostRequests, showRequests } from "./requests.js";
import { Absent, allRequests, clearFaults, getJson, logsAfter, requestsSince } from "./simulator.js";

/** Milliseconds between two questions: a stream changes with each token, a reader need not see each. */
const REST = 150;
/** Milliseconds between two looks at what the simulator does not tell by itself. */
const LOOK = 1500;
/** Seconds until it is tried again, after the first failure, the second and so on. */
const WAITS = [1, 2, 4, 8, 15];
/** Milliseconds between two counts for those who hear the page. */
const ANNOUNCEMENT = 5000;

/** Parts of a fault that hold an answer until it is cleared. */
const HOLDING = ["hold_response", "hold_after_frames"];
/** Values of a fault's parts that do nothing. */
const NOT_TELLING = {
  probability: 1,
  delay: 0,
  code: 0,
  description: "Simulated fault",
  empty_body: false,
  hold_response: false,
};

const ADDRESS = new URL(".", location.href).href.replace(/\/$/, "");

/** Ends the wait until the next try. */
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
      connection.abort(); // where one of the three fails, the others end too
      await waitToRetry(error, WAITS[Math.min(failures, WAITS.length - 1)]);
    }
  }
}

/** Read what there is. Returns the number of the journal's last change. */
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
    await whileShown();
    const entries = await requestsSince(last, signal);
    showRequests(entries);
    last = lastNumber(entries, last);
    await pause(REST);
  }
}

async function followLogs(signal) {
  let last = 0;
  await follow(async () => {
    const logs = await logsAfter(last, signal);
    showLogs(logs);
    last = lastNumber(logs, last);
  }, tellNoLogs);
}

async function followFaults(signal) {
  await follow(
    async () => showFaults(await getJson("simulator/faults", signal)),
    () => showFaults([]),
  );
}

/** Look again and again; what this simulator does not have is not asked for twice. */
async function follow(look, tellAbsent) {
  try {
    for (;;) {
      await whileShown();
      await look();
      await pause(LOOK);
    }
  } catch (error) {
    if (!(error instanceof Absent)) throw error;
    tellAbsent();
  }
}

function lastNumber(entries, least) {
  return entries.reduce((most, { number }) => Math.max(most, number), least);
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

/** A page that nobody sees asks nothing: browsers have six connections to a host, for all tabs together. */
function whileShown() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", () => resolve(), { once: true }));
}

// ---- faults -----------------------------------------------------------------------------------

/** Faults that may still do something: those to come, and those that hold an answer. */
function showFaults(faults) {
  const set = faults.filter((fault) => fault.remaining !== 0 || HOLDING.some((name) => fault[name] ?? false));
  const texts = set.map(faultText);
  const shown = Array.from(page["fault-list"].children, (each) => each.textContent);
  page.faults.hidden = set.length === 0;
  write(page["faults-title"], `${counted(set.length, "fault")} set`);
  if (texts.join("\n") !== shown.join("\n")) {
    page["fault-list"].replaceChildren(...texts.map((text) => element("li", text)));
  }
}

function faultText({ id, befallen, remaining, count, ...parts }) {
  const isTelling = ([name, value]) => value !== null && value !== NOT_TELLING[name];
  const told = Object.entries(parts).filter(isTelling);
  const times = remaining === null ? "until cleared" : `${remaining} of ${count} to come`;
  return `${told.map(([name, value]) => `${name} ${value}`).join(", ")} (${times})`;
}

async function forgetFaults() {
  try {
    await clearFaults();
    showFaults([]);
  } catch (error) {
    write(page["faults-title"], error.message);
  }
}

page["clear-faults"].addEventListener("click", forgetFaults);
page["try-now"].addEventListener("click", () => tryNow());
// the width from which page.css puts the rail beside the rest
page.clients.open = matchMedia("(min-width: 68rem)").matches;
showClients(ADDRESS);
setInterval(refreshRunning, 1000);
setInterval(announceCount, ANNOUNCEMENT);
stayConnected();
