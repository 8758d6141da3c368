// The console: a page for POST /chat. chat.js calls the API; this file shows the results.

import { ApiError, asCurl, getJson, postChat, StreamBrokenOff, Unreachable, useKey } from "./chat.js";

const ADVICE = {
  unreachable: "If it runs on this machine, start it with scripts/dev; otherwise check your connection.",
  closed:
    "This Worker is closed: it has no keys yet. Create one with scripts/keys new and upload it with scripts/keys push. " +
    'To serve everybody instead, at your cost, set the variable AUTH_MODE to "public" in wrangler.jsonc and deploy again.',
  forbidden: 'To use another key, choose "Forget the key" above.',
  noModels:
    "This Worker has no models: its binding AI is missing. Add it in wrangler.jsonc (see README.md) and deploy again.",
  simulated: "Answers are simulated on this machine: no model reads what you write.",
};

const page = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (each) => [each.id, each]));
const scroller = document.querySelector("main");
/** Name of the key in the tab's session storage, where it is stored if the user chooses that. */
const STORED_KEY = "aiworker-key";
const tab = tabStorage();

let models = [];
/** The conversation, as the `messages` of POST /chat. */
let messages = [];
/** The running request, as `{controller, finished}`, or null. */
let running = null;

// ---- the Worker and its models ----------------------------------------------------------------

async function connect() {
  page["connect-again"].hidden = true;
  try {
    const health = await getJson("/health");
    page.version.textContent = health.version;
    const trouble = problemOf(health);
    if (trouble) return showProblem(trouble);
    showModels(await getJson("/models?task=text-generation"));
    showReady(health);
  } catch (error) {
    if (requiresKey(error)) return askForKey(error);
    showProblem(explained(error));
  }
}

function requiresKey(error) {
  return error instanceof ApiError && error.details.type === "unauthorized";
}

function problemOf(health) {
  if (health.access === "closed") return ADVICE.closed;
  if (!health.bindings.AI) return ADVICE.noModels;
  return null;
}

// ---- the key, if the Worker requires one -------------------------------------------------------

/** Show the field for the key, and the error if it is about a key that was sent. */
function askForKey(error) {
  const hadKey = !page["forget-key"].hidden;
  forgetKey();
  setUsable(false);
  page["status-text"].textContent = hadKey ? error.message : "";
  page.status.className = hadKey ? "trouble" : "";
  page.entry.hidden = false;
  page.key.focus();
}

function submitKey(event) {
  event.preventDefault();
  const key = page.key.value.trim();
  if (page["keep-key"].checked) tab?.setItem(STORED_KEY, key);
  setKey(key);
  connect();
}

function setKey(key) {
  useKey(key);
  page.key.value = "";
  page.entry.hidden = true;
  page["forget-key"].hidden = false;
}

function forgetKey() {
  tab?.removeItem(STORED_KEY);
  useKey(null);
  page["forget-key"].hidden = true;
}

async function signOut() {
  await startOver();
  forgetKey();
  connect();
}

/** Return the session storage; null if the browser does not allow pages to store data. */
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

