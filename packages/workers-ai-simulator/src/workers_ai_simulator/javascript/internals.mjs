// The internals of wrangler, miniflare and workerd on which the simulator relies, and which none of them promises.
// `doctor` checks each through the project's own wrangler, so that it can name the one that a release has changed.
import { createRequire } from "node:module";
import { describeBindings, PLUGIN, PLUGIN_NAME, sectionOf, simulatedBindings } from "./configuration.mjs";
import { Problem } from "./problem.mjs";
import { DerivedConfiguration, readConfiguration } from "./project.mjs";
import { startSimulator } from "./python.mjs";
import { SimulatorClient } from "./testing.mjs";

const CHAT = "@cf/meta/llama-3.1-8b-instruct-fast";
/** Dimensions of the simulator's indexes in this check: a number that no real index has. */
const DIMENSIONS = 11;

/**
 * Kind of a binding → a call of it, a test whether the answer is the simulator's, and a sentence for the case that it
 * is not.
 */
const CALLS = {
  ai: {
    call: async (ai) => (await ai.run(CHAT, { prompt: "Hello" })).response.includes("simulated"),
    broken:
      "the class Ai of workerd's module cloudflare-internal:ai-api does not send calls to its inner binding fetcher",
  },
  vectorize: {
    call: async (index) => (await index.describe()).dimensions === DIMENSIONS,
    broken:
      "the class VectorizeIndexImpl of workerd's module cloudflare-internal:vectorize-api does not call its inner binding fetcher, by version 2, with indexId, indexVersion and useNdJson",
  },
  "ai-search-namespace": {
    call: (namespace, simulator) => wasReached(() => namespace.list(), simulator),
    broken: "a service of the plugin with an entrypoint is not called by RPC",
  },
  "ai-search": {
    call: (instance, simulator) => wasReached(() => instance.stats(), simulator),
    broken: "a service of the plugin with an entrypoint is not called by RPC",
  },
};

/**
 * Internals in the order of their use: a sentence for the case that one has changed, and a test of the facts for
 * that.
 */
const INTERNALS = [
  ["wrangler exports no function experimental_readRawConfig", ({ wrangler }) => !wrangler.experimental_readRawConfig],
  ["wrangler exports no function getPlatformProxy", ({ wrangler }) => !wrangler.getPlatformProxy],
  ["miniflare exports no class ProxyNodeBinding", ({ miniflare }) => !miniflare.ProxyNodeBinding],
  [
    "miniflare does not ask the plugin that unsafe.bindings[].dev.plugin names for its bindings (getBindings)",
    ({ seen }) => seen?.getBindings.length === 0,
  ],
  [
    "miniflare hands getBindings another value than {config: {env: {NAME: {dev: {plugin, options}}}}}",
    ({ seen, names, namesIn }) => seen && !isSame(namesIn(seen.getBindings.at(-1)), names),
  ],
  [
    "miniflare does not ask the plugin for its services (getServices), or hands it another value than {options: …}",
    ({ seen, names, namesIn }) => seen && !isSame(namesIn(seen.getServices.at(-1)?.options), names),
  ],
  ...["ai-api", "vectorize-api"].map((name) => [
    `workerd does not start with a binding that is wrapped by its module cloudflare-internal:${name}`,
    ({ failing }) => failing?.includes(name),
  ]),
  ["wrangler does not start a Worker with the plugin's bindings", ({ failure }) => failure],
  [
    "miniflare does not ask the plugin for what getPlatformProxy returns (getNodeBindings)",
    ({ env, names }) => env && names.some((name) => !env[name]),
  ],
  ...Object.entries(CALLS).map(([kind, { broken }]) => [broken, ({ refused }) => refused?.[kind]]),
];

/** Whether a call of AI Search comes to the simulator, which may refuse it: getPlatformProxy then throws at once. */
async function wasReached(call, simulator) {
  const count = async () => (await simulator.requests({ binding: "AI_SEARCH" })).length;
  const before = await count();
  try {
    await call();
  } catch {
    // no instance is there yet, as in any new simulator
  }
  return (await count()) > before;
}

const isSame = (some, others) => JSON.stringify([...some].sort()) === JSON.stringify([...others].sort());

/**
 * Check all internals. Throws Problem for the first that has changed. Returns the names of the bindings that were
 * called.
 */
