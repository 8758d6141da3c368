// The table of the requests in the journal, updated as they come.

import { clockTime, counted, modelName, page, secondsText, write } from "./elements.js";
import { LiveTable, showEmpty } from "./live_table.js";

const RUNNING = ["received", "streaming"];
const BINDINGS = { AI: "AI", VECTORIZE: "Vectorize", AI_GATEWAY: "AI Gateway", AI_SEARCH: "AI Search" };
/** Inputs that people recognise a request by, the most telling first. */
const PREVIEW_INPUTS = ["prompt", "input", "text", "input_text", "query", "name", "path"];
const MAX_PREVIEW_LENGTH = 200;

const table = new LiveTable(page["request-table"], "request-template", fill, details);

export function showRequests(entries) {
  table.update(entries);
  describe();
}

/** Mark running requests that the journal of a restarted simulator does not have: they will never end. */
export function showLostRequests(known) {
  const ids = new Set(known.map(({ id }) => id));
  const lost = table.entries.filter(({ id, state }) => RUNNING.includes(state) && !ids.has(id));
  table.update(lost.map((entry) => ({ ...entry, state: "lost" })));
}

/** Update the durations of running requests. */
export function refreshRunning() {
  if (!table.paused) table.update(table.entries.filter(({ state }) => RUNNING.includes(state)));
}

/** Announce the number of requests to screen readers, which is too much for every change of it. */
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
  write(root.querySelector(".inputs"), preview(entry.inputs));
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
      ["Answered by", entry.real_model],
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
  const input = last?.content ?? PREVIEW_INPUTS.map((name) => inputs[name]).find((value) => value !== undefined);
  const shown = input ?? inputs;
  return (typeof shown === "string" ? shown : JSON.stringify(shown)).slice(0, MAX_PREVIEW_LENGTH);
}

// ---- filter and pause -------------------------------------------------------------------------

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
  showEmpty("requests", shown ? "" : entries.length ? "No request fits the filter." : "No request yet.");
  write(page.pause, table.paused ? (waiting ? `Resume (${waiting} waiting)` : "Resume") : "Pause");
}

page["request-filter"].addEventListener("input", applyFilter);
page["binding-filter"].addEventListener("change", applyFilter);
page.pause.addEventListener("click", () => {
  table.setPaused(!table.paused);
  describe();
});
