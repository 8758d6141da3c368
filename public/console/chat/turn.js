// The elements of a question and of an answer.

import { button, formatted, h, icon, neuronsText, secondsText, shortName } from "../dom.js";
import { MarkdownView } from "../markdown.js";
import { copyButton, failure } from "../parts.js";
import { imagesOf, textOf } from "./conversation.js";

/** actions: buttons below the question. */
export function question(message, actions) {
  const pictures = imagesOf(message).map((url) => h("img", { src: url, alt: "Attached picture" }));
  return h(
    "article",
    { class: "turn user" },
    h("h3", { class: "hidden-text" }, "You"),
    pictures.length > 0 && h("div", { class: "pictures" }, pictures),
    h("div", { class: "text" }, textOf(message)),
    h("div", { class: "turn-actions" }, actions),
  );
}

/** An answer that arrives, or that has arrived. */
export class AnswerView {
  constructor() {
    this.markdown = new MarkdownView();
    this.reasoning = h("p");
    this.reasoningSummary = h("span", null, "Reasoning…");
    this.reasoningBox = h(
      "details",
      { class: "reasoning", hidden: true },
      h("summary", null, icon("thought"), this.reasoningSummary),
      this.reasoning,
    );
    this.tools = h("div", { class: "tools" });
    this.waiting = h("p", { class: "waiting", "aria-hidden": "true" }, h("span"), h("span"), h("span"));
    this.foot = h("div", { class: "turn-foot" });
    this.node = h(
      "article",
      { class: "turn assistant" },
      h("h3", { class: "hidden-text" }, "Assistant"),
      this.reasoningBox,
      this.tools,
      this.markdown.node,
      this.waiting,
      this.foot,
    );
    this.node.setAttribute("aria-busy", "true"); // screen readers wait for the end instead of reading fragments
  }

  add({ text, reasoning, tool }) {
    if (reasoning) {
      this.reasoningBox.hidden = false;
      this.reasoning.append(reasoning);
    }
    if (tool) this.tools.append(toolCard(tool));
    if (text) {
      this.waiting.hidden = true;
      this.markdown.append(text);
    }
  }

  /** Show the end of an answer. actions: buttons below it; retry: called by the button of a failure. */
  end(message, actions, retry) {
    const { content, reasoning, facts = {}, ending, error } = message;
    this.node.removeAttribute("aria-busy");
    this.waiting.hidden = true;
    this.markdown.complete();
    this.reasoningSummary.textContent = reasoning ? "Reasoning" : "";
    if (error) this.foot.before(failure(error, retry));
    const copy = content && copyButton(() => content, "Copy the answer");
    this.foot.replaceChildren(
      factsLine(facts, ending),
      h("div", { class: "turn-actions" }, copy, actions),
      details(facts),
    );
  }

  /** An answer of a conversation that was stored. */
  static of(message, actions) {
    const view = new AnswerView();
    view.add({ text: textOf(message), reasoning: message.reasoning });
    for (const tool of message.tools ?? []) view.add({ tool });
    view.end(message, actions);
    return view;
  }
}

function toolCard({ name, arguments: args, result }) {
  const isFailure = typeof result === "string" && result.startsWith('{"error"');
  return h(
    "details",
    { class: "tool" },
    h(
      "summary",
      null,
      icon("tool"),
      h("span", null, "Called ", h("code", null, name)),
      h("span", { class: isFailure ? "pill bad" : "pill" }, isFailure ? "failed" : "done"),
    ),
    h(
      "dl",
      null,
      h("dt", null, "Arguments"),
      h("dd", null, h("code", null, pretty(args))),
      h("dt", null, "Result"),
      h("dd", null, h("code", null, pretty(result))),
    ),
  );
}

/** JSON with line breaks; other texts as they are. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text ?? "";
  }
}

function factsLine({ model, realModel, usage, first, total, neurons }, ending) {
  const seconds = (total - first) / 1000;
  const speed = usage?.completion_tokens && seconds > 0 ? usage.completion_tokens / seconds : null;
  const facts = [
    realModel || (model && shortName(model)),
    usage && `${formatted(usage.completion_tokens ?? 0)} tokens`,
    speed && `${speed < 1e4 ? Math.round(speed) : "over 10,000"} tokens/s`,
    typeof neurons === "number" && neuronsText(neurons),
  ];
  return h(
    "p",
    { class: "facts" },
    ending && h("strong", null, ending),
    facts.filter(Boolean).map((fact) => h("span", null, fact)),
  );
}

function details({ model, realModel, usage, first, total, requestId, aiRequestId, logId, cache, warning }) {
  if (!requestId) return null;
  const rows = [
    ["Model", model],
    ["Answered by", realModel],
    ["Tokens", usage && `${formatted(usage.prompt_tokens)} in, ${formatted(usage.completion_tokens ?? 0)} out`],
    ["First token after", first !== undefined && secondsText(first)],
    ["In all", secondsText(total)],
    ["Request", requestId],
    ["Workers AI's request", aiRequestId],
    ["Gateway's log", logId],
    ["Gateway's cache", cache],
    ["Warning", warning],
  ];
  const shown = rows
    .filter(([, value]) => value)
    .flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]);
  return h("details", { class: "details" }, h("summary", null, "Details"), h("dl", null, shown));
}

export const actionButton = (name, label, onclick) => button(label, onclick, { class: "quiet small action" }, name);
