// The two JavaScript modules that the `workers` SDK (PyPI: workers-runtime-sdk) expects its runtime to provide.

import * as cloudflareSocketsModule from "cloudflare:sockets";
import * as cloudflareWorkersModule from "cloudflare:workers";

// On by default at every compatibility date that configuration.py accepts.
const compatFlags = { python_workflows_implicit_dependencies: true, python_request_headers_preserve_commas: true };

const patched = new WeakSet();

/** Let `ctx.waitUntil` take a coroutine: its proxy ends with the call that passed it, so keep a copy until it is done. */
function patchWaitUntil(ctx) {
  if (patched.has(ctx)) return;
  patched.add(ctx);
  const waitUntil = ctx.waitUntil.bind(ctx);
  ctx.waitUntil = (awaitable) => {
    const kept = typeof awaitable?.copy === "function" ? awaitable.copy() : awaitable;
    waitUntil(
      (async () => {
        try {
          await kept;
        } finally {
          if (kept !== awaitable) kept.destroy();
        }
      })(),
    );
  };
}

/** `with patch_env(NAME=value):` of the SDK: other values for bindings while the block runs. */
function* patchEnv(values) {
  const env = cloudflareWorkersModule.env;
  const before = new Map();
  for (const [name, value] of values instanceof Map ? values : Object.entries(values)) {
    before.set(name, Object.getOwnPropertyDescriptor(env, name));
    Object.defineProperty(env, name, { value, configurable: true, writable: true, enumerable: true });
  }
  try {
    yield;
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(env, name, descriptor);
      else delete env[name];
    }
  }
}

export default {
  _cloudflare_compat_flags: compatFlags,
  _pyodide_entrypoint_helper: {
    ...compatFlags,
    cloudflareWorkersModule,
    cloudflareSocketsModule,
    doAnImport: (name) => import(name.includes(":") ? name : `./${name}`),
    patchWaitUntil,
    patch_env_helper: patchEnv,
  },
};
