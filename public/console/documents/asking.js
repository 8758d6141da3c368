// Questions about the documents: answers that cite passages, and the passages of a search with the scores of each stage.

import { postJson } from "../api.js";
import { answer } from "../chat/answer.js";
import { AnswerView } from "../chat/turn.js";
import { h, icon } from "../dom.js";
import { checkField, failure, field, modelSelect } from "../parts.js";
import { worker } from "../worker.js";
import { openPassage } from "./viewer.js";

const STAGES = { vector: "Vector search", text: "Full-text search", rerank: "Rerank" };

export class Asking {
  controller = null;
  /** Number of the last question: what an earlier search still brings is not shown. */
  #last = 0;

  constructor(scope) {
    this.scope = scope;
    this.query = h("textarea", {
      rows: "2",
      "aria-label": "Your question",
      placeholder: "Ask about your documents…",
      onkeydown: (event) => this.#onKey(event),
    });
    this.model = modelSelect("text-generation", null, { defaultModel: worker.defaultModel });
    this.topK = h("input", { type: "number", min: "1", max: "50", placeholder: "5", name: "top_k" });
    this.minScore = h("input", { type: "number", step: "any", placeholder: "none", name: "min_score" });
    this.filter = h("textarea", { rows: "2", name: "filter", spellcheck: "false", placeholder: '{"language": "en"}' });
    this.stages = Object.fromEntries(
      Object.keys(STAGES).map((name) => [name, h("input", { type: "checkbox", checked: true })]),
    );
    this.submit = h("button", { type: "submit" }, "Ask");
    this.search = h(
      "button",
      { type: "button", class: "quiet", onclick: () => this.#search() },
      icon("search"),
      "Search only",
    );
    this.form = h(
      "form",
      { class: "stack", onsubmit: (event) => this.#ask(event) },
      this.query,
      h("div", { class: "row" }, this.submit, this.search),
      h(
        "details",
        null,
        h("summary", null, "Advanced"),
        h(
          "div",
          { class: "form-grid" },
          field("Model", this.model),
          field("Passages", this.topK, "At most, 1 to 50"),
          field("Minimum score", this.minScore, "Passages below are left out"),
        ),
        field("Filter", this.filter, "On metadata, as JSON: $eq $ne $in $nin $lt $lte $gt $gte"),
        h(
          "div",
          { class: "checks" },
          Object.entries(STAGES).map(([name, label]) => checkField(label, this.stages[name])),
        ),
      ),
    );
    this.result = h("div", { class: "stack", "aria-live": "polite" });
    this.node = h(
      "section",
      { class: "card asking", "aria-label": "Ask" },
      h("h3", null, "Ask your documents"),
      this.form,
      this.result,
    );
  }

  leave() {
    this.controller?.abort();
  }

  code() {
    let body;
    try {
      body = this.#body();
    } catch {
      body = { query: this.query.value };
    }
    return {
      method: "POST",
      path: "/rag",
      json: { ...body, query: body.query || "Where do penguins live?" },
      answer: "stream",
    };
  }

  /** The body of POST /rag/search. Throws for a filter that is not JSON. */
  #body() {
    const filter = this.filter.value.trim();
    const stages = Object.fromEntries(Object.entries(this.stages).map(([name, box]) => [name, box.checked]));
    return {
      query: this.query.value.trim(),
      ...(this.scope.tenant ? { tenant: this.scope.tenant } : {}),
      ...(this.topK.value ? { top_k: Number(this.topK.value) } : {}),
      ...(this.minScore.value ? { min_score: Number(this.minScore.value) } : {}),
      ...(filter ? { filter: JSON.parse(filter) } : {}),
      ...(Object.values(stages).every(Boolean) ? {} : { stages }),
    };
  }

  /** The body, or null if there is nothing to ask, which is shown. */
  #checked() {
    this.filter.removeAttribute("aria-invalid");
    if (!this.query.value.trim()) {
      this.query.focus();
      return null;
    }
    try {
      return this.#body();
    } catch (error) {
      this.filter.setAttribute("aria-invalid", "true");
      this.filter.closest("details").open = true;
      this.result.replaceChildren(failure(new Error(`the filter is not JSON: ${error.message}`)));
      return null;
    }
  }

