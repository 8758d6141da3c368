// The console: one page that talks to POST /chat. What the API says is read in chat.js; here it is shown.

import { ApiError, asCurl, CutOff, getJson, postChat, Unreachable, useKey } from "./chat.js";

const ADVICE = {
  unreachable: "If it runs on this machine, start it with scripts/dev; otherwise check your connection.",
  closed:
    "This Worker is closed: it has no keys yet. Make one with scripts/keys new and upload it with scripts/keys push. " +
    'To serve everybody instead, at your cost, set the variable AUTH_MODE to "public" in wrangler.jsonc and deploy again.',
  forbidden: 'To use another key, choose "Forget the key" above.',
  noModels:
    "This Worker has no models: its binding AI is missing. Add it in wrangler.jsonc (see README.md) and deploy again.",
  simulated: "Answers are simulated on this machine: no model reads what you write.",
};

const page = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (each) => [each.id, each]));
const scroller = document.querySelector("main");
/** In the tab's own storage, where the key is kept if the user wants that. */
const KEPT_KEY = "aiworker-key";
const tab = tabStorage();

let models = [];
/** The conversation as the API takes it. */
let messages = [];
/** The answer being awaited, as `{controller, finished}`, or null. */
let answering = null;

// ---- the Worker and its models ----------------------------------------------------------------

async function connect() {
  page["connect-again"].hidden = true;
  try {
    const health = await getJson("/health");
    page.version.textContent = health.version;
    const trouble = troubleOf(health);
    if (trouble) return showTrouble(trouble);
    showModels(await getJson("/models?task=text-generation"));
    showReady(health);
  } catch (error) {
    if (wantsKey(error)) return askForKey(error);
    showTrouble(explained(error));
  }
}

function wantsKey(error) {
  return error instanceof ApiError && error.details.type === "unauthorized";
}

function troubleOf(health) {
  if (health.access === "closed") return ADVICE.closed;
  if (!health.bindings.AI) return ADVICE.noModels;
  return null;
}

// ---- the key, where the Worker wants one -------------------------------------------------------

/** The Worker's own words say why the last one did not do; to somebody who has sent none, the field says enough. */
function askForKey(error) {
  const hadOne = !page["forget-key"].hidden;
  forgetKey();
  setUsable(false);
  page["status-text"].textContent = hadOne ? error.message : "";
  page.status.className = hadOne ? "trouble" : "";
  page.entry.hidden = false;
  page.key.focus();
}

function takeKey(event) {
  event.preventDefault();
  const given = page.key.value.trim();
  if (page["keep-key"].checked) tab?.setItem(KEPT_KEY, given);
  holdKey(given);
  connect();
}

function holdKey(given) {
  useKey(given);
  page.key.value = "";
  page.entry.hidden = true;
  page["forget-key"].hidden = false;
}

function forgetKey() {
  tab?.removeItem(KEPT_KEY);
  useKey(null);
  page["forget-key"].hidden = true;
}

async function leave() {
  await startOver();
  forgetKey();
  connect();
}

/** Null where the browser lets pages keep nothing. */
function tabStorage() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

function showReady(health) {
  page["status-text"].textContent = health.simulated.includes("AI") ? ADVICE.simulated : "";
  page.status.className = "";
  setUsable(true);
  page.question.focus();
}

function showTrouble(text) {
  page["status-text"].textContent = text;
  page.status.className = "trouble";
  page["connect-again"].hidden = false;
  setUsable(false);
}

function setUsable(isUsable) {
  page.writing.disabled = !isUsable;
  page.examples.hidden = !isUsable;
  page.panel.hidden = !isUsable;
}

function showModels(catalogue) {
  models = catalogue.models;
  const deprecatedLast = models.toSorted((one, other) => one.deprecated - other.deprecated);
  const makers = Map.groupBy(deprecatedLast, ({ id, deprecated }) => (deprecated ? "Deprecated" : id.split("/")[1]));
  page.model.replaceChildren(...Array.from(makers, ([name, some]) => modelGroup(name, some, catalogue.default)));
  page.model.value = catalogue.default;
  showModel();
}

function modelGroup(name, some, defaultId) {
  const group = document.createElement("optgroup");
  group.label = name;
  const label = (id) => (id === defaultId ? `${shortName(id)} (default)` : shortName(id));
  group.append(...some.map(({ id }) => new Option(label(id), id)));
  return group;
}

function shortName(id) {
  return id.split("/").at(-1);
}

