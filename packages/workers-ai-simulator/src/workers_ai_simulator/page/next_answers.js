// Forms for scripted answers and faults, and the lists of those that are set.

import { attempt, counted, element, h, page, write } from "./elements.js";
import { parsed } from "./json_text.js";
import { getJson, send } from "./simulator.js";
import { goTo } from "./views.js";

const answerForm = page["answer-form"];
const faultForm = page["fault-form"];

const CONTENT_NAMES = { text: "Answer", stream: "Pieces, one a line", json: "JSON" };

/** Kind of an answer → its part, from the form's fields. Throws Error with a sentence for invalid fields. */
const ANSWER_PARTS = {
  text: ({ content }) => ({ text: content }),
  stream: ({ content }) => ({ stream: pieces(content) }),
  json: ({ content }) => ({ json: jsonOf(content, "The answer") }),
  tool_calls: ({ tool, arguments: text }) => ({ tool_calls: [{ name: tool, arguments: argumentsOf(text) }] }),
  error: ({ status, code, description }) => ({ error: { status: Number(status), code: Number(code), description } }),
  simulated: () => ({ simulated: true }),
};

/** Kind of a fault → its parts, from the form's fields. */
const FAULT_PARTS = {
  status: ({ status, code, description }) => ({ status: Number(status), code: Number(code), description }),
  delay: ({ delay }) => ({ delay: Number(delay) }),
  empty_body: () => ({ empty_body: true }),
  hold_response: () => ({ hold_response: true }),
  hold_after_frames: ({ frames }) => ({ hold_after_frames: Number(frames) }),
  cut_after_frames: ({ frames }) => ({ cut_after_frames: Number(frames) }),
  end_after_frames: ({ frames }) => ({ end_after_frames: Number(frames) }),
  broken_frame: ({ frame }) => ({ broken_frame: Number(frame) }),
  tokens_per_second: ({ pace }) => ({ tokens_per_second: Number(pace) }),
};

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

// ---- forms ------------------------------------------------------------------------------------

function fieldsOf(form) {
  return Object.fromEntries(new FormData(form));
}

/** Show the fields of the kind that is chosen; those of other kinds do not count. */
function showFields(form) {
  const kind = form.elements.kind.value;
  for (const each of form.querySelectorAll("[data-kinds]")) {
    each.hidden = !each.dataset.kinds.split(" ").includes(kind);
    for (const field of each.querySelectorAll("input, textarea")) field.disabled = each.hidden;
  }
  const content = form.querySelector(".name");
  if (content) write(content, CONTENT_NAMES[kind] ?? "");
}

function pieces(content) {
  const lines = content.split("\n").filter(Boolean);
  if (!lines.length) throw new Error("Write a piece on each line.");
  return lines;
}

function jsonOf(text, name) {
  const value = parsed(text);
  if (value === undefined) throw new Error(`${name} must be JSON.`);
  return value;
}

/** Arguments of a tool: an object, or a text as it is, so that broken JSON can be scripted. */
function argumentsOf(text) {
  const value = parsed(text);
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value : text;
}

/** Parts that select calls: those whose fields are filled. */
function selection(fields, names) {
  return Object.fromEntries(names.filter((name) => fields[name]).map((name) => [name, fields[name]]));
}

function countOf({ count }) {
  return count ? Number(count) : null;
}

function times(count) {
  return count === null
    ? "all calls that match"
    : count === 1
      ? "the next call that matches"
      : `the next ${count} calls that match`;
}

async function scriptAnswer() {
  const fields = fieldsOf(answerForm);
  const answer = {
    ...selection(fields, ["model", "prompt"]),
    ...ANSWER_PARTS[fields.kind](fields),
    count: countOf(fields),
    ...(fields.tokens_per_second ? { tokens_per_second: Number(fields.tokens_per_second) } : {}),
  };
  const { answers } = await send("POST", "simulator/answers", answer);
  await refreshAnswers();
  return `Answer ${answers[0].id} is set for ${times(answer.count)}.`;
}

