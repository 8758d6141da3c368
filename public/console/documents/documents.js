// The screen Documents: add files, watch them being indexed, ask about them.

import { barButton, h } from "../dom.js";
import { field } from "../parts.js";
import { showCode } from "../snippets.js";
import { worker } from "../worker.js";
import { Asking } from "./asking.js";
import { DocumentList } from "./list.js";
import { sources } from "./sources.js";

export function show({ root, actions }) {
  /** The tenant whose documents are shown; "" for the caller's own. */
  const scope = { tenant: "" };
  const list = new DocumentList(scope);
  const asking = new Asking(scope);
  const tenant = h("input", {
    type: "text",
    placeholder: "default",
    autocomplete: "off",
    pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}",
    onchange: () => {
      scope.tenant = tenant.value.trim();
      list.read();
    },
  });
  const more = h(
    "details",
    { class: "card" },
    h("summary", null, "Tenant and sources"),
    field("Tenant", tenant, "Whose documents these are. Searches of one tenant never see documents of another."),
    worker.routes.has("POST /rag/sync") && sources(scope, () => list.read()),
  );
  root.append(
    h(
      "div",
      { class: "page split" },
      h("div", { class: "stack" }, list.node, more),
      h("div", { class: "stack" }, asking.node),
    ),
  );
  actions.append(barButton("Code", () => showCode(asking.code()), "code"));
  list.read();
  return () => {
    list.leave();
    asking.leave();
  };
}
