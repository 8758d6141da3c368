// Imports the Worker's main module and hands its Python classes to workerd as JavaScript ones.
import { DurableObject, WorkerEntrypoint, WorkflowEntrypoint } from "cloudflare:workers";
import bridgeSource from "./bridge.py";
import entry from "./entry.mjs";
import { finishBoot, python } from "./interpreter.mjs";
import sdk from "./sdk.mjs";

for (const [name, module] of Object.entries(sdk)) python.registerJsModule(name, module);
python.runPython(bridgeSource, { filename: "bridge.py" });
const bridge = python.globals.get("bridge");
const failure = bridge.load(entry.module, entry.sources);
if (failure) console.error(failure);
finishBoot();

// A proxy keeps its Python object alive until it is destroyed, so each one made for a call is, and those for good are
// made once: even reading a method off a proxy makes a new one.
const { create, reseed } = bridge;

/** The Python object behind one JavaScript instance. */
class Instance {
  #make;
  #object;
  #calls = 0;

  constructor(make) {
    this.#make = make;
  }

  /** Call a method; `call` is bridge.py's function for it. An object that is not kept ends with its last call. */
  async run(call, args, isKept) {
    this.#object ??= this.#make();
    this.#calls++;
    let answer;
    try {
      answer = call(this.#object, ...args);
      return await answer;
    } finally {
      answer?.destroy();
      if (--this.#calls === 0 && !isKept) {
        this.#object.destroy();
        this.#object = undefined;
      }
    }
  }
}

const LOCAL_ORIGIN = /^https?:\/\/(localhost|[\w-]+\.localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/**
 * Answer with the reason why the Worker cannot run. Pages of this machine may read it: browsers would otherwise
 * report CORS only.
 */
function explain(request, text) {
  const headers = new Headers({ "content-type": "text/plain; charset=utf-8", vary: "origin" });
  const origin = request.headers.get("origin");
  const wanted = request.headers.get("access-control-request-method");
  if (origin && LOCAL_ORIGIN.test(origin)) {
    headers.set("access-control-allow-origin", origin);
    headers.set("access-control-allow-methods", wanted ?? request.method);
    headers.set("access-control-allow-headers", request.headers.get("access-control-request-headers") ?? "");
  }
  if (request.method === "OPTIONS" && wanted) return new Response(null, { status: 204, headers });
  return new Response(text, { status: 500, headers });
}

let isFirstCall = true;

/** A class of workerd's kind `Base` that answers with the Python class `name` of the main module. */
function exported(Base, name) {
  const methods = bridge.methods(name);
  // Python that does not import must not take `wrangler dev` down: say why on each request until it is mended
  if (!methods)
    return class extends Base {
      fetch = (request) => explain(request, failure ?? `${entry.sources}${entry.module}.py defines no class ${name}\n`);
    };
  const isKept = Base === DurableObject; // the platform makes it once and calls it until it is evicted
  const instances = new WeakMap();
  const Class = class extends Base {
    constructor(ctx, env) {
      super(ctx, env);
      if (isFirstCall) reseed();
      isFirstCall = false;
      instances.set(this, new Instance(() => create(name, ctx, env)));
    }
  };
  for (const [method, call] of methods.toJs())
    Class.prototype[method] = function (...args) {
      return instances.get(this).run(call, args, isKept);
    };
  return Class;
}

export const entrypoint = (name) => exported(WorkerEntrypoint, name);
export const durableObject = (name) => exported(DurableObject, name);
export const workflow = (name) => exported(WorkflowEntrypoint, name);