async function setFault() {
  const fields = fieldsOf(faultForm);
  const fault = {
    ...selection(fields, ["binding", "operation", "model"]),
    ...FAULT_PARTS[fields.kind](fields),
    count: countOf(fields),
  };
  const { id } = await send("POST", "simulator/faults", fault);
  showFaults(await getJson("simulator/faults"));
  return `Fault ${id} is set for ${times(fault.count)}.`;
}

function prepare(form, submit) {
  const outcome = form.querySelector(".outcome");
  form.elements.kind.addEventListener("change", () => showFields(form));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(outcome, submit);
  });
  showFields(form);
}

function fillForm(form, values, focused) {
  for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  write(form.querySelector(".outcome"), "");
  // after the view has given its heading the focus
  addEventListener("hashchange", () => form.elements[focused].focus(), { once: true });
  goTo("next");
}

/** Go to the form for an answer to calls like that one. */
export function scriptFor({ model, prompt }) {
  fillForm(answerForm, { model, prompt: prompt.split("\n")[0].slice(0, 200) }, "kind");
}

/** Go to the form for a fault of calls like that one. */
export function setFaultFor({ binding, operation, model }) {
  fillForm(faultForm, { binding, operation, model }, "kind");
}

export function showModelNames(models) {
  page["model-ids"].replaceChildren(...models.map(({ id }) => h("option", { value: id })));
}

// ---- scripted answers -------------------------------------------------------------------------

async function refreshAnswers() {
  showAnswers(await getJson("simulator/answers"));
}

let shownAnswers = "";

export function showAnswers({ strict, answers }) {
  const text = JSON.stringify({ strict, answers });
  if (text === shownAnswers) return;
  shownAnswers = text;
  const pending = answers.filter(({ remaining }) => remaining !== 0).length;
  page.strict.checked = strict;
  page["clear-answers"].disabled = answers.length === 0 && !strict;
  page["answers-empty"].hidden = answers.length > 0;
  write(page["answers-count"], answers.length ? `${pending} of ${counted(answers.length, "answer")} to come` : "");
  write(page["nav-next"], pending ? String(pending) : "");
  page["answer-list"].replaceChildren(...answers.map(answerRow));
}

function answerRow({ id, applied, remaining, model, prompt, pattern, count, ...answer }) {
  const criteria = [
    model && `model ${model}`,
    prompt && `prompts with “${prompt}”`,
    pattern && `prompts that match ${pattern}`,
  ];
  const left =
    remaining === null ? "for all calls" : remaining === 0 ? "used up" : `${remaining} of ${count ?? 1} to come`;
  return h(
    "li",
    { class: remaining === 0 ? "used" : null },
    h("p", null, element("strong", `${id}`), ` ${criteria.filter(Boolean).join(", ") || "any prompt"}`),
    element("p", JSON.stringify(answer).slice(0, 300), "code"),
    element("p", `${left}, given ${counted(applied, "time")}`, "hint"),
  );
}

async function setStrict() {
  await send("POST", "simulator/answers", { strict: page.strict.checked, answers: [] });
  await refreshAnswers();
}

async function clearAnswers() {
  await send("DELETE", "simulator/answers");
  await refreshAnswers();
}

// ---- faults -----------------------------------------------------------------------------------

/** Show the faults that may still have an effect: those not used up, and those that hold an answer. */
export function showFaults(faults) {
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
  const left = remaining === null ? "until cleared" : `${remaining} of ${count} to come`;
  return `${shown.map(([name, value]) => `${name} ${value}`).join(", ")} (${left})`;
}

async function clearFaults() {
  await send("DELETE", "simulator/faults");
  showFaults([]);
}

prepare(answerForm, scriptAnswer);
prepare(faultForm, setFault);
page["clear-faults"].addEventListener("click", () => attempt(page["faults-title"], clearFaults));
page["clear-answers"].addEventListener("click", () => attempt(page["answers-count"], clearAnswers));
page.strict.addEventListener("change", () => attempt(page["answers-count"], setStrict));