  #onKey(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  async #ask(event) {
    event.preventDefault();
    if (this.controller) return this.controller.abort();
    const body = this.#checked();
    if (!body) return;
    this.#last++;
    this.controller = new AbortController();
    this.submit.textContent = "Stop";
    const isStandard = this.model.value === worker.defaultModel;
    await showAnswer(
      this.result,
      isStandard ? body : { ...body, model: this.model.value },
      this.scope,
      this.controller.signal,
    );
    this.controller = null;
    this.submit.textContent = "Ask";
  }

  async #search() {
    const body = this.#checked();
    if (!body) return;
    this.controller?.abort();
    const own = ++this.#last;
    this.result.replaceChildren(h("p", { class: "hint" }, "Searching…"));
    const shown = await this.#found(body);
    if (own === this.#last) this.result.replaceChildren(shown);
  }

  /** The passages of a search, or its failure, as an element. */
  async #found(body) {
    try {
      const { passages } = await postJson("/rag/search", body);
      return sourceList(passages, this.scope, "Nothing fits this question.");
    } catch (error) {
      return failure(error, () => this.#search());
    }
  }
}

/** Ask POST /rag, and show the answer and its sources in an element while they arrive. */
export async function showAnswer(result, body, scope, signal) {
  let sources = [];
  const view = new AnswerView();
  view.markdown.decorate = (block) => linkCitations(block, (number) => openSource(sources, number, scope));
  const list = h("div");
  result.replaceChildren(view.node, list);
  const on = (part) => {
    if (part.sources) {
      sources = part.sources;
      list.replaceChildren(sourceList(sources, scope, ""));
    }
    view.add(part);
  };
  const reply = await answer(body, signal, on, "/rag");
  if (signal?.aborted) {
    reply.ending = "Stopped";
    delete reply.error;
  }
  view.end(reply, null, () => showAnswer(result, body, scope, signal));
  return reply;
}

function openSource(sources, number, scope) {
  const source = sources.find((each) => each.number === number);
  if (source) openPassage(source, scope);
}

/** Make buttons of the citations `[1]` in a block of an answer. */
function linkCitations(block, open) {
  const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest("code, a")) texts.push(walker.currentNode);
  for (const text of texts) {
    const parts = text.data.split(/\[(\d{1,3})\]/);
    if (parts.length === 1) continue;
    const cite = (number) =>
      h(
        "button",
        { type: "button", class: "cite", "aria-label": `Source ${number}`, onclick: () => open(Number(number)) },
        `[${number}]`,
      );
    text.replaceWith(...parts.map((part, index) => (index % 2 ? cite(part) : part)));
  }
}

/** Passages with their scores; `none` if there are none. */
function sourceList(sources, scope, none) {
  if (!sources.length) return h("p", { class: "hint" }, none);
  return h(
    "ol",
    { class: "sources", "aria-label": "Sources" },
    sources.map((source) => sourceItem(source, scope)),
  );
}

function sourceItem(source, scope) {
  const title = source.title || source.document;
  const heading = source.heading.replace(`${title} › `, "");
  const place = [heading, source.page && !heading.startsWith("Page ") && `page ${source.page}`]
    .filter(Boolean)
    .join(", ");
  // a passage begins with its headings, which stand above it here
  const text = (source.text ?? source.snippet).replace(`# ${source.heading}`, "").trim();
  return h(
    "li",
    null,
    h(
      "button",
      { type: "button", class: "source", onclick: () => openPassage(source, scope) },
      h(
        "span",
        { class: "source-head" },
        h("span", { class: "number" }, String(source.number)),
        h("strong", null, title),
        place && h("span", { class: "hint" }, place),
      ),
      h("span", { class: "snippet" }, text),
    ),
    h(
      "dl",
      { class: "scores" },
      Object.entries(source.scores).flatMap(([stage, score]) => [
        h("dt", null, stage),
        h("dd", null, score.toFixed(3)),
      ]),
    ),
  );
}