export async function checkInternals(path, wrangler, environment) {
  const facts = { environment, wrangler: wrangler.require("wrangler"), miniflare: miniflareOf(wrangler) };
  throwBroken(facts, wrangler);
  const configuration = readConfiguration(path, wrangler);
  const bindings = simulatedBindings(sectionOf(configuration, environment));
  const indexes = bindings.filter(([, { kind }]) => kind === "vectorize").map(([, { index }]) => index);
  const options = indexes.flatMap((index) => ["--index", `${index}:${DIMENSIONS}`]);
  const simulator = await startSimulator(["--port", "0", ...options], { print: () => {} });
  const derived = new DerivedConfiguration(path, wrangler, new URL(simulator.url).host);
  try {
    await start(facts, derived, bindings);
    throwBroken(facts, wrangler);
    await call(facts, bindings, new SimulatorClient(simulator.url));
    throwBroken(facts, wrangler);
    return describeBindings(configuration, environment);
  } finally {
    await facts.proxy?.dispose();
    derived.remove();
    await simulator.stop();
  }
}

function miniflareOf({ version, require }) {
  try {
    return require("miniflare");
  } catch (error) {
    throw new Problem(`The miniflare of wrangler ${version} cannot be loaded: ${error.message.split("\n")[0]}`);
  }
}

/** Start a Worker with the bindings, and note what miniflare asks the plugin. */
async function start(facts, derived, bindings) {
  const { plugins, simulated } = createRequire(import.meta.url)(PLUGIN);
  const names = bindings.map(([name]) => name);
  const [seen, restore] = observed(plugins[PLUGIN_NAME]);
  try {
    facts.proxy = await platformProxy(facts, derived.path);
    facts.env = facts.proxy.env;
  } catch (error) {
    facts.failure = error.message.split("\n")[0];
  } finally {
    restore();
  }
  Object.assign(facts, { seen, names, namesIn: (argument) => simulated(argument).map(([name]) => name) });
  if (facts.failure) facts.failing = await failingModules(facts, derived, bindings);
}

const platformProxy = ({ wrangler, environment }, configPath) =>
  wrangler.getPlatformProxy({ configPath, environment, persist: false });

/** The functions of a plugin, noting what each is given until the second value that is returned is called. */
function observed(plugin) {
  const originals = { ...plugin };
  const seen = { getBindings: [], getNodeBindings: [], getServices: [] };
  for (const name of Object.keys(seen)) {
    plugin[name] = (argument, ...rest) => {
      seen[name].push(argument);
      return originals[name](argument, ...rest);
    };
  }
  return [seen, () => Object.assign(plugin, originals)];
}

/** The modules of workerd that keep it from starting when a binding uses them. */
async function failingModules(facts, derived, bindings) {
  const failing = [];
  for (const [kind, name] of Object.entries({ ai: "ai-api", vectorize: "vectorize-api" })) {
    if (!bindings.some(([, options]) => options.kind === kind)) continue;
    derived.write((configuration) => onlyKind(configuration, facts.environment, kind));
    try {
      await (await platformProxy(facts, derived.path)).dispose();
    } catch {
      failing.push(name);
    }
  }
  return failing;
}

/** The configuration with the bindings of one kind alone, in its environment if there is one. */
function onlyKind(configuration, environment, kind) {
  const { name, compatibility_date } = configuration;
  const { unsafe } = sectionOf(configuration, environment);
  const section = { unsafe: { bindings: unsafe.bindings.filter(({ dev }) => dev?.options?.kind === kind) } };
  return { name, compatibility_date, ...(environment ? { env: { [environment]: section } } : section) };
}

/** Call each binding, and note the kinds of those whose answer is not the simulator's. */
async function call(facts, bindings, simulator) {
  facts.refused = {};
  for (const [name, { kind }] of bindings) {
    try {
      if (!(await CALLS[kind].call(facts.env[name], simulator))) facts.refused[kind] = `env.${name} answered otherwise`;
    } catch (error) {
      facts.refused[kind] = `env.${name}: ${error.message.split("\n")[0]}`;
    }
  }
}

function throwBroken(facts, { version, require }) {
  for (const [what, isBroken] of INTERNALS) {
    const broken = isBroken(facts);
    if (!broken) continue;
    const versions = ["miniflare", "workerd"].map((name) => `${name} ${installedVersion(require, name)}`).join(", ");
    const reason = typeof broken === "string" ? ` (${broken})` : "";
    throw new Problem(`With wrangler ${version} (${versions}), ${what}${reason}.`);
  }
}

function installedVersion(require, name) {
  try {
    const from = name === "workerd" ? createRequire(require.resolve("miniflare")) : require;
    return from(`${name}/package.json`).version;
  } catch {
    return "of unknown version";
  }
}
