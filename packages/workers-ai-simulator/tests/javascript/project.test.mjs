// What `dev`, `init` and `doctor` are made of, without wrangler: configurations, arguments, and where Python is looked for.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";

const SOURCE = "../../src/workers_ai_simulator/javascript";
const { describeBindings, noBinding, PLUGIN, simulatedEnvironment, withSimulator, wrongField } = await import(
  `${SOURCE}/configuration.mjs`
);
const { readArguments } = await import(`${SOURCE}/arguments.mjs`);
const { simulatorPort } = await import(`${SOURCE}/dev.mjs`);
const { findConfiguration, findWrangler, isOlder, readConfiguration } = await import(`${SOURCE}/project.mjs`);
const { simulatorCommand, VERSION } = await import(`${SOURCE}/python.mjs`);
const { howToRunOffline, isPythonWorker, offlineArguments, offlineRuntime } = await import(
  `${SOURCE}/python_worker.mjs`
);

const CONFIGURATION = {
  name: "mine",
  ai: { binding: "AI", remote: true },
  vectorize: [{ binding: "NOTES", index_name: "notes" }],
  ai_search_namespaces: [{ binding: "SEARCH", namespace: "default" }],
  ai_search: [{ binding: "HANDBOOK", instance_name: "handbook" }],
  vars: { KEPT: "yes" },
  unsafe: { metadata: { a: 1 }, bindings: [{ name: "OTHER", type: "other" }] },
  env: { staging: { ai: { binding: "MODEL" } }, plain: { vars: { A: "b" } } },
};
const ADDRESS = "127.0.0.1:8788";

function folder() {
  return realpathSync(mkdtempSync(join(tmpdir(), "with spaces ")));
}

test("the simulator's bindings replace those of an account, in every environment", () => {
  const { env, unsafe, ...rest } = withSimulator(CONFIGURATION, ADDRESS);
  assert.deepEqual(rest, { name: "mine", vars: { KEPT: "yes" } });
  assert.deepEqual(unsafe.metadata, { a: 1 });
  const [other, ...bindings] = unsafe.bindings;
  assert.deepEqual(other, { name: "OTHER", type: "other" });
  assert.deepEqual(
    bindings.map(({ name, dev }) => [name, dev.options]),
    [
      ["AI", { kind: "ai", address: ADDRESS }],
      ["NOTES", { kind: "vectorize", index: "notes", address: ADDRESS }],
      ["SEARCH", { kind: "ai-search-namespace", namespace: "default", address: ADDRESS }],
      ["HANDBOOK", { kind: "ai-search", instance: "handbook", address: ADDRESS }],
    ],
  );
  assert.ok(bindings.every(({ type, dev }) => type === "simulated" && dev.plugin.package === PLUGIN));
  assert.deepEqual(Object.keys(env.staging), ["unsafe"]);
  assert.deepEqual(env.plain, { vars: { A: "b" } });
});

test("a field of another type is named, with the file", () => {
  assert.equal(wrongField(CONFIGURATION), undefined);
  const list = 'must be a list of objects: [{"binding": "NAME", "index_name": "name"}]';
  const wrong = [
    [[1], "it must be an object"],
    [{ env: [] }, "env must be an object"],
    [{ env: { staging: 5 } }, "env.staging must be an object"],
    [{ ai: "AI" }, 'ai must be an object with the name of a binding: {"binding": "AI"}'],
    [{ vectorize: { binding: "NOTES", index_name: "notes" } }, `vectorize ${list}`],
    [{ vectorize: null }, `vectorize ${list}`],
    [{ env: { staging: { vectorize: [{ binding: "NOTES" }] } } }, `env.staging.vectorize ${list}`],
    [{ ai_search: 5 }, 'ai_search must be a list of objects: [{"binding": "NAME", "instance_name": "name"}]'],
    [{ unsafe: 5 }, "unsafe must be an object"],
    [{ unsafe: { bindings: 5 } }, "unsafe.bindings must be a list of objects"],
  ];
  const path = join(folder(), "wrangler.json");
  writeFileSync(path, "{}");
  for (const [rawConfig, sentence] of wrong) {
    const wrangler = { require: () => ({ experimental_readRawConfig: () => ({ rawConfig }) }) };
    const message = `${path} cannot be used: ${sentence}.`;
    assert.throws(() => readConfiguration(path, wrangler), { name: "Error", message });
  }
});

test("a syntax error is named with its line", () => {
  const path = join(folder(), "wrangler.jsonc");
  writeFileSync(path, "{");
  const location = { line: 4, column: 2, lineText: '  "x": 1' };
  const experimental_readRawConfig = () => {
    throw Object.assign(new Error("CommaExpected"), { location });
  };
  const message = `wrangler cannot read ${path}, line 4 ("x": 1): CommaExpected`;
  assert.throws(() => readConfiguration(path, { require: () => ({ experimental_readRawConfig }) }), { message });
});

