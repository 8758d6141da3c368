// Python Workers: workerd downloads their interpreter at its first start, unless the package offline-python-workers runs them.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { interpreters } from "./python.mjs";

const MODULE = "offline_python_workers";
const WHEEL = "/tmp/simulator/offline_python_workers-0.1.0-py3-none-any.whl";
const BUILD = "pip wheel --no-deps --wheel-dir /tmp/simulator packages/offline-python-workers";
/** The npm package with the interpreter, in the version that offline-python-workers is made for. */
const INTERPRETER = "pyodide@314.0.7";

export const isPythonWorker = ({ main }) => String(main ?? "").endsWith(".py");

/** The command of offline-python-workers, from the interpreters that the simulator is looked for in; undefined without it. */
export function offlineRuntime(folder, env = process.env) {
  for (const python of new Set(interpreters(folder, env))) {
    const done = spawnSync(python, ["-c", `import ${MODULE}`], { env, timeout: 20_000, stdio: "ignore" });
    if (done.status === 0) return [python, "-m", MODULE];
  }
  return undefined;
}

/** Arguments with which it runs the derived configuration as `wrangler dev` would. State stays where wrangler has it. */
export function offlineArguments({ path }, folder, args) {
  const hasState = args.some((each) => /^--persist-to(=|$)/.test(each));
  const state = hasState ? [] : ["--persist-to", join(folder, ".wrangler/state")];
  return [folder, "--config", path, "--", ...state, ...args.filter((each) => each !== "--")];
}

/**
 * A sentence about a Python Worker without a network, with the commands that install what it needs. `python` is the
 * simulator's.
 */
export const howToRunOffline = (python) =>
  `a Python Worker: workerd downloads its interpreter at the first start. To need no network, build offline-python-workers, which is in no package index yet, in a clone of its repository (${BUILD}), then run here: ${python} -m pip install ${WHEEL} && npm install --save-dev ${INTERPRETER}`;
