// The settings of a chat: the model, and behind "Advanced" the system prompt, the tools and the model's parameters.

import { formatted, h } from "../dom.js";
import { checkField, field, modelSelect } from "../parts.js";
import { modelOf, remember, remembered, worker } from "../worker.js";

export class Settings {
  /** onchange: called when another model is chosen. */
  constructor(onchange) {
    const saved = remembered("chat-settings", {});
    const change = () => {
      this.#showParameters();
      onchange();
    };
    this.select = modelSelect("text-generation", modelOf(saved.model) && saved.model, {
      defaultModel: worker.defaultModel,
      "aria-label": "Model",
      class: "model",
      name: "model",
      onchange: change,
    });
    this.system = h("textarea", { rows: "2", name: "system", placeholder: "You are a helpful assistant." });
    this.system.value = saved.system ?? "";
    this.stream = h("input", { type: "checkbox", checked: true });
    this.tools = h("input", { type: "checkbox", checked: saved.tools ?? false });
    this.effort = h(
      "select",
      { name: "reasoning_effort" },
      ["", "none", "low", "medium", "high"].map((each) => h("option", { value: each }, each || "the model's own")),
    );
    this.toolsField = checkField("Let the model call the Worker's tools", this.tools);
    this.effortField = field("Reasoning", this.effort);
    this.parameters = h("div", { class: "grid" });
    this.about = h("p", { class: "hint" });
    this.node = h(
      "fieldset",
      {
        id: "advanced",
        class: "advanced",
        hidden: true,
        "aria-label": "Advanced",
        oninput: (event) => event.target.removeAttribute("aria-invalid"),
      },
      this.about,
      field("System prompt", this.system, "Instructions for the model, sent with every message."),
      h("div", { class: "checks" }, checkField("Stream the answer", this.stream), this.toolsField),
      this.effortField,
      this.parameters,
    );
    this.node.addEventListener("change", () => this.#save());
    this.#showParameters();
  }

  get model() {
    return modelOf(this.select.value);
  }

  get hasVision() {
    return this.model.abilities.includes("vision");
  }

  choose(id) {
    this.select.value = id;
    this.select.dispatchEvent(new Event("change"));
  }

  /** The fields of POST /chat; empty ones are not sent. */
  values() {
    const filled = this.#inputs().filter((input) => input.value.trim());
    const { abilities } = this.model;
    return {
      model: this.model.id,
      stream: this.stream.checked,
      ...(this.system.value.trim() ? { system: this.system.value.trim() } : {}),
      ...(abilities.includes("tools") && this.tools.checked ? { worker_tools: true } : {}),
      ...(abilities.includes("reasoning") && this.effort.value ? { reasoning_effort: this.effort.value } : {}),
      ...Object.fromEntries(filled.map((input) => [input.name, numberOrText(input.value.trim())])),
    };
  }

  /** Mark the field of a parameter that was refused. Returns whether there is one. */
  markRefused(name) {
    const control = name && this.node.elements.namedItem(name);
    if (!control) return false;
    this.node.hidden = false;
    control.setAttribute("aria-invalid", "true");
    control.scrollIntoView({ block: "nearest" });
    return true;
  }

  clearMarks() {
    for (const control of this.node.elements) control.removeAttribute("aria-invalid");
  }

  #inputs() {
    return Array.from(this.parameters.querySelectorAll("input"));
  }

  /** Show the model's parameters. One that the last model took, too, keeps its value. */
  #showParameters() {
    const { model } = this;
    const window = model.context_window ? `, ${formatted(model.context_window)} tokens of context` : "";
    this.about.textContent = `${model.id}${window}. An empty parameter has the model's default.`;
    this.toolsField.hidden = !model.abilities.includes("tools");
    this.effortField.hidden = !model.abilities.includes("reasoning");
    const values = new Map(this.#inputs().map((input) => [input.name, input.value]));
    const ranges = { max_tokens: [1, model.context_window], ...model.sampling };
    const parameter = ([name, [min, max]]) => {
      const input = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", name });
      input.value = values.get(name) ?? "";
      return field(name, input, max === null ? `${min} or more` : `${formatted(min)} to ${formatted(max)}`);
    };
    this.parameters.replaceChildren(...Object.entries(ranges).map(parameter));
    this.#save();
  }

  #save() {
    remember("chat-settings", { model: this.select.value, system: this.system.value, tools: this.tools.checked });
  }
}

/** Return the number, or the text if it is not a number: the Worker validates the request, and its error is shown. */
function numberOrText(text) {
  return Number.isFinite(Number(text)) ? Number(text) : text;
}
