// The screen Access: who may call, what the key has spent today, and tokens for browsers.

import { getJson, hasKey, postJson } from "../api.js";
import { barButton, formatted, h, icon, neuronsText } from "../dom.js";
import { requestForm } from "../forms.js";
import { copyButton, failure, field } from "../parts.js";
import { showCode } from "../snippets.js";
import { worker } from "../worker.js";

/** Scope → what it allows. `admin` includes all of them. */
const SCOPES = {
  chat: "text from a model, and conversations",
  embed: "vectors and reranking",
  text: "translation, classification, summaries, structured output",
  image: "images",
  audio: "speech to text and text to speech",
  "rag:read": "answers from documents, searches, the list of documents",
  "rag:write": "adding and removing documents",
  feedback: "rating a logged answer",
};
const MODES = {
  keys: "This Worker answers callers with a key or a token.",
  public: "This Worker answers everybody, as far as its PUBLIC_SCOPES go.",
};

export function show({ root, actions }) {
  const rights = h("div", { class: "stack" });
  const usage = h("div", { class: "stack" });
  const tokens = tokenForm();
  root.append(
    h(
      "div",
      { class: "page narrow" },
      h(
        "section",
        { class: "card", "aria-label": "This page" },
        h("h3", null, "This page"),
        h("p", null, MODES[worker.health.access]),
        h("p", { class: "hint" }, hasKey() ? "It sends the API key that you have given it." : "It sends no key."),
        rights,
        usage,
      ),
      tokens.node,
    ),
  );
  actions.append(
    barButton("Code", () => showCode({ method: "POST", path: "/tokens", json: tokens.body(), answer: "json" }), "code"),
  );
  showRights(rights);
  showUsage(usage);
  return tokens.leave;
}

/** Show each scope, and whether the caller has it. */
async function showRights(node) {
  try {
    const { key, scopes, tenant, subject } = await getJson("/access");
    const may = (name) => scopes.includes("admin") || scopes.includes(name);
    const who = [key && `key ${key}`, tenant && `tenant ${tenant}`, subject && `user ${subject}`]
      .filter(Boolean)
      .join(", ");
    const row = ([name, about]) =>
      h(
        "li",
        { class: may(name) ? "may" : "may-not" },
        icon(may(name) ? "check" : "close"),
        h("code", null, name),
        h("span", null, about),
        !may(name) && h("span", { class: "pill plain" }, "not allowed"),
      );
    const admin =
      scopes.includes("admin") &&
      h("p", { class: "hint" }, "It has the scope admin, which includes every other one, and every tenant.");
    node.replaceChildren(
      who ? h("p", null, who) : "",
      h("ul", { class: "rights", "aria-label": "What it may do" }, Object.entries(SCOPES).map(row)),
      admin || "",
    );
  } catch (error) {
    node.replaceChildren(failure(error, () => showRights(node)));
  }
}

async function showUsage(node) {
  if (!hasKey())
    return node.replaceChildren(
      h("p", { class: "hint" }, "Budgets are those of keys: without one, nothing is counted for this page."),
    );
  try {
    const { key, daily_neurons: most, neurons } = await getJson("/usage");
    if (most === null) return node.replaceChildren(h("p", null, `The key ${key} has no daily budget.`));
    const meter = h("meter", { min: "0", max: String(most), value: neurons, "aria-label": "Spent today" });
    node.replaceChildren(
      h("p", null, `The key ${key} has spent ${neuronsText(neurons)} today, of ${formatted(most)} neurons.`),
      meter,
    );
  } catch (error) {
    node.replaceChildren(failure(error, () => showUsage(node)));
  }
}

function tokenForm() {
  const scopes = Object.keys(SCOPES).map((name) =>
    h("input", { type: "checkbox", name: "scopes", value: name, id: `scope-${name}`, checked: name === "chat" }),
  );
  const origin = h("input", {
    type: "text",
    name: "origin",
    placeholder: "https://app.example.com",
    autocomplete: "off",
  });
  const seconds = h("input", { type: "number", name: "seconds", min: "60", max: "86400", value: "900" });
  const subject = h("input", { type: "text", name: "subject", autocomplete: "off" });
  const body = () => ({
    scopes: scopes.filter(({ checked }) => checked).map(({ value }) => value),
    seconds: Number(seconds.value),
    ...(origin.value.trim() ? { origin: origin.value.trim() } : {}),
    ...(subject.value.trim() ? { subject: subject.value.trim() } : {}),
  });

  async function run(signal) {
    const { token, expires_at: expires } = await postJson("/tokens", body(), { signal });
    return [
      h(
        "div",
        { class: "code" },
        h(
          "div",
          { class: "code-bar" },
          h("span", null, `until ${new Date(expires).toLocaleTimeString("en")}`),
          copyButton(() => token, "Copy the token"),
        ),
        h("pre", { tabindex: "0", class: "wrap", role: "region", "aria-label": "Token" }, h("code", null, token)),
      ),
      h("p", { class: "hint" }, "Sent in place of a key: authorization: Bearer TOKEN."),
    ];
  }

  const { form, result, leave } = requestForm({
    action: "Make a token",
    run,
    fields: [
      h(
        "fieldset",
        { class: "stack" },
        h("legend", null, "It may"),
        h(
          "div",
          { class: "checks" },
          scopes.map((box) => h("div", { class: "check" }, box, h("label", { htmlFor: box.id }, box.value))),
        ),
      ),
      h(
        "div",
        { class: "form-grid" },
        field("Only for pages of", origin),
        field("Seconds", seconds),
        field("For the user", subject),
      ),
    ],
  });
  const about =
    "Pages must not have an API key: it is the whole account's. Your server makes a token like this for each visitor.";
  return {
    body,
    leave,
    node: h(
      "section",
      { class: "card", "aria-label": "Browser token" },
      h("h3", null, "A token for a browser"),
      h("p", { class: "hint" }, about),
      form,
      result,
    ),
  };
}
