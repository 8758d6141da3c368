// The simulator is a Python program: finds an installed one, and runs it.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Problem } from "./problem.mjs";
import { firstSignal } from "./signals.mjs";

export const VERSION = JSON.parse(readFileSync(new URL("./version.json", import.meta.url), "utf8"));
const OLDEST_PYTHON = "3.11";
/** The newest for which all that the simulator needs is published compiled: numpy 2.4.6 has no wheel for 3.15. */
const NEWEST_PYTHON = "3.14";
/** Both bounds as uv takes them. */
const PYTHONS = `>=${OLDEST_PYTHON},<${NEWEST_PYTHON.replace(/\d+$/, (minor) => Number(minor) + 1)}`;
const REQUIREMENT = `workers-ai-simulator==${VERSION}`;
/** Arguments that need an extra of the Python package, which uv brings along. */
const EXTRAS = [
  [/^--models(=|$)/, "chat"],
  [/^(--record(-missing)?(=|$)|conform$)/, "record"],
  [/^(--embeddings=)?bge/, "embeddings"],
  [/^(--embeddings=)?minilm$/, "minilm"],
  [/^--speech(=|$)/, "speech"],
];
const IS_WINDOWS = process.platform === "win32";
const IN_ENVIRONMENT = IS_WINDOWS ? ["Scripts", "python.exe"] : ["bin", "python"];
/**
 * The wheel built in a clone of the repository, which takes the place of a package index as long as nothing is
 * published.
 */
const WHEEL = `/tmp/simulator/workers_ai_simulator-${VERSION}-py3-none-any.whl`;
const PIP_BUILD = "pip wheel --no-deps --wheel-dir /tmp/simulator packages/workers-ai-simulator";
const UV_VENV = `uv venv --python ${NEWEST_PYTHON} && `;
const UV_BUILD = "uv build --wheel --out-dir /tmp/simulator packages/workers-ai-simulator";
/** Milliseconds until a process that was told to end is killed. */
const PATIENCE = 5000;

const PROBE = `import sys
try:
    import workers_ai_simulator
    version = workers_ai_simulator.__version__
except ImportError:
    version = "-"
print(".".join(map(str, sys.version_info[:2])), version)`;

const UV = {
  darwin: "brew install uv",
  win32: "winget install --id=astral-sh.uv -e",
  linux: "curl -LsSf https://astral.sh/uv/install.sh | sh",
};

/** The folder and all above it. */
function* upwards(folder) {
  for (let each = folder; ; each = dirname(each)) {
    yield each;
    if (each === dirname(each)) return;
  }
}

/** Interpreters to try: the one that started this command, those of virtual environments, those on the path. */
export function* interpreters(folder, env) {
  if (env.WORKERS_AI_SIMULATOR_PYTHON) yield env.WORKERS_AI_SIMULATOR_PYTHON;
  if (env.VIRTUAL_ENV) yield join(env.VIRTUAL_ENV, ...IN_ENVIRONMENT);
  for (const each of upwards(folder)) {
    const python = join(each, ".venv", ...IN_ENVIRONMENT);
    if (existsSync(python)) yield python;
  }
  yield* IS_WINDOWS ? ["py", "python"] : ["python3", "python"];
}

/** `{python, version, simulator}` of an interpreter, with the version of the simulator or `-`; undefined without one. */
function probe(python, env) {
  const done = spawnSync(python, ["-c", PROBE], { encoding: "utf8", env, timeout: 20_000 });
  if (done.status !== 0) return undefined;
  const [version, simulator] = done.stdout.trim().split(" ");
  return { python, version, simulator };
}

const compare = (version, than) => version.localeCompare(than, undefined, { numeric: true });
const isRecent = ({ version }) => compare(version, OLDEST_PYTHON) >= 0;
const isSupported = (python) => isRecent(python) && compare(python.version, NEWEST_PYTHON) <= 0;

/** The command that runs the simulator with these arguments. Throws Problem, with the one command to run, if there is none. */
export function simulatorCommand(folder = process.cwd(), env = process.env, args = []) {
  const candidates = [];
  for (const python of new Set(interpreters(folder, env))) {
    const answer = probe(python, env);
    if (!answer) continue;
    if (isRecent(answer) && answer.simulator === VERSION) return [python, "-m", "workers_ai_simulator"];
    candidates.push(answer);
  }
  if (spawnSync("uv", ["--version"], { env }).status === 0) return uvCommand(requirementOf(args), env);
  throw new Problem(howToInstall(candidates));
}

/** The requirement for uv: the simulator, with the extras that these arguments need. */
function requirementOf(args) {
  const extras = EXTRAS.filter(([pattern]) => args.some((each) => pattern.test(each))).map(([, extra]) => extra);
  return extras.length > 0 ? REQUIREMENT.replace("==", `[${extras}]==`) : REQUIREMENT;
}

