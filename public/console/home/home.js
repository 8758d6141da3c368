// The screen Home: six abilities, each tried with one click.

import { button, h, icon } from "../dom.js";
import { failure } from "../parts.js";
import { showCode } from "../snippets.js";
import { isSimulated, realModel, worker } from "../worker.js";
import { cards } from "./cards.js";

/** A clause that says whether models are simulated, for the text above the cards. */
function whose() {
  if (realModel()) return `, where ${realModel()} generates text and other models are simulated`;
  return isSimulated() ? ", whose models are simulated on this machine" : "";
}

export function show({ root }) {
  const controller = new AbortController();
  const shown = cards().filter(({ routes }) => routes.every((route) => worker.routes.has(route)));
  root.append(
    h(
      "div",
      { class: "page home" },
      h(
        "div",
        { class: "hello" },
        h("h3", null, "What this Worker can do"),
        h(
          "p",
          { class: "hint" },
          `Each card runs a real request against this Worker${whose()}. “Code” shows the request for your own front end.`,
        ),
      ),
      h(
        "div",
        { class: "cards" },
        shown.map((card) => cardNode(card, controller.signal)),
      ),
    ),
  );
  return () => controller.abort();
}

function cardNode(card, signal) {
  const result = h("div", { class: "result stack", "aria-live": "polite" });
  const run = h("button", { type: "button", class: "small", onclick: start }, icon("play"), card.action);

  async function start() {
    run.disabled = true;
    node.setAttribute("aria-busy", "true");
    result.replaceChildren(h("p", { class: "waiting", "aria-hidden": "true" }, h("span"), h("span"), h("span")));
    try {
      await card.run(result, signal);
    } catch (error) {
      if (!signal.aborted) result.replaceChildren(failure(error, start));
    } finally {
      run.disabled = false;
      node.removeAttribute("aria-busy");
    }
  }

  const link = h("a", { href: card.more, class: "more" }, card.moreLabel);
  const node = h(
    "section",
    { class: "card", "aria-label": card.title },
    h("div", { class: "card-head" }, icon(card.icon), h("h4", null, card.title), link),
    h("p", { class: "hint" }, card.about),
    card.preview,
    h(
      "div",
      { class: "row" },
      run,
      button("Code", () => showCode(card.code()), { class: "quiet small" }, "code"),
    ),
    result,
  );
  return node;
}