/** What the chosen model is and takes; a parameter that the last one took as well keeps its value. */
function showModel() {
  const model = models.find((each) => each.id === page.model.value);
  const size = model.context_window ? `, ${formatted(model.context_window)} tokens of context` : "";
  page["about-model"].textContent = `${model.id}${size}`;
  page.chosen.textContent = shortName(model.id);
  const kept = new Map(parameterFields().map((field) => [field.name, field.value]));
  const ranges = { max_tokens: [1, model.context_window], ...model.sampling };
  page.parameters.replaceChildren(
    ...Object.entries(ranges).map(([name, range]) => parameter(name, range, kept.get(name))),
  );
}

function parameter(name, [least, most], value = "") {
  const root = cloned("parameter-template");
  const field = root.querySelector("input");
  const hint = root.querySelector(".hint");
  root.querySelector("label").textContent = name;
  root.querySelector("label").htmlFor = name;
  hint.textContent = most === null ? `${least} or more` : `${formatted(least)} to ${formatted(most)}`;
  hint.id = `range-of-${name}`;
  // keyboards of phones for numbers have no minus sign
  Object.assign(field, { id: name, name, value, inputMode: least < 0 ? "text" : "decimal" });
  field.setAttribute("aria-describedby", hint.id);
  return root;
}

function parameterFields() {
  return [...page.parameters.querySelectorAll("input")];
}

// ---- asking -----------------------------------------------------------------------------------

function submit(event) {
  event.preventDefault();
  if (answering) return answering.controller.abort();
  const question = page.question.value.trim();
  if (!question) return page.question.focus();
  const controller = new AbortController();
  answering = { controller, finished: ask(question, controller.signal) };
}

/** One question and its answer, from the request to the line under the answer. */
async function ask(question, signal) {
  clearNotices();
  Object.assign(page.send, { textContent: "Stop", className: "quiet" });
  const asked = [...messages, { role: "user", content: question }];
  const body = requestBody(asked);
  const turns = [addTurn("user", "You", question), addTurn("assistant", "Assistant", "")];
  showCurl(body);
  page.question.value = "";
  scrollToEnd();

  const answer = await receive(body, signal, turns[1]);
  if (answer.error && !answer.text) {
    withdraw(turns, question, answer.error, signal.aborted);
  } else {
    messages = [...asked, { role: "assistant", content: answer.text }];
    showEnd(turns[1], answer, signal.aborted);
  }
  Object.assign(page.send, { textContent: "Send", className: "" });
  answering = null;
}

/** The request as text: the curl command shows exactly what was sent, so it is laid out for reading. */
function requestBody(asked) {
  const system = page.system.value.trim();
  const given = parameterFields().filter((field) => field.value.trim() !== "");
  const request = {
    model: page.model.value,
    messages: system ? [{ role: "system", content: system }, ...asked] : asked,
    stream: page.stream.checked,
    ...Object.fromEntries(given.map((field) => [field.name, numberOrText(field.value.trim())])),
  };
  return JSON.stringify(request, null, 2);
}

/** What is no number goes to the Worker as it is: it says what is wrong, and there is one judge of that. */
function numberOrText(text) {
  return Number.isFinite(Number(text)) ? Number(text) : text;
}

/** Show an answer while it comes. Returns what there is to say about it; whatever went wrong is its `error`. */
async function receive(body, signal, turn) {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const answer = { text: "", error: null };
  const shown = turn.querySelector(".text").appendChild(new Text());
  const thought = turn.querySelector(".reasoning").appendChild(new Text());
  turn.setAttribute("aria-busy", "true"); // a screen reader waits for the end instead of reading out fragments
  try {
    const { parts, ...facts } = await postChat(body, signal);
    Object.assign(answer, facts);
    for await (const { text, reasoning, usage } of parts) {
      if (text) answer.firstText ??= seconds();
      answer.text += text;
      answer.usage = usage ?? answer.usage;
      keepingPlace(() => {
        thought.appendData(reasoning);
        shown.appendData(text);
      });
    }
  } catch (error) {
    answer.error = error;
  }
  answer.total = seconds();
  turn.removeAttribute("aria-busy");
  return answer;
}

/** Nothing came: the question goes back where it can be edited and sent again. */
function withdraw(turns, question, error, isStopped) {
  for (const turn of turns) turn.remove();
  page.question.value = [question, page.question.value].filter(Boolean).join("\n\n");
  page.welcome.hidden = messages.length > 0;
  if (isStopped) return;
  if (wantsKey(error)) return askForKey(error);
  page.notice.replaceChildren(failure(error));
  if (error instanceof ApiError) markField(error.details.param);
}

function showEnd(turn, answer, isStopped) {
  const ending = isStopped ? "Stopped" : answer.error ? "Cut off" : answer.text ? "" : "The answer is empty";
  keepingPlace(() => {
    if (answer.error && !isStopped) turn.append(failure(answer.error));
    turn.querySelector(".facts").append(...factsOf(answer, ending));
  });
}

// ---- the conversation -------------------------------------------------------------------------

