// Imports the Worker's main module and hands its Python classes to workerd as JavaScript ones.
import { DurableObject, WorkerEntrypoint, WorkflowEntrypoint } from "cloudflare:workers";
import bridgeSource from "./bridge.py";
import { finishBoot, python } from "./interpreter.mjs";
import sdk from "./sdk.mjs";

for (const [name, module] of Object.entries(sdk)) python.registerJsModule(name, module);
python.runPython(bridgeSource, { filename: "local/runtime/bridge.py" });
const bridge = python.globals.get("bridge");
const failure = bridge.load();
if (failure) console.error(failure);
finishBoot();

const instances = new WeakMap();
let isFirstCall = true;

/** A class of workerd's kind `Base` that answers with the Python class `name` of the main module. */
function exported(Base, name) {
  const methods = bridge.methods(name);
  // Python that does not import must not take `wrangler dev` down: say why on each request until it is mended
  if (!methods)
    return class extends Base {
      fetch = () => new Response(failure ?? `src/entry.py defines no class ${name}\n`, { status: 500 });
    };
  const Class = class extends Base {
    constructor(ctx, env) {
      super(ctx, env);
      if (isFirstCall) bridge.reseed();
      isFirstCall = false;
      instances.set(this, bridge.create(name, ctx, env));
    }
  };
  for (const [method, call] of methods.toJs())
    Class.prototype[method] = function (...args) {
      return call(instances.get(this), ...args);
    };
  return Class;
}

export const entrypoint = (name) => exported(WorkerEntrypoint, name);
export const durableObject = (name) => exported(DurableObject, name);
export const workflow = (name) => exported(WorkflowEntrypoint, name);
