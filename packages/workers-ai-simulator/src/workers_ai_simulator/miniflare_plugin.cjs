// Miniflare plugin that gives a Worker the production classes `Ai` and `VectorizeIndexImpl`, and AI Search by RPC as in
// production, and sends their calls to the simulator over HTTP. A wrangler configuration names it for each binding;
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

const { ProxyNodeBinding } = requireMiniflare();

const NAME = "workers-ai-simulator";
const MODULES = { ai: "cloudflare-internal:ai-api", vectorize: "cloudflare-internal:vectorize-api" };
/** Kind → the class of ai_search/binding_worker.mjs that is bound. */
const ENTRYPOINTS = { "ai-search-namespace": "AiSearchNamespace", "ai-search": "AiSearchInstance" };

/**
 * Names of the simulated bindings with their options. Until 2026, miniflare hands a plugin a list of its bindings; since
 * then the Worker's whole configuration.
 */
function simulated(given) {
  if (!given?.config) return (given ?? []).map(({ name, options }) => [name, options]);
  return Object.entries(given.config.env ?? {})
    .filter(([, binding]) => binding?.dev?.plugin?.name === NAME)
    .map(([name, { dev }]) => [name, dev.options]);
}

/**
 * The miniflare of whoever has loaded this file. It need not be visible from here: this file may lie in a Python package,
 * and pnpm shows a package its own dependencies only.
 */
function requireMiniflare() {
  const places = [process.argv[1], __filename, join(process.cwd(), "package.json")].filter(Boolean);
  for (const place of places) {
    for (const by of [[], ["wrangler"], ["@cloudflare/vitest-plugin"], ["@cloudflare/vite-plugin"]]) {
      try {
        return by.reduce((from, name) => createRequire(from.resolve(name)), createRequire(place))("miniflare");
      } catch (error) {
        if (!["MODULE_NOT_FOUND", "ERR_PACKAGE_PATH_NOT_EXPORTED"].includes(error.code)) throw error;
      }
    }
  }
  throw new Error(`No miniflare is found from ${places.join(", ")}. Install wrangler in the project.`);
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

const wrapped = (name, { kind, ...options }) => ({
  name,
  wrapped: {
    moduleName: MODULES[kind],
    innerBindings: [
      { name: "fetcher", service: { name: serviceName(name) } },
      ...(kind === "vectorize" ? indexBindings(options) : []),
    ],
  },
});

const byRpc = (name, { kind }) => ({ name, service: { name: workerName(name), entrypoint: ENTRYPOINTS[kind] } });

/** The service with the classes of AI Search. */
const searchWorker = (name, { namespace = "default", instance = "" }) => ({
  name: workerName(name),
  worker: {
    compatibilityDate: "2026-11-01",
    modules: [
      { name: "index.mjs", esModule: readFileSync(join(__dirname, "ai_search", "binding_worker.mjs"), "utf8") },
    ],
    bindings: [
      { name: "SIMULATOR", service: { name: serviceName(name) } },
      { name: "NAMESPACE", text: namespace },
      { name: "INSTANCE", text: instance },
    ],
  },
});

exports.plugins = {
  [NAME]: {
    async getBindings(given) {
      return simulated(given).map(([name, options]) =>
        options.kind in ENTRYPOINTS ? byRpc(name, options) : wrapped(name, options),
      );
    },
    getNodeBindings(given) {
      return Object.fromEntries(simulated(given).map(([name]) => [name, new ProxyNodeBinding()]));
    },
    async getServices({ options: given }) {
      return simulated(given).flatMap(([name, options]) => [
        {
          name: serviceName(name),
          external: { address: options.address, http: { injectRequestHeaders: headers(options) } },
        },
        ...(options.kind in ENTRYPOINTS ? [searchWorker(name, options)] : []),
      ]);
    },
  },
};
