// Miniflare plugin that gives a Worker the production classes `Ai` and `VectorizeIndexImpl`, and AI Search by RPC as in
// production, and sends their calls to the simulator over HTTP. A Worker in front of the simulator answers the RPC
// calls of the class `Ai`. A wrangler configuration names it for each binding;
// "package" may be the path of this file:
//
//   "unsafe": { "bindings": [{ "name": "AI", "type": "simulated", "dev": {
//     "plugin": { "package": "workers-ai-simulator", "name": "workers-ai-simulator" },
//     "options": { "kind": "ai", "address": "127.0.0.1:8788" } } }] }
//
// The kind "vectorize" also takes "index", the name of the index; "ai-search-namespace" takes "namespace"; "ai-search" takes
// "instance", and "namespace" unless that is "default".
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");

/** Packages that bring a miniflare along. */
const USERS = ["wrangler", "@cloudflare/vitest-plugin", "@cloudflare/vitest-pool-workers", "@cloudflare/vite-plugin"];
/** Path of miniflare's main module. */
const MINIFLARE = /[\\/]miniflare[\\/]dist[\\/]src[\\/]index\.js$/;
const MAIN = findMiniflare();
const { ProxyNodeBinding } = require(MAIN);

const NAME = "workers-ai-simulator";
const MODULES = { ai: "cloudflare-internal:ai-api", vectorize: "cloudflare-internal:vectorize-api" };
/** Kind → the class that is bound, or called by the one that is bound, and the folder of its binding_worker.mjs. */
const ENTRYPOINTS = {
  ai: ["Ai", "inference"],
  "ai-search-namespace": ["AiSearchNamespace", "ai_search"],
  "ai-search": ["AiSearchInstance", "ai_search"],
};
/**
 * Compatibility date of the classes that are called by RPC: from 2026-04-21 on, errors keep their names. workerd refuses
 * dates after its own, and an older one calls them without.
 */
const DATE = ["2026-04-21", workerdDate()].sort()[0];

/**
 * Names of the simulated bindings with their options. An older miniflare, such as wrangler 4.60's, hands a plugin a list of
 * its bindings; a newer one the Worker's whole configuration.
 */
function simulated(argument) {
  if (!argument?.config) return (Array.isArray(argument) ? argument : []).map(({ name, options }) => [name, options]);
  return Object.entries(argument.config.env ?? {})
    .filter(([, binding]) => binding?.dev?.plugin?.name === NAME)
    .map(([name, { dev }]) => [name, dev.options]);
}

/**
 * Path of the miniflare that loads this file, if one is loaded: it accepts only its own classes. Else one that is found
 * elsewhere, which need not be visible from here: this file may be part of a Python package, and pnpm shows a package
 * only its own dependencies.
 */
function findMiniflare() {
  const loaded = Object.values(require.cache).find((module) => MINIFLARE.test(module?.filename ?? ""));
  if (loaded?.exports.ProxyNodeBinding) return loaded.filename;
  const places = [process.argv[1], __filename, join(process.cwd(), "package.json")].filter(Boolean);
  for (const place of places) {
    for (const by of [[], ...USERS.map((name) => [name])]) {
      try {
        const from = by.reduce((each, name) => createRequire(each.resolve(name)), createRequire(place));
        return from.resolve("miniflare");
      } catch (error) {
        if (!["MODULE_NOT_FOUND", "ERR_PACKAGE_PATH_NOT_EXPORTED"].includes(error.code)) throw error;
      }
    }
  }
  throw new Error(`No miniflare is found from ${places.join(", ")}. Install wrangler in the project.`);
}

/** The newest compatibility date that miniflare's workerd accepts; an old one if there is no workerd to ask. */
function workerdDate() {
  try {
    return createRequire(MAIN)("workerd").compatibilityDate;
  } catch {
    return "2025-01-01";
  }
}

const serviceName = (binding) => `${NAME}:${binding}`;
const workerName = (binding) => `${NAME}:worker:${binding}`;

/** Bindings that VectorizeIndexImpl reads beside its fetcher: the index, and version 2 of its protocol. */
const indexBindings = ({ index }) => [
  { name: "indexId", text: index },
  { name: "indexVersion", text: "v2" },
  { name: "useNdJson", json: "true" },
];

/** Header with the name of the index, which the class itself does not send. */
const headers = ({ index }) => (index ? [{ name: "x-simulator-index", value: index }] : []);

/** The service that a binding calls: the simulator, or the class in front of it where it is called by RPC. */
const called = (name, kind) =>
  kind in ENTRYPOINTS ? { name: workerName(name), entrypoint: ENTRYPOINTS[kind][0] } : { name: serviceName(name) };

const binding = (name, { kind, ...options }) => {
  const service = called(name, kind);
  if (!(kind in MODULES)) return { name, service };
  const innerBindings = [{ name: "fetcher", service }, ...(kind === "vectorize" ? indexBindings(options) : [])];
  return { name, wrapped: { moduleName: MODULES[kind], innerBindings } };
};

/** The service with the classes that are called by RPC. */
const rpcWorker = (name, { kind, namespace = "default", instance = "" }) => ({
  name: workerName(name),
  worker: {
    compatibilityDate: DATE,
    modules: [
      {
        name: "index.mjs",
        esModule: readFileSync(join(__dirname, ENTRYPOINTS[kind][1], "binding_worker.mjs"), "utf8"),
      },
    ],
    bindings: [
      { name: "SIMULATOR", service: { name: serviceName(name) } },
      { name: "NAMESPACE", text: namespace },
      { name: "INSTANCE", text: instance },
    ],
  },
});

exports.simulated = simulated;
exports.plugins = {
  [NAME]: {
    async getBindings(argument) {
      return simulated(argument).map(([name, options]) => binding(name, options));
    },
    getNodeBindings(argument) {
      return Object.fromEntries(simulated(argument).map(([name]) => [name, new ProxyNodeBinding()]));
    },
    async getServices({ options: argument }) {
      return simulated(argument).flatMap(([name, options]) => [
        {
          name: serviceName(name),
          external: { address: options.address, http: { injectRequestHeaders: headers(options) } },
        },
        ...(options.kind in ENTRYPOINTS ? [rpcWorker(name, options)] : []),
      ]);
    },
  },
};
