// Indexes of Vectorize, and the vectors in them.

import { attempt, counted, element, formatted, h, page, setOptions, snippet, write } from "./elements.js";
import { indented, parsed } from "./json_text.js";
import { lastModelOf } from "./requests.js";
import { getJson, send } from "./simulator.js";
import { isShown, onView } from "./views.js";

/** Milliseconds until the list is loaded again while writes are pending. */
const PENDING_PAUSE = 1500;

const form = page["query-form"];

let indexes = [];
/** Models of embeddings. */
let models = [];
/** Name of the index that is open. */
let opened = "";
let cursor = "";
let timer = null;

export function rememberModels(all) {
  models = all.filter(({ task }) => task === "embeddings");
}

/** Load the indexes, and again as long as writes are pending. */
export async function refreshIndexes(signal) {
  indexes = await getJson("simulator/indexes", signal);
  showList();
  clearTimeout(timer);
  if (isShown("indexes") && indexes.some(({ pending }) => pending)) {
    timer = setTimeout(() => attempt(page["indexes-count"], refreshIndexes), PENDING_PAUSE);
  }
}

function showList() {
  write(page["nav-indexes"], indexes.length ? String(indexes.length) : "");
  write(page["indexes-count"], indexes.length ? counted(indexes.length, "index", "indexes") : "");
  page["indexes-empty"].hidden = indexes.length > 0;
  const rows = indexes.map(indexRow);
  if (page["index-list"].textContent !== rows.map((row) => row.textContent).join("")) {
    page["index-list"].replaceChildren(...rows);
  }
  markOpened();
}

function indexRow({ name, dimensions, metric, vectors, pending, metadata_indexes, description }) {
  const properties = Object.entries(metadata_indexes).map(([property, type]) => `${property} (${type})`);
  const facts = [
    counted(vectors, "vector"),
    counted(dimensions, "dimension"),
    metric,
    pending ? `${counted(pending, "write")} not applied yet` : "",
    description,
  ];
  return h(
    "li",
    { "data-name": name },
    h("a", { href: `#indexes/${encodeURIComponent(name)}` }, name),
    element("p", facts.filter(Boolean).join(" · ")),
    element("p", properties.length ? `Metadata indexes: ${properties.join(", ")}` : "No metadata index", "hint"),
  );
}

function markOpened() {
  for (const row of page["index-list"].children) {
    const link = row.querySelector("a");
    if (row.dataset.name === opened) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

// ---- one index --------------------------------------------------------------------------------

async function openIndex(name) {
  opened = name;
  cursor = "";
  await refreshIndexes();
  if (opened !== name) return; // another one has been opened meanwhile
  const index = indexes.find((each) => each.name === name);
  page.index.hidden = !index;
  if (!index) return;
  write(page["index-title"], name);
  page.matches.replaceChildren();
  write(form.querySelector(".outcome"), "");
  const fitting = models.filter(({ dimensions }) => dimensions === index.dimensions).map(({ id }) => id);
  setOptions(
    form.elements.model,
    fitting.map((id) => [id, id]),
  );
  form.elements.model.value = lastModelOf(fitting) ?? fitting[0] ?? "";
  form.hidden = fitting.length === 0;
  write(
    page["query-none"],
    fitting.length
      ? "Each model's vectors are a space of their own: choose the model that made those of the index."
      : `No model of embeddings has ${formatted(index.dimensions)} dimensions: a text cannot be compared with these vectors.`,
  );
  await showPage();
}

async function showPage() {
  const [name, from] = [opened, cursor];
  const path = `simulator/indexes/${encodeURIComponent(name)}/vectors`;
  const { vectors, totalCount, nextCursor = "" } = await getJson(`${path}?cursor=${encodeURIComponent(from)}`);
  if (name !== opened || from !== cursor) return; // another page has been asked for meanwhile
  page.vectors.replaceChildren(...vectors.map((vector) => vectorRow(vector)));
  write(
    page["vectors-count"],
    totalCount ? `${formatted(vectors.length)} of ${formatted(totalCount)}, by their ids` : "none",
  );
  page["vectors-first"].disabled = cursor === "";
  page["vectors-next"].disabled = nextCursor === "";
  page["vectors-next"].dataset.cursor = nextCursor;
}

function vectorRow({ id, namespace, metadata, values, score }) {
  const outcome = h("p", { class: "outcome" });
  const whole = smallButton("Whole vector", `Whole vector ${id}`, () =>
    attempt(outcome, () => showWhole(row, whole, id)),
  );
  const nearest = smallButton("Nearest", `Nearest to ${id}`, () =>
    attempt(form.querySelector(".outcome"), () => query({ vectorId: id })),
  );
  const numbers = values && `${values.map((each) => each.toFixed(4)).join(", ")}, …`;
  const row = h(
    "li",
    null,
    h(
      "div",
      { class: "spread" },
      element("code", id),
      score !== undefined && element("span", `score ${formatted(score)}`, "hint"),
      h("div", { class: "buttons" }, outcome, whole, nearest),
    ),
    metadata && element("p", JSON.stringify(metadata), "code"),
    element("p", [namespace && `namespace ${namespace}`, numbers].filter(Boolean).join(" · "), "hint"),
  );
  return row;
}

function smallButton(text, label, onclick) {
  return h("button", { type: "button", class: "quiet small", "aria-label": label, onclick }, text);
}

async function showWhole(row, button, id) {
  const path = `simulator/indexes/${encodeURIComponent(opened)}/vectors?id=${encodeURIComponent(id)}`;
  const [vector] = await getJson(path);
  const shown = indented({ ...vector, values: `[${vector.values.join(", ")}]` });
  button.remove();
  row.append(snippet(`Vector ${id}`, indented(vector), shown));
}

// ---- queries ----------------------------------------------------------------------------------

async function query(target) {
  const { topK, namespace, filter } = Object.fromEntries(new FormData(form));
  const body = { ...target, topK: Number(topK) };
  if (namespace) body.namespace = namespace;
  if (filter) {
    body.filter = parsed(filter);
    if (body.filter === undefined) throw new Error('The filter must be JSON, such as {"language": "en"}.');
  }
  const { matches } = await send("POST", `simulator/indexes/${encodeURIComponent(opened)}/query`, body);
  page.matches.replaceChildren(...matches.map((match) => vectorRow(match)));
  form.scrollIntoView({ block: "nearest" });
  const count = counted(matches.length, "match", "matches");
  return target.vectorId ? `${count}, nearest to ${target.vectorId}` : count;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { text, model } = Object.fromEntries(new FormData(form));
  attempt(form.querySelector(".outcome"), () => query({ text, model }));
});
page["vectors-first"].addEventListener("click", () => {
  cursor = "";
  attempt(page["vectors-count"], showPage);
});
page["vectors-next"].addEventListener("click", () => {
  cursor = page["vectors-next"].dataset.cursor;
  attempt(page["vectors-count"], showPage);
});
onView("indexes", (name) => attempt(page["indexes-count"], () => openIndex(name)));
