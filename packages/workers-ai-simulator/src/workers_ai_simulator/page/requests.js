// The table of the requests in the journal, updated as they come.

import { openCall } from "./call.js";
import { clockTime, counted, formatted, modelName, page, secondsText, setOptions, write } from "./elements.js";
import { LiveTable, MAX_ROWS, showEmpty } from "./live_table.js";
import { onView } from "./views.js";

const RUNNING = ["received", "streaming"];
const BINDINGS = { AI: "AI", VECTORIZE: "Vectorize", AI_GATEWAY: "AI Gateway", AI_SEARCH: "AI Search" };
/** Inputs by which people recognise a request, the most telling first. */
const PREVIEW_INPUTS = ["prompt", "input", "text", "input_text", "query", "name", "path"];
const MAX_PREVIEW_LENGTH = 200;
/** Beginning of the paths of the REST API, which tells nothing about a request. */
const REST = /^\/client\/v4\/accounts\/[^/]+\//;

const table = new LiveTable(page["request-table"], "request-template", { fill, facts, open: openCall });
/** Model → its task. */
let tasks = new Map();
/** The call that the address names, until it is in the table. */
let awaited = "";

export function showRequests(entries) {
  table.update(entries);
  setOptions(page["model-filter"], [["", "All models"], ...names((entry) => entry.model)]);
  setOptions(page["task-filter"], [["", "All tasks"], ...names(taskOf)]);
  describe();
  if (awaited && table.reveal(awaited)) awaited = "";
}

/** Show how many calls and bytes the simulator keeps, and store the models' tasks. */
export function showKept({ requests, body_bytes, bytes_per_body }, models) {
  tasks = new Map(models.map(({ id, task }) => [id, task]));
  const mebibytes = (bytes) => `${formatted(bytes / 1_048_576)} MiB`;
  write(
    page["requests-kept"],
    `The simulator keeps its last ${formatted(requests)} calls and, of the newest, ${mebibytes(body_bytes)} of bodies, up to ` +
      `${mebibytes(bytes_per_body)} of each. Credentials are not kept. This page lists the newest ${MAX_ROWS} calls, and its filter ` +
      "reads the first 2,000 characters of each text.",
  );
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

/** Announce the number of requests to screen readers: every change would be too much for them. */
export function announceCount() {
  write(page["requests-announced"], page["requests-count"].textContent);
}

/** The model of embeddings that was last called, of those that are named. */
export function lastModelOf(ids) {
  return table.entries.findLast(({ model }) => ids.includes(model))?.model;
}

function fill(root, entry) {
  const badge = root.querySelector(".badge");
  badge.dataset.state = entry.state;
  write(badge, entry.status >= 400 ? `${entry.state} ${entry.status}` : entry.state);
  const open = root.querySelector(".open");
  if (!open.textContent) open.append(...(entry.model ? modelName(entry.model) : [entry.operation]));
  const binding = BINDINGS[entry.binding] ?? entry.binding;
  const scripted = entry.scripted === null || entry.scripted === undefined ? "" : " · scripted";
  write(root.querySelector(".what"), `${entry.model ? `${binding} · ${entry.operation}` : binding}${scripted}`);
  write(root.querySelector(".inputs"), preview(entry));
  write(root.querySelector(".frames"), entry.frames ? String(entry.frames) : "");
  write(root.querySelector(".duration"), secondsText(duration(entry)));
  write(root.querySelector(".time"), clockTime(new Date(entry.received * 1000)));
}

function facts(entry) {
  const { id, status, error, state, received, scripted } = entry;
  return [
    ["Id", id],
    ["State", state === "lost" ? "lost: the simulator ended before the answer did" : state],
    ["Status", status ? String(status) : ""],
    ["Error", error],
    ["Task", taskOf(entry)],
    ["Answered by", scripted ? `scripted answer ${scripted}` : entry.real_model],
    ["Received", new Date(received * 1000).toLocaleString("en-GB")],
  ];
}

function duration({ state, received, seconds }) {
  return RUNNING.includes(state) ? Math.max(seconds, Date.now() / 1000 - received) : seconds;
}

function preview({ prompt, inputs }) {
  const input = prompt || PREVIEW_INPUTS.map((name) => inputs[name]).find((value) => value !== undefined);
  const shown = input ?? inputs;
  const text = typeof shown === "string" ? shown.replace(REST, "") : JSON.stringify(shown);
  return text.slice(0, MAX_PREVIEW_LENGTH);
}

function taskOf({ model }) {
  return tasks.get(model) ?? "";
}

/** Options for the values that the entries have, in their order. */
function names(value) {
  const values = new Set(table.entries.map(value).filter(Boolean));
  return [...values].toSorted().map((each) => [each, each]);
}

// ---- filter and pause -------------------------------------------------------------------------

function applyFilter() {
  const words = page["request-filter"].value.toLowerCase().split(/\s+/).filter(Boolean);
  const [binding, task, model, state] = ["binding", "task", "model", "state"].map(
    (name) => page[`${name}-filter`].value,
  );
  table.filter((entry) => {
    if (binding && entry.binding !== binding) return false;
    if (task && taskOf(entry) !== task) return false;
    if (model && entry.model !== model) return false;
    if (state && !isInState(entry, state)) return false;
    const text = words.length ? searchable(entry) : "";
    return words.every((word) => text.includes(word));
  });
  describe();
}

function isInState(entry, state) {
  if (state === "running") return RUNNING.includes(entry.state);
  if (state === "scripted") return Boolean(entry.scripted);
  return entry.state === state;
}

function searchable({ id, state, status, error, model, operation, inputs, options }) {
  return JSON.stringify([id, state, status, error, model, operation, inputs, options]).toLowerCase();
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
for (const name of ["binding", "task", "model", "state"])
  page[`${name}-filter`].addEventListener("change", applyFilter);
page.pause.addEventListener("click", () => {
  table.setPaused(!table.paused);
  describe();
});
onView("requests", (id) => {
  awaited = id && !table.reveal(id) ? id : "";
});
