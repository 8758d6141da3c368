// Miniflare plugin that gives a Worker the production classes `Ai` and `VectorizeIndexImpl`, and sends their calls to
// the simulator over HTTP. A wrangler configuration names it for each binding; "package" may be the path of this file:
//
//   "unsafe": { "bindings": [{ "name": "AI", "type": "simulated", "dev": {
//     "plugin": { "package": "workers-ai-simulator", "name": "workers-ai-simulator" },
//     "options": { "kind": "ai", "address": "127.0.0.1:8788" } } }] }
//
// The kind "vectorize" also takes "index", the name of the index.
const { ProxyNodeBinding } = require("miniflare");

const NAME = "workers-ai-simulator";
const MODULES = { ai: "cloudflare-internal:ai-api", vectorize: "cloudflare-internal:vectorize-api" };

const simulated = (config) =>
  Object.entries(config.env ?? {}).filter(([, binding]) => binding?.dev?.plugin?.name === NAME);
const serviceName = (binding) => `${NAME}:${binding}`;

/** Bindings that VectorizeIndexImpl reads beside its fetcher: the index, and version 2 of its protocol. */
const indexBindings = ({ index }) => [
  { name: "indexId", text: index },
  { name: "indexVersion", text: "v2" },
  { name: "useNdJson", json: "true" },
];

/** Header with the name of the index, which the class itself does not send. */
const headers = ({ index }) => (index ? [{ name: "x-simulator-index", value: index }] : []);

exports.plugins = {
  [NAME]: {
    async getBindings({ config }) {
      return simulated(config).map(([name, { dev }]) => ({
        name,
        wrapped: {
          moduleName: MODULES[dev.options.kind],
          innerBindings: [
            { name: "fetcher", service: { name: serviceName(name) } },
            ...(dev.options.kind === "vectorize" ? indexBindings(dev.options) : []),
          ],
        },
      }));
    },
    getNodeBindings({ config }) {
      return Object.fromEntries(simulated(config).map(([name]) => [name, new ProxyNodeBinding()]));
    },
    async getServices({ options: { config } }) {
      return simulated(config).map(([name, { dev }]) => ({
        name: serviceName(name),
        external: { address: dev.options.address, http: { injectRequestHeaders: headers(dev.options) } },
      }));
    },
  },
};
