// Boots CPython (the npm package `pyodide`) inside workerd, once, while this Worker's modules load.
//
// workerd allows eval and wasm compilation only while modules load, so everything that needs them happens here, at the
// top level. What is marked (*) relies on something Pyodide or workerd does not promise: the tests of aiworker (tests/runtime) say when it moves.

import lockInfo from "./lock-info.mjs";
import packages from "./packages.pack";
import project from "./project.pack";
import createInterpreter from "./pyodide.asm.mjs";
import wasm from "./pyodide.asm.wasm";
import stdlib from "./python_stdlib.zip";

/** Where the platform keeps a Worker's Python files, and its packages below it. */
export const HOME = "/session/metadata";

const WRITTEN_FOR = "3.14.2"; // the CPython of pyodide 314.0.7
if (lockInfo.python !== WRITTEN_FOR)
  throw new Error(
    `offline-python-workers is written for Pyodide's Python ${WRITTEN_FOR}; this is ${lockInfo.python}. See its README.`,
  );

// ---- What workerd's global scope lacks or would mislead Emscripten with; put back once Python is up ------------

const undo = [];
function replace(object, key, value) {
  const before = Object.getOwnPropertyDescriptor(object, key);
  Object.defineProperty(object, key, { value, configurable: true, writable: true });
  undo.push(() => (before ? Object.defineProperty(object, key, before) : delete object[key]));
}

// There is no entropy before the first request: xorshift32 stands in, and bridge.py reseeds `random` at the first call.
let state = 0x9e3779b9;
replace(crypto, "getRandomValues", (view) => {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (let i = 0; i < bytes.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return view;
});
// (*) Pyodide would schedule tasks through one shared MessageChannel, which workerd ties to the request that made it.
// Without one it uses timers, which belong to the request that sets them.
replace(globalThis, "MessageChannel", undefined);
// (*) Emscripten takes whatever has a `process` for Node, unless it looks like an Electron renderer.
if (globalThis.process) {
  replace(process, "browser", true);
  replace(process, "type", "renderer");
}

// ---- Compiled packages: an import inside a request must not compile ----------------------------------------------

const compiled = new Map();
const NativeModule = WebAssembly.Module;

/** FNV-1a over 32-bit words: the whole file counts, at 4.5 MB in a few milliseconds. */
function fingerprint(bytes) {
  const words = new Uint32Array(bytes.slice(0, bytes.length & ~3).buffer);
  let hash = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i], 0x01000193);
  for (let i = bytes.length & ~3; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return `${bytes.length}:${hash >>> 0}`;
}

WebAssembly.Module = new Proxy(NativeModule, {
  construct(target, [source]) {
    const bytes = ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source);
    const key = fingerprint(bytes);
    if (!compiled.has(key)) compiled.set(key, new target(bytes));
    return compiled.get(key);
  },
});

// ---- The interpreter ---------------------------------------------------------------------------------------------

const [major, minor, micro] = lockInfo.python.split(".").map(Number);
const LIBRARY = `/lib/python${major}.${minor}`;
// (*) the configuration object and the three calls below are what pyodide.mjs does around createInterpreter
const API = {
  config: {
    jsglobals: globalThis,
    packages: [],
    args: [],
    env: {},
    indexURL: "file:///",
    packageBaseUrl: "file:///",
    enableRunUntilComplete: true,
  },
  runtimeEnv: {
    IN_NODE: false,
    IN_NODE_COMMONJS: false,
    IN_NODE_ESM: false,
    IN_BUN: false,
    IN_DENO: false,
    IN_SHELL: false,
    IN_SAFARI: false,
    IN_BROWSER: true,
    IN_BROWSER_MAIN_THREAD: false,
    IN_BROWSER_WEB_WORKER: false,
    IN_WORKERD: true,
  },
  lockFilePromise: Promise.resolve({ info: lockInfo, packages: {} }),
};
await createInterpreter({
  API,
  arguments: [],
  noImageDecoding: true,
  noAudioDecoding: true,
  print: (line) => console.log(line),
  printErr: (line) => console.error(line),
  locateFile: (path) => `file:///${path}`,
  // asynchronous compilation never settles at the top level: instantiate the module workerd has compiled
  instantiateWasm(imports, done) {
    const error = Symbol("Python error"); // (*) the one import that pyodide.mjs, not pyodide.asm.mjs, provides
    imports.env.Jsv_GetError_import = () => error;
    imports.env.JsvError_Check = (value) => (value === error ? 1 : 0);
    done(new WebAssembly.Instance(wasm, imports), wasm);
    return {};
  },
  preRun: [
    ({ FS, ENV }) => {
      API.pyVersionTuple = [major, minor, micro];
      API.sitePackages = `${LIBRARY}/site-packages`;
      for (const directory of [API.sitePackages, `${LIBRARY}/lib-dynload`, HOME]) FS.mkdirTree(directory);
      FS.writeFile(`/lib/python${major}${minor}.zip`, new Uint8Array(stdlib), { canOwn: true });
      Object.assign(ENV, { HOME, PYTHONHASHSEED: "0", PYTHONDONTWRITEBYTECODE: "1" });
      FS.chdir(HOME);
    },
  ],
});
export const python = API.finalizeBootstrap();
await API.packageIndexReady;
API.initializeStreams();

// ---- Files: compiled.py packs them as one JSON index and the bytes after it ---------------------------------------

/** Write the files of a pack; returns where it ends. */
function unpack(pack, root, offset = 0) {
  const size = new DataView(pack).getUint32(offset, true);
  let start = offset + 4 + size;
  const index = JSON.parse(new TextDecoder().decode(new Uint8Array(pack, offset + 4, size)));
  for (const [path, length] of index) {
    const bytes = new Uint8Array(pack, start, length);
    start += length;
    if (path.endsWith(".so")) new WebAssembly.Module(bytes);
    python.FS.mkdirTree(`${root}/${path}`.replace(/\/[^/]*$/, ""));
    python.FS.writeFile(`${root}/${path}`, bytes, { canOwn: true });
  }
  return start;
}
unpack(packages, `${HOME}/python_modules`);
const sourcesEnd = unpack(project, HOME);
unpack(project, HOME, sourcesEnd); // their byte-code, as far as there is any

/** Give workerd's globals back: to be called when the program is imported, and nothing random or compiled is needed. */
export function finishBoot() {
  for (const restore of undo.splice(0)) restore();
}
