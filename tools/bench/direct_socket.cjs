// Loaded into wrangler by `node --require`: the Worker itself listens on $DIRECT_PORT. Behind wrangler's own address, a
// request passes a proxy in a process of its own and another Worker in the Worker's process, which production has not.
//
// V8's inspector is left out as well: it records the stack of each line of the log, with all of Python's frames. With
// VSCODE_INSPECTOR_OPTIONS in its environment, wrangler expects none.
const changeMiniflareOptions = require("../dev/miniflare_options.cjs");

const OWN = ["ProxyWorker", "InspectorProxyWorker"];

function withDirectSocket(options) {
  const [worker] = options.workers ?? [];
  if (!worker || OWN.includes(worker.name)) return options;
  const socket = { host: "127.0.0.1", port: Number(process.env.DIRECT_PORT) };
  worker.unsafeDirectSockets = [...(worker.unsafeDirectSockets ?? []), socket];
  delete options.inspectorPort;
  return options;
}

changeMiniflareOptions(withDirectSocket);
