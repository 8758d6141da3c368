// Loaded into wrangler by `node --require`: its proxy answers only for the hosts of $DEV_HOSTS, localhost and addresses.
//
// The Worker behind the proxy cannot check the host by itself: it sees the address in the header MF-Original-URL, which
// a web page can send once its own name leads to this machine (DNS rebinding). Only the proxy sees the header Host.
const Module = require("node:module");
const path = require("node:path");

const ORIGINAL = "ProxyWorker.js";

/** Main module of the proxy, a Worker: checks the host, then passes the request on to wrangler's own. */
const checked = (hosts) => `
import proxy from "./${ORIGINAL}";
export * from "./${ORIGINAL}";

const HOSTS = ${JSON.stringify(hosts)};

function isServed(host) {
  let name;
  try {
    name = new URL("http://" + host).hostname.replace(/\\.$/, "");
  } catch {
    return false;
  }
  const isAddress = name.startsWith("[") || /^\\d+(\\.\\d+){3}$/.test(name);
  return isAddress || name === "localhost" || name.endsWith(".localhost") || HOSTS.includes(name);
}

export default {
  fetch(request, ...rest) {
    const host = request.headers.get("host");
    if (host === null || isServed(host)) return proxy.fetch(request, ...rest);
    const message = "scripts/dev does not answer for " + host.slice(0, 100) + ": start it with --var ALLOWED_HOSTS=NAME.";
    return Response.json({ error: { type: "forbidden", message } }, { status: 403 });
  },
};
`;

function withHostCheck(options) {
  for (const worker of options.workers ?? []) {
    const [main] = worker.modules ?? [];
    if (worker.name !== "ProxyWorker" || path.basename(main?.path ?? "") !== ORIGINAL) continue;
    const contents = checked((process.env.DEV_HOSTS ?? "").split(" ").filter(Boolean));
    worker.modules = [{ type: "ESModule", path: path.join(path.dirname(main.path), "host-check.mjs"), contents }, main];
  }
  return options;
}

const load = Module._load;
let miniflare;

Module._load = function (request, ...rest) {
  const loaded = load.call(this, request, ...rest);
  if (request !== "miniflare" || !loaded.convertV4MiniflareOptions) return loaded;
  miniflare ??= Object.create(loaded, {
    convertV4MiniflareOptions: {
      value: (options) => loaded.convertV4MiniflareOptions(withHostCheck(options)),
      enumerable: true,
    },
  });
  return miniflare;
};
