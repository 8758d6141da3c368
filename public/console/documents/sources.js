// Synchronised sources of documents: sites, and folders of the Worker's bucket.

import { getJson, postJson, request } from "../api.js";
import { button, h, iconButton } from "../dom.js";
import { failure, field } from "../parts.js";
import { withTenant } from "./scope.js";

const KINDS = { sitemap: "A sitemap", urls: "Pages", prefix: "A folder of the bucket" };
const HINTS = {
  sitemap: "Its address: https://example.com/sitemap.xml",
  urls: "Addresses of pages of one site, one a line",
  prefix: "Start of the keys: handbook/",
};

/** The sources of a tenant. onchange: called when documents may have changed. */
export function sources(scope, onchange) {
  const kind = h(
    "select",
    { onchange: () => hint() },
    Object.entries(KINDS).map(([value, label]) => h("option", { value }, label)),
  );
  const target = h("textarea", { rows: "2", spellcheck: "false" });
  const hours = h("input", { type: "number", min: "1", max: "720", value: "24" });
  const list = h("ul", { class: "plain-list" });
  const notice = h("div", { role: "status" });
  const targetField = field("Source", target, HINTS.sitemap);
  const hint = () => (targetField.lastChild.textContent = HINTS[kind.value]);

  async function read() {
    try {
      const page = await getJson(withTenant("/rag/sync", scope.tenant));
      list.replaceChildren(...page.sources.map(item));
    } catch (error) {
      notice.replaceChildren(failure(error, read));
    }
  }

  function item(source) {
    const name = Array.isArray(source.target) ? source.target[0] : source.target;
    const { indexed = 0, failed = 0 } = source.documents;
    const facts = `${source.state}, ${indexed} indexed${failed ? `, ${failed} failed` : ""}, every ${source.hours} h`;
    const reason = source.reason && h("p", { class: "reason" }, source.reason);
    return h(
      "li",
      { class: "row" },
      h("div", { class: "grow" }, h("strong", null, name), h("p", { class: "hint" }, facts), reason),
      iconButton("trash", `End the source ${name}`, () => remove(source.id)),
    );
  }

  async function add(event) {
    event.preventDefault();
    notice.replaceChildren();
    const text = target.value.trim();
    const value = kind.value === "urls" ? text.split(/\s+/) : text;
    try {
      const body = {
        [kind.value]: value,
        hours: Number(hours.value),
        ...(scope.tenant ? { tenant: scope.tenant } : {}),
      };
      await postJson("/rag/sync", body);
      target.value = "";
      read();
      onchange();
    } catch (error) {
      notice.replaceChildren(failure(error));
    }
  }

  async function remove(id) {
    try {
      await request("DELETE", withTenant(`/rag/sync/${encodeURIComponent(id)}`, scope.tenant));
      read();
    } catch (error) {
      notice.replaceChildren(failure(error));
    }
  }

  const node = h(
    "form",
    { class: "stack", onsubmit: add },
    h("h3", null, "Keep in step with a site or a folder"),
    h("div", { class: "form-grid" }, field("Kind", kind), field("Every so many hours", hours)),
    targetField,
    h(
      "div",
      { class: "row" },
      h("button", { type: "submit", class: "small" }, "Add the source"),
      button("Read again", read, { class: "quiet small" }),
    ),
    notice,
    list,
  );
  read();
  return node;
}