function showProblem(text) {
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

/** Show the chosen model and its parameters; one that the last model took too keeps its value. */
function showModel() {
  const model = models.find((each) => each.id === page.model.value);
  const size = model.context_window ? `, ${formatted(model.context_window)} tokens of context` : "";
  page["about-model"].textContent = `${model.id}${size}`;
  page.chosen.textContent = shortName(model.id);
  const values = new Map(parameterFields().map((field) => [field.name, field.value]));
  const ranges = { max_tokens: [1, model.context_window], ...model.sampling };
  page.parameters.replaceChildren(
    ...Object.entries(ranges).map(([name, range]) => parameter(name, range, values.get(name))),
  );
}

function parameter(name, [min, max], value = "") {
  const root = cloned("parameter-template");
  const field = root.querySelector("input");
  const hint = root.querySelector(".hint");
  root.querySelector("label").textContent = name;
  root.querySelector("label").htmlFor = name;
  hint.textContent = max === null ? `${min} or more` : `${formatted(min)} to ${formatted(max)}`;
  hint.id = `range-of-${name}`;
  // the number keyboards of phones have no minus sign
  Object.assign(field, { id: name, name, value, inputMode: min < 0 ? "text" : "decimal" });
  field.setAttribute("aria-describedby", hint.id);
  return root;
}

function parameterFields() {
  return [...page.parameters.querySelectorAll("input")];
}

// ---- requests ---------------------------------------------------------------------------------

function submit(event) {
  event.preventDefault();
  if (running) return running.controller.abort();
  const question = page.question.value.trim();
  if (!question) return page.question.focus();
  const controller = new AbortController();
  running = { controller, finished: ask(question, controller.signal) };
}

/** Send a question, show its answer, and then the facts about it. */
async function ask(question, signal) {
  clearNotices();
  Object.assign(page.send, { textContent: "Stop", className: "quiet" });
  const newMessages = [...messages, { role: "user", content: question }];
  const body = requestBody(newMessages);
  const turns = [addTurn("user", "You", question), addTurn("assistant", "Assistant", "")];
  showCurl(body);
  page.question.value = "";
  scrollToEnd();

  const answer = await receive(body, signal, turns[1]);
  if (answer.error && !answer.text) {
    withdraw(turns, question, answer.error, signal.aborted);
  } else {
    messages = [...newMessages, { role: "assistant", content: answer.text }];
    showEnd(turns[1], answer, signal.aborted);
  }
  Object.assign(page.send, { textContent: "Send", className: "" });
  running = null;
}

/** Return the request as indented JSON, which the curl command shows as it was sent. */
function requestBody(newMessages) {
  const system = page.system.value.trim();
  const filled = parameterFields().filter((field) => field.value.trim() !== "");
  const request = {
    model: page.model.value,
    messages: system ? [{ role: "system", content: system }, ...newMessages] : newMessages,
    stream: page.stream.checked,
    ...Object.fromEntries(filled.map((field) => [field.name, numberOrText(field.value.trim())])),
  };
  return JSON.stringify(request, null, 2);
}

/** Return the number, or the text if it is none: the Worker validates the request, and its error is shown. */
function numberOrText(text) {
  return Number.isFinite(Number(text)) ? Number(text) : text;
}

/** Show an answer while it arrives; return the facts about it, with `error` if it failed. */
async function receive(body, signal, turn) {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const answer = { text: "", error: null };
  const shown = turn.querySelector(".text").appendChild(new Text());
  const reasoningShown = turn.querySelector(".reasoning").appendChild(new Text());
  turn.setAttribute("aria-busy", "true"); // screen readers wait for the end instead of reading fragments
  try {
    const { parts, ...facts } = await postChat(body, signal);
    Object.assign(answer, facts);
    for await (const { text, reasoning, usage } of parts) {
      if (text) answer.firstText ??= seconds();
      answer.text += text;
      answer.usage = usage ?? answer.usage;
      followEnd(() => {
        reasoningShown.appendData(reasoning);
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

/** Put a question without an answer back into its field, to be edited and sent again. */
function withdraw(turns, question, error, isStopped) {
  for (const turn of turns) turn.remove();
  page.question.value = [question, page.question.value].filter(Boolean).join("\n\n");
  page.welcome.hidden = messages.length > 0;
  if (isStopped) return;
  if (requiresKey(error)) return askForKey(error);
  page.notice.replaceChildren(failure(error));
  if (error instanceof ApiError) markField(error.details.param);
}

function showEnd(turn, answer, isStopped) {
  const ending = isStopped ? "Stopped" : answer.error ? "Cut off" : answer.text ? "" : "The answer is empty";
  followEnd(() => {
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

/** Call `change`, which lengthens the conversation, and scroll to its end if the end was in view. */
function followEnd(change) {
  const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  change();
  if (below < 40) scrollToEnd();
}

function scrollToEnd() {
  scroller.scrollTop = scroller.scrollHeight;
}

async function startOver() {
  running?.controller.abort();
  await running?.finished;
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
  if (error instanceof ApiError || error instanceof StreamBrokenOff) return error.message;
  return `The answer could not be read to its end (${error.message}).`;
}

/** Return true if the key lacks a scope. An error with Workers AI's code is not about the key. */
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
    // browsers allow pages to use the clipboard on https and localhost only
    getSelection().selectAllChildren(page["curl-text"]);
    page.copy.textContent = "Selected: press Ctrl+C";
  }
}

// ---- elements and events ----------------------------------------------------------------------

function cloned(id) {
  return page[id].content.firstElementChild.cloneNode(true);
}

function element(name, text) {
  const node = document.createElement(name);
  node.textContent = text;
  return node;
}

function formatted(number) {
  return number.toLocaleString("en");
}

page.composer.addEventListener("submit", submit);
page.question.addEventListener("keydown", (event) => {
  // Enter also confirms a word in an input method, which does not send the message
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!running) page.composer.requestSubmit();
});
page.settings.addEventListener("input", (event) => event.target.removeAttribute("aria-invalid"));
page.model.addEventListener("change", showModel);
page["start-over"].addEventListener("click", startOver);
page["connect-again"].addEventListener("click", connect);
page.copy.addEventListener("click", copyCurl);
page.entry.addEventListener("submit", submitKey);
page["forget-key"].addEventListener("click", signOut);
page.curl.addEventListener("toggle", () => page.curl.scrollIntoView({ block: "nearest" }));
page.examples.addEventListener("click", (event) => {
  if (!event.target.matches("button")) return;
  page.question.value = event.target.textContent;
  page.question.focus();
});

// from this width on, console.css shows the panel beside the conversation
page.panel.open = matchMedia("(min-width: 62rem)").matches;
const storedKey = tab?.getItem(STORED_KEY);
if (storedKey) setKey(storedKey);
connect();
