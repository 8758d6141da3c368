// The journal's requests, live.

import { clockTime, counted, modelName, page, secondsText, write } from "./elements.js";
import { LiveTable, tellEmpty } from "./live_table.js";

const RUNNING = ["received", "streaming"];
const BINDINGS = { AI: "AI", VECTORIZE: "Vectorize", AI_GATEWAY: "AI Gateway" };
/** Where requests have what a person would recognise them by, of the first that is there. */
const TELLING = ["prompt", "input", "text", "input_text", "query", "name", "path"];
const LONGEST_PREVIEW = 200;

const table = new LiveTable(page["request-table"], "request-template", fill, details);

export function showRequests(entries) {
  table.update(entries);
  describe();
}

/** The journal starts anew: what was running when the simulator ended will not come to an end any more. */
export function showLostRequests(known) {
  const ids = new Set(known.map(({ id }) => id));
  const lost = table.entries.filter(({ id, state }) => RUNNING.includes(state) && !ids.has(id));
  table.update(lost.map((entry) => ({ ...entry, state: "lost" })));
}

/** Let the durations of running requests run. */
export function refreshRunning() {
  if (!table.paused) table.update(table.entries.filter(({ state }) => RUNNING.includes(state)));
}

/** Screen readers hear of the count, and not of each change of it. */
export function announceCount() {
  write(page["requests-announced"], page["requests-count"].textContent);
}

function fill(root, entry) {
  const badge = root.querySelector(".badge");
  badge.dataset.state = entry.state;
  write(badge, entry.status >= 400 ? `${entry.state} ${entry.status}` : entry.state);
  const open = root.querySelector(".open");
  if (!open.textContent) open.append(...(entry.model ? modelName(entry.model) : [entry.operation]));
  const binding = BINDINGS[entry.binding] ?? entry.binding;
  write(root.querySelector(".what"), entry.model ? `${binding} · ${entry.operation}` : binding);
  write(root.querySelector(".said"), preview(entry.inputs));
  write(root.querySelector(".frames"), entry.frames ? String(entry.frames) : "");
  write(root.querySelector(".duration"), secondsText(duration(entry)));
  write(root.querySelector(".time"), clockTime(new Date(entry.received * 1000)));
}

function details(entry) {
  const { id, status, error, state, received } = entry;
  const texts = [["Inputs", JSON.stringify(entry.inputs, null, 2)]];
  if (Object.keys(entry.options).length) texts.push(["Options", JSON.stringify(entry.options, null, 2)]);
  return {
    facts: [
      ["Id", id],
      ["State", state === "lost" ? "lost: the simulator ended before the answer did" : state],
      ["Status", status ? String(status) : ""],
      ["Error", error],
      ["Received", new Date(received * 1000).toLocaleString("en-GB")],
    ],
    texts,
  };
}

function duration({ state, received, seconds }) {
  return RUNNING.includes(state) ? Math.max(seconds, Date.now() / 1000 - received) : seconds;
}

function preview(inputs) {
  const last = Array.isArray(inputs.messages) ? inputs.messages.at(-1) : null;
  const telling = last?.content ?? TELLING.map((name) => inputs[name]).find((value) => value !== undefined);
  const shown = telling ?? inputs;
  return (typeof shown === "string" ? shown : JSON.stringify(shown)).slice(0, LONGEST_PREVIEW);
}

// ---- what is shown of them --------------------------------------------------------------------

function applyFilter() {
  const words = page["request-filter"].value.toLowerCase().split(/\s+/).filter(Boolean);
  const binding = page["binding-filter"].value;
  table.filter((entry) => {
    if (binding && entry.binding !== binding) return false;
    const text = words.length ? searchable(entry) : "";
    return words.every((word) => text.includes(word));
  });
  describe();
}

function searchable({ id, state, status, model, operation, inputs, options }) {
  return JSON.stringify([id, state, status, model, operation, inputs, options]).toLowerCase();
}

function describe() {
  const { entries, shown, waiting } = table;
  const all = counted(entries.length, "request");
  write(page["requests-count"], shown === entries.length ? all : `${shown} of ${all}`);
  write(page["nav-requests"], String(entries.length));
  tellEmpty("requests", shown ? "" : entries.length ? "No request fits the filter." : "No request yet.");
  write(page.pause, table.paused ? (waiting ? `Resume (${waiting} waiting)` : "Resume") : "Pause");
}

page["request-filter"].addEventListener("input", applyFilter);
page["binding-filter"].addEventListener("change", applyFilter);
page.pause.addEventListener("click", () => {
  table.setPaused(!table.paused);
  describe();
});
