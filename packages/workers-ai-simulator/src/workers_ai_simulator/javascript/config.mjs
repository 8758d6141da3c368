// For vitest.config and vite.config: a simulator for the run, and a configuration that names it.
import { dirname, resolve } from "node:path";
import { DerivedConfiguration, findConfiguration, findWrangler } from "./project.mjs";
import { startSimulator } from "./python.mjs";

const QUICK = ["--port", "0", "--tokens-per-second", "0", "--vectorize-delay", "0"];

/** See config.d.mts. */
export async function simulatedWorker({ config, simulator = [] } = {}) {
  const path = resolve(config ?? findConfiguration(process.cwd()));
  const wrangler = findWrangler(dirname(path));
  const started = await startSimulator([...QUICK, ...simulator], { folder: dirname(path), print: console.error });
  // it ends with this process, and does not keep it running
  started.process.unref();
  started.process.stdin.unref();
  started.process.stdout.unref();
  const derived = new DerivedConfiguration(path, wrangler, new URL(started.url).host);
  process.once("exit", () => derived.remove());
  const stop = async () => {
    derived.remove();
    await started.stop();
  };
  return { configPath: derived.path, url: started.url, stop };
}
