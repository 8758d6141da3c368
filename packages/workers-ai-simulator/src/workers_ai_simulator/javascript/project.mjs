// A project of wrangler's: its wrangler, its configuration, and the second configuration that is derived from it.
import { existsSync, readdirSync, readFileSync, rmSync, unwatchFile, watchFile, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, extname, join, resolve } from "node:path";
import { withSimulator, wrongField } from "./configuration.mjs";
import { asWorker } from "./pages.mjs";
import { Problem } from "./problem.mjs";

/** Oldest wrangler with which the simulator has been tried and works. */
export const OLDEST_WRANGLER = "4.36.0";
const NAMES = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];
/** Milliseconds between two looks at the user's configuration. */
const INTERVAL = 500;

export const isOlder = (version, than) => version.localeCompare(than, undefined, { numeric: true }) < 0;

/** The wrangler that a project in the folder uses: `{version, bin, require}`. Throws Problem if there is none. */
export function findWrangler(folder) {
  const require = createRequire(join(folder, "package.json"));
  let file;
  try {
    file = require.resolve("wrangler/package.json");
  } catch {
    throw new Problem(`No wrangler is installed for ${folder}. Run: npm install --save-dev wrangler`);
  }
  const { version, bin } = JSON.parse(readFileSync(file, "utf8"));
  if (isOlder(version, OLDEST_WRANGLER)) {
    throw new Problem(
      `wrangler ${version} is too old: ${OLDEST_WRANGLER} is the oldest that can simulate AI. Run: npm install --save-dev wrangler@latest`,
    );
  }
  return { version, bin: join(dirname(file), bin.wrangler), require: createRequire(file) };
}

/** Path of the configuration that wrangler would use in the folder. Throws Problem if there is none. */
export function findConfiguration(folder) {
  for (const name of NAMES) {
    for (let each = folder; ; each = dirname(each)) {
      if (existsSync(join(each, name))) return join(each, name);
      if (each === dirname(each)) break;
    }
  }
  throw new Problem(
    `No ${NAMES.join(", ")} in ${folder} or above it. Go to your Worker's folder, or name it: --config`,
  );
}

/** Read a configuration as wrangler does. Throws Problem if wrangler cannot. */
export function readConfiguration(path, wrangler) {
  const { experimental_readRawConfig: readRawConfig } = wrangler.require("wrangler");
  if (!readRawConfig) {
    throw new Problem(
      `wrangler ${wrangler.version} has no experimental_readRawConfig, by which configurations are read.`,
    );
  }
  if (!existsSync(path)) throw new Problem(`There is no ${path}.`);
  const configuration = read(() => readRawConfig({ config: path }).rawConfig, path);
  const wrong = wrongField(configuration);
  if (wrong) throw new Problem(`${path} cannot be used: ${wrong}.`);
  return configuration;
}

function read(reader, path) {
  try {
    return reader();
  } catch (error) {
    const { line, lineText = "" } = error.location ?? {}; // of a syntax error
    const where = line ? `, line ${line} (${lineText.trim()})` : "";
    throw new Problem(`wrangler cannot read ${path}${where}: ${error.message}`);
  }
}

/** The configuration beside the user's, with the simulator's bindings; it follows changes of the user's. */
export class DerivedConfiguration {
  #address;
  #wrangler;

  constructor(path, wrangler, address) {
    this.source = resolve(path);
    this.#wrangler = wrangler;
    this.#address = address;
    // beside the user's, since its paths, .dev.vars and .wrangler/ are looked for from there
    const name = basename(path, extname(path));
    this.path = join(dirname(this.source), `.${name}.simulated-${process.pid}.json`);
    removeOrphans(dirname(this.source), name);
    this.write();
  }

  /** Write it anew, with a change if one is given. Throws Problem if the user's configuration cannot be read. */
  write(change = (configuration) => configuration) {
    const read = readConfiguration(this.source, this.#wrangler);
    this.configuration = asWorker(read, dirname(this.source), this.#wrangler);
    const simulated = change(withSimulator(this.configuration, this.#address));
    writeFileSync(this.path, `${JSON.stringify(simulated, null, 2)}\n`);
  }

  /** Write it anew whenever the user's changes; `onProblem` is called with an error in that. */
  follow(onProblem) {
    watchFile(this.source, { interval: INTERVAL, persistent: false }, () => {
      try {
        this.write();
      } catch (error) {
        onProblem(error);
      }
    });
  }

  remove() {
    unwatchFile(this.source);
    rmSync(this.path, { force: true });
  }
}

/** Remove the files of processes that were killed. */
function removeOrphans(folder, name) {
  const pattern = new RegExp(`^\\.${RegExp.escape?.(name) ?? name}\\.simulated-(\\d+)\\.json$`);
  for (const file of readdirSync(folder)) {
    const pid = pattern.exec(file)?.[1];
    if (pid && !isRunning(Number(pid))) rmSync(join(folder, file), { force: true });
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
