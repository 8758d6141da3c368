// The screen Structured: a schema, a text, and data that fits the schema.

import { barButton, h } from "../dom.js";
import { filled, requestForm, timed } from "../forms.js";
import { codeBlock } from "../markdown.js";
import { extractCall } from "../openai.js";
import { field, modelSelect } from "../parts.js";
import { showCode } from "../snippets.js";
import { EXAMPLES } from "./examples.js";

export function show({ root, actions }) {
  const example = h(
    "select",
    { onchange: () => fill(EXAMPLES[example.value]) },
    Object.keys(EXAMPLES).map((name) => h("option", { value: name }, name)),
  );
  const text = h("textarea", { rows: "4", name: "text", required: true });
  const instructions = h("input", { type: "text", name: "instructions", placeholder: "Prices in euros." });
  const schema = h("textarea", {
    rows: "14",
    name: "schema",
    class: "mono",
    spellcheck: "false",
    required: true,
    oninput: check,
  });
  const verdict = h("p", { class: "hint", role: "status" });
  const model = modelSelect("text-generation", "", {
    filter: ({ abilities }) => abilities.includes("json"),
    name: "model",
  });
  model.prepend(h("option", { value: "" }, "The Worker's choice"));
  model.value = "";

  function fill(chosen) {
    text.value = chosen.text;
    instructions.value = chosen.instructions ?? "";
    schema.value = JSON.stringify(chosen.schema, null, 2);
    check();
  }

  /** Say whether the schema is JSON, while it is written. */
  function check() {
    try {
      const { properties = {} } = JSON.parse(schema.value);
      verdict.textContent = `A schema with ${Object.keys(properties).length} properties`;
      schema.removeAttribute("aria-invalid");
    } catch (error) {
      verdict.textContent = `Not JSON yet: ${error.message}`;
      schema.setAttribute("aria-invalid", "true");
    }
  }

  const body = () => ({ ...filled([text, instructions, model]), schema: JSON.parse(schema.value) });

  async function run(signal) {
    const { response, facts } = await timed("POST", "/extract", { json: body(), signal });
    const { data, attempts, unchecked } = await response.json();
    const fits = `Fits the schema, ${attempts === 1 ? "at the first attempt" : `after ${attempts} attempts`}`;
    const open = unchecked?.length > 0 && h("p", { class: "hint" }, `Not checked: ${unchecked.join(", ")}`);
    return [
      h("p", { class: "row" }, h("span", { class: "pill start" }, fits)),
      codeBlock(JSON.stringify(data, null, 2), "json"),
      open,
      facts(),
    ].filter(Boolean);
  }

  const { form, result, leave } = requestForm({
    action: "Extract",
    run,
    fields: [
      h("div", { class: "form-grid" }, field("Example", example), field("Model", model)),
      field("Text", text),
      field("Instructions", instructions, "What to look for and how to write it. Optional."),
      field("JSON Schema", schema),
      verdict,
    ],
  });
  root.append(
    h(
      "div",
      { class: "page split" },
      h("section", { class: "card", "aria-label": "Request" }, form),
      h("section", { class: "card", "aria-label": "Result" }, h("h3", null, "Result"), result),
    ),
  );
  const code = () => {
    try {
      showCode({ method: "POST", path: "/extract", json: body(), answer: "json", openai: extractCall(body()) });
    } catch {
      schema.focus();
    }
  };
  actions.append(barButton("Code", code, "code"));
  fill(Object.values(EXAMPLES)[0]);
  return leave;
}
