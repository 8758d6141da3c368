// `workers-ai-simulator doctor`: names what a project lacks, and proves the rest by calls through its own wrangler.
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { describeBindings } from "./configuration.mjs";
import { checkInternals } from "./internals.mjs";
import { Problem } from "./problem.mjs";
import { findConfiguration, findWrangler, readConfiguration } from "./project.mjs";
import { simulatorCommand, VERSION } from "./python.mjs";

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
  const bindings = await outcome(() => checkBindings(configuration.value, wrangler.value));
  yield bindings;
  if (python.ok && bindings.ok) {
    yield await outcome(async () => {
      const called = await checkInternals(configuration.value, wrangler.value);
      return [`Each was called through wrangler's own runtime, and the simulator has answered: ${called.join(", ")}`];
    });
  }
}

function checkBindings(path, wrangler) {
  const found = describeBindings(readConfiguration(path, wrangler));
  if (found.length === 0) throw new Problem(`${path} has no binding to simulate: ai, vectorize, ai_search.`);
  return [`Simulated are ${found.join(", ")}`];
}
