// Facts about the Worker behind the page, and values that this browser stores.

import { getJson } from "./api.js";

/** Filled by `connect`. */
export const worker = {
  health: null,
  /** Routes of /openapi.json, as "POST /chat". */
  routes: new Set(),
  description: null,
  models: [],
  /** The model of a chat that names none. */
  defaultModel: "",
};

/** Read the Worker's state, its routes and its models. Throws the errors of `request`. */
export async function connect() {
  worker.health = await getJson("/health");
  if (problem()) return;
  const [description, catalogue] = await Promise.all([getJson("/openapi.json"), getJson("/models")]);
  worker.description = description;
  const routes = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  worker.routes = new Set(routes);
  worker.models = catalogue.models;
  worker.defaultModel = catalogue.default;
}

/** Why nothing can be done with this Worker, or null. */
export function problem() {
  const { access, bindings } = worker.health;
  if (access === "closed")
    return (
      "This Worker is closed: it has no keys yet. Create one with scripts/keys new and upload it with scripts/keys push. " +
      'To serve everybody instead, at your cost, set the variable AUTH_MODE to "public" in wrangler.jsonc and deploy again.'
    );
  if (!bindings.AI)
    return "This Worker has no models: its binding AI is missing. Add it in wrangler.jsonc (see README.md) and deploy again.";
  return null;
}

export const isSimulated = () => worker.health?.simulated.includes("AI") ?? false;

/** The real model that generates text behind the simulator, as "llama3.2 by Ollama"; "" if there is none. */
export const realModel = () => worker.health?.real_models?.["text-generation"] ?? "";

export const modelsFor = (task) => worker.models.filter((model) => model.task === task);

export const modelOf = (id) => worker.models.find((model) => model.id === id);

/** Neurons that a chat has cost by its model's price; null where the price or the usage is unknown. */
export function neuronsOf(modelId, usage) {
  const price = modelOf(modelId)?.price?.neurons_per;
  if (!price || !usage || price.million_input_tokens === undefined) return null;
  const output = price.million_output_tokens ?? 0;
  return (usage.prompt_tokens * price.million_input_tokens + (usage.completion_tokens ?? 0) * output) / 1e6;
}

// ---- what this browser remembers ---------------------------------------------------------------

/** Read JSON from a storage; the default if there is none, or if the browser does not let pages store anything. */
export function remembered(name, otherwise, storage = "localStorage") {
  try {
    return JSON.parse(globalThis[storage].getItem(`aiworker-${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Write JSON to a storage, or remove it for undefined. A full or a forbidden storage is left alone. */
export function remember(name, value, storage = "localStorage") {
  try {
    if (value === undefined) globalThis[storage].removeItem(`aiworker-${name}`);
    else globalThis[storage].setItem(`aiworker-${name}`, JSON.stringify(value));
  } catch {
    // the page works as well without it
  }
}