/** The command by which uv runs the simulator, downloaded if it was not. Throws Problem, with what to do, if uv cannot. */
function uvCommand(requirement, env) {
  const run = ["tool", "run", "--from", requirement, "--python", PYTHONS];
  const nothing = [...run, "python", "-c", ""];
  if (spawnSync("uv", ["--offline", ...nothing], { env }).status !== 0) {
    console.error(`workers-ai-simulator: uv installs ${requirement}, once.`);
    const { status, stderr } = spawnSync("uv", ["--quiet", ...nothing], { encoding: "utf8", env });
    if (status !== 0) throw new Problem(whyUvFailed(requirement, stderr));
  }
  return ["uv", ...run, "workers-ai-simulator"];
}

function whyUvFailed(requirement, stderr) {
  const commands = installation("uv pip install", UV_VENV, UV_BUILD);
  if (/workers-ai-simulator\S* was not found/.test(stderr)) return commands;
  const [error, cause = error] = stderr.trim().split("\n"); // the error's name, and why
  const reason = cause.trim().replace(/^(error|cause): /, "");
  return `uv cannot install ${requirement} (${reason}). Is there a network? ${commands}`;
}

/** The commands that install the wheel, and the command for the time after the release. `pip` ends in `install`. */
function installation(pip, before = "", build = PIP_BUILD) {
  return `workers-ai-simulator is in no package index yet: build it in a clone of its repository (${build}), then run here: ${before}${pip} ${WHEEL}. (Once it is published: ${before}${pip} ${REQUIREMENT})`;
}

function howToInstall(candidates) {
  const outdated = candidates.find(({ simulator }) => simulator !== "-");
  if (outdated) {
    const { python, simulator } = outdated;
    return `The npm package is workers-ai-simulator ${VERSION}, and ${python} has ${simulator}. ${installation(`${python} -m pip install`)}`;
  }
  const supported = candidates.find(isSupported);
  if (supported) {
    const [bin, python] = IN_ENVIRONMENT;
    const pip = `.venv/${bin}/${python} -m pip install`;
    return `The simulator is a Python program, and ${supported.python} (${supported.version}) does not have it. ${installation(pip, `${supported.python} -m venv .venv && `)}`;
  }
  const versions = candidates.map(({ python, version }) => `${python} is ${version}`).join(", ");
  return `The simulator needs Python ${OLDEST_PYTHON} to ${NEWEST_PYTHON} (${versions || "there is none"}). Install uv, which brings it: ${UV[process.platform] ?? UV.linux}. ${installation("uv pip install", UV_VENV, UV_BUILD)}`;
}

/**
 * Start the simulator with these arguments, and wait until it is ready. It ends with this process, even by SIGKILL.
 * Throws Problem if it does not start. Returns `{url, ended, python, process, stop}`; `ended` becomes its exit status,
 * `python` is its interpreter, undefined if uv has chosen it.
 */
export async function startSimulator(args, { folder = process.cwd(), env = process.env, print = console.log } = {}) {
  const [command, ...first] = simulatorCommand(folder, env, args);
  // in a session of its own: Ctrl-C in a terminal must first end the programs that use it
  const child = spawn(command, [...first, ...args, "--end-with-stdin"], {
    cwd: folder,
    env,
    detached: !IS_WINDOWS,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => {
    child.once("error", () => resolve(127));
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  child.stdin.on("error", () => {}); // it has ended
  const url = await readyUrl(child, ended, print);
  const python = first[0] === "-m" ? command : undefined;
  return { url, ended, python, process: child, stop: () => stop(child, ended) };
}

async function readyUrl(child, ended, print) {
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise((resolve) => {
    lines.on("line", (line) => {
      const url = /^Ready on (http:\/\/\S+)/.exec(line)?.[1];
      if (url) resolve({ url });
      else print(line);
    });
  });
  const first = await Promise.race([ready, ended.then((status) => ({ status }))]);
  if (first.url) return first.url;
  throw new Problem(`The simulator did not start (exit status ${first.status}).`);
}

async function stop(child, ended) {
  child.stdin.end();
  const killer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  await ended;
  clearTimeout(killer);
}

/** Run the simulator's own command line in the foreground. Returns its exit status. */
export async function runSimulator(args) {
  const signal = firstSignal();
  const [command, ...first] = simulatorCommand(undefined, undefined, args);
  const child = spawn(command, [...first, ...args], { stdio: "inherit" });
  // a terminal sends Ctrl-C to the simulator, too: a second one would cut its shutdown short
  signal.forward = (by) => (by === "SIGINT" && process.stdin.isTTY) || child.kill(by);
  const [code] = await once(child, "close");
  return code ?? 1;
}
