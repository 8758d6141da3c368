// The screen Text: translate side by side, classify, summarise.

import { barButton, button, h } from "../dom.js";
import { filled, requestForm, tabs, timed } from "../forms.js";
import { field } from "../parts.js";
import { showCode } from "../snippets.js";
import { modelsFor, worker } from "../worker.js";

const LANGUAGES = {
  en: "English",
  de: "German",
  fr: "French",
  es: "Spanish",
  it: "Italian",
  pt: "Portuguese",
  nl: "Dutch",
  pl: "Polish",
  tr: "Turkish",
  uk: "Ukrainian",
  ar: "Arabic",
  hi: "Hindi",
  zh: "Chinese",
  ja: "Japanese",
  ko: "Korean",
};

export function show({ root, actions }) {
  const tools = { Translate: translating(), Classify: classifying(), Summarise: summarising() };
  const routes = { Translate: "POST /translate", Classify: "POST /classify", Summarise: "POST /summarize" };
  const usable = Object.keys(tools).filter((name) => worker.routes.has(routes[name]));
  const panes = tabs("Text", Object.fromEntries(usable.map((name) => [name, tools[name].node])));
  root.append(h("div", { class: "page" }, panes.node));
  actions.append(
    barButton("Code", () => showCode({ method: "POST", answer: "json", ...tools[panes.selected()].code() }), "code"),
  );
  return () => Object.values(tools).map(({ leave }) => leave());
}

const choice = (task) => {
  const options = modelsFor(task)
    .filter(({ deprecated }) => !deprecated)
    .map(({ id }) => h("option", { value: id }, id.split("/").at(-1)));
  return h("select", { name: "model" }, h("option", { value: "" }, "The Worker's choice"), options);
};

const area = (name, value, rows = "8") => {
  const node = h("textarea", { rows, name, required: true });
  node.value = value;
  return node;
};

function tool({ path, label, action, fields, body, show: showResult, isWide }) {
  async function run(signal) {
    const { response, facts } = await timed("POST", path, { json: body(), signal });
    return [showResult(await response.json()), facts()];
  }
  const { form, result, leave } = requestForm({ action, run, fields });
  const node = h("section", { class: isWide ? "card sides" : "card", "aria-label": label }, form, result);
  return { node, leave, code: () => ({ path, json: body() }) };
}

function translating() {
  const text = area("text", "Good morning! The boat to the lighthouse leaves at nine.");
  const options = (chosen) =>
    Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, selected: code === chosen }, name));
  const source = h("select", { name: "source_lang" }, options("en"));
  const target = h("select", { name: "target_lang" }, options("fr"));
  const model = choice("translation");
  const swap = button(
    "Swap",
    () => ([source.value, target.value] = [target.value, source.value]),
    { class: "quiet small" },
    "requests",
  );
  return tool({
    path: "/translate",
    label: "Translate",
    action: "Translate",
    isWide: true,
    body: () => filled([text, source, target, model]),
    fields: [
      h("div", { class: "form-grid" }, field("From", source), field("To", target), field("Model", model)),
      h("div", { class: "row" }, swap),
      field("Text", text),
    ],
    show: ({ translated_text: translated }) => h("p", { class: "spoken", lang: target.value }, translated),
  });
}

function classifying() {
  const text = area("text", "What a lovely day on the water!", "4");
  const model = choice("text-classification");
  const row = ({ label, score }) =>
    h(
      "li",
      null,
      h("span", null, label),
      h("meter", { min: "0", max: "1", value: score, "aria-label": label }),
      h("span", { class: "hint" }, `${(score * 100).toFixed(1)} %`),
    );
  return tool({
    path: "/classify",
    label: "Classify",
    action: "Classify",
    body: () => filled([text, model]),
    fields: [field("Text", text), field("Model", model)],
    show: (labels) => h("ul", { class: "meters" }, labels.map(row)),
  });
}

function summarising() {
  const text = area(
    "text",
    "The llama is a domesticated animal of the Andes. It carries loads over passes where no cart can go. Its wool is soft and warm, and is spun into blankets. Llamas live in herds, and are calm as long as nobody overloads them.",
  );
  const length = h("input", { type: "number", name: "max_length", min: "1", value: "60" });
  const model = choice("text-generation");
  return tool({
    path: "/summarize",
    label: "Summarise",
    action: "Summarise",
    isWide: true,
    body: () => filled([text, length, model]),
    fields: [
      h("div", { class: "form-grid" }, field("Tokens at most", length), field("Model", model)),
      field("Text", text),
    ],
    show: ({ summary }) => h("p", { class: "spoken" }, summary),
  });
}
