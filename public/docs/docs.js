// The reference of the API: every route of /openapi.json, to read and to try. One route is shown at a time, by the address's #.

import { h } from "../console/dom.js";
import { field } from "../console/parts.js";
import { remember, remembered } from "../console/worker.js";
import { operationPage } from "./operation.js";
import { prose } from "./schema.js";

const main = document.querySelector("#main");
const routes = document.querySelector("#routes");
const menu = document.querySelector("#menu");
const narrow = matchMedia("(max-width: 52rem)");

/** Name under which the console, too, keeps a key until the tab is closed. */
const STORED_KEY = "key";

let description;
let operations = [];
let leave = () => {};

/** Return the operations in the order of the description: {id, method, path, and the operation's own fields}. */
function operationsOf({ paths }) {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      id: operation.operationId,
      method: method.toUpperCase(),
      path,
    })),
  );
}

function methodLabel(method) {
  return h("span", { class: `method ${method.toLowerCase()}` }, method === "DELETE" ? "DEL" : method);
}

function fillNavigation() {
  const groups = description.tags.map(({ name }) => {
    const items = operations.filter((operation) => operation.tags[0] === name);
    const links = items.map((operation) => {
      const link = h("a", { href: `#${operation.id}` }, methodLabel(operation.method), h("span", null, operation.path));
      return { node: h("li", null, link), text: `${operation.path} ${operation.summary}`.toLowerCase() };
    });
    const list = h("ul", null, ...links.map(({ node }) => node));
    return { node: h("section", { "aria-label": name }, h("h2", null, name), list), links };
  });
  const search = h("input", { type: "search", autocomplete: "off", placeholder: "image, documents, …" });
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/);
    for (const { node, links } of groups) {
      for (const link of links) link.node.hidden = !words.every((word) => link.text.includes(word));
      node.hidden = links.every((link) => link.node.hidden);
    }
  });
  routes.replaceChildren(field("Find a route", search), ...groups.map(({ node }) => node));
}

function keySection() {
  const key = h("input", {
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    value: remembered(STORED_KEY, "", "sessionStorage"),
  });
  key.addEventListener("input", () => remember(STORED_KEY, key.value.trim() || undefined, "sessionStorage"));
  const hint =
    "Sent to this Worker with every request of this page, and forgotten with this tab. On your own machine, none is needed.";
  return h(
    "section",
    { class: "card stack", "aria-label": "Access" },
    h("h3", null, "Access"),
    field("API key or token", key, hint),
  );
}

function startPage() {
  const { info, tags } = description;
  const lists = tags.map(({ name }) => {
    const items = operations
      .filter((operation) => operation.tags[0] === name)
      .map((operation) =>
        h(
          "li",
          null,
          h("a", { href: `#${operation.id}` }, operation.summary),
          " ",
          h("code", null, `${operation.method} ${operation.path}`),
        ),
      );
    return h("section", null, h("h3", null, name), h("ul", { class: "summaries" }, ...items));
  });
  return h(
    "div",
    { class: "stack" },
    h("h2", null, info.summary),
    h("p", { class: "hint" }, `Version ${info.version}`),
    prose(info.description),
    keySection(),
    ...lists,
  );
}

function show() {
  leave();
  leave = () => {};
  const id = location.hash.slice(1);
  const operation = operations.find((each) => each.id === id);
  const page = operation && operationPage(operation, description, () => remembered(STORED_KEY, "", "sessionStorage"));
  if (page) leave = page.leave;
  main.replaceChildren(page?.node ?? startPage());
  document.title = operation ? `${operation.summary} – aiworker API` : "aiworker API";
  for (const link of routes.querySelectorAll("a")) {
    if (link.hash === location.hash && operation) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  routes.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  openMenu(false);
  scrollTo(0, 0);
}

function openMenu(isOpen) {
  routes.hidden = narrow.matches && !isOpen;
  menu.setAttribute("aria-expanded", String(isOpen));
}

menu.addEventListener("click", () => openMenu(menu.getAttribute("aria-expanded") === "false"));
narrow.addEventListener("change", () => openMenu(false));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || menu.getAttribute("aria-expanded") === "false") return;
  openMenu(false);
  menu.focus();
});

async function start() {
  openMenu(false);
  try {
    const response = await fetch("/openapi.json");
    description = await response.json();
  } catch {
    main.replaceChildren(
      h(
        "p",
        { role: "alert" },
        "The description of the API cannot be loaded. Is the Worker running? Load the page again.",
      ),
    );
    return;
  }
  operations = operationsOf(description);
  fillNavigation();
  addEventListener("hashchange", () => {
    show();
    main.focus({ preventScroll: true });
  });
  show();
}

start();
