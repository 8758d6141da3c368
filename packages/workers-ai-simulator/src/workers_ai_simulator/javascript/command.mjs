#!/usr/bin/env node
// The command `workers-ai-simulator` of the npm package.
import { SIMULATOR_OPTIONS } from "./arguments.mjs";
import { dev } from "./dev.mjs";
import { doctor } from "./doctor.mjs";
import { init } from "./init.mjs";
import { Problem } from "./problem.mjs";
import { runSimulator, VERSION } from "./python.mjs";

const HELP = `Run a Worker with Workers AI, Vectorize and AI Search simulated on this machine.

workers-ai-simulator dev [options]     start the simulator and your own wrangler dev, with all of its options;
                                       your configuration stays as it is
workers-ai-simulator init              add an environment "local" to your configuration, for wrangler dev --env local
workers-ai-simulator init vitest|vite  write a vitest.config.mts or vite.config.mts that starts the simulator
workers-ai-simulator doctor            say what is missing for any of this
workers-ai-simulator [options]         start the simulator alone; workers-ai-simulator --help lists its options
workers-ai-simulator --version         the version of this package and of the simulator that it runs

Options of dev besides wrangler's:
  --simulator-port N    the simulator's port (default: 8788 if it is free)
  ${SIMULATOR_OPTIONS.join(" ")}
                        options of the simulator, each with a value`;

const COMMANDS = { dev, init, doctor };

async function main([name, ...args]) {
  if (name === "--version") {
    console.log(VERSION);
    return 0;
  }
  const command = COMMANDS[name];
  if (!command) return runSimulator(name === undefined ? [] : [name, ...args]);
  if (args.includes("--help") || args.includes("-h")) {
    console.log(HELP);
    return 0;
  }
  return command(args);
}

try {
  process.exit(await main(process.argv.slice(2))); // a failed runtime may leave something that keeps the process running
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  console.error(`workers-ai-simulator: ${error.message}`);
  process.exit(1);
}
