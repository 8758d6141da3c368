// `workers-ai-simulator init`: writes the simulator's configuration into a project's own files.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readArguments } from "./arguments.mjs";
import { describeBindings, noBinding, PLUGIN_NAME, simulatedEnvironment } from "./configuration.mjs";
import { Problem } from "./problem.mjs";
import { findConfiguration, findWrangler, readConfiguration } from "./project.mjs";

const ADDRESS = "127.0.0.1:8788";
const EXTENSIONS = ["ts", "mts", "js", "mjs"];

const VITEST = `import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { simulatedWorker } from "workers-ai-simulator/config";

// starts the simulator, and derives a configuration that names it beside wrangler's
const worker = await simulatedWorker();

export default defineConfig({
  plugins: [cloudflareTest({ wrangler: { configPath: worker.configPath } })],
  test: { provide: { workersAiSimulator: worker.url } },
});
`;

const VITE = `import { cloudflare } from "@cloudflare/vite-plugin";
import { defineConfig } from "vite";
import { simulatedWorker } from "workers-ai-simulator/config";

export default defineConfig(async ({ command }) => ({
  // only \`vite dev\` is simulated; \`vite build\` takes wrangler's own configuration
  plugins: [cloudflare(command === "serve" ? { configPath: (await simulatedWorker()).configPath } : {})],
}));
`;

/** Packages that the configuration of a tool imports. */
const PACKAGES = { vitest: "vitest @cloudflare/vitest-plugin", vite: "vite @cloudflare/vite-plugin" };

/** Run `init`. Returns the exit status. */
export async function init(args) {
  const { configs, cwd, wrangler, simulator } = readArguments(args);
  if (cwd) process.chdir(cwd);
  const [kind = "env", ...others] = [...wrangler, ...simulator];
  const unknown = kind.startsWith("-") ? kind : (others[0] ?? configs[1]);
  if (unknown) throw new Problem(`init does not take ${unknown}: init [env|vitest|vite] [--config FILE] [--cwd DIR]`);
  const write = {
    env: initEnvironment,
    vitest: () => initFile("vitest", VITEST),
    vite: () => initFile("vite", VITE),
  }[kind];
  if (!write) throw new Problem(`There is no init ${kind}: env (the default), vitest or vite.`);
  const path = resolve(configs[0] ?? findConfiguration(process.cwd()));
  console.log(await write(path));
  return 0;
}

function initEnvironment(path) {
  const wrangler = findWrangler(dirname(path));
  const configuration = readConfiguration(path, wrangler);
  if (configuration.pages_build_output_dir !== undefined) {
    throw new Problem(
      `${path} is a Pages project's, which has no environments but production and preview. Run it as it is: npx workers-ai-simulator dev`,
    );
  }
  if (configuration.env?.local) throw new Problem(`${path} has an environment "local" already.`);
  const bindings = describeBindings(configuration);
  if (bindings.length === 0) throw new Problem(noBinding(path, {}));
  const local = simulatedEnvironment(configuration, ADDRESS, PLUGIN_NAME);
  if (path.endsWith(".toml")) {
    const text = readFileSync(path, "utf8");
    writeFileSync(path, `${text.trimEnd()}\n\n${tomlEnvironment(local)}`);
  } else patchJson(path, { env: { local } }, wrangler);
  return `${path} has an environment "local" now, with these simulated: ${bindings.join(", ")}. Run in two terminals:
  npx workers-ai-simulator
  npx wrangler dev --env local`;
}

/** Add to a configuration in JSON as wrangler does, which formats it with tabs, in the file's own indentation. */
function patchJson(path, change, wrangler) {
  const indentation = /^([ \t]+)"/m.exec(readFileSync(path, "utf8"))?.[1] ?? "\t";
  wrangler.require("wrangler").experimental_patchConfig(path, change, false);
  const patched = readFileSync(path, "utf8").replace(/^\t+/gm, (tabs) => indentation.repeat(tabs.length));
  writeFileSync(path, `${patched.trimEnd()}\n`);
}

function tomlEnvironment(section) {
  const lines = Object.entries(section).map(([name, value]) => `${tomlKey(name)} = ${toml(value)}`);
  return `[env.local]\n${lines.join("\n")}\n`;
}

const tomlKey = (name) => (/^[\w-]+$/.test(name) ? name : JSON.stringify(name));

/** A value in TOML, on one line. JSON's strings are strings of TOML. */
function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([name, each]) => `${tomlKey(name)} = ${toml(each)}`)
    .join(", ")} }`;
}

function initFile(tool, content) {
  const present = EXTENSIONS.map((each) => `${tool}.config.${each}`).find((name) => existsSync(name));
  if (present) return `${present} is there already. Add to it what this one has:\n\n${content}`;
  const name = `${tool}.config.mts`;
  writeFileSync(join(process.cwd(), name), content);
  return `${name} is written. Run: npm install --save-dev ${PACKAGES[tool]} && npx ${tool}`;
}