function addTurn(role, name, text) {
  const turn = cloned("turn-template");
  turn.classList.add(role);
  turn.querySelector("h2").textContent = name;
  turn.querySelector(".text").textContent = text;
  page.conversation.append(turn);
  page.welcome.hidden = true;
  return turn;
}

function factsOf({ model, usage, firstText, total, requestId }, ending) {
  const facts = [
    model,
    usage && `${formatted(usage.prompt_tokens)} tokens in, ${formatted(usage.completion_tokens)} out`,
    firstText !== undefined && `first text after ${firstText.toFixed(2)} s`,
    `${total.toFixed(2)} s in all`,
    requestId,
  ];
  const items = facts.filter(Boolean).map((fact) => element("span", fact));
  return ending ? [element("strong", ending), ...items] : items;
}

/** Let `change` make the conversation longer; follow it only if its end was in view. */
function keepingPlace(change) {
  const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  change();
  if (below < 40) scrollToEnd();
}

function scrollToEnd() {
  scroller.scrollTop = scroller.scrollHeight;
}

async function startOver() {
  answering?.controller.abort();
  await answering?.finished;
  messages = [];
  page.conversation.replaceChildren();
  page.curl.hidden = true;
  page.welcome.hidden = false;
  clearNotices();
  page.question.focus();
}

// ---- errors -----------------------------------------------------------------------------------

function explained(error) {
  if (error instanceof Unreachable) return `${error.message} ${ADVICE.unreachable}`;
  if (isForbidden(error)) return `${error.message} ${ADVICE.forbidden}`;
  if (error instanceof ApiError || error instanceof CutOff) return error.message;
  return `The answer could not be read to its end (${error.message}).`;
}

/** The key lacks a scope. (What Workers AI itself forbids has its code, and another key would not help.) */
function isForbidden(error) {
  return error instanceof ApiError && error.details.type === "forbidden" && !error.details.upstream_code;
}

function failure(error) {
  const root = cloned("failure-template");
  root.querySelector(".message").textContent = explained(error);
  root.querySelector(".details").append(...detailsOf(error).map((detail) => element("span", detail)));
  return root;
}

function detailsOf(error) {
  if (!(error instanceof ApiError)) return [];
  const { type, code, upstream_code, param, request_id, retry_after } = error.details;
  return [
    `type ${type}`,
    code && `code ${code}`,
    upstream_code && `Workers AI's code ${upstream_code}`,
    param && `field ${param}`,
    retry_after && `try again in ${retry_after} s`,
    request_id,
  ].filter(Boolean);
}

function markField(name) {
  const field = page.settings.elements.namedItem(name ?? "");
  if (!field) return;
  page.panel.open = true;
  field.setAttribute("aria-invalid", "true");
  field.closest(".field").scrollIntoView({ block: "nearest" });
}

function clearNotices() {
  page.notice.replaceChildren();
  for (const field of page.settings.elements) field.removeAttribute("aria-invalid");
}

// ---- the request as curl ----------------------------------------------------------------------

function showCurl(body) {
  page["curl-text"].textContent = asCurl(body);
  page.copy.textContent = "Copy";
  page.curl.hidden = false;
}

async function copyCurl() {
  try {
    await navigator.clipboard.writeText(page["curl-text"].textContent);
    page.copy.textContent = "Copied";
  } catch {
    // browsers give pages the clipboard on https and localhost only
    getSelection().selectAllChildren(page["curl-text"]);
    page.copy.textContent = "Selected: press Ctrl+C";
  }
}

// ---- small things -----------------------------------------------------------------------------

function cloned(id) {
  return page[id].content.firstElementChild.cloneNode(true);
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function formatted(number) {
  return number.toLocaleString("en");
}

page.composer.addEventListener("submit", submit);
page.question.addEventListener("keydown", (event) => {
  // Enter also confirms a word in an input method: that one is not ours
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!answering) page.composer.requestSubmit();
});
page.settings.addEventListener("input", (event) => event.target.removeAttribute("aria-invalid"));
page.model.addEventListener("change", showModel);
page["start-over"].addEventListener("click", startOver);
page["connect-again"].addEventListener("click", connect);
page.copy.addEventListener("click", copyCurl);
page.entry.addEventListener("submit", takeKey);
page["forget-key"].addEventListener("click", leave);
page.curl.addEventListener("toggle", () => page.curl.scrollIntoView({ block: "nearest" }));
page.examples.addEventListener("click", (event) => {
  if (!event.target.matches("button")) return;
  page.question.value = event.target.textContent;
  page.question.focus();
});

// the width from which console.css puts the panel beside the conversation
page.panel.open = matchMedia("(min-width: 62rem)").matches;
const kept = tab?.getItem(KEPT_KEY);
if (kept) holdKey(kept);
connect();
