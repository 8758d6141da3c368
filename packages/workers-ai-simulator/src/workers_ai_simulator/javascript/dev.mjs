// `workers-ai-simulator dev`: the simulator and the project's own `wrangler dev`, in one command.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { readArguments } from "./arguments.mjs";
import { describeBindings, noBinding } from "./configuration.mjs";
import { Problem } from "./problem.mjs";
import { DerivedConfiguration, findConfiguration, findWrangler } from "./project.mjs";
import { startSimulator } from "./python.mjs";
import { howToRunOffline, isPythonWorker, offlineArguments, offlineRuntime } from "./python_worker.mjs";
import { firstSignal } from "./signals.mjs";

const USUAL_PORT = 8788;
/** URL of the module that ends wrangler with this process. */
const END_WITH_PARENT = new URL("./end_with_parent.mjs", import.meta.url).href;
/** Milliseconds until a wrangler that was told to end is killed. */
const PATIENCE = 10_000;

/** Run `dev`. Returns the exit status. */
export async function dev(args) {
  const options = readArguments(args);
  if (options.cwd) process.chdir(options.cwd);
  const configs =
    options.configs.length > 0 ? options.configs.map((each) => resolve(each)) : [findConfiguration(process.cwd())];
  const folder = dirname(configs[0]);
  const wrangler = findWrangler(folder);
  const signal = firstSignal();
  const data = options.simulator.includes("--data")
    ? []
    : ["--data", join(folder, ".wrangler/state/workers-ai-simulator")];
  const port = await simulatorPort(options.port);
  const starting = startSimulator(["--port", port, ...data, ...options.simulator], { folder: process.cwd() });
  wrangler.require("wrangler"); // takes a second, in which the simulator starts
  const simulator = await starting;
  const derived = [];
  try {
    for (const each of configs) derived.push(new DerivedConfiguration(each, wrangler, new URL(simulator.url).host));
    announce(derived, options.env, simulator.url);
    for (const each of derived) each.follow((error) => console.error(`workers-ai-simulator: ${error.message}`));
    const command = devCommand(wrangler, derived, options.wrangler, simulator.python);
    return await runWrangler(command, simulator, signal);
  } finally {
    for (const each of derived) each.remove();
    await simulator.stop();
  }
}

function announce(derived, env, url) {
  const bindings = derived.flatMap(({ configuration }) => describeBindings(configuration, env));
  const [{ configuration, source }] = derived;
  const what = bindings.length > 0 ? `${bindings.join(", ")}: simulated.` : noBinding(source, configuration, env);
  console.log(`workers-ai-simulator: ${what} Requests and faults: ${url}`);
}

/** `wrangler dev` with the derived configurations; for one Python Worker its offline runtime, if that is installed. */
function devCommand(wrangler, derived, args, python) {
  const configs = derived.flatMap(({ path }) => ["--config", path]);
  const usual = [process.execPath, "--import", END_WITH_PARENT, wrangler.bin, "dev", ...configs, ...args];
  if (!derived.some(({ configuration }) => isPythonWorker(configuration))) return usual;
  const folder = dirname(derived[0].source);
  const runtime = derived.length === 1 ? offlineRuntime(folder) : undefined;
  if (runtime) return [...runtime, ...offlineArguments(derived[0], folder, args)];
  console.log(`workers-ai-simulator: ${howToRunOffline(python ?? "python3")}`);
  return usual;
}

async function runWrangler([program, ...args], simulator, signal) {
  // in a terminal it must stay in the foreground's group, to read its keys; elsewhere a group of its own can be killed
  const hasGroup = !process.stdin.isTTY && process.platform !== "win32";
  const child = spawn(program, args, {
    // otherwise wrangler looks up the place of requests on the network at every start, and prints an error without one
    env: { CLOUDFLARE_CF_FETCH_ENABLED: "false", ...process.env },
    stdio: "inherit",
    detached: hasGroup,
  });
  const ended = new Promise((done) => {
    child.once("error", () => done(1));
    child.once("close", (code, by) => done(code ?? (by ? 1 : 0)));
  });
  let killer;
  const end = (by) => {
    child.kill(by === "SIGHUP" ? "SIGTERM" : by);
    killer ??= setTimeout(() => kill(child, hasGroup), PATIENCE);
  };
  signal.forward = end;
  signal.received.then(end); // also for a signal that came before wrangler had started
  const first = await Promise.race([ended.then((status) => ({ status })), simulator.ended.then((by) => ({ by }))]);
  if (first.status === undefined) {
    console.error(`workers-ai-simulator: the simulator ended with status ${first.by}; wrangler is stopped.`);
    end("SIGTERM");
  }
  const status = await ended;
  clearTimeout(killer);
  if (hasGroup) kill(child, hasGroup); // for workerd, if wrangler was killed
  return first.status === undefined ? 1 : status;
}

function kill(child, hasGroup) {
  try {
    process.kill(hasGroup ? -child.pid : child.pid, "SIGKILL");
  } catch {
    // it has ended
  }
}

/** The simulator's port: the one asked for, else the usual one, or any if it is taken. Throws Problem if it is taken. */
export async function simulatorPort(wanted) {
  const port = await freePort(Number(wanted ?? USUAL_PORT));
  if (wanted !== undefined && port !== Number(wanted))
    throw new Problem(`--simulator-port: ${wanted} is taken. Choose another, or 0 for any free one.`);
  return String(port);
}

/** The port if it is free, else 0. */
function freePort(port) {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(0));
    server.listen(port, "127.0.0.1", () => server.close(() => done(port)));
  });
}
