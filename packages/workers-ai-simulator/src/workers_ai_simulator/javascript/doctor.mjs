// `workers-ai-simulator doctor`: names what a project lacks, and proves the rest by calls through its own wrangler.
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { readArguments } from "./arguments.mjs";
import { describeBindings, noBinding } from "./configuration.mjs";
import { checkInternals } from "./internals.mjs";
import { Problem } from "./problem.mjs";
import { findConfiguration, findWrangler, readConfiguration } from "./project.mjs";
import { simulatorCommand, VERSION } from "./python.mjs";

/** Run `doctor`. Returns the exit status: 0 if all is well. */
export async function doctor(args) {
  const { configs, env, cwd } = readArguments(args);
  if (cwd) process.chdir(cwd);
  const results = [];
  for await (const { ok, text } of checks(configs, env)) {
    console.log(`${ok ? "ok   " : "WRONG"} ${text}`);
    results.push(ok);
  }
  return results.every(Boolean) ? 0 : 1;
}

/** The outcome of a check as `{ok, text, value}`; `value` is what the check found. */
async function outcome(check) {
  try {
    const [text, value] = await check();
    return { ok: true, text, value };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ok: false, text: error.message };
  }
}

async function* checks(configs, env) {
  const python = await outcome(() => [`workers-ai-simulator ${VERSION} runs by: ${simulatorCommand().join(" ")}`]);
  yield python;
  for (const config of configs.length > 0 ? configs : [undefined]) yield* checksOf(config, env, python.ok);
}

/** Check what a configuration needs: the one that wrangler would find, if none is named. */
async function* checksOf(config, env, isInstalled) {
  const configuration = await outcome(() => {
    const path = resolve(config ?? findConfiguration(process.cwd()));
    if (!existsSync(path)) throw new Problem(`There is no ${path}.`);
    return [`The configuration is ${path}`, path];
  });
  yield configuration;
  if (!configuration.ok) return;
  const wrangler = await outcome(() => {
    const installed = findWrangler(dirname(configuration.value));
    return [`wrangler ${installed.version} is ${installed.bin}`, installed];
  });
  yield wrangler;
  if (!wrangler.ok) return;
  const bindings = await outcome(() => checkBindings(configuration.value, wrangler.value, env));
  yield bindings;
  if (isInstalled && bindings.ok) {
    yield await outcome(async () => {
      const called = await checkInternals(configuration.value, wrangler.value, env);
      return [`Each was called through wrangler's own runtime, and the simulator has answered: ${called.join(", ")}`];
    });
  }
}

function checkBindings(path, wrangler, env) {
  const configuration = readConfiguration(path, wrangler);
  const bindings = describeBindings(configuration, env);
  if (bindings.length === 0) throw new Problem(noBinding(path, configuration, env));
  return [`Simulated are ${bindings.join(", ")}`];
}
