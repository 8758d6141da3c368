// Instances of AI Search, and the items in them.

import { attempt, bytesText, counted, element, formatted, h, page, write } from "./elements.js";
import { getJson, send } from "./simulator.js";
import { onView } from "./views.js";

/** Items of a page, as many as the simulator answers. */
const PAGE = 50;

const form = page["search-form"];

let instances = [];
/** `namespace/id` of the instance that is open. */
let opened = "";
let offset = 0;

export async function refreshInstances(signal) {
  instances = await getJson("simulator/ai-search", signal);
  write(page["nav-search"], instances.length ? String(instances.length) : "");
  write(page["search-count"], instances.length ? counted(instances.length, "instance") : "");
  page["search-empty"].hidden = instances.length > 0;
  const rows = instances.map(instanceRow);
  if (page["instance-list"].textContent !== rows.map((row) => row.textContent).join("")) {
    page["instance-list"].replaceChildren(...rows);
  }
  for (const link of page["instance-list"].querySelectorAll("a")) {
    if (link.dataset.name === opened) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function nameOf({ namespace, id }) {
  return `${namespace}/${id}`;
}

function instanceRow(instance) {
  const { items, chunks, states, config } = instance;
  const name = nameOf(instance);
  const methods = Object.entries(config.index_method ?? {}).filter(([, isUsed]) => isUsed);
  const searches = [
    `embedded by ${config.embedding_model}`,
    `chunks of ${formatted(config.chunk_size)} tokens`,
    `search by ${methods.map(([method]) => method).join(" and ") || "nothing"}`,
    config.reranking && "reranked",
  ];
  const stateTexts = Object.entries(states).map(([state, count]) => `${formatted(count)} ${state}`);
  return h(
    "li",
    null,
    h("a", { href: `#search/${encodeURIComponent(name)}`, "data-name": name }, name),
    element("p", [counted(items, "item"), counted(chunks, "chunk"), ...stateTexts].join(" · ")),
    element("p", searches.filter(Boolean).join(" · "), "hint"),
  );
}

async function openInstance(name) {
  opened = name;
  offset = 0;
  await refreshInstances();
  if (opened !== name) return; // another one has been opened meanwhile
  const isThere = instances.some((each) => nameOf(each) === name);
  page.instance.hidden = !isThere;
  if (!isThere) return;
  write(page["instance-title"], name);
  page.chunks.replaceChildren();
  write(form.querySelector(".outcome"), "");
  await showPage();
}

function pathOf(rest) {
  return `simulator/ai-search/${opened.split("/").map(encodeURIComponent).join("/")}/${rest}`;
}

async function showPage() {
  const [name, from] = [opened, offset];
  const { total, items } = await getJson(pathOf(`items?offset=${from}`));
  if (name !== opened || from !== offset) return; // another page has been asked for meanwhile
  page.items.replaceChildren(...items.map(itemRow));
  write(page["items-count"], total ? `${formatted(items.length)} of ${formatted(total)}, by their keys` : "none");
  page["items-first"].disabled = offset === 0;
  page["items-next"].disabled = offset + items.length >= total;
}

function itemRow({ key, status, error, file_size, chunks_count, metadata }) {
  const facts = [status, error, bytesText(file_size), chunks_count === null ? "" : counted(chunks_count, "chunk")];
  return h(
    "li",
    null,
    h("p", null, element("code", key)),
    element("p", facts.filter(Boolean).join(" · ")),
    element("p", JSON.stringify(metadata), "code hint"),
  );
}

async function search() {
  const { query } = Object.fromEntries(new FormData(form));
  const { chunks } = await send("POST", pathOf("search"), { query });
  page.chunks.replaceChildren(
    ...chunks.map(({ text, score, item }) =>
      h(
        "li",
        null,
        h("p", { class: "spread" }, element("code", item.key), element("span", `score ${formatted(score)}`, "hint")),
        element("p", text, "passage"),
      ),
    ),
  );
  return counted(chunks.length, "chunk");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(form.querySelector(".outcome"), search);
});
page["items-first"].addEventListener("click", () => {
  offset = 0;
  attempt(page["items-count"], showPage);
});
page["items-next"].addEventListener("click", () => {
  offset += PAGE;
  attempt(page["items-count"], showPage);
});
onView("search", (name) => attempt(page["search-count"], () => openInstance(name)));
