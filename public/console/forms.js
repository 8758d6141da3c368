// A form that sends one request and shows its result.

import { ApiError, request } from "./api.js";
import { h, neuronsText, secondsText, shortName } from "./dom.js";
import { failure } from "./parts.js";

/**
 * fields: the form's content. action: the button's label. run: called with a signal, returns what is shown.
 *
 * Returns `{form, result, submit, leave}`.
 */
export function requestForm({ fields, action, run }) {
  let controller = null;
  const send = h("button", { type: "submit" }, action);
  const hint = h("p", { class: "hint" }, "The result appears here.");
  const result = h("div", { class: "stack", "aria-live": "polite" }, hint);
  const form = h("form", { class: "stack", onsubmit }, fields, h("div", { class: "row" }, send));
  form.addEventListener("input", (event) => event.target.removeAttribute("aria-invalid"));

  async function onsubmit(event) {
    event.preventDefault();
    if (controller) return controller.abort();
    controller = new AbortController();
    for (const control of form.elements) control.removeAttribute("aria-invalid");
    send.textContent = "Stop";
    result.setAttribute("aria-busy", "true");
    result.replaceChildren(
      h("p", { class: "waiting" }, h("span"), h("span"), h("span"), h("span", { class: "hidden-text" }, "Working…")),
    );
    try {
      result.replaceChildren(...[await run(controller.signal)].flat());
    } catch (error) {
      showError(error);
    }
    controller = null;
    send.textContent = action;
    result.removeAttribute("aria-busy");
  }

  function showError(error) {
    if (controller.signal.aborted) return result.replaceChildren();
    result.replaceChildren(failure(error, () => form.requestSubmit()));
    if (!(error instanceof ApiError)) return;
    const [name] = String(error.details.param).split(".");
    const control = form.elements.namedItem(name);
    control?.setAttribute("aria-invalid", "true");
    control?.closest("details")?.setAttribute("open", "");
  }

  return { form, result, submit: () => form.requestSubmit(), leave: () => controller?.abort() };
}

/** Send a request; return its response, and a line with its model, cost and time. */
export async function timed(method, path, options) {
  const start = performance.now();
  const response = await request(method, path, options);
  const neurons = response.headers.get("x-neurons");
  const model = response.headers.get("x-model");
  const facts = () =>
    h(
      "p",
      { class: "facts" },
      [model && shortName(model), secondsText(performance.now() - start), neurons && neuronsText(Number(neurons))]
        .filter(Boolean)
        .map((fact) => h("span", null, fact)),
    );
  return { response, facts };
}

/** Tabs: name → what is shown. */
export function tabs(label, panels) {
  const names = Object.keys(panels);
  const panel = h("div", { role: "tabpanel", class: "stack" });
  const buttons = names.map((name, index) =>
    h(
      "button",
      { type: "button", role: "tab", class: "quiet small", id: `tab-${index}`, onclick: () => select(index) },
      name,
    ),
  );
  const onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const index = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    select(index);
    buttons[index].focus();
  };
  let at = 0;

  function select(index) {
    at = index;
    for (const [number, each] of buttons.entries()) {
      each.setAttribute("aria-selected", String(number === index));
      each.tabIndex = number === index ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${index}`);
    panel.replaceChildren(panels[names[index]]);
  }

  select(0);
  const node = h(
    "div",
    { class: "stack" },
    h("div", { role: "tablist", class: "tabs", "aria-label": label, onkeydown }, buttons),
    panel,
  );
  return { node, selected: () => names[at], select: (name) => select(names.indexOf(name)) };
}

/** The values of named fields that are filled: name → text, or a number for those of type number. */
export function filled(controls) {
  return Object.fromEntries(
    controls
      .filter((control) => control.value.trim())
      .map((control) => [control.name, control.type === "number" ? Number(control.value) : control.value.trim()]),
  );
}
