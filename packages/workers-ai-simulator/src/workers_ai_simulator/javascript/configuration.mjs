// Wrangler configurations: the bindings that the simulator answers, in place of those of an account.
import { fileURLToPath } from "node:url";

export const PLUGIN_NAME = "workers-ai-simulator";
/** Absolute path of the Miniflare plugin. */
export const PLUGIN = fileURLToPath(new URL("../miniflare_plugin.cjs", import.meta.url));

/** Keys that an environment does not inherit, and must therefore contain (Cloudflare's documentation of wrangler). */
const NOT_INHERITED = [
  "define",
  "vars",
  "durable_objects",
  "workflows",
  "kv_namespaces",
  "queues",
  "r2_buckets",
  "d1_databases",
  "hyperdrive",
  "services",
  "analytics_engine_datasets",
  "browser",
  "images",
  "version_metadata",
  "send_email",
  "dispatch_namespaces",
  "mtls_certificates",
  "tail_consumers",
  "pipelines",
  "secrets_store_secrets",
  "ratelimits",
  "worker_loaders",
  "containers",
];
const SIMULATED = ["ai", "vectorize", "ai_search_namespaces", "ai_search"];

/** Options of the plugin for each simulated binding of a section, by the binding's name. */
export function simulatedBindings({
  ai,
  vectorize = [],
  ai_search_namespaces: namespaces = [],
  ai_search: instances = [],
}) {
  return [
    ...(ai ? [[ai.binding, { kind: "ai" }]] : []),
    ...vectorize.map((each) => [each.binding, { kind: "vectorize", index: each.index_name }]),
    ...namespaces.map((each) => [each.binding, { kind: "ai-search-namespace", namespace: each.namespace }]),
    ...instances.map((each) => [each.binding, { kind: "ai-search", instance: each.instance_name }]),
  ];
}

/** Section that is a list of bindings → field in which a binding names its resource. */
const LISTS = { vectorize: "index_name", ai_search_namespaces: "namespace", ai_search: "instance_name" };

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** A sentence about the first invalid field among those that are read here; undefined if all are valid. */
export function wrongField(configuration) {
  if (!isObject(configuration)) return "it must be an object";
  const { env } = configuration;
  if (env !== undefined && !isObject(env)) return "env must be an object";
  const sections = [["", configuration], ...Object.entries(env ?? {}).map(([name, each]) => [`env.${name}`, each])];
  return sections.map(([name, section]) => wrongIn(section, name)).find(Boolean);
}

function wrongIn(section, name) {
  if (!isObject(section)) return `${name} must be an object`;
  const prefix = name && `${name}.`;
  if (section.ai !== undefined && typeof section.ai?.binding !== "string")
    return `${prefix}ai must be an object with the name of a binding: {"binding": "AI"}`;
  for (const [list, field] of Object.entries(LISTS)) {
    const bindings = section[list] ?? (section[list] === null ? {} : []);
    const isWrong = (each) => typeof each?.binding !== "string" || typeof each[field] !== "string";
    if (!Array.isArray(bindings) || bindings.some(isWrong))
      return `${prefix}${list} must be a list of objects: [{"binding": "NAME", "${field}": "name"}]`;
  }
  const { unsafe } = section;
  if (unsafe !== undefined && !isObject(unsafe)) return `${prefix}unsafe must be an object`;
  if (unsafe?.bindings !== undefined && !(Array.isArray(unsafe.bindings) && unsafe.bindings.every(isObject)))
    return `${prefix}unsafe.bindings must be a list of objects`;
  return undefined;
}

function unsafeBinding([name, options], address, plugin) {
  const dev = { plugin: { package: plugin, name: PLUGIN_NAME }, options: { ...options, address } };
  return { name, type: "simulated", dev };
}

/** A section of a configuration with the simulator's bindings in place of its own. */
function simulatedSection(section, address, plugin) {
  const bindings = simulatedBindings(section).map((each) => unsafeBinding(each, address, plugin));
  if (bindings.length === 0) return section;
  const others = Object.fromEntries(Object.entries(section).filter(([name]) => !SIMULATED.includes(name)));
  const unsafe = section.unsafe ?? {};
  return { ...others, unsafe: { ...unsafe, bindings: [...(unsafe.bindings ?? []), ...bindings] } };
}

/** The configuration, and each of its environments, with the bindings of the simulator at that address (host:port). */
export function withSimulator(configuration, address, plugin = PLUGIN) {
  const simulated = simulatedSection(configuration, address, plugin);
  if (!configuration.env) return simulated;
  const environments = Object.entries(configuration.env).map(([name, section]) => [
    name,
    simulatedSection(section, address, plugin),
  ]);
  return { ...simulated, env: Object.fromEntries(environments) };
}

/** The part of a configuration with the bindings of an environment; of the top level without one. */
export const sectionOf = (configuration, environment) =>
  environment ? (configuration.env?.[environment] ?? {}) : configuration;

/** Names of the simulated bindings of the configuration, or of one of its environments, each with its kind. */
export function describeBindings(configuration, environment) {
  return simulatedBindings(sectionOf(configuration, environment)).map(
    ([name, { kind, index, namespace, instance }]) => {
      const of = index ?? namespace ?? instance;
      return of ? `${name} (${kind} ${of})` : name;
    },
  );
}

/** The sentence for a configuration, or an environment of it, without a binding to simulate: where there are some. */
export function noBinding(path, configuration, environment) {
  const names = Object.keys(configuration.env ?? {});
  if (environment && !names.includes(environment))
    return `${path} has no environment "${environment}", but ${names.join(", ") || "none at all"}.`;
  const others = names.filter((each) => describeBindings(configuration, each).length > 0);
  const hints = [
    others.length > 0 ? `--env takes those of an environment: ${others.join(", ")}.` : "",
    environment && describeBindings(configuration).length > 0 ? "An environment does not inherit the top level's." : "",
  ].filter(Boolean);
  const where = environment ? `The environment "${environment}" of ${path}` : path;
  return [`${where} has no binding to simulate: ${SIMULATED.join(", ")}.`, ...hints].join(" ");
}

/** An environment for wrangler's `--env`: the bindings of the configuration, with the simulator's among them. */
export function simulatedEnvironment(configuration, address, plugin) {
  const section = simulatedSection(configuration, address, plugin);
  const kept = NOT_INHERITED.filter((name) => name in section).map((name) => [name, section[name]]);
  return { ...Object.fromEntries(kept), unsafe: section.unsafe };
}
