// The simulator's page: stays connected to the simulator, and shows its work as it happens.

import { showClients, showFidelity, showModels } from "./catalogue.js";
import { page, write } from "./elements.js";
import { showLogs, showNoLogs, showTotals } from "./gateway_logs.js";
import { refreshIndexes, rememberModels } from "./indexes.js";
import { showAnswers, showFaults, showModelNames } from "./next_answers.js";
import { announceCount, refreshRunning, showKept, showLostRequests, showRequests } from "./requests.js";
import { refreshInstances } from "./search.js";
import { allRequests, getJson, logsAfter, NotFoundError, requestsSince } from "./simulator.js";
import { isShown, show, start } from "./views.js";

/** Milliseconds between two polls of the journal: a stream changes it with every token. */
const JOURNAL_PAUSE = 150;
/** Milliseconds between two polls of the logs and the faults, for which the simulator has no long polling. */
const POLL_INTERVAL = 1500;
/** Seconds until the next try to connect, after the first failure, the second and so on. */
const RETRY_DELAYS = [1, 2, 4, 8, 15];
/** Milliseconds between two announcements of the number of requests to screen readers. */
const ANNOUNCEMENT_INTERVAL = 5000;

/** Binding → the view of the store that its calls change, and the function that loads it. */
const STORES = {
  VECTORIZE: { view: "indexes", refresh: refreshIndexes },
  AI_SEARCH: { view: "search", refresh: refreshInstances },
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
      await Promise.all([
        followRequests(last, signal),
        followLogs(signal),
        followFaults(signal),
        followAnswers(signal),
      ]);
    } catch (error) {
      connection.abort(); // when one of them fails, the others end too
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
  showModelNames(models);
  rememberModels(models);
  showKept(about.journal, models);
  showFidelity(fidelity);
  showLostRequests(entries);
  showRequests(entries);
  await Promise.all(Object.values(STORES).map(({ refresh }) => refresh(signal)));
  start();
  return lastNumber(entries, 0);
}

async function followRequests(last, signal) {
  for (;;) {
    await untilVisible();
    const entries = await requestsSince(last, signal);
    showRequests(entries);
    last = lastNumber(entries, last);
    await refreshStores(
      entries.map(({ binding }) => binding),
      signal,
    );
    await pause(JOURNAL_PAUSE);
  }
}

/** Reload the shown view if calls of these bindings may have changed its content. */
async function refreshStores(bindings, signal) {
  const changed = Array.from(new Set(bindings), (binding) => STORES[binding]).filter(Boolean);
  await Promise.all(changed.filter(({ view }) => isShown(view)).map(({ refresh }) => refresh(signal)));
}

async function followLogs(signal) {
  let last = 0;
  await follow(async () => {
    const logs = await logsAfter(last, signal);
    showLogs(logs);
    if (logs.length) showTotals(await getJson("simulator/gateways", signal));
    last = lastNumber(logs, last);
  }, showNoLogs);
}

async function followFaults(signal) {
  await follow(
    async () => showFaults(await getJson("simulator/faults", signal)),
    () => showFaults([]),
  );
}

async function followAnswers(signal) {
  await follow(
    async () => showAnswers(await getJson("simulator/answers", signal)),
    () => {},
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

// ---- start -------------------------------------------------------------------------------------

page["try-now"].addEventListener("click", () => tryNow());
showClients(ADDRESS);
setInterval(refreshRunning, 1000);
setInterval(announceCount, ANNOUNCEMENT_INTERVAL);
show({ isFirst: true });
stayConnected();
