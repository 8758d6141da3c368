// Parts that several screens show: errors, the form for the key, dialogs, fields, copying.

import { ApiError, BrokenCode, hasKey, StreamBrokenOff, Unreachable } from "./api.js";
import { button, h, icon, iconButton, shortName } from "./dom.js";
import { modelsFor, worker } from "./worker.js";

// ---- errors -----------------------------------------------------------------------------------

export function explained(error) {
  if (error instanceof Unreachable && !navigator.onLine) return "You are offline: the Worker cannot be reached.";
  if (error instanceof Unreachable)
    return `${error.message} If it runs on this machine, start it with scripts/dev; otherwise check your connection.`;
  if (isForbidden(error)) return `${error.message} To use another key, choose “Forget the key”.`;
  if ([ApiError, BrokenCode, StreamBrokenOff].some((each) => error instanceof each)) return error.message;
  return `The answer could not be read to its end (${error.message}).`;
}

/** Return true if the key lacks a scope. An error with Workers AI's code is not about the key. */
function isForbidden(error) {
  return error instanceof ApiError && error.details.type === "forbidden" && !error.details.upstream_code;
}

/**
 * Show an error: its sentence, what to do, and its details on demand. After a refused key, the form for a key is shown.
 *
 * retry: called by a button, which is enabled after the time for which the Worker asks.
 */
export function failure(error, retry) {
  // a public Worker answers without a key, and only some of its routes want one
  const wantsKey = hasKey() || worker.health?.access !== "public";
  if (wantsKey && error instanceof ApiError && error.details.type === "unauthorized")
    document.dispatchEvent(new CustomEvent("locked", { detail: error }));
  const details = detailsOf(error);
  return h(
    "div",
    { class: "failure", role: "alert" },
    icon("info"),
    h(
      "div",
      null,
      h("p", { class: "message" }, explained(error)),
      error.traceback && traceback(error),
      details.length > 0 && h("details", null, h("summary", null, "Details"), h("p", { class: "facts" }, details)),
      retry && retryButton(error.details?.retry_after ?? 0, retry),
    ),
  );
}

/** The traceback of code that cannot be imported, as text. */
export function traceback(error) {
  return h("pre", { class: "traceback", tabindex: "0", "aria-label": "Traceback" }, error.traceback);
}

function detailsOf(error) {
  if (!(error instanceof ApiError)) return [];
  const { type, code, upstream_code, param, request_id, retry_after } = error.details;
  const facts = [
    `type ${type}`,
    code && `code ${code}`,
    upstream_code && `Workers AI's code ${upstream_code}`,
    param && `field ${param}`,
    retry_after && `try again in ${retry_after} s`,
    request_id,
  ];
  return facts.filter(Boolean).map((fact) => h("span", null, fact));
}

/** A button that can be pressed after so many seconds, which it counts. */
function retryButton(seconds, retry) {
  const node = button("Try again", retry, { class: "quiet small" }, "retry");
  const label = node.lastChild;
  let left = Math.min(seconds, 3600);
  const tick = () => {
    node.disabled = left > 0;
    label.data = left > 0 ? `Try again in ${left} s` : "Try again";
    if (left-- > 0) setTimeout(tick, 1000);
  };
  tick();
  return node;
}

// ---- the key ----------------------------------------------------------------------------------

export function keyForm(message, submit) {
  const field = h("input", {
    type: "password",
    id: "key",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    pattern: "\\s*[!-~]+\\s*",
    title: "Letters, digits and punctuation, without spaces",
    "aria-describedby": "about-key",
  });
  const keep = h("input", { type: "checkbox", id: "keep-key" });
  const onsubmit = (event) => {
    event.preventDefault();
    submit(field.value.trim(), keep.checked);
  };
  return h(
    "form",
    { class: "card key-form", onsubmit },
    message && h("p", { class: "failure", role: "alert" }, message),
    h("label", { htmlFor: "key" }, "API key"),
    h("div", { class: "row" }, field, h("button", { type: "submit" }, "Use this key")),
    h("div", { class: "check" }, keep, h("label", { htmlFor: "keep-key" }, "Keep it until this tab is closed")),
    h(
      "p",
      { id: "about-key", class: "hint" },
      "This Worker requires an API key; ",
      h("code", null, "scripts/keys new"),
      " creates one. The page sends the key to this Worker only.",
    ),
  );
}

// ---- dialogs and copying ----------------------------------------------------------------------

/** Show a dialog; returns it. It is removed when it is closed. */
export function openDialog(title, ...content) {
  const close = iconButton("close", "Close", () => dialog.close());
  const head = h("div", { class: "dialog-head" }, h("h2", { id: "dialog-title" }, title), close);
  const body = h("div", { class: "dialog-body", tabindex: "0", role: "region", "aria-label": title }, content);
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: () => dialog.remove() }, head, body);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A button that copies what `text` returns. */
export function copyButton(text, label = "Copy") {
  const node = iconButton("copy", label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      show("check", "Copied");
      setTimeout(() => show("copy", label), 2000);
    } catch {
      // browsers allow pages to use the clipboard on https and localhost only
      const source = node.closest(".code")?.querySelector("code");
      if (source) getSelection().selectAllChildren(source);
      show("copy", "Press Ctrl+C to copy what is selected");
    }
  });
  function show(name, text) {
    node.replaceChildren(icon(name));
    node.setAttribute("aria-label", text);
    node.title = text;
  }
  return node;
}

// ---- fields -----------------------------------------------------------------------------------

let fields = 0;

/** A labelled control. control: an element without an id; hint: a text below it. */
export function field(label, control, hint) {
  const id = `field-${fields++}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h(
    "div",
    { class: "field" },
    h("label", { htmlFor: id }, label),
    control,
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
  );
}

export function checkField(label, control) {
  control.id = `field-${fields++}`;
  return h("div", { class: "check" }, control, h("label", { htmlFor: control.id }, label));
}

/** A select of a task's models, by maker, the deprecated ones last. */
export function modelSelect(task, chosen, { defaultModel, filter = () => true, ...properties } = {}) {
  const models = modelsFor(task).filter(filter);
  const sorted = models.toSorted((one, other) => one.deprecated - other.deprecated);
  const makers = Map.groupBy(sorted, ({ id, deprecated }) => (deprecated ? "Deprecated" : id.split("/")[1]));
  const label = (id) => (id === defaultModel ? `${shortName(id)} (default)` : shortName(id));
  const groups = Array.from(makers, ([name, some]) =>
    h(
      "optgroup",
      { label: name },
      some.map(({ id }) => h("option", { value: id }, label(id))),
    ),
  );
  const select = h("select", properties, groups);
  select.value = chosen ?? worker.defaultModel;
  if (!select.value) select.selectedIndex = 0;
  return select;
}
