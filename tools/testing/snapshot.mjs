// Takes the memory snapshot that Cloudflare takes of a Python Worker when it is uploaded, and answers requests from it,
// with the npm package `pyodide`:
//
//   node snapshot.mjs take SRC PACKAGES FILE        imports the module `entry` and writes its snapshot to FILE
//   node snapshot.mjs answer SRC PACKAGES FILE      restores it, and answers the requests on standard input:
//                                                   [[method, path, body or null], …]; the last line that it prints
//                                                   is their answers, [[status, body], …]
//
// Imports have no entropy, no clock and no bindings, and no JavaScript value but those with a path from globalThis may
// outlive them.
import { readFileSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { loadPyodide } from "pyodide";
import createPyodideModule from "pyodide/pyodide.asm.mjs";

const [job, src, packages, file] = process.argv.slice(2);
const LIBRARY = "/pydantic_core/_pydantic_core.cpython-314-wasm32-emscripten.so";

// ---- What the SDK has of the platform, the same in both jobs but for its bindings ----------------------------------

const unavailable = (what) => () => {
  throw new Error(`${what} is not available at import`);
};
const cloudflareWorkersModule = { env: new Proxy({}, { get: unavailable("env"), has: unavailable("env") }) };
const PLATFORM = {
  helper: { cloudflareWorkersModule, doAnImport: unavailable("import()"), patchWaitUntil() {} },
  flags: {},
};

// ---- The interpreter ------------------------------------------------------------------------------------------------

// ---- No clock and no entropy while modules are imported: neither Python's own, nor JavaScript's through `js` ----------

// Cloudflare makes exceptions for the imports of `random` and `pydantic_core` (workers-runtime-sdk, pydantic_core_context)
const GIVEN_ENTROPY = `
import sys
sys.path[:0] = ["/src", "/packages"]
import random
import pydantic_core
pydantic_core.SchemaValidator({"type": "any"})
`;
let isImporting = false;
const INPUT_OUTPUT_ERROR = 29; // an errno of WASI, which Python raises as OSError
const whileImporting =
  (instead, original) =>
  (...args) =>
    isImporting ? instead() : original(...args);

function withoutClockAndEntropy(imports) {
  const wasi = imports.wasi_snapshot_preview1;
  wasi.clock_time_get = whileImporting(() => INPUT_OUTPUT_ERROR, wasi.clock_time_get);
  wasi.random_get = whileImporting(() => INPUT_OUTPUT_ERROR, wasi.random_get);
}

const FORBIDDEN = {
  Date: new Proxy(Date, { get: unavailable("the clock"), construct: unavailable("the clock") }),
  performance: new Proxy(performance, { get: unavailable("the clock") }),
  crypto: new Proxy(crypto, { get: unavailable("entropy") }),
};
const jsglobals = new Proxy(globalThis, {
  get: (all, name) => (isImporting && FORBIDDEN[name]) || Reflect.get(all, name),
});

/** Python with its files and its one compiled library, which must lie at the same address in both jobs. */
function start(options) {
  const prepare = (Module) => {
    const { FS } = Module;
    for (const [path, root] of [
      ["/src", src],
      ["/packages", packages],
    ]) {
      FS.mkdirTree(path);
      FS.mount(FS.filesystems.NODEFS, { root }, path);
    }
    if (options._loadSnapshot) Module.growMemory(options._loadSnapshot.length); // it is to have room for the snapshot
    Module.loadDynamicLibrary(`/packages${LIBRARY}`, { global: false, nodelete: true }, {});
  };
  return loadPyodide({
    ...options,
    env: { PYTHONHASHSEED: "1", HOME: "/home/pyodide" },
    createPyodideModule: (settings) =>
      createPyodideModule({
        ...settings,
        preRun: [...settings.preRun, prepare],
        instantiateWasm(imports, done) {
          withoutClockAndEntropy(imports);
          return settings.instantiateWasm(imports, done);
        },
        locateFile: (name) => (name.endsWith(LIBRARY) ? packages + LIBRARY : settings.locateFile(name)),
      }),
  });
}

async function take() {
  const python = await start({ _makeSnapshot: true, jsglobals });
  python.registerJsModule("_pyodide_entrypoint_helper", PLATFORM.helper);
  python.registerJsModule("_cloudflare_compat_flags", PLATFORM.flags);
  python.runPython(GIVEN_ENTROPY);
  isImporting = true;
  python.runPython("import entry");
  isImporting = false;
  const serializer = (value) => {
    const [name] = Object.entries(PLATFORM).find(([, each]) => each === value) ?? [];
    if (name) return name;
    throw new Error(`kept at import, and not to be found again from globalThis: ${String(value).slice(0, 200)}`);
  };
  writeFileSync(file, python.makeMemorySnapshot({ serializer }));
}

async function answer() {
  const python = await start({ _loadSnapshot: readFileSync(file), _snapshotDeserializer: (name) => PLATFORM[name] });
  cloudflareWorkersModule.env = { AUTH_MODE: "public", RATE_LIMITS: "off" };
  const serve = python.runPython(`
import entry
from workers import Request

class Execution:
    def waitUntil(self, work): pass

async def serve(request):
    return (await entry.Default(Execution(), None).fetch(Request(request)))
serve
`);
  const answers = [];
  for (const [method, path, body] of JSON.parse(await text(process.stdin))) {
    const headers = body === null ? {} : { "content-type": "application/json" };
    const response = await serve(new Request(`http://worker.example${path}`, { method, headers, body }));
    answers.push([response.status, await response.text()]);
  }
  console.log(JSON.stringify(answers));
}

try {
  await { take, answer }[job]();
  process.exit(0); // Pyodide keeps Node alive otherwise
} catch (error) {
  console.error(error);
  process.exit(1);
}