test("bindings are described for the environment that is used", () => {
  const all = [
    "AI",
    "NOTES (vectorize notes)",
    "SEARCH (ai-search-namespace default)",
    "HANDBOOK (ai-search handbook)",
  ];
  assert.deepEqual(describeBindings(CONFIGURATION), all);
  assert.deepEqual(describeBindings(CONFIGURATION, "staging"), ["MODEL"]);
  assert.deepEqual(describeBindings(CONFIGURATION, "none"), []);
});

test("without a binding to simulate, it is said where there are some", () => {
  const nothing = "has no binding to simulate: ai, vectorize, ai_search_namespaces, ai_search.";
  const { env } = CONFIGURATION;
  assert.equal(noBinding("w", {}), `w ${nothing}`);
  assert.equal(noBinding("w", { env }), `w ${nothing} --env takes those of an environment: staging.`);
  assert.equal(
    noBinding("w", CONFIGURATION, "plain"),
    `The environment "plain" of w ${nothing} --env takes those of an environment: staging. An environment does not inherit the top level's.`,
  );
  assert.equal(noBinding("w", CONFIGURATION, "none"), 'w has no environment "none", but staging, plain.');
  assert.equal(noBinding("w", {}, "none"), 'w has no environment "none", but none at all.');
});

test("an environment has what environments do not inherit", () => {
  const local = simulatedEnvironment(CONFIGURATION, ADDRESS, "workers-ai-simulator");
  assert.deepEqual(Object.keys(local), ["vars", "unsafe"]);
  assert.equal(local.unsafe.bindings.length, 5);
});

test("arguments go to whom they are for", () => {
  const args = ["--port", "9000", "-c", "a.toml", "--config=b.jsonc", "--metadata-index", "n:a:string", "--data=x=y"];
  const read = readArguments([...args, "-e", "staging", "--simulator-port=1", "--cwd", "app", "--", "--config", "c"]);
  assert.deepEqual(read, {
    simulator: ["--metadata-index", "n:a:string", "--data", "x=y"],
    wrangler: ["--port", "9000", "--env", "staging", "--", "--config", "c"],
    configs: ["a.toml", "b.jsonc"],
    env: "staging",
    cwd: "app",
    port: "1",
  });
  const tape = readArguments(["--record", "my tape", "--local", "--replay=a", "--record-missing", "b"]);
  assert.deepEqual(tape.simulator, ["--record", "my tape", "--replay", "a", "--record-missing", "b"]);
  assert.deepEqual(tape.wrangler, ["--local"]);
  assert.equal(readArguments([], { CLOUDFLARE_ENV: "staging" }).env, "staging");
  assert.equal(readArguments(["--env="], { CLOUDFLARE_ENV: "staging" }).env, "");
  assert.throws(() => readArguments(["--data"]), /--data needs a value/);
  for (const port of ["99999", "-1", "http"])
    assert.throws(() => readArguments(["--simulator-port", port]), /--simulator-port: .* is no port: 0 .* to 65535/);
});

test("a port of the simulator that is taken is refused by the name of dev's option", async () => {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const taken = String(server.address().port);
  await assert.rejects(simulatorPort(taken), {
    message: `--simulator-port: ${taken} is taken. Choose another, or 0 for any free one.`,
  });
  await new Promise((done) => server.close(done));
  assert.equal(await simulatorPort(taken), taken);
  assert.equal(await simulatorPort("0"), "0");
  assert.match(await simulatorPort(undefined), /^(8788|0)$/);
});

test("a configuration is found as wrangler finds it: by its kind first, then upwards", () => {
  const top = folder();
  const inner = join(top, "packages", "app");
  mkdirSync(inner, { recursive: true });
  assert.throws(() => findConfiguration(inner), /No wrangler.json, wrangler.jsonc, wrangler.toml in/);
  writeFileSync(join(inner, "wrangler.toml"), "");
  assert.equal(findConfiguration(inner), join(inner, "wrangler.toml"));
  writeFileSync(join(top, "wrangler.jsonc"), "{}");
  assert.equal(findConfiguration(inner), join(top, "wrangler.jsonc"));
});

test("wrangler is found in the folder or above it, and must be recent", () => {
  const top = folder();
  const inner = join(top, "packages", "app");
  mkdirSync(inner, { recursive: true });
  assert.throws(() => findWrangler(inner), /No wrangler is installed for .*npm install --save-dev wrangler/);
  const installed = join(top, "node_modules", "wrangler");
  mkdirSync(installed, { recursive: true });
  const write = (version) =>
    writeFileSync(join(installed, "package.json"), JSON.stringify({ version, bin: { wrangler: "./bin/wrangler.js" } }));
  write("99.0.0");
  assert.equal(findWrangler(inner).bin, join(installed, "bin", "wrangler.js"));
  write("3.9.0");
  assert.throws(() => findWrangler(inner), /wrangler 3.9.0 is too old: .* is the oldest/);
  assert.ok(isOlder("4.9.0", "4.10.0") && !isOlder("4.10.0", "4.10.0"));
});

