// Pages projects. `wrangler pages dev` takes neither another configuration nor simulated bindings; a Worker with the
// same functions and files runs in its place.
import { existsSync } from "node:fs";
import { join } from "node:path";

const BUILT = ".wrangler/simulated-pages";

/** The configuration of that Worker; any other configuration as it is. */
export function asWorker({ pages_build_output_dir: output, ...configuration }, folder, wrangler) {
  if (output === undefined) return configuration;
  const assets = { directory: output, binding: "ASSETS" };
  if (existsSync(join(folder, output, "_worker.js"))) {
    return { ...configuration, main: join(output, "_worker.js"), assets: { ...assets, run_worker_first: true } };
  }
  if (!existsSync(join(folder, "functions"))) return { ...configuration, assets: { directory: output } };
  const build = [process.execPath, wrangler.bin, "pages", "functions", "build", "--outdir", join(folder, BUILT)];
  return {
    ...configuration,
    main: `${BUILT}/index.js`,
    build: { command: build.map((each) => JSON.stringify(each)).join(" "), cwd: folder, watch_dir: "functions" },
    assets: { ...assets, run_worker_first: true },
  };
}
