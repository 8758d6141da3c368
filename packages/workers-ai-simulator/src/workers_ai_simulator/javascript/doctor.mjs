// `workers-ai-simulator doctor`: what a project lacks, one sentence each, and a call through its own wrangler as proof.
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { describeBindings } from "./configuration.mjs";
import { Problem } from "./problem.mjs";
import { DerivedConfiguration, findConfiguration, findWrangler, readConfiguration } from "./project.mjs";
import { simulatorCommand, startSimulator, VERSION } from "./python.mjs";

/** Run `doctor`. Returns the exit status: 0 if all is well. */
export async function doctor(args) {
  const at = args.findIndex((each) => each === "--config" || each === "-c");
  const results = [];
  for await (const { ok, text } of checks(at >= 0 ? args[at + 1] : undefined)) {
    console.log(`${ok ? "ok   " : "WRONG"} ${text}`);
    results.push(ok);
  }
  return results.every(Boolean) ? 0 : 1;
}

/** The outcome of a check as `{ok, text}`, and as `value` what it found. */
async function outcome(check) {
  try {
    const [text, value] = await check();
    return { ok: true, text, value };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ok: false, text: error.message };
  }
}

async function* checks(config) {
  const python = await outcome(() => [`workers-ai-simulator ${VERSION} runs by: ${simulatorCommand().join(" ")}`]);
  yield python;
  const configuration = await outcome(() => {
    const path = resolve(config ?? findConfiguration(process.cwd()));
    if (!existsSync(path)) throw new Problem(`There is no ${path}.`);
    return [`The configuration is ${path}`, path];
  });
  yield configuration;
  if (!configuration.ok) return;
  const wrangler = await outcome(() => {
    const found = findWrangler(dirname(configuration.value));
    return [`wrangler ${found.version} is ${found.bin}`, found];
  });
  yield wrangler;
  if (!wrangler.ok) return;
  const miniflare = await outcome(() => checkMiniflare(wrangler.value));
  yield miniflare;
  const bindings = await outcome(() => checkBindings(configuration.value, wrangler.value));
  yield bindings;
  if ([python, miniflare, bindings].every(({ ok }) => ok)) {
    yield await outcome(() => checkCall(configuration.value, wrangler.value));
  }
}

function checkMiniflare({ version, require }) {
  let miniflare;
  try {
    miniflare = require("miniflare");
  } catch (error) {
    throw new Problem(`The miniflare of wrangler ${version} cannot be loaded: ${error.message.split("\n")[0]}`);
  }
  if (!miniflare.ProxyNodeBinding) {
    throw new Problem(`The miniflare of wrangler ${version} has no ProxyNodeBinding any more, which the plugin needs.`);
  }
  return [`miniflare ${require("miniflare/package.json").version} takes plugins`];
}

function checkBindings(path, wrangler) {
  const found = describeBindings(readConfiguration(path, wrangler));
  if (found.length === 0) throw new Problem(`${path} has no binding to simulate: ai, vectorize, ai_search.`);
  return [`Simulated are ${found.join(", ")}`];
}

/** Call a model through `env.AI` in wrangler's own runtime. */
async function checkCall(path, wrangler) {
  const name = Object.entries(readConfiguration(path, wrangler)).find(([key]) => key === "ai")?.[1].binding;
  if (!name) return ["No binding of AI to call"];
  const simulator = await startSimulator(["--port", "0"], { print: () => {} });
  let derived;
  let proxy;
  try {
    derived = new DerivedConfiguration(path, wrangler, new URL(simulator.url).host);
    proxy = await wrangler.require("wrangler").getPlatformProxy({ configPath: derived.path, persist: false });
    const { response } = await proxy.env[name].run("@cf/meta/llama-3.1-8b-instruct-fast", { prompt: "Hello" });
    if (!response?.includes("simulated")) throw new Error(`the answer was ${response}`);
    return [`A call of env.${name}.run was answered by the simulator`];
  } catch (error) {
    throw new Problem(
      `wrangler ${wrangler.version} does not hand env.${name} to the simulator: ${error.message.split("\n")[0]}`,
    );
  } finally {
    await proxy?.dispose();
    derived?.remove();
    await simulator.stop();
  }
}
