// `workers-ai-simulator dev`: the simulator and the project's own `wrangler dev`, in one command.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { describeBindings } from "./configuration.mjs";
import { Problem } from "./problem.mjs";
import { DerivedConfiguration, findConfiguration, findWrangler } from "./project.mjs";
import { startSimulator } from "./python.mjs";
import { howToRunOffline, isPythonWorker, offlineArguments, offlineRuntime } from "./python_worker.mjs";
import { firstSignal } from "./signals.mjs";

/** Options of the simulator, all with a value; every other option is wrangler's. */
export const SIMULATOR_OPTIONS = [
  "--answers",
  "--chat-models",
  "--data",
  "--embeddings",
  "--embeddings-cache",
  "--index",
  "--metadata-index",
  "--models",
  "--plan",
  "--record",
  "--record-missing",
  "--replay",
  "--retired",
  "--speech",
  "--tokens-per-second",
  "--vectorize-delay",
  "--voice",
];
const USUAL_PORT = 8788;
const MAX_PORT = 65535;
/** Milliseconds until a wrangler that was told to end is killed. */
const PATIENCE = 10_000;

/**
 * The arguments, divided by the program that takes them: the lists `simulator` and `wrangler`, `configs`, `env`,
 * `cwd`, `port`. The
 * configurations are not among wrangler's. Throws Problem if a value is missing.
 */
export function readArguments(args) {
  const read = { simulator: [], wrangler: [], configs: [], env: undefined, cwd: undefined, port: undefined };
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [name, ...parts] = arg.split("=");
    const value = () => {
      const given = parts.length > 0 ? parts.join("=") : rest.shift();
      if (given === undefined) throw new Problem(`${name} needs a value.`);
      return given;
    };
    if (arg === "--") {
      read.wrangler.push(arg, ...rest.splice(0));
    } else if (SIMULATOR_OPTIONS.includes(name)) read.simulator.push(name, value());
    else if (name === "--simulator-port") read.port = portIn(name, value());
    else if (name === "--config" || name === "-c") read.configs.push(value());
    else if (name === "--cwd") read.cwd = value();
    else if (name === "--env" || name === "-e") {
      read.env = value();
      read.wrangler.push("--env", read.env);
    } else read.wrangler.push(arg);
  }
  return read;
}

function portIn(name, text) {
  if (/^\d{1,5}$/.test(text) && Number(text) <= MAX_PORT) return text;
  throw new Problem(`${name}: ${text} is no port: 0 (any free one) to ${MAX_PORT}.`);
}

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
  const port = options.port ?? String(await freePort(USUAL_PORT));
  const starting = startSimulator(["--port", port, ...data, ...options.simulator], { folder: process.cwd() });
  wrangler.require("wrangler"); // takes a second, in which the simulator starts
  const simulator = await starting;
  const derived = [];
  try {
    for (const each of configs) derived.push(new DerivedConfiguration(each, wrangler, new URL(simulator.url).host));
    announce(derived[0], options.env, simulator.url);
    for (const each of derived) each.follow((error) => console.error(`workers-ai-simulator: ${error.message}`));
    const command = devCommand(wrangler, derived, options.wrangler, simulator.python);
    return await runWrangler(command, simulator, signal);
  } finally {
    for (const each of derived) each.remove();
    await simulator.stop();
  }
}

function announce({ configuration, source }, env, url) {
  const bindings = describeBindings(configuration, env);
  const what = bindings.length > 0 ? `${bindings.join(", ")}: simulated` : `${source} has no binding to simulate`;
  console.log(`workers-ai-simulator: ${what}. Requests and faults: ${url}`);
}

/** `wrangler dev` with the derived configurations; for one Python Worker its offline runtime, if that is installed. */
function devCommand(wrangler, derived, args, python) {
  const configs = derived.flatMap(({ path }) => ["--config", path]);
  const usual = [process.execPath, wrangler.bin, "dev", ...configs, ...args];
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

/** The port if it is free, else 0. */
export function freePort(port) {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(0));
    server.listen(port, "127.0.0.1", () => server.close(() => done(port)));
  });
}
