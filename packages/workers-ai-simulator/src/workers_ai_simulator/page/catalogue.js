// The parts of the page that do not change: models, fidelity, and how to connect clients.

import { breakable, cloned, counted, element, formatted, modelName, page, snippet, write } from "./elements.js";

const LEVELS = { simulated: "simulated", approximated: "approximated", absent: "not simulated" };
const MODEL = "@cf/meta/llama-3.1-8b-instruct-fast";

// ---- models -----------------------------------------------------------------------------------

/** Models with their rows, and the texts that are searched. */
let rows = [];

export function showModels(models) {
  if (JSON.stringify(models) === JSON.stringify(rows.map(({ model }) => model))) return;
  rows = models.map((model) => ({ model, root: modelRow(model), text: searchable(model) }));
  const tasks = Map.groupBy(rows, ({ model }) => model.task);
  const largestFirst = [...tasks].sort(([, first], [, second]) => second.length - first.length);
  page["model-groups"].replaceChildren(...largestFirst.map(([task, members]) => group(task, members)));
  write(page["nav-models"], String(models.length));
  search();
}

function group(task, members) {
  const root = cloned("group-template");
  const deprecatedLast = members.toSorted((first, second) => first.model.deprecated - second.model.deprecated);
  root.querySelector(".task").textContent = taskName(task);
  root.querySelector("tbody").append(...deprecatedLast.map((row) => row.root));
  return root;
}

function modelRow(model) {
  const root = element("tr", "");
  const name = element("td", "", "name");
  const id = element("span", "", "model");
  id.append(...modelName(model.id));
  name.append(id, ...chips(model));
  root.append(
    name,
    cell("Context", contextText(model)),
    cell("Neurons", priceText(model.price)),
    cell("Per minute", formatted(model.rate_limit_per_minute)),
  );
  return root;
}

function cell(label, text) {
  const created = element("td", text || "–", "number");
  created.dataset.label = label;
  return created;
}

function chips({ abilities, dialect, dimensions, deprecated, simulated }) {
  return [
    ...abilities.map((ability) => element("span", ability, "chip")),
    dimensions && element("span", `${formatted(dimensions)} dimensions`, "chip"),
    dialect === "openai" && element("span", "OpenAI dialect", "chip"),
    deprecated && element("span", "deprecated", "chip warning"),
    !simulated && element("span", "not simulated", "chip warning"),
  ].filter(Boolean);
}

function contextText({ context_window, max_input_tokens }) {
  const tokens = context_window ?? max_input_tokens;
  return tokens ? formatted(tokens) : "";
}

function priceText(price) {
  const { neurons_per_m_input_tokens: tokensIn, neurons_per_m_output_tokens: tokensOut, ...others } = price;
  const parts = Object.entries(others).filter(([name, neurons]) => neurons && !name.includes("cached"));
  return [
    tokensIn && `${formatted(tokensIn)} in`,
    tokensOut && `${formatted(tokensOut)} out`,
    ...parts.map(([name, neurons]) => `${formatted(neurons)} ${unit(name)}`),
  ]
    .filter(Boolean)
    .join(", ");
}

/** `neurons_per_audio_minute` → “per audio minute”. */
function unit(name) {
  return name.replace("neurons_", "").replaceAll("_", " ").replace("per m ", "per million ");
}

function taskName(task) {
  const words = task.replaceAll("-", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function searchable({ id, task, abilities, dialect, deprecated }) {
  const words = [id, task, taskName(task), ...abilities, dialect, deprecated ? "deprecated" : ""];
  return words.join(" ").toLowerCase();
}

/** Filter the models by the words in the search field. Groups with matches are open; without words, all are closed. */
function search() {
  const words = page["model-search"].value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { root, text } of rows) root.hidden = !words.every((word) => text.includes(word));
  for (const each of page["model-groups"].children) {
    const matches = each.querySelectorAll("tbody tr:not([hidden])").length;
    each.hidden = matches === 0;
    each.open = words.length > 0 && matches > 0;
    write(each.querySelector(".hint"), String(matches));
  }
  const matches = rows.filter(({ root }) => !root.hidden).length;
  const all = counted(rows.length, "model");
  write(page["models-count"], matches === rows.length ? all : `${matches} of ${all}`);
}

// ---- fidelity ---------------------------------------------------------------------------------

export function showFidelity(parts) {
  page["fidelity-rows"].replaceChildren(...parts.map(fidelityRow));
}

function fidelityRow({ part, level, answer, faithful, approximated }) {
  const root = element("tr", "");
  const name = element("th", part);
  name.scope = "row";
  const badge = element("span", LEVELS[level], "badge");
  badge.dataset.level = level;
  name.append(badge);
  root.append(name);
  for (const [label, text] of Object.entries({
    Answer: answer,
    "True to upstream": faithful,
    Approximated: approximated,
  })) {
    const data = element("td", text);
    data.dataset.label = label;
    root.append(data);
  }
  return root;
}

// ---- clients ----------------------------------------------------------------------------------

/** Show how to connect clients to the simulator at that address, such as http://127.0.0.1:8788. */
export function showClients(address) {
  const api = `${address}/client/v4`;
  const binding = {
    name: "AI",
    type: "simulated",
    dev: {
      plugin: { package: "…/workers_ai_simulator/miniflare_plugin.cjs", name: "workers-ai-simulator" },
      options: { kind: "ai", address: address.replace(/^https?:\/\//, "") },
    },
  };
  const texts = {
    curl: [
      `curl ${api}/accounts/any/ai/run/${MODEL} \\`,
      "  -H 'Authorization: Bearer any' \\",
      `  -d '{"prompt": "What is a Worker?"}'`,
    ].join("\n"),
    wrangler: [
      `export CLOUDFLARE_API_BASE_URL=${api}`,
      "export CLOUDFLARE_API_TOKEN=any",
      "export CLOUDFLARE_ACCOUNT_ID=any",
    ].join("\n"),
    "OpenAI clients": [`export OPENAI_BASE_URL=${api}/accounts/any/ai/v1`, "export OPENAI_API_KEY=any"].join("\n"),
    "env.AI in wrangler.jsonc": `"unsafe": { "bindings": [${JSON.stringify(binding, null, 2)}] }`,
  };
  page.snippets.replaceChildren(...Object.entries(texts).map(([title, text]) => snippet(title, text)));
  for (const each of page.snippets.querySelectorAll("pre")) each.replaceChildren(...breakable(each.textContent));
}

page["model-search"].addEventListener("input", search);
