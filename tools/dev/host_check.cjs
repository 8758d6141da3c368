// Loaded into wrangler by `node --require`: its proxy answers only for the hosts of $DEV_HOSTS, localhost and addresses,
// and passes on none of miniflare's own paths but that of Cron Triggers and, for scripts/dev --traces, that of spans. The
// others read and change the bindings without an API key: objects of R2 (r2/public, r2/s3), all of them (platform-proxy,
// explorer).
//
// The Worker behind the proxy cannot check the host by itself: it sees the address in the header MF-Original-URL, which
// a web page can send once its own name leads to this machine (DNS rebinding). Only the proxy sees the header Host.
const path = require("node:path");
const changeMiniflareOptions = require("./miniflare_options.cjs");

const ORIGINAL = "ProxyWorker.js";

/** Main module of the proxy, a Worker: checks the host, then passes the request on to wrangler's own. */
const checked = (hosts, hasTraces) => `
import proxy from "./${ORIGINAL}";
export * from "./${ORIGINAL}";

const HOSTS = ${JSON.stringify(hosts)};

/** Path of tools/dev/cron.py, and where wrangler itself sends messages with a secret to its proxy. */
const SCHEDULED = "/cdn-cgi/local/scheduled";
const CONTROLLER = "/cdn-cgi/ProxyWorker/";
/** Queries for spans, which read nothing else: scripts/dev --traces. */
const TRACES = ${hasTraces ? '"/cdn-cgi/explorer/api/local/observability/query"' : "null"};

function isOwnPath(pathname) {
  const isWrangler = pathname === SCHEDULED || pathname === TRACES || pathname.startsWith(CONTROLLER);
  return !isWrangler && (pathname.startsWith("/cdn-cgi/") || pathname.startsWith("/__cf_local/"));
}

function pathOf(url) {
  try {
    return new URL(url).pathname;
  } catch {
    return "";
  }
}

function refuse(status, type, message) {
  return Response.json({ error: { type, message } }, { status });
}

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
    if (host !== null && !isServed(host)) {
      const name = host.slice(0, 100);
      return refuse(403, "forbidden", "scripts/dev does not answer for " + name + ": start it with --var ALLOWED_HOSTS=NAME.");
    }
    if ([request.url, request.headers.get("mf-original-url")].some((url) => url && isOwnPath(pathOf(url)))) {
      return refuse(404, "not_found", "scripts/dev serves none of wrangler's own paths: use the Worker's routes.");
    }
    return proxy.fetch(request, ...rest);
  },
};
`;

function withHostCheck(options) {
  for (const worker of options.workers ?? []) {
    const [main] = worker.modules ?? [];
    if (worker.name !== "ProxyWorker" || path.basename(main?.path ?? "") !== ORIGINAL) continue;
    const contents = checked(
      (process.env.DEV_HOSTS ?? "").split(" ").filter(Boolean),
      process.env.DEV_TRACES === "true",
    );
    worker.modules = [{ type: "ESModule", path: path.join(path.dirname(main.path), "host-check.mjs"), contents }, main];
  }
  return options;
}

changeMiniflareOptions(withHostCheck);
