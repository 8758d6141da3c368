// The arguments of `dev`, `init` and `doctor`, divided into the simulator's and wrangler's.
import { Problem } from "./problem.mjs";

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
const MAX_PORT = 65535;

/**
 * The arguments, divided by the program that takes them: the lists `simulator` and `wrangler`, `configs`, `env`, `cwd`, `port`. The
 * configurations are not among wrangler's, and `env` may be that of $CLOUDFLARE_ENV. Throws Problem if a value is missing.
 */
export function readArguments(args, { CLOUDFLARE_ENV: env } = process.env) {
  const read = { simulator: [], wrangler: [], configs: [], env, cwd: undefined, port: undefined };
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [name, ...parts] = arg.split("=");
    const value = () => {
      const text = parts.length > 0 ? parts.join("=") : rest.shift();
      if (text === undefined) throw new Problem(`${name} needs a value.`);
      return text;
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