/** A stand-in of an interpreter that prints what the probe would. */
function interpreter(path, printed) {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "${printed}"\n`);
  chmodSync(path, 0o755);
}

test("a Python is found, or the one command to run is said", { skip: process.platform === "win32" }, () => {
  const top = folder();
  const bin = join(top, "bin");
  mkdirSync(bin);
  const env = { PATH: [bin, "/nowhere"].join(delimiter) };
  assert.throws(() => simulatorCommand(top, env), /needs Python 3.11 to 3.14 \(there is none\). Install uv, .*: \S+/);
  interpreter(join(bin, "python3"), "3.9 -");
  assert.throws(() => simulatorCommand(top, env), /needs Python 3.11 to 3.14 \(python3 is 3.9\)/);
  interpreter(join(bin, "python3"), "3.15 -");
  assert.throws(() => simulatorCommand(top, env), /needs Python 3.11 to 3.14 \(python3 is 3.15\)/);
  interpreter(join(bin, "python3"), "3.14 -");
  assert.throws(
    () => simulatorCommand(top, env),
    /build it in a clone .*, then run here: python3 -m venv .venv && .venv\/bin\/python -m pip install \/tmp\/.*whl\. \(Once it is published: /,
  );
  interpreter(join(bin, "python3"), "3.14 0.0.1");
  assert.throws(
    () => simulatorCommand(top, env),
    /python3 has 0.0.1. .* python3 -m pip install \/tmp\/simulator\/workers_ai_simulator-.*whl/,
  );
  interpreter(join(bin, "uv"), "uv 1");
  assert.deepEqual(simulatorCommand(top, env).slice(0, 3), ["uv", "tool", "run"]);
  assert.equal(simulatorCommand(top, env, ["--port", "0"])[4], `workers-ai-simulator==${VERSION}`);
  for (const [extras, ...args] of [
    ["chat", "--models", "ollama"],
    ["chat,record", "--models=auto", "--record=tape"],
    ["record", "conform"],
    ["embeddings", "--embeddings", "bge-base"],
    ["minilm", "--embeddings=minilm"],
    ["speech", "--speech", "base.en"],
  ]) {
    assert.equal(simulatorCommand(top, env, args)[4], `workers-ai-simulator[${extras}]==${VERSION}`);
  }
  const venv = join(top, ".venv", "bin", "python");
  interpreter(venv, `3.11 ${VERSION}`);
  const inner = join(top, "packages", "app");
  mkdirSync(inner, { recursive: true });
  assert.deepEqual(simulatorCommand(inner, env), [venv, "-m", "workers_ai_simulator"]);
  const caller = join(bin, "caller");
  interpreter(caller, `3.12 ${VERSION}`);
  const called = simulatorCommand(inner, { ...env, WORKERS_AI_SIMULATOR_PYTHON: caller });
  assert.deepEqual(called, [caller, "-m", "workers_ai_simulator"]);
});

test("what uv cannot install is said in our words, with what to do", { skip: process.platform === "win32" }, () => {
  const bin = folder();
  const env = { PATH: [bin, "/bin", "/usr/bin"].join(delimiter), WORKERS_AI_SIMULATOR_PYTHON: "/nowhere" };
  for (const name of ["python3", "python"]) interpreter(join(bin, name), "3.9 -");
  const uvFails = (text) => {
    writeFileSync(join(bin, "uv"), `#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "${text}" >&2\nexit 1\n`);
    chmodSync(join(bin, "uv"), 0o755);
  };
  uvFails("error: No solution found\n cause: Because workers-ai-simulator was not found in the package registry");
  const commands =
    /^workers-ai-simulator is in no package index yet: .*\(uv build .*\), then run here: uv venv --python 3.14 && uv pip install/;
  assert.throws(() => simulatorCommand(bin, env), { message: commands });
  uvFails("error: Request failed after 3 retries\n cause: tunnel error");
  assert.throws(() => simulatorCommand(bin, env), {
    message: /^uv cannot install workers-ai-simulator==\S+ \(tunnel error\)\. Is there a network\? /,
  });
});

test("a Python Worker runs by offline-python-workers, or the one command that brings it is said", {
  skip: process.platform === "win32",
}, () => {
  assert.ok(
    isPythonWorker({ main: "src/entry.py" }) && !isPythonWorker({ main: "src/index.ts" }) && !isPythonWorker({}),
  );
  const top = folder();
  const env = { PATH: "/nowhere" };
  assert.equal(offlineRuntime(top, env), undefined);
  assert.match(
    howToRunOffline("python3"),
    /need no network, .* packages\/offline-python-workers\), then run here: python3 -m pip install \S+\.whl && npm install/,
  );
  const python = join(top, ".venv", "bin", "python");
  interpreter(python, ""); // imports whatever it is told to
  const runtime = offlineRuntime(top, env);
  assert.deepEqual(runtime, [python, "-m", "offline_python_workers"]);
  const derived = { path: join(top, ".wrangler.simulated-1.json") };
  const own = [top, "--config", derived.path, "--"];
  const usual = ["--persist-to", join(top, ".wrangler/state")];
  assert.deepEqual(offlineArguments(derived, top, ["--port", "0"]), [...own, ...usual, "--port", "0"]);
  assert.deepEqual(offlineArguments(derived, top, ["--persist-to=a"]), [...own, "--persist-to=a"]);
});
